// Package handshake agrees on the keys of a session: Noise IK between two runtimes, which show each
// other their certificates inside it. Whoever cannot show one learns nothing and costs little.
//
//	              initiator                                 responder
//	Start ──> job ── message 1: e, s, certificate ──> MAC? load? ──> job ──> EventAsked
//	EventUp <── job <── message 2: e, certificate ─────── job <── Accept      EventUp
//	resend at once <──── cookie ─────────────────── or, under load, before any job
//
// A Machine is told the time and the messages that arrive, and is asked for messages, events, jobs
// and its next deadline. It has no clock, goroutine, socket or randomness of its own, belongs to
// one thread, and carries no calls: it makes keys. Arithmetic on curves, 0.35 ms a handshake at
// each end, is never done inside its calls: a Job is handed out, somebody else runs it, on any
// goroutine, and hands it back to Done. Ask for jobs, messages and events after each call.
//
// What a stranger can make it do: one HMAC over a message of right size, before which nothing is
// allocated; after that 20 jobs a second, or, for addresses that have answered with a cookie, 20
// more each while at most maxIn are under way. Messages to it are copied; bytes stay the caller's.
//
// The scheme of MACs, cookies and rising stamps is WireGuard's (Donenfeld, NDSS 2017); Noise is
// that of noiseprotocol.org, revision 34, by flynn/noise over the standard library's curve, hash
// and cipher, because it leaves the split keys to us. Messages are laid out in message.go.
//
// Secrets are overwritten when they are over, apart from copies inside crypto/ecdh and flynn/noise,
// which have no call for it.
package handshake

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"io"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/transport/seal"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// Limits.
const (
	maxOut      = 1024 // own handshakes under way (guess: a session to each runtime of a cluster)
	maxIn       = 32   // of others (guess: 10 ms of one core's arithmetic)
	maxMessages = 256  // waiting to be sent (guess: what a burst of messages can ask cookies for)
	maxPeers    = 4096 // whose last stamp is remembered (guess: four times maxOut)
	maxBad      = 8    // false replies that an attempt looks at, so that forging costs us little
)

// Times in ns.
const (
	// GiveUpAfter is how long an attempt lasts unless Config says otherwise. (guess)
	GiveUpAfter = 15 * core.Second
	// firstRetry is when message 1 is made again, doubling to maxRetry: long before a user notices
	// a lost frame, and long after both ends have done their arithmetic. (guess)
	firstRetry = 100 * core.Millisecond
	maxRetry   = 5 * core.Second
	// answerWithin is how long a handshake of somebody else may wait for a job or for Accept.
	answerWithin = 5 * core.Second
	// minGap is how soon a peer may begin again. Origin: WireGuard.
	minGap = 20 * core.Millisecond
)

// Addr is both ends of the way to a peer, as seen from here: Src is ours. A cookie proves the far
// end: its IP address and port, or its Ethernet address.
type Addr struct {
	UDP  bool // over UDP; else raw Ethernet frames, and only Ethernet addresses count
	Flow wire.UDPFlow
}

// Params are what a side tells the other about the session, encrypted.
type Params struct {
	Session uint32 // the number that frames to this side carry
	MTU     uint16 // bytes after the Ethernet header of the largest frame that this side takes
	Lanes   uint8
	Opaque  [OpaqueBytes]byte // for whoever uses this package
}

// Config describes a machine.
type Config struct {
	Private     [32]byte        // this runtime's X25519 key
	Certificate []byte          // for its public half, signed by the host
	Trust       *identity.Trust // whom to talk to; not changed afterwards
	Random      io.Reader       // must not fail
	Unix        int64           // ns since 1970 at core.Time 0
	Insecure    bool            // make insecure keys; both sides must
	GiveUpAfter core.Time       // 0: GiveUpAfter
}

// AttemptID names a handshake of this machine; it is never used again. 0 is none.
type AttemptID uint64

// Machine is one runtime's end of all its handshakes.
type Machine struct {
	self    self
	trust   *identity.Trust
	random  io.Reader
	unix    int64
	giveUp  core.Time
	stamp   uint64 // of the last message 1 made here
	lastID  AttemptID
	gate    gate
	out, in []*attempt // in the order in which they began
	peers   map[identity.Key]seen
	counts  [ReasonCount]uint64
	doubts  [identity.ReasonCount]uint64

	jobs     []*Job
	messages []message
	events   []Event
	closed   bool
}

// self is what a machine proves; jobs read it and nobody changes it.
type self struct {
	private     *ecdh.PrivateKey
	key         identity.Key
	certificate []byte
	insecure    bool
}

// message waits to be sent.
type message struct {
	to    Addr
	bytes []byte
}

// New makes a machine.
func New(c Config) (*Machine, error) {
	private, err := ecdh.X25519().NewPrivateKey(c.Private[:])
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	if c.Trust == nil || c.Random == nil {
		return nil, errors.New("handshake: Config needs Trust and Random")
	}
	m := &Machine{
		self:   self{private: private, insecure: c.Insecure},
		trust:  c.Trust,
		random: c.Random,
		unix:   c.Unix,
		giveUp: c.GiveUpAfter,
		peers:  map[identity.Key]seen{},
	}
	copy(m.self.key[:], private.PublicKey().Bytes())
	if m.giveUp <= 0 {
		m.giveUp = GiveUpAfter
	}
	m.giveUp = min(m.giveUp, 1<<59) // or it could not be added to a time
	if err := m.SetCertificate(c.Certificate); err != nil {
		return nil, err
	}
	m.gate.init(&m.self.key, m.draw32())
	return m, nil
}

// SetCertificate replaces the certificate by one for the same key that lasts longer.
func (m *Machine) SetCertificate(certificate []byte) error {
	c, reason := identity.Parse(certificate)
	switch {
	case reason != identity.OK:
		return fmt.Errorf("handshake: own certificate: %v", reason)
	case c.Key != m.self.key:
		return errors.New("handshake: own certificate is for another key")
	}
	m.self.certificate = append([]byte(nil), certificate...)
	return nil
}

// SetTrust replaces whom to talk to, for handshakes that begin from now on.
func (m *Machine) SetTrust(t *identity.Trust) { m.trust = t }

// SetUnix corrects the time of day: unix is ns since 1970 at core.Time 0.
func (m *Machine) SetUnix(unix int64) { m.unix = unix }

// Key is this runtime's public key.
func (m *Machine) Key() identity.Key { return m.self.key }

// Close forgets keys and ends all attempts without events.
func (m *Machine) Close() {
	for i := range m.events {
		m.events[i].Keys.Wipe()
	}
	for _, j := range m.jobs {
		j.Wipe()
	}
	for _, a := range append(m.out, m.in...) {
		if a.state == waiting || a.state == asked {
			a.noise.wipe()
		}
	}
	*m = Machine{closed: true, counts: m.counts, doubts: m.doubts, random: m.random}
}

// draw reads random bytes.
func (m *Machine) draw(b []byte) {
	if _, err := io.ReadFull(m.random, b); err != nil {
		panic(fmt.Sprintf("handshake: the source of randomness failed: %v", err))
	}
}

func (m *Machine) draw32() (b [32]byte) {
	m.draw(b[:])
	return b
}

// seconds is the time of day.
func (m *Machine) seconds(now core.Time) int64 { return (m.unix + int64(now)) / int64(core.Second) }

// nextStamp rises with each message 1.
func (m *Machine) nextStamp(now core.Time) uint64 {
	m.stamp = max(m.stamp+1, uint64(max(0, m.unix+int64(now))))
	return m.stamp
}

// NextMessage copies the next message into dst and says where it goes; n is 0 when there is none.
// dst must have room for MaxBytes.
func (m *Machine) NextMessage(dst []byte) (to Addr, n int) {
	if len(m.messages) == 0 {
		return Addr{}, 0
	}
	next := m.messages[0]
	m.messages[0] = message{}
	m.messages = m.messages[1:]
	return next.to, copy(dst, next.bytes)
}

// NextEvent is the next thing that happened.
func (m *Machine) NextEvent() (e Event, ok bool) {
	if len(m.events) == 0 {
		return Event{}, false
	}
	e = m.events[0]
	m.events[0] = Event{}
	m.events = m.events[1:]
	return e, true
}

// NextJob is the next piece of arithmetic, or nil. Call its Run, then Done with it.
func (m *Machine) NextJob() *Job {
	if len(m.jobs) == 0 {
		return nil
	}
	j := m.jobs[0]
	m.jobs[0] = nil
	m.jobs = m.jobs[1:]
	return j
}

// EventKind says what happened.
type EventKind uint8

const (
	EventNone EventKind = iota
	// EventAsked: a peer that may talk to us wants a session. Accept or Refuse it.
	EventAsked
	// EventUp: there are keys. At the initiator they hold: the peer has proved itself, and its old
	// session is over. At the responder the peer may not even have sent this message 1 now: keep
	// the old session until a frame has been opened with the new keys, and send with them only from
	// then on; without one within ConfirmWithin, forget them.
	EventUp
	// EventFailed: an own attempt was given up.
	EventFailed
)

// ConfirmWithin is how long a responder waits for the first frame of a new session, in ns. (guess)
const ConfirmWithin = 10 * core.Second

// Event is one thing that happened.
type Event struct {
	Kind      EventKind
	Initiator bool
	Attempt   AttemptID // of Accept, Up, Failed
	// Own is, at a responder, the own attempt to the same peer that this one has taken the place
	// of; no other event for it follows.
	Own    AttemptID
	Addr   Addr // where the peer is
	Key    identity.Key
	Peer   identity.Certificate
	Params Params // the peer's
	// Again is, at an initiator, how often message 1 was made anew: it or the answer was lost.
	Again int
	Keys  seal.Keys // EventUp: wipe them once the lanes are made
}
