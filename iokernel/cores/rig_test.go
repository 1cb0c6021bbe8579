package cores

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// The rig is a machine in virtual time: the Scheduler and the policies are the real ones, on real
// pages; workers, the kernel and the ports are models. Each tick every thread that the kernel would
// run takes one step, and then the iokernel polls, if it would.
//
// The iokernel is as sleepy as can be: it looks only when Next says so or something rings (a frame,
// a runtime that comes or goes). So whatever Next forgets is a lost wake-up in a test.
const (
	us   = core.Microsecond
	ms   = core.Millisecond
	tick = us / 2

	wakeHere   = us      // until a thread runs that was woken on its own core
	wakeAcross = 20 * us // ... from another one
	handCost   = us      // a futex call

	yieldTest = 50 * us
	stuckTest = ms // short, so that the tests are: the order is what matters
)

type rig struct {
	t     testing.TB
	now   core.Time
	page  *baton.Page
	s     *Scheduler
	teams []*team
	rings bool // the iokernel is woken

	polls   int // how often the iokernel looked
	wakes   int // across cores
	crossed int // of these and signals, in this poll
	signals int
	demoted int
	notices int
}

func newRig(t testing.TB, cores int, p Policy) *rig {
	t.Helper()
	page, err := baton.NewPage(make([]byte, 4096), cores)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, now: core.Second, page: page}
	r.s, err = New(Config{
		Page: page, Policy: p, Interval: 5 * us, Hands: r,
		Deadlines: baton.Deadlines{Yield: yieldTest, Stuck: stuckTest},
		Notify:    func() { r.notices++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.s.Poll(r.now)
	return r
}

// lc and be are the usual runtimes.
func (r *rig) lc(name string, reserved int) *team {
	return r.attach(RuntimeConfig{Name: name, Class: policy.LatencyCritical, Reserved: reserved})
}

func (r *rig) be(name string) *team {
	m := r.attach(RuntimeConfig{Name: name, Class: policy.BestEffort, Quantum: 100 * us})
	m.tasks = true
	return m
}

// attach adds a runtime with a worker on each core, all of which sleep.
func (r *rig) attach(c RuntimeConfig) *team {
	r.t.Helper()
	m := &team{rig: r, service: 10 * us, due: core.Never}
	load, err := baton.NewLoad(make([]byte, 4096), r.page.Cores())
	if err != nil {
		r.t.Fatal(err)
	}
	c.Ports, c.Load = m, load
	if m.Runtime, err = r.s.Attach(c); err != nil {
		r.t.Fatal(err)
	}
	for i := range r.page.Cores() {
		w := &worker{team: m, core: i, line: load.Line(i), party: baton.NewParty(m.owner)}
		w.timer = core.Never
		w.line.Become(baton.Running)
		m.workers = append(m.workers, w)
	}
	r.teams = append(r.teams, m)
	r.steps(2 * handCost) // they find that no core is theirs
	r.s.Run(r.now, m.Runtime)
	r.rings = true
	return m
}

// guest adds an ordinary program.
func (r *rig) guest(name string) *Runtime {
	r.t.Helper()
	g, err := r.s.Attach(RuntimeConfig{
		Name: name, Class: policy.BestEffort, Quantum: 100 * us,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.s.Run(r.now, g)
	r.rings = true
	return g
}

// detach ends a runtime: its process is gone.
func (r *rig) detach(m *team) {
	for _, w := range m.workers {
		w.dead = true
	}
	for i := range r.teams {
		if r.teams[i] == m {
			r.teams = append(r.teams[:i], r.teams[i+1:]...)
			break
		}
	}
	r.s.Detach(r.now, m.Runtime)
	r.rings = true
}

// steps lets workers run for a time without the iokernel.
func (r *rig) steps(d core.Time) {
	for end := r.now + d; r.now < end; {
		r.now += tick
		r.step()
	}
}

// run lets all run for a time.
func (r *rig) run(d core.Time) {
	for end := r.now + d; r.now < end; {
		r.now += tick
		r.step()
		r.poll()
	}
}

// until lets all run until something is the case, and says how long that took; at most so long.
func (r *rig) until(most core.Time, what string, is func() bool) core.Time {
	r.t.Helper()
	start := r.now
	for !is() {
		if r.now-start > most {
			r.t.Fatalf("not within %d ns: %s", most, what)
		}
		r.run(tick)
	}
	return r.now - start
}

// poll is the iokernel's turn.
func (r *rig) poll() {
	if !r.rings && r.s.Next(r.now) > r.now {
		return
	}
	r.polls++
	r.rings, r.crossed = false, 0
	r.s.Poll(r.now)
	if r.crossed > 1 {
		r.t.Fatalf("%d wakes across cores in a pass", r.crossed)
	}
	checkAccounts(r)
}

// step has each thread that the kernel would run go on: of those with priority all, else all.
func (r *rig) step() {
	for c := range r.page.Cores() {
		urgent := false
		for _, m := range r.teams {
			urgent = urgent || m.workers[c].runnable() && !m.workers[c].idle
		}
		for _, m := range r.teams {
			if w := m.workers[c]; w.runnable() && w.idle != urgent && r.now >= w.until {
				w.step()
			}
		}
	}
}

// has wants a core to be somebody's, as the page says and as a worker believes.
func (r *rig) has(c int, m *team) {
	r.t.Helper()
	if o := r.page.Load(c).Owner(); o != m.owner || !m.workers[c].party.Holding() {
		r.t.Errorf("core %d is owner %d's; %s, owner %d, holds it: %v", c, o, m.config.Name,
			m.owner, m.workers[c].party.Holding())
	}
}

// thread is that of an owner's worker, nil if there is none.
func (r *rig) thread(c int, o baton.Owner) *worker {
	for _, m := range r.teams {
		if m.owner == o {
			return m.workers[c]
		}
	}
	return nil
}

// Wake is the kernel's.
func (r *rig) Wake(c int, o baton.Owner) int {
	r.wakes++
	r.crossed++
	return r.wake(c, o, wakeAcross)
}

func (r *rig) wake(c int, o baton.Owner, takes core.Time) (woken int) {
	for _, m := range r.teams {
		w := m.workers[c]
		if w.asleep && !w.moved && m.owner.Bit() == o.Bit() {
			w.rouse(takes)
			woken++
		}
	}
	return woken
}

// Signal ends a wait, wherever it is.
func (r *rig) Signal(c int, o baton.Owner) {
	r.signals++
	if w := r.thread(c, o); w != nil && w.asleep {
		w.rouse(wakeAcross)
	}
}

// Demote takes a thread's priority.
func (r *rig) Demote(c int, o baton.Owner) {
	if w := r.thread(c, o); w != nil {
		w.idle = true
		r.demoted++
	}
}

// Promote gives it back.
func (r *rig) Promote(c int, o baton.Owner) {
	if w := r.thread(c, o); w != nil {
		if w.team.config.Class == policy.BestEffort {
			r.t.Errorf("the worker of BE runtime %s is promoted", w.team.config.Name)
		}
		w.idle = false
	}
}

var _ Hands = (*rig)(nil)
