package cores

import (
	"fmt"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"pgregory.net/rapid"
)

// Whatever workers and their machine do for a while, once they behave again all frames are taken,
// all timers served, and whoever has tasks works. On the way the times add up, and no poll wakes more
// than one thread (see rig.poll).
func TestSchedules(t *testing.T) {
	for name, make := range moving() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { schedule(rt, t, make()) })
		})
	}
}

func schedule(rt *rapid.T, t *testing.T, p Policy) {
	n := rapid.IntRange(1, 3).Draw(rt, "cores")
	r := newRig(t, n, p)
	a, b := r.lc("a", rapid.IntRange(0, 1).Draw(rt, "reserved")), r.lc("b", 0)
	c, d := r.be("c"), r.be("d")
	d.tasks, d.parks = false, true
	a.parks = rapid.Bool().Draw(rt, "a parks")
	teams := []*team{a, b, c, d}
	for range rapid.IntRange(1, 40).Draw(rt, "steps") {
		m := teams[rapid.IntRange(0, len(teams)-1).Draw(rt, "team")]
		w := m.workers[rapid.IntRange(0, n-1).Draw(rt, "core")]
		switch rapid.IntRange(0, 10).Draw(rt, "what") {
		case 0, 1, 2:
			m.send(rapid.IntRange(1, 5).Draw(rt, "frames"))
		case 3:
			w.stopped = !w.stopped
		case 4:
			w.deaf = !w.deaf
		case 5:
			w.moved = w.asleep // somebody requeues its wait
		case 6:
			// Only who works sets one: who was just woken looks at its word first.
			if works := w.busy || r.page.Load(w.core).Owner() == m.owner; works && !w.stopped &&
				w.party.Holding() && m.watches[w.core].State() == baton.Running {
				w.timer = r.now + core.Time(rapid.IntRange(-5, 500).Draw(rt, "timer"))*us
			}
		case 7:
			m.idles = !m.idles && m.parks
		case 8:
			r.s.SetOffline(r.now, w.core, rapid.Bool().Draw(rt, "offline"))
			r.rings = true
		case 9:
			m.call()
		case 10:
			// As above: whoever sets it has the core, and looks once more before it leaves.
			if w.party.Holding() && r.page.Load(w.core).Owner() == m.owner && !w.stopped &&
				m.watches[w.core].State() == baton.Running {
				m.set(r.now + core.Time(rapid.IntRange(-5, 500).Draw(rt, "due"))*us)
			}
		}
		r.run(core.Time(rapid.IntRange(0, 300).Draw(rt, "time")) * us)
	}
	for _, m := range teams {
		m.idles = false
		for _, w := range m.workers {
			w.stopped, w.deaf = false, false
		}
	}
	for c := range n {
		r.s.SetOffline(r.now, c, false)
	}
	r.rings = true
	heals(rt, r, teams)
}

// heals wants everything done.
func heals(rt *rapid.T, r *rig, teams []*team) {
	c := teams[2]
	done := func() error {
		for i, m := range teams {
			for _, w := range m.workers {
				if w.timer != core.Never {
					return fmt.Errorf("a timer of %d on core %d", i, w.core)
				}
			}
			if len(m.frames) > 0 || m.mail > 0 || m.due != core.Never {
				return fmt.Errorf("%d frames and %d letters of %d, a timer at %d", len(m.frames),
					m.mail, i, m.due)
			}
		}
		if c.on() == 0 {
			return fmt.Errorf("who computes has no core")
		}
		return nil
	}
	end := r.now + 300*ms
	for done() != nil && r.now < end {
		r.run(100 * us)
	}
	if err := done(); err != nil {
		rt.Fatalf("not after 300 ms: %v", err)
	}
}
