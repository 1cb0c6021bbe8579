package cores

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// Frames wait for an LC worker that was stopped, or whose thread has ended: BE works in between.
func TestWorksBesideAFaultyWorker(t *testing.T) {
	for name, fail := range map[string]func(*worker){
		"stopped": func(w *worker) { w.stopped = true },
		"ended":   func(w *worker) { w.exit() },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p Policy) {
				r := newRig(t, 1, p)
				a, b := r.lc("a", 1), r.be("b")
				a.send(1)
				r.until(ms, "BE has the core back", func() bool { return a.taken == 1 && b.on() == 1 })
				fail(a.workers[0])
				a.send(5)
				r.run(5 * ms)
				before := b.workers[0].worked
				r.run(20 * ms)
				// The core is tried again after 1 ms, and the attempt takes stuckTest.
				if got := b.workers[0].worked - before; got < 20*ms/4 {
					t.Errorf("BE worked %d us of 20,000", got/us)
				}
			})
		})
	}
}

// A frame comes for a BE runtime that has nothing to do, too soon after a pass.
func TestFrameForSatedAfterAPass(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		b := r.be("b")
		b.tasks, b.parks = false, true
		r.run(10 * ms)
		r.s.next = r.now
		r.rings = true
		r.run(tick)
		b.send(1)
		r.until(ms, "the frame is taken", func() bool { return b.taken == 1 })
	})
}

// Who lends to nobody sleeps, whatever cores go away.
func TestOfflineWithoutRuntimes(t *testing.T) {
	r := newRig(t, 1, policy.NewSimple(0))
	r.s.SetOffline(r.now, 0, true)
	r.rings = true
	r.run(us)
	before := r.polls
	r.run(ms)
	if r.polls != before {
		t.Errorf("%d polls in 1 ms", r.polls-before)
	}
}

// A quantum below the least is the least, also for when to look.
func TestShortQuantum(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		for _, n := range []string{"b", "c"} {
			r.attach(RuntimeConfig{Name: n, Class: policy.BestEffort, Quantum: 1}).tasks = true
		}
		r.run(ms)
		before, whole := r.polls, 10*ms
		r.run(whole)
		if got, ticks := r.polls-before, int(whole/tick); got > ticks/4 {
			t.Errorf("the iokernel looked in %d of %d ticks", got, ticks)
		}
	})
}

// Beside a worker that does not run any more the iokernel sleeps ever longer; once the worker goes
// on, it is not made to wait for all of that.
func TestSleepsBesideAStoppedWorker(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		b := r.be("b")
		r.run(ms)
		a := r.lc("a", 1)
		a.workers[0].stopped = true
		a.send(1)
		r.run(300 * ms)
		before, whole := r.polls, 100*ms
		r.run(whole)
		if got, ticks := r.polls-before, int(whole/tick); got > ticks/20 {
			t.Errorf("the iokernel looked in %d of %d ticks", got, ticks)
		}
		a.workers[0].stopped = false
		r.until(10*ms, "it works again", func() bool { return a.taken == 1 })
		r.until(ms, "BE has the core back", func() bool { return b.on() == 1 })
	})
}

// An LC worker that has its core and goes round no more is named, and its core can be taken: then BE
// works in between, and it has its core back when it goes on.
func TestStandsOnItsOwnCore(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		a, b := r.lc("a", 1), r.be("b")
		a.send(1)
		r.until(ms, "LC has the core", func() bool { return a.taken == 1 && a.on() == 1 })
		a.workers[0].stopped = true
		a.send(5)
		r.until(still+10*ms, "it is named", func() bool { return r.notices == 1 })
		if got, ok := r.s.NextStuck(); !ok || got != (Stuck{0, a.Runtime, Stands}) {
			t.Fatalf("named: %+v, %v", got, ok)
		}
		r.run(50 * ms)
		if b.on() != 0 || a.held != 1 { // it may compute
			t.Errorf("BE is on %d cores before anybody has looked", b.on())
		}
		r.s.Revoke(r.now, 0, a.Runtime)
		r.rings = true
		r.run(10 * ms)
		before := b.workers[0].worked
		r.run(100 * ms)
		if got := b.workers[0].worked - before; got < 100*ms/4 {
			t.Errorf("BE worked %d us of 100,000", got/us)
		}
		a.workers[0].stopped = false
		r.until(20*ms, "it takes its frames", func() bool { return a.taken == 6 })
		r.s.Revoke(r.now, 0, b.Runtime) // no harm: who does not have it loses nothing
		r.until(ms, "BE has the core back", func() bool { return b.on() == 1 })
	})
}

// While LC works there is a pass per interval and no more.
func TestPassesKeepToTheInterval(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		a := r.lc("a", 1)
		a.service = 10 * ms
		a.send(1)
		r.until(100*us, "it works", func() bool { return a.taken == 1 })
		before := r.s.Counters().Passes
		r.run(ms)
		if got, want := r.s.Counters().Passes-before, uint64(ms/(5*us)); got < want-1 || got > want+1 {
			t.Errorf("%d passes in 1 ms at an interval of 5 us", got)
		}
		r.run(10 * ms)
		r.s.SetPasses(100*ms, 0)
		before = r.s.Counters().Passes
		r.be("b")
		r.run(20 * ms)
		a.send(1)
		r.until(100*us, "a frame is taken all the same", func() bool { return a.taken == 2 })
		if got := r.s.Counters().Passes - before; got > 5 {
			t.Errorf("%d passes in 20 ms at an interval of 100 ms", got)
		}
	})
}

// The timer of a worker whose core an LC runtime keeps is nothing that a sibling could do: that one
// is left to sleep.
func TestTimerOfAWorkerWhoseCoreIsTaken(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 2, p)
		b := r.be("b")
		b.tasks, b.parks = false, true
		r.run(ms)
		w := b.workers[0]
		w.timer = r.now + 500*us
		b.send(2)
		r.run(400 * us)
		a := r.lc("a", 1)
		a.service = 5 * ms
		a.send(1)
		r.until(ms, "LC works on core 0", func() bool { return r.page.Load(0).Owner() == a.owner })
		r.run(ms)
		wakes := r.wakes
		r.run(3 * ms)
		if r.wakes != wakes {
			t.Errorf("%d wakes in 3 ms, and the core is not free", r.wakes-wakes)
		}
		r.until(2*ms+20*restAfter, "its timer is served in the end", func() bool {
			return w.timer == core.Never
		})
	})
}

// A worker that parks whatever there is to do costs the iokernel ever less.
func TestParksInVain(t *testing.T) {
	for name, hostile := range map[string]func(m *team, w *worker){
		"a timer that is always past": func(m *team, w *worker) { w.timer = 1 },
		"a timer that is about to be": func(m *team, w *worker) { w.timer = m.rig.now + tick },
		"a frame that it never takes": func(m *team, w *worker) {
			if len(m.frames) == 0 {
				m.send(1)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p Policy) {
				for _, class := range []policy.Class{policy.LatencyCritical, policy.BestEffort} {
					r := newRig(t, 1, p)
					m := r.attach(RuntimeConfig{Name: "m", Class: class})
					m.parks, m.idles = true, true
					for end := r.now + 100*ms; r.now < end; r.run(tick) {
						if w := m.workers[0]; !w.asleep {
							hostile(m, w)
						}
					}
					if r.wakes > 100 {
						t.Errorf("class %v: %d wakes across cores in 100 ms", class, r.wakes)
					}
				}
			})
		})
	}
}

// A BE worker that failed once, and has nothing but tasks to do, has its core again when nobody
// else wants it, though nothing rings when its bar ends.
func TestBarEndsUnasked(t *testing.T) {
	each(t, func(t *testing.T, p Policy) {
		r := newRig(t, 1, p)
		a, b := r.lc("a", 0), r.be("b")
		a.parks = true
		r.run(ms)
		b.workers[0].stopped = true
		a.send(1)
		r.until(ms, "LC has served and parked", func() bool {
			return a.taken == 1 && a.workers[0].asleep
		})
		r.run(stuckTest + ms/2) // the core is granted to BE, which does not take it up
		a.send(1)
		r.run(2 * tick)
		b.workers[0].stopped = false
		r.until(10*ms, "BE has the core back", func() bool { return a.taken == 2 && b.on() == 1 })
	})
}
