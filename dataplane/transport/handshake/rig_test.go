package handshake

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/transport/seal"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

const (
	day     = 1_800_000_000 // seconds since 1970 at core.Time 0
	forever = 1 << 40
)

// chaos gives the bytes of a seed.
type chaos struct{ *rand.ChaCha8 }

func newChaos(n byte) chaos { return chaos{rand.NewChaCha8([32]byte{n})} }

// side is a runtime: its machine, and what became of it.
type side struct {
	m       *Machine
	mac     wire.MAC
	refuse  bool // answers EventAsked with Refuse
	deaf    bool // leaves EventAsked open
	asked   []Event
	up      []Event
	failed  []Event
	private [32]byte
}

// world is sides that send to each other in virtual time.
type world struct {
	t     testing.TB
	now   core.Time
	trust *identity.Trust
	host  ed25519.PrivateKey
	sides []*side
	udp   bool
	// carry may change what a message arrives as; nothing means lost.
	carry func(from, to *side, b []byte) [][]byte
	// idle leaves jobs undone.
	idle bool
}

func newWorld(t testing.TB) *world {
	host, err := identity.NewHostKey(newChaos(0))
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		t: t, now: core.Second, host: host,
		trust: &identity.Trust{
			Cluster: "lab",
			Hosts: []identity.Host{
				{Name: "alpha", Keys: []ed25519.PublicKey{host.Public().(ed25519.PublicKey)}},
			},
			Allow: []identity.Rule{{Host: "alpha", Runtime: identity.Anybody}},
		},
	}
}

func publicOf(private [32]byte) (k identity.Key) {
	key, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		panic(err)
	}
	copy(k[:], key.PublicKey().Bytes())
	return k
}

func (w *world) certificate(key identity.Key, change func(*identity.Certificate)) []byte {
	c := identity.Certificate{
		Cluster: "lab", Host: "alpha", Runtime: "r", Incarnation: 1, Key: key,
		Roles: identity.RoleRuntime, NotAfter: forever,
	}
	if change != nil {
		change(&c)
	}
	b, err := c.Sign(w.host)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// add makes a side; change may spoil its configuration.
func (w *world) add(change func(*Config)) *side {
	w.t.Helper()
	n := byte(len(w.sides) + 1)
	s := &side{mac: wire.MAC{2, 0, 0, 0, 0, n}, private: [32]byte{0x58, n}}
	c := Config{
		Private: s.private, Certificate: w.certificate(publicOf(s.private), nil),
		Trust: w.trust, Random: newChaos(n), Unix: day * int64(core.Second),
	}
	if change != nil {
		change(&c)
	}
	m, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	s.m = m
	w.sides = append(w.sides, s)
	return s
}

// pair is two sides, the one with the smaller key first.
func (w *world) pair() (small, large *side) {
	a, b := w.add(nil), w.add(nil)
	ka, kb := a.m.Key(), b.m.Key()
	if bytes.Compare(ka[:], kb[:]) > 0 {
		return b, a
	}
	return a, b
}

// path is the way from one side to another.
func (w *world) path(from, to *side) Addr {
	a := Addr{Flow: wire.UDPFlow{SrcMAC: from.mac, DstMAC: to.mac}}
	if w.udp {
		a.UDP = true
		a.Flow.Src = wire.UDPAddr4([4]byte{10, 0, 0, from.mac[5]}, 7000)
		a.Flow.Dst = wire.UDPAddr4([4]byte{10, 0, 0, to.mac[5]}, 7000)
	}
	return a
}

func params(s *side) Params {
	return Params{
		Session: uint32(s.mac[5]) * 100, MTU: 9000, Lanes: 2, Opaque: [OpaqueBytes]byte{s.mac[5]},
	}
}

func (w *world) start(from, to *side) AttemptID {
	w.t.Helper()
	id, err := from.m.Start(w.now, w.path(from, to), to.m.Key(), params(from))
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// settle lets everything happen that needs no time.
func (w *world) settle() {
	for more := true; more; {
		more = false
		for _, s := range w.sides {
			more = w.turn(s) || more
		}
	}
}

// turn does one round of a side's loop.
func (w *world) turn(s *side) (worked bool) {
	for !w.idle {
		j := s.m.NextJob()
		if j == nil {
			break
		}
		j.Run()
		s.m.Done(w.now, j)
		worked = true
	}
	for {
		e, ok := s.m.NextEvent()
		if !ok {
			break
		}
		worked = true
		w.event(s, e)
	}
	var buffer [MaxBytes]byte
	for {
		to, n := s.m.NextMessage(buffer[:])
		if n == 0 {
			return worked
		}
		worked = true
		w.deliver(s, to, bytes.Clone(buffer[:n]))
	}
}

func (w *world) event(s *side, e Event) {
	switch e.Kind {
	case EventAsked:
		s.asked = append(s.asked, e)
		switch {
		case s.deaf:
		case s.refuse:
			s.m.Refuse(e.Attempt)
		default:
			s.m.Accept(w.now, e.Attempt, params(s))
		}
	case EventUp:
		s.up = append(s.up, e)
	case EventFailed:
		s.failed = append(s.failed, e)
	}
}

func (w *world) deliver(from *side, to Addr, b []byte) {
	for _, s := range w.sides {
		if s.mac != to.Flow.DstMAC {
			continue
		}
		all := [][]byte{b}
		if w.carry != nil {
			all = w.carry(from, s, b)
		}
		for _, b := range all {
			back := w.path(s, from)
			s.m.Handle(w.now, &back, b)
		}
	}
}

// wait lets time pass, from deadline to deadline.
func (w *world) wait(d core.Time) {
	end := w.now + d
	for {
		w.settle()
		next := core.Never
		for _, s := range w.sides {
			next = min(next, s.m.Deadline())
		}
		if next > end {
			w.now = end
			return
		}
		w.now = max(next, w.now)
		for _, s := range w.sides {
			s.m.HandleTimeout(w.now)
		}
	}
}

// talk demands that two ends have keys for each other.
func (w *world) talk(a, b Event) {
	w.t.Helper()
	for _, way := range []struct{ from, to seal.Keys }{{a.Keys, b.Keys}, {b.Keys, a.Keys}} {
		s, r := way.from.Sender(1, w.now), way.to.Receiver(1)
		counter, phase, _ := s.Take()
		body := s.Seal(append(make([]byte, 0, 64), "hello"...), nil)
		if plain, reason := r.Open(w.now, phase, counter, body, nil); string(plain) != "hello" {
			w.t.Fatalf("no common keys: %v", reason)
		}
	}
	if a.Keys.Send == a.Keys.Recv {
		w.t.Fatal("both directions have one key")
	}
}

// mustUp demands that each side has one session, and that they are each other's.
func (w *world) mustUp(a, b *side) (Event, Event) {
	w.t.Helper()
	if len(a.up) != 1 || len(b.up) != 1 || len(a.failed)+len(b.failed) != 0 {
		w.t.Fatalf("up %d and %d, failed %d and %d: %v, %v", len(a.up), len(b.up), len(a.failed),
			len(b.failed), a.counted(), b.counted())
	}
	w.talk(a.up[0], b.up[0])
	return a.up[0], b.up[0]
}

func (s *side) counted() map[string]uint64 {
	n := map[string]uint64{}
	for r := range ReasonCount {
		if c := s.m.Count(Reason(r)); c > 0 && r != 0 {
			n[Reason(r).String()] = c
		}
	}
	return n
}

func mustCount(t testing.TB, s *side, r Reason, want uint64) {
	t.Helper()
	if got := s.m.Count(r); got != want {
		t.Errorf("%v counted %d times, want %d; all: %v", r, got, want, s.counted())
	}
}

// mustRest demands that nothing is left under way.
func (s *side) mustRest(t testing.TB) {
	t.Helper()
	if len(s.m.out)+len(s.m.in)+len(s.m.jobs)+len(s.m.messages)+len(s.m.events) != 0 ||
		s.m.Deadline() != core.Never {
		t.Errorf("left: %d out, %d in, %d jobs, %d messages, %d events", len(s.m.out), len(s.m.in),
			len(s.m.jobs), len(s.m.messages), len(s.m.events))
	}
}
