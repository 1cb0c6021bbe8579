package transport

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// TestTimesThatNeverCome: who wants no peer to count as dead, no sign of life and no renewal says
// core.Never, and has a session that works.
func TestTimesThatNeverCome(t *testing.T) {
	r, a, b, sa, _ := pair(t, 0, func(c *Config) {
		c.DeadAfter, c.KeepAlive, c.RenewAfter = core.Never, core.Never, core.Never
		c.Handshake.GiveUpAfter = core.Never
	})
	b.serve = echo
	b.lose(1)
	if _, err := a.e.Call(r.now, Order{Session: sa, Deadline: core.Never}, []byte("x")); err != nil {
		t.Fatal(err)
	}
	steps := 0
	for end := r.now + 100*core.Second; r.step(end); steps++ {
		if steps > 10_000 {
			t.Fatal("it is always time for something")
		}
	}
	b.lose(0)
	if ev := a.await(EventReply); ev.Outcome != Done {
		t.Errorf("%+v", ev)
	}
	if a.e.Counters().Renewals+a.e.Counters().Dead != 0 {
		t.Errorf("%+v", a.e.Counters())
	}
}

func TestTimesBelowZeroAreRefused(t *testing.T) {
	r := newRig(t)
	a := r.add(nil)
	for name, c := range map[string]Config{
		"dead": {DeadAfter: -1}, "alive": {KeepAlive: -1}, "renew": {RenewAfter: core.Time(-1 << 63)},
	} {
		c.Handshake.Private = [32]byte{0x58, 1}
		c.Handshake.Certificate, c.Handshake.Trust = r.certificate(a), r.trust
		if _, err := New(c); err == nil {
			t.Errorf("%s: an endpoint with a time below 0", name)
		}
	}
}
