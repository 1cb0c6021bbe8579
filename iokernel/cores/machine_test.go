package cores

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// A core of several goes offline, whoever has it, and whatever its worker does just then: it is
// nobody's until it is back, and the others go on.
func TestOneOfSeveralGoesOffline(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		for out := range 3 {
			r := newRig(t, 3, p)
			a, b := r.lc("a", 1), r.be("b")
			for range 20 {
				a.send(1)
				r.run(50 * us)
			}
			r.s.SetOffline(r.now, out, true)
			r.rings = true
			r.run(yieldTest)
			taken, worked := a.taken, b.worked()
			for range 100 {
				a.send(1)
				r.run(50 * us)
				if o := r.page.Load(out).Owner(); o != baton.Nobody {
					t.Fatalf("core %d is offline and owner %d's", out, o)
				}
			}
			for _, m := range []*team{a, b} {
				if m.workers[out].party.Holding() {
					t.Errorf("core %d is offline, and %s works on it", out, m.config.Name)
				}
			}
			if c := r.s.CoreReports(r.now)[out]; c.State != policy.Offline || c.Owner != "" {
				t.Errorf("core %d: %+v", out, c)
			}
			if n := a.taken - taken; n < 100 {
				t.Errorf("without core %d, %d frames of 100 are served", out, n)
			}
			if got := b.worked() - worked; got < 2*ms { // of 10, beside LC, which keeps what it may soon need
				t.Errorf("without core %d, BE worked for %d us", out, got/us)
			}
			r.s.SetOffline(r.now, out, false)
			r.rings = true
			r.until(ms, "the core is of use again", func() bool {
				return r.page.Load(out).Owner() != baton.Nobody
			})
		}
	})
}

// worked is how long the workers have had a core and something to do.
func (m *team) worked() (sum core.Time) {
	for _, w := range m.workers {
		sum += w.worked
	}
	return sum
}

// Its worker does not leave the core that goes offline: that is reported, and the others go on.
func TestDeafWorkerOnAnOfflineCore(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 2, p)
		a, b := r.lc("a", 1), r.be("b")
		r.until(ms, "BE has both", func() bool { return b.on() == 2 })
		b.workers[0].deaf = true
		r.s.SetOffline(r.now, 0, true)
		r.rings = true
		r.until(2*stuckTest, "it is reported", func() bool { return r.notices == 1 })
		if s, ok := r.s.NextStuck(); !ok || s.Core != 0 || s.Runtime != b.Runtime {
			t.Errorf("stuck: %+v, %v", s, ok)
		}
		for range 10 {
			a.send(1)
			r.run(100 * us)
		}
		if a.taken != 10 {
			t.Errorf("%d of 10 frames are served", a.taken)
		}
	})
}

// Above the limit of the memory traffic the BE runtime whose cores miss most has fewer of them;
// below it has them again.
func TestMissesSayWhoGivesWay(t *testing.T) {
	r := newRig(t, 2, policy.NewCaladan(policy.Config{}))
	r.s.config.MemoryLimit, r.s.snapshot.Memory.Limit = 1000, 1000
	b, c := r.be("b"), r.be("c")
	r.until(ms, "each has one", func() bool { return b.on() == 1 && c.on() == 1 })
	r.run(ms)
	for _, worst := range []*team{b, c} {
		other := map[*team]*team{b: c, c: b}[worst]
		read := func(traffic uint64) {
			misses := []policy.Reading{{Valid: true, Value: 10}, {Valid: true, Value: 10}}
			for i, w := range worst.workers {
				if w.party.Holding() {
					misses[i].Value = 1000
				}
			}
			r.s.SetMisses(r.now, misses)
			r.run(tick)
			r.s.SetMemoryTraffic(r.now, policy.Reading{Valid: true, Value: traffic})
			r.rings = true
		}
		read(0) // a rate needs two
		r.run(ms)
		read(5000)
		r.until(ms, "the worst gives way", func() bool { return worst.on() == 0 })
		if other.on() == 0 {
			t.Errorf("%s gave way as well", other.config.Name)
		}
		r.until(100*ms, "it is back below the limit", func() bool {
			read(100)
			r.run(ms)
			return b.on() == 1 && c.on() == 1
		})
	}
}

// A guest may have any core.
func TestGuestOnAnyCore(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 3, p)
		g := r.guest("openssl")
		r.until(10*ms, "it has all cores", func() bool { return r.s.Report(r.now, g).Held == 3 })
	})
}
