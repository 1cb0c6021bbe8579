package transport

import (
	"encoding/binary"
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// Peer is whom to connect to.
type Peer struct {
	Path Path
	Key  identity.Key // its static X25519 key
}

// Connect begins a session. EventUp follows, or EventDown when none comes about; calls may be made
// at once and wait for it.
func (e *Endpoint) Connect(now core.Time, p Peer) (SessionID, error) {
	s, err := e.connect(now, p, nil)
	if err != nil {
		return 0, fmt.Errorf("transport: connect: %w", err)
	}
	s.ours = true
	return s.id, nil
}

// connect begins a handshake, to succeed another session or, with nil, for itself.
func (e *Endpoint) connect(now core.Time, p Peer, old *session) (*session, error) {
	s, err := e.newSession(p.Path, p.Key)
	if err != nil {
		return nil, err
	}
	params := e.params(s)
	if old != nil {
		s.renews = old.id
		binary.BigEndian.PutUint32(params.Opaque[opaqueRenews:], old.peer)
	}
	if s.attempt, err = e.hs.Start(now, handshake.Addr(p.Path), p.Key, params); err != nil {
		s.over()
		return nil, err
	}
	e.pump(now)
	return s, nil
}

// params are what we tell a peer about our end.
func (e *Endpoint) params(s *session) handshake.Params {
	p := handshake.Params{Session: s.number, MTU: uint16(e.mtu), Lanes: uint8(e.lanes)}
	binary.BigEndian.PutUint64(p.Opaque[opaqueCredit:], e.laneCredit)
	return p
}

// creditOf is what the peer grants each lane at the start.
func creditOf(p *handshake.Params) uint64 {
	return binary.BigEndian.Uint64(p.Opaque[opaqueCredit:])
}

// NextJob is the next piece of a handshake's arithmetic, or nil: up to 0.2 ms, for another
// goroutine. Call its Run there, then JobDone with it here.
func (e *Endpoint) NextJob() *handshake.Job { return e.hs.NextJob() }

// JobDone takes a job back after its Run.
func (e *Endpoint) JobDone(now core.Time, j *handshake.Job) {
	e.hs.Done(now, j)
	e.pump(now)
}

// handleHandshake takes a message of a handshake.
func (e *Endpoint) handleHandshake(now core.Time, back *Path, h Header, body []byte) Reason {
	if h.Session() != 0 || h.Counter() != 0 || h.Route() != 0 || h.Lane() != 0 || h.Phase() != 0 {
		return e.drop(ReasonReserved)
	}
	if e.hs.Handle(now, (*handshake.Addr)(back), body) != handshake.OK {
		e.pump(now) // it may have asked for a cookie
		return e.drop(ReasonHandshake)
	}
	e.counters.Handshakes++
	e.pump(now)
	return OK
}

// pump moves what the handshakes have to say.
func (e *Endpoint) pump(now core.Time) {
	for {
		ev, ok := e.hs.NextEvent()
		if !ok {
			break
		}
		switch ev.Kind {
		case handshake.EventAsked:
			e.onAsked(now, &ev)
		case handshake.EventUp:
			e.onKeys(now, &ev)
			ev.Keys.Wipe()
		case handshake.EventFailed:
			if s := e.byAttempt(ev.Attempt); s != nil {
				s.end(now, CauseConnect, 0)
			}
		}
	}
	for {
		var b [HeaderBytes + handshake.MaxBytes]byte
		to, n := e.hs.NextMessage(b[HeaderBytes:])
		if n == 0 {
			break
		}
		h := Header(b[:HeaderBytes])
		h.put(TypeHandshake, 0, 0, 0, 0, 0)
		h.setLength(n)
		e.queuePlain(Path(to), b[:HeaderBytes+n])
	}
	e.timers.advance(&e.hsTimer, e.hs.Deadline())
}

// byAttempt finds the session that waits for a handshake.
func (e *Endpoint) byAttempt(id handshake.AttemptID) *session {
	for _, s := range e.sessions {
		if s != nil && s.state == sessionConnecting && (s.attempt == id || s.asked == id) {
			return s
		}
	}
	return nil
}

// onAsked answers a peer that wants a session: yes, into our own attempt if there is one that gives
// way.
func (e *Endpoint) onAsked(now core.Time, ev *handshake.Event) {
	var s *session
	if ev.Own != 0 {
		s = e.byAttempt(ev.Own)
	}
	if s == nil {
		var err error
		if s, err = e.newSession(Path(ev.Addr), ev.Key); err != nil {
			e.hs.Refuse(ev.Attempt)
			return
		}
	}
	s.until = now + handshake.GiveUpAfter
	e.timers.advance(&s.timer, s.until)
	s.asked = ev.Attempt
	if !e.hs.Accept(now, ev.Attempt, e.params(s)) && s.attempt == 0 {
		s.end(now, CauseConnect, 0)
	}
}

// onKeys begins a session.
func (e *Endpoint) onKeys(now core.Time, ev *handshake.Event) {
	s := e.byAttempt(ev.Attempt)
	if s == nil {
		return
	}
	s.who, s.path, s.attempt = ev.Peer, Path(ev.Addr), 0
	if s.renews != 0 && ev.Again > 0 {
		e.counters.RenewalsRepeated++
	}
	s.install(now, &ev.Keys, &ev.Params, ev.Initiator)
}

// Who is the certificate that the peer of a session has shown.
func (e *Endpoint) Who(id SessionID) (identity.Certificate, error) {
	s, err := e.session(id)
	if err != nil {
		return identity.Certificate{}, fmt.Errorf("transport: %w", err)
	}
	return s.who, nil
}

// Renew replaces the certificate by one for the same key that lasts longer, and whom to believe;
// both hold for sessions that begin from now on.
func (e *Endpoint) Renew(certificate []byte, trust *identity.Trust) error {
	if err := e.hs.SetCertificate(certificate); err != nil {
		return fmt.Errorf("transport: renew: %w", err)
	}
	e.hs.SetTrust(trust)
	return nil
}

// SetUnix corrects the time of day, by which certificates of peers are judged in handshakes: unix
// is ns since 1970 at core.Time 0. Sessions that are open do not end by it.
func (e *Endpoint) SetUnix(unix int64) { e.hs.SetUnix(unix) }

// Key is the public half of this runtime's key, by which peers name it.
func (e *Endpoint) Key() identity.Key { return e.hs.Key() }

// Drain accepts no new calls in either direction and ends the session when the last is over.
func (e *Endpoint) Drain(now core.Time, id SessionID) error {
	s, err := e.session(id)
	if err != nil {
		return fmt.Errorf("transport: drain: %w", err)
	}
	if !s.drainOwn {
		s.drainOwn = true
		s.lanes[0].drain = true
		s.lanes[0].schedule(now)
	}
	return nil
}

// Close ends a session at once; its calls end as far as is known.
func (e *Endpoint) Close(now core.Time, id SessionID) error {
	s, err := e.session(id)
	if err != nil {
		return fmt.Errorf("transport: close: %w", err)
	}
	s.end(now, CauseClosed, 2)
	return nil
}

// Wipe forgets all keys: the last call, when the runtime ends.
func (e *Endpoint) Wipe() {
	for _, s := range e.sessions {
		if s != nil {
			s.over()
		}
	}
	e.hs.Close()
}
