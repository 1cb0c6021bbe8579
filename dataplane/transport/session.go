package transport

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/planted"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/transport/seal"
)

// sessionState says where a session stands.
//
//	connecting ──keys──> open ──Close, dead, replaced──> closing ──linger──> over
//	     └──────── gives up ────────────┴────── closed by the peer ────────────^
type sessionState uint8

const (
	sessionConnecting sessionState = iota // no keys yet
	sessionOpen
	sessionClosing // over for everybody here; tells the peer so
	sessionOver
)

// session is one association of two runtime incarnations.
type session struct {
	e       *Endpoint
	state   sessionState
	index   uint32
	id      SessionID
	number  uint32 // in frames to us
	peer    uint32 // in frames to the peer
	path    Path
	key     identity.Key // the peer's
	who     identity.Certificate
	attempt handshake.AttemptID // own
	asked   handshake.AttemptID // of the peer's, that takes its place
	gens    uint64              // where the generations of its slots begin

	lanes    []*lane
	ours     bool // begun by Connect, so its end is told even if it never opened
	ready    bool // transfers may begin
	up       bool // EventUp went out
	drainOwn bool
	drainHis bool
	expires  core.Time // when it ends unless it was renewed
	renewAt  core.Time // of the next attempt to renew it, Never if that is the peer's to do
	renewal  SessionID // the attempt
	renews   SessionID // whom it is to succeed
	retired  bool      // succeeded: takes no new calls
	doneOwn  bool      // retired, and nothing begun here is under way any more: the peer is told
	doneHis  bool      // the peer has said that
	cause    Cause
	held     int    // bytes of inbound buffers
	kept     int    // bytes of outbound buffers
	live     int    // transfers and requests that are not over
	begun    int    // those of them that this end began: calls, messages, writes
	most     uint64 // credit of a lane at the start, and so the largest transfer's cost
	mtu      mtu
	heard    core.Time // last authentic frame
	bye      int       // closes still to send
	until    core.Time // end of lingering, of being retired, or of waiting for the first frame
	writes   *outbound // in the order issued
	lastW    *outbound
	timer    timer
	hints    bucket
}

// lane is the lane of that number, or nil.
func (s *session) lane(n uint8) *lane {
	if int(n) >= len(s.lanes) {
		return nil
	}
	return s.lanes[n]
}

// install gives a session its keys. An initiator may send at once, a responder when it has heard.
func (s *session) install(now core.Time, k *seal.Keys, p *handshake.Params, initiator bool) {
	e := s.e
	s.state, s.peer, s.heard = sessionOpen, p.Session, now
	s.mtu.most = min(e.mtu, max(int(p.MTU), minMTU))
	s.mtu.set(min(s.mtu.most, defaultMTU))
	lanes := min(len(s.lanes), max(int(p.Lanes), 1))
	for _, l := range s.lanes[lanes:] {
		l.concludeAll(CauseRefused)
		e.timers.stop(&l.timer)
		s.keepGens(l)
	}
	s.lanes = s.lanes[:lanes]
	s.most = creditOf(p)
	k.Frames = e.keyFrames
	for _, l := range s.lanes {
		l.tx = k.Sender(uint16(l.number), now)
		l.rx = k.Receiver(uint16(l.number))
		l.limit = s.most
		l.congestion.start(s.mtu.frame)
	}
	s.renewAt, s.expires = core.Never, now+e.renewAfter+overdue
	if initiator {
		s.renewAt = now + e.renewAfter
		s.lanes[0].ping = true // the peer waits for the first frame
		s.confirm(now)
		return
	}
	s.succeeds(renewsOf(p)) // whoever we were about to succeed: this handshake is the peer's
	s.until = now + handshake.ConfirmWithin
	e.timers.advance(&s.timer, s.until)
}

// confirm is called when the peer has shown that it has the keys too.
func (s *session) confirm(now core.Time) {
	s.up, s.ready = true, true
	old := s.e.replace(now, s)
	var q queued
	q.ev.Kind, q.ev.Session, q.ev.Replaces = EventUp, s.id, old
	s.e.events.push(q)
	s.e.timers.advance(&s.timer, min(now+s.e.keepAlive, s.renewAt))
	for _, l := range s.lanes {
		l.schedule(now)
	}
}

// replace ends the other sessions with the same peer, and retires the one that is renewed. Of those
// that the peer has not confirmed older ones end as well: if they came up after this one, late,
// each end would keep to another.
func (e *Endpoint) replace(now core.Time, by *session) (renewed SessionID) {
	for _, s := range e.sessions {
		if s == nil || s == by || s.key != by.key || s.state != sessionOpen ||
			!s.up && s.id > by.id {
			continue
		}
		if s.id == by.renews && !s.retired {
			s.retire(now)
			renewed = s.id
			continue
		}
		s.end(now, CauseReplaced, 0)
	}
	return renewed
}

func (s *session) event(k EventKind, c Cause) {
	var q queued
	q.ev.Kind, q.ev.Cause, q.ev.Session = k, c, s.id
	s.e.events.push(q)
}

// concludeAll ends all transfers of a lane.
func (l *lane) concludeAll(cause Cause) {
	for _, o := range l.outs {
		switch o.state {
		case outFree:
		case outEnding:
			l.free(o)
		default:
			l.conclude(o, o.doubt(), cause)
			l.free(o)
		}
	}
	for i := range l.requests {
		if l.requests[i].open {
			l.freeRequest(uint16(i))
		}
	}
	for len(l.partials) > 0 {
		l.removePartial(l.partials[0])
	}
}

// end ends a session: its calls end, then it does. The peer is told so many times.
func (s *session) end(now core.Time, cause Cause, bye int) {
	if s.state == sessionClosing || s.state == sessionOver {
		return
	}
	connecting := s.state == sessionConnecting
	if planted.On(planted.DownEarly) && s.up {
		s.event(EventDown, cause)
		s.up, s.ours = false, false
	}
	s.cause = cause
	s.state = sessionClosing
	s.dropRenewal(now)
	if s.retired {
		s.e.renewNow(s.key)
	}
	for _, l := range s.lanes {
		l.concludeAll(cause)
		l.lost[0].clear()
		l.lost[1].clear()
		l.e.timers.stop(&l.timer)
	}
	s.e.dropRegions(s)
	if s.up || s.ours {
		s.event(EventDown, cause)
	}
	if connecting || bye == 0 {
		s.over()
		return
	}
	if s.bye = bye; !s.ready {
		s.bye = 0 // a responder speaks second: it answers the first frame, if that comes
	}
	s.until = now + lingerFor
	s.e.timers.stop(&s.timer)
	s.e.timers.advance(&s.timer, s.until)
	if s.bye > 0 {
		s.e.urge(s.lanes[0])
	}
}

// fail ends a session for a reason of our own.
func (s *session) fail(now core.Time, cause Cause) { s.end(now, cause, 1) }

// over forgets a session and its keys.
func (s *session) over() {
	e := s.e
	s.state = sessionOver
	for _, l := range s.lanes {
		if l.tx != nil {
			l.tx.Wipe()
			l.rx.Wipe()
		}
		e.timers.stop(&l.timer)
		s.keepGens(l)
	}
	e.timers.stop(&s.timer)
	if s.attempt != 0 {
		e.hs.Cancel(s.attempt)
	}
	e.forget(s)
}

// keepGens keeps the session that takes this one's place from using its public numbers again.
func (s *session) keepGens(l *lane) {
	for _, o := range l.outs {
		s.gens = max(s.gens, o.gen+1)
	}
	for i := range l.requests {
		s.gens = max(s.gens, l.requests[i].gen+1)
	}
}

// onTimer does what is due for the session.
func (s *session) onTimer(now core.Time) {
	switch {
	case s.state == sessionClosing:
		if now >= s.until {
			s.over()
			return
		}
		s.e.timers.advance(&s.timer, s.until)
		return
	case s.state == sessionOver || s.until == 0 && s.state == sessionConnecting:
		return
	case !s.up: // nor may it wait for ever for keys that the peer has asked for
		if now >= s.until {
			s.end(now, CauseConnect, 0)
			return
		}
		s.e.timers.advance(&s.timer, s.until)
		return
	}
	next, expecting := core.Never, false
	for _, l := range s.lanes {
		if l.tx.Wants(now) == seal.WantPhase {
			l.tx.Rekey(now)
			s.e.counters.Rekeys++
		}
		l.rx.Expire(now)
		if !l.expecting {
			continue
		}
		expecting = true
		if l.flight.flying == 0 && l.lost[0].n == 0 && l.lost[1].n == 0 {
			l.ping = true // what was lost need not be said again: nothing else asks for an answer
			l.schedule(now)
		}
		if now-l.stuck >= s.e.deadAfter {
			s.giveUp(now)
			return
		}
		next = min(next, l.stuck+s.e.deadAfter)
	}
	if next = min(next, s.renewStep(now)); s.state != sessionOpen {
		return
	}
	if quiet := s.heard + s.e.keepAlive; now < quiet {
		next = min(next, quiet)
	} else if next = min(next, now+s.e.keepAlive); !expecting {
		s.lanes[0].ping = true
		s.lanes[0].schedule(now)
	}
	s.e.timers.advance(&s.timer, next)
}

// onDrain takes the peer's word that it accepts no new calls.
func (s *session) onDrain(now core.Time) {
	if !s.drainHis {
		s.drainHis = true
		s.event(EventDraining, CauseNone)
	}
}

// onClose takes the peer's word that the session is over.
func (s *session) onClose(now core.Time, c Cause) {
	if c == CauseNone || c == CauseClosed {
		c = CausePeer
	}
	s.end(now, c, 0)
}

// drainStep closes a draining session when nothing is left in it.
func (s *session) drainStep(now core.Time) {
	if s.drainOwn && s.live == 0 && s.state == sessionOpen && s.lanes[0].drained {
		s.end(now, CauseClosed, 2)
	}
}

// list keeps a write in the order of the session's, and holds it while it overlaps one before.
func (s *session) list(l *lane, o *outbound) {
	o.listed, o.lane, o.before = true, l, s.lastW
	if s.lastW == nil {
		s.writes = o
	} else {
		s.lastW.after = o
	}
	s.lastW = o
	o.held = o.overlaps() && !planted.On(planted.WritesOutOfOrder)
}

// overlaps reports whether a write before o that is not over touches the same bytes.
func (o *outbound) overlaps() bool {
	for p := o.before; p != nil; p = p.before {
		if p.region == o.region && p.at < o.at+uint64(o.total) && o.at < p.at+uint64(p.total) {
			return true
		}
	}
	return false
}

// unlist takes a write that is over out, and lets go those that waited for it.
func (s *session) unlist(o *outbound) {
	if o.before == nil {
		s.writes = o.after
	} else {
		o.before.after = o.after
	}
	if o.after == nil {
		s.lastW = o.before
	} else {
		o.after.before = o.before
	}
	for p := o.after; p != nil; p = p.after {
		if p.held && !p.overlaps() {
			p.held = false
			p.release()
		}
	}
	o.before, o.after, o.listed = nil, nil, false
}
