package cores

import (
	"testing"

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
