package transport

import (
	"bytes"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// renewEvery is short enough that a test sees several.
const renewEvery = 2 * core.Second

func renewing(c *Config) { c.RenewAfter = renewEvery }

// follow keeps to the session that a side has now, and answers requests.
type follow struct {
	now, old SessionID
	replaced int
	fallen   int
	unknown  int
}

func (f *follow) serve(s *side, ev Event) {
	switch ev.Kind {
	case EventUp:
		if ev.Replaces != f.now {
			s.r.t.Errorf("%d is up and replaces %d, not %d", ev.Session, ev.Replaces, f.now)
		}
		f.old, f.now = f.now, ev.Session
		f.replaced++
	case EventDown:
		if f.fallen++; ev.Session == f.now || ev.Cause != CauseReplaced {
			s.r.t.Errorf("session %d of %d ended for cause %d", ev.Session, f.now, ev.Cause)
		}
	case EventReply, EventWritten:
		if ev.Outcome != Done {
			f.unknown++
		}
		echo(s, ev)
	default:
		echo(s, ev)
	}
}

// TestRenewalLosesNothing: calls both ways and writes go on while sessions get old, with frames
// lost, and all of them succeed. Each old session ends once it is quiet.
func TestRenewalLosesNothing(t *testing.T) {
	for _, loss := range []float64{0, 0.05} {
		r, a, b, sa, sb := pair(t, 0, renewing)
		at := [2]*follow{{now: sa}, {now: sb}}
		a.serve, b.serve = at[0].serve, at[1].serve
		a.lose(loss)
		b.lose(loss)
		memory := make([]byte, 300_000)
		begun := 0
		for end := r.now + 5*renewEvery; r.now < end; r.run(50 * core.Millisecond) {
			for i, s := range []*side{a, b} {
				o := r.order(at[i].now)
				o.Deadline = r.now + 20*core.Second
				if _, err := s.e.Call(r.now, o, pattern(20_000, begun)); err != nil {
					t.Fatal(err)
				}
				begun++
			}
			region, err := b.e.Register(at[1].now, memory, RightWrite)
			if err != nil {
				t.Fatal(err)
			}
			o := r.order(at[0].now)
			o.Deadline = r.now + 20*core.Second
			data := pattern(len(memory), begun)
			if b.e.find(at[1].now).number != a.e.find(at[0].now).peer {
				continue // one end is a frame ahead
			}
			if _, err := a.e.Write(r.now, o, Target{Region: region}, data); err != nil {
				t.Fatal(err)
			}
			begun++
			r.until("the write ends", 20*core.Second, func() bool {
				_, ok := a.take(EventWritten)
				return ok
			})
			if !bytes.Equal(memory, data) {
				t.Fatal("the region is not what was written")
			}
			if err := b.e.Deregister(region); err != nil {
				t.Fatal(err)
			}
		}
		r.until("only one session is left", 40*core.Second, func() bool {
			return len(a.e.sessions)-1-len(a.e.freed) == 1 &&
				len(b.e.sessions)-1-len(b.e.freed) == 1
		})
		for i, f := range at {
			if f.replaced < 4 || f.fallen < 4 || f.unknown > 0 {
				t.Errorf("loss %v, side %d: %+v", loss, i, *f)
			}
		}
		if n := b.e.counters.Renewals; n > 0 {
			t.Errorf("the responder renewed %d times", n)
		}
		for _, s := range []*side{a, b} {
			if err := s.e.Audit(r.now); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestRenewalFails: while no handshake gets through the old session goes on, and is renewed when one
// does.
func TestRenewalFails(t *testing.T) {
	r, a, b, sa, sb := pair(t, 0, renewing)
	at := [2]*follow{{now: sa}, {now: sb}}
	a.serve, b.serve = at[0].serve, at[1].serve
	cut := true
	r.watch = func(_ *side, frame []byte) []byte {
		if h, _, reason := parseHeader(frame[14:]); cut && reason == OK && h.Type() == TypeHandshake {
			return nil
		}
		return frame
	}
	for end := r.now + 2*renewAgain; r.now < end; r.run(core.Second) {
		mustCall(r, a, sa, 1000)
	}
	if at[0].now != sa || at[0].fallen > 0 || a.e.counters.Renewals < 2 {
		t.Fatalf("%+v, %d attempts", *at[0], a.e.counters.Renewals)
	}
	cut = false
	r.run(renewAgain + core.Second)
	if at[0].now == sa || at[1].now == sb {
		t.Fatal("not renewed")
	}
	mustCall(r, a, at[0].now, 1000)
	mustCall(r, b, at[1].now, 1000)
	o := r.order(sa)
	if _, err := a.e.Call(r.now, o, nil); err == nil {
		t.Error("the old session takes calls")
	}
}

// TestRenewalOfOthers: a peer cannot retire a session that is not its own, and whoever closes a
// session ends its renewal.
func TestRenewalOfOthers(t *testing.T) {
	r, a, b, sa, sb := pair(t, 0, renewing)
	c := r.add(renewing)
	sc, _ := r.connect(c, b, 0)
	c.e.find(sc).peer = b.e.find(sb).number // a lie
	if _, err := c.e.connect(r.now, Peer{Path: c.path(b, 0), Key: b.key}, c.e.find(sc)); err != nil {
		t.Fatal(err)
	}
	if ev := b.await(EventUp); ev.Replaces != 0 {
		t.Errorf("%d was replaced", ev.Replaces)
	}
	b.serve = echo
	mustCall(r, a, sa, 100)
	r.watch = func(*side, []byte) []byte { return nil }
	r.run(renewEvery)
	if a.e.find(a.e.find(sa).renewal) == nil {
		t.Fatal("no renewal is under way")
	}
	if err := a.e.Close(r.now, sa); err != nil {
		t.Fatal(err)
	}
	r.run(core.Second)
	if n := len(a.e.sessions) - 1 - len(a.e.freed); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestWhoIsNoLongerBelievedLosesItsSession: a peer that is taken off the list keeps what it has for
// a while, because no handshake is asked for more often. It does not keep it for ever, whichever
// end began the session, and though frames pass.
func TestWhoIsNoLongerBelievedLosesItsSession(t *testing.T) {
	for name, end := range map[string]int{"of the initiator": 0, "of the responder": 1} {
		r, a, b, sa, sb := pair(t, 0, renewing)
		a.serve, b.serve = nil, nil
		s, id := a, sa
		if end == 1 {
			s, id = b, sb
		}
		nobody := &identity.Trust{Cluster: "lab", Hosts: r.trust.Hosts}
		if err := s.e.Renew(r.certificate(s), nobody); err != nil {
			t.Fatal(err)
		}
		begin := r.now
		r.run(renewEvery + overdue - core.Second)
		if s.e.find(id) == nil {
			t.Errorf("%s: over after %d s", name, (r.now-begin)/core.Second)
		}
		r.run(3 * core.Second)
		down, ok := s.take(EventDown)
		if s.e.find(id) != nil || !ok {
			t.Fatalf("%s: the session goes on for ever", name)
		}
		if down.Cause != CauseExpired && down.Cause != CausePeer {
			t.Errorf("%s: %+v", name, down)
		}
	}
}
