package cores

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// moving are the policies that follow the load.
func moving() map[string]func() Policy {
	return map[string]func() Policy{
		"simple":  func() Policy { return policy.NewSimple(0) },
		"caladan": func() Policy { return policy.NewCaladan(policy.Config{}) },
	}
}

// each runs a test under each of them.
func each(t *testing.T, f func(t *testing.T, p Policy)) {
	for name, make := range moving() {
		t.Run(name, func(t *testing.T) { f(t, make()) })
	}
}

func TestLentAndTakenBack(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		a, b := r.lc("a", 0), r.be("b")
		r.until(100*us, "BE gets what nobody uses", func() bool { return b.on() == 1 })
		r.run(ms)
		r.has(0, b)
		wakes := r.wakes
		a.send(1)
		r.run(tick)
		if r.page.Load(0).Owner() != a.owner {
			t.Error("a frame for LC without a core: not granted in the same poll")
		}
		r.until(5*us, "the frame is taken", func() bool { return len(a.frames) == 0 })
		r.until(50*us, "BE has the core again", func() bool { return b.on() == 1 })
		if r.wakes != wakes || r.demoted != 1 || r.signals != 0 {
			t.Errorf("%d wakes, %d demotions, %d signals: want cores to pass on by themselves",
				r.wakes-wakes, r.demoted-1, r.signals)
		}
		k := r.s.Counters()
		if k.HandOver.Total < 2 || k.HandOver.Quantile(990_000) > 5*us || k.Detection.Total < 1 {
			t.Errorf("%d hand-overs, p99 %d ns, %d detections", k.HandOver.Total,
				k.HandOver.Quantile(990_000), k.Detection.Total)
		}
	})
}

// A grant to BE that is taken back before BE has run.
func TestTakenBackBeforeTakenUp(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		for delay := core.Time(0); delay < 30*us; delay += tick {
			if _, ok := p.(*policy.Caladan); ok { // which remembers
				p = policy.NewCaladan(policy.Config{})
			}
			r := newRig(t, 1, p)
			a := r.lc("a", 0)
			a.send(1)
			r.until(100*us, "LC has served", func() bool { return a.taken == 1 && a.on() == 1 })
			b := r.be("b")
			r.until(100*us, "BE is granted the core", func() bool {
				return r.page.Load(0).Owner() == b.owner
			})
			r.run(delay)
			a.send(1)
			took := r.until(yieldTest+50*us, "LC has it again", func() bool { return a.taken == 2 })
			if took > 30*us {
				t.Errorf("%d ns after the grant: taken up after %d ns", delay, took)
			}
			r.until(200*us, "BE runs in the end", func() bool { return b.on() == 1 })
		}
	})
}

func TestGuest(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		a := r.lc("a", 0)
		a.send(1)
		r.until(100*us, "LC has served", func() bool { return a.taken == 1 && a.on() == 1 })
		g := r.guest("openssl")
		r.until(100*us, "the guest has it", func() bool {
			return r.s.CoreReports(r.now)[0].Owner == "openssl" && a.workers[0].asleep
		})
		r.run(ms)
		if polls := r.polls; r.s.Report(r.now, g).Time < ms*9/10 {
			t.Errorf("the guest had %d ns of 1 ms, %d polls", r.s.Report(r.now, g).Time, polls)
		}
		polls := r.polls
		r.run(10 * ms)
		if r.polls != polls {
			t.Errorf("%d polls in 10 ms beside a guest alone", r.polls-polls)
		}
		a.send(1)
		r.until(wakeAcross+5*us, "LC has it back", func() bool { return a.taken == 2 })
		if r.demoted != 0 || r.signals != 0 {
			t.Errorf("%d demotions, %d signals", r.demoted, r.signals)
		}
		r.until(100*us, "the guest has it again", func() bool {
			return r.s.Report(r.now, g).Held == 1 && a.workers[0].asleep
		})
		r.s.Detach(r.now, g)
		r.rings = true
		r.run(20 * us)
		if o := r.page.Load(0).Owner(); o == 2 {
			t.Errorf("the core is still owner %d's", o)
		}
	})
}

// BE that has nothing to do is not woken again and again; it is when frames or a timer come.
func TestSated(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 2, p)
		b := r.be("b")
		b.tasks, b.parks = false, true
		r.run(ms)
		wakes, polls := r.wakes, r.polls
		r.run(10 * ms)
		if r.wakes != wakes || r.polls != polls {
			t.Errorf("%d wakes, %d polls in 10 ms of a BE runtime that has nothing to do",
				r.wakes-wakes, r.polls-polls)
		}
		b.send(1)
		r.until(50*us, "a frame wakes it", func() bool { return b.taken == 1 })
		b.tasks = true
		b.send(1)
		r.until(100*us, "it has both cores", func() bool { return b.on() == 2 && b.taken == 2 })
		b.tasks = false
		b.workers[1].timer = r.now + 3*ms
		r.run(2 * ms)
		wakes = r.wakes
		r.until(ms+50*us, "its timer is served", func() bool {
			return b.workers[1].timer == core.Never
		})
		r.run(ms)
		if r.wakes-wakes > 2 {
			t.Errorf("%d wakes for one timer", r.wakes-wakes)
		}
	})
}

// lentMeanwhile is a BE runtime that has core 0 while nothing is due, and the iokernel sleeps.
func (r *rig) lentMeanwhile() *team {
	r.t.Helper()
	b := r.be("b")
	r.run(ms)
	r.has(0, b)
	polls := r.polls
	r.run(ms / 2)
	if r.polls != polls {
		r.t.Errorf("%d polls while nothing is due", r.polls-polls)
	}
	return b
}

// A timer of LC that has lost its core.
func TestTimerOfWhoHasNoCore(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		a := r.lc("a", 0)
		a.send(1)
		r.until(100*us, "LC has served", func() bool { return a.taken == 1 })
		due := r.now + 2*ms
		a.workers[0].timer = due
		b := r.lentMeanwhile()
		r.until(ms, "it has run", func() bool { return a.workers[0].timer == core.Never })
		if late := r.now - due; late > 10*us {
			t.Errorf("%d ns late", late)
		}
		r.until(100*us, "BE has the core again", func() bool { return b.on() == 1 })
	})
}

// What any worker does, and no frame says, gets a runtime without a core one, whoever has it: what is
// asked for at once, a timer when it is due; and the iokernel sleeps until then.
func TestCallsOfWhoHasNoCore(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		a := r.lc("a", 0)
		a.send(1)
		r.until(100*us, "LC has served", func() bool { return a.taken == 1 })
		due := r.now + 2*ms
		a.set(due)
		b := r.lentMeanwhile()
		r.until(ms, "the timer is served", func() bool { return a.due == core.Never })
		if late := r.now - due; late > 10*us {
			t.Errorf("%d ns late", late)
		}
		r.until(100*us, "BE has the core again", func() bool { return b.on() == 1 })
		r.run(ms)
		grants := r.s.Counters().Grants
		a.call()
		r.run(tick)
		if r.page.Load(0).Owner() != a.owner {
			t.Error("asked for LC without a core: not granted in the same poll")
		}
		r.until(5*us, "the letter is read", func() bool { return a.mail == 0 })
		r.until(100*us, "BE has the core again", func() bool { return b.on() == 1 })
		r.run(10 * ms)
		if n := r.s.Counters().Grants - grants; n != 2 {
			t.Errorf("%d grants for one letter, want there and back", n)
		}
	})
}

// The worker whose letter or timer it is may wait for its core for ever: another one does it. And an
// LC runtime whose work that is need not have frames to get a core of another's.
func TestCallsAreAnybodys(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 2, p)
		a, b := r.lc("a", 0), r.lc("b", 0)
		a.send(1)
		r.until(100*us, "a has served", func() bool { return a.taken == 1 })
		a.set(r.now + 3*ms)
		b.service = 5 * ms // on both cores, all the time
		b.send(100)
		r.until(10*ms, "b has both cores, or a timer of a is served", func() bool {
			return b.on() == 2 || a.due == core.Never
		})
		r.until(15*ms, "the timer is served", func() bool { return a.due == core.Never })
		r.run(10 * ms)
		a.call()
		r.until(15*ms, "the letter is read", func() bool { return a.mail == 0 })
	})
}

// A runtime whose worker parks is woken for a letter, be it LC or BE, and no more often than that.
func TestCallsOfWhoIsParked(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		for _, m := range []*team{r.lc("a", 1), r.be("b")} {
			m.tasks, m.parks = false, true
			m.send(1)
			r.until(ms, "it parks", func() bool { return m.taken == 1 && m.workers[0].asleep })
			r.run(ms)
			wakes := r.wakes
			for range 3 {
				m.call()
				r.until(ms, m.config.Name+": a letter is read", func() bool { return m.mail == 0 })
				r.run(ms)
			}
			if n := r.wakes - wakes; n > 4 {
				t.Errorf("%s: %d wakes for 3 letters", m.config.Name, n)
			}
		}
	})
}

// Who asks and never hears is woken ever more seldom.
func TestAsksThatAreNeverHeard(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		for _, m := range []*team{r.lc("a", 0), r.be("b")} {
			m.tasks, m.parks, m.idles = false, true, true
			m.set(1)
			m.call()
			wakes, polls := r.wakes, r.polls
			r.run(100 * ms)
			t.Logf("%s: %d wakes, %d polls in 100 ms", m.config.Name, r.wakes-wakes, r.polls-polls)
			if n := r.wakes - wakes; n > 100 || n == 0 {
				t.Errorf("%s: %d wakes in 100 ms", m.config.Name, n)
			}
			m.idles = false
			r.until(20*ms, "it is served in the end", func() bool {
				return m.mail == 0 && m.due == core.Never
			})
			r.detach(m)
		}
	})
}

// Two BE runtimes trade a core by their quanta, and the iokernel sleeps in between; when each has
// one, nothing is due.
func TestQuanta(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		b, c := r.be("b"), r.be("c")
		r.run(200 * us)
		polls := r.polls
		r.run(10 * ms)
		x, y := r.s.Report(r.now, b.Runtime).Time, r.s.Report(r.now, c.Runtime).Time
		if x < 4*ms || y < 4*ms {
			t.Errorf("b had %d ns, c %d", x, y)
		}
		if n := r.polls - polls; n < 100 || n > 2000 {
			t.Errorf("%d polls for 100 quanta", n)
		}
	})
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 2, p)
		b, c := r.be("b"), r.be("c")
		r.run(ms)
		if b.on() != 1 || c.on() != 1 {
			t.Errorf("b on %d cores, c on %d", b.on(), c.on())
		}
		polls := r.polls
		r.run(10 * ms)
		if r.polls != polls {
			t.Errorf("%d polls while each has its part", r.polls-polls)
		}
	})
}

// An LC core that nobody uses sleeps after a while, and so does the iokernel, but where cores are
// dealt out for good.
func TestRest(t *testing.T) {
	for name, p := range moving() {
		r := newRig(t, 1, p())
		a := r.lc("a", 1)
		a.send(1)
		r.until(100*us, "LC has served", func() bool { return a.taken == 1 })
		r.run(500 * us)
		r.has(0, a)
		r.run(ms)
		if !a.workers[0].asleep {
			t.Errorf("%s: its worker polls after 1.5 ms without work", name)
		}
		polls, wakes := r.polls, r.wakes
		r.run(10 * ms)
		if r.polls != polls || r.wakes != wakes {
			t.Errorf("%s: %d polls and %d wakes in 10 ms of nothing", name, r.polls-polls,
				r.wakes-wakes)
		}
		a.send(1)
		r.until(wakeAcross+5*us, name+": woken for a frame", func() bool { return a.taken == 2 })
	}
}

func TestStatic(t *testing.T) {
	r := newRig(t, 2, policy.NewStatic())
	a, b := r.lc("a", 1), r.be("b")
	a.send(1)
	r.run(200 * us)
	if a.on() != 1 || b.on() != 1 {
		t.Errorf("LC is on %d cores, BE on %d", a.on(), b.on())
	}
	for range 10 {
		a.send(1)
		r.run(100 * us)
	}
	if k := r.s.Counters(); a.taken != 11 || k.Grants != 2 {
		t.Errorf("%d taken, %d grants", a.taken, k.Grants)
	}
	// Who has no part gets none.
	c := r.lc("c", 0)
	c.send(1)
	r.run(10 * ms)
	if c.on() != 0 {
		t.Errorf("a runtime without a part is on %d cores", c.on())
	}
	// Under a policy that keeps its core for others, it is looked at ever more seldom.
	q := newRig(t, 1, keeper{})
	d := q.lc("d", 0)
	d.send(1)
	q.run(5 * ms)
	polls := q.polls
	q.run(10 * ms)
	if n := q.polls - polls; n > 20 || d.taken != 0 {
		t.Errorf("%d polls in 10 ms for a runtime that gets no core", n)
	}
}

// keeper gives nobody anything.
type keeper struct{}

func (keeper) Decide(_ core.Time, _ *policy.Snapshot, out []policy.Action) []policy.Action {
	return out
}

// Workers that are long at their work see to no letters: one more core is had for those, and none
// for such as are read in time.
func TestCallsBesideLongWork(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 3, p)
		a := r.lc("a", 0)
		a.send(1)
		a.service = 50 * ms
		r.until(ms, "a works", func() bool { return a.taken == 1 && a.on() == 1 })
		r.run(5 * ms)
		grants := r.s.Counters().Grants
		a.call()
		r.until(ms, "the letter is read", func() bool { return a.mail == 0 })
		if n := r.s.Counters().Grants - grants; n != 1 || a.on() != 2 {
			t.Errorf("%d grants, %d cores", n, a.on())
		}
		r.run(5 * ms)
		a.set(r.now + ms)
		r.until(2*ms, "the timer is served", func() bool { return a.due == core.Never })
		r.until(100*ms, "it is done", func() bool { return a.on() <= 1 })

		a.service = 10 * us
		grants = r.s.Counters().Reasons[policy.ForTask]
		for range 100 {
			a.send(1)
			r.run(2 * us)
			a.call()
			r.until(ms, "the letter is read", func() bool { return a.mail == 0 })
		}
		if n := r.s.Counters().Reasons[policy.ForTask] - grants; n > 0 {
			t.Errorf("%d grants for letters beside short work", n)
		}
	})
}
