package pin

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
)

// apart puts the test on another CPU than the rig's, for what it polls there.
func (r *rig) apart() {
	r.t.Helper()
	allowed, err := Allowed()
	if err != nil {
		r.t.Fatal(err)
	}
	if allowed.Count() < 2 {
		r.t.Skip("one CPU: who grants it would have to share it with those it is granted to")
	}
	runtime.LockOSThread() // for good: the thread ends with the test
	var set unix.CPUSet
	set.Set(allowed.List()[0])
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		r.t.Fatal(err)
	}
}

// spin waits so long without giving the CPU away.
func (r *rig) spin(t core.Time) {
	for start := r.clock.Now(); r.clock.Now()-start < t; {
	}
}

// runs waits until a process has run for a grant, and returns when it did.
func (r *rig) runs(p *process, w baton.Word) core.Time {
	r.t.Helper()
	start := r.clock.Now()
	for p.word.Load() != uint32(w) {
		if r.clock.Now()-start > 10*core.Second {
			r.t.Fatalf("grant %v is lost: states %d %d, the last ones run for %v %v", w, r.State(1),
				r.State(2), r.Ack(1), r.Ack(2))
		}
	}
	return core.Time(p.at.Load())
}

// Two processes hand a CPU over and over. After the first grant the iokernel's side does nothing
// but store words.
func TestProcessesHandOver(t *testing.T) {
	const handOvers = 20_000
	r := newRig(t)
	a, b := r.start(workerPlan{Owner: 1, Spin: core.Never}), r.start(workerPlan{
		Owner: 2,
		Spin:  core.Never,
	})
	r.apart()
	r.runs(a, r.grant(1))
	r.settle()
	took := make([]core.Time, 0, handOvers)
	for i := range handOvers {
		p := [...]*process{b, a}[i%2]
		start := r.clock.Now()
		took = append(took, r.runs(p, r.page.Grant(rigCore, p.owner))-start)
	}
	slices.Sort(took)
	t.Logf("p50 %d ns, p99 %d ns, longest %d ns", took[handOvers/2], took[handOvers*99/100],
		took[handOvers-1])
	if took[0] <= 0 {
		t.Errorf("one took %d ns", took[0])
	}
	if wakes := r.waker.Account().Wakes; wakes != 1 {
		t.Errorf("%d wakes across cores, want that of the first grant", wakes)
	}
}

// Grants that wait for nobody: many overtake each other, and none is lost.
func TestFreeRunningHandOvers(t *testing.T) {
	const grants, burst = 300_000, 1000
	r := newRig(t)
	all := []*process{
		r.start(workerPlan{Owner: 1, Spin: core.Never}),
		r.start(workerPlan{Owner: 2, Spin: core.Never}), r.start(workerPlan{Owner: 34, Spin: core.Never}),
	}
	r.apart()
	r.runs(all[0], r.grant(1))
	random := uint32(1)
	for i := range grants {
		random = random*1664525 + 1013904223
		p := all[random>>16%3]
		w := r.page.Grant(rigCore, p.owner)
		if i%burst == burst-1 {
			r.runs(p, w)
			continue
		}
		r.spin(core.Time(random >> 8 % 8000)) // from far less to far more than a hand-over takes
	}
	sum := uint32(0)
	for _, p := range all {
		t.Logf("%d ran for %d grants", p.owner, p.grants.Load())
		sum += p.grants.Load()
	}
	if sum < grants/10 {
		t.Errorf("%d grants of %d arrived", sum, grants)
	}
}

// A runtime moves the waiters of its core to a word of another, which it can only read as well, and
// does not wake whom it should. The victim runs again within two deadlines.
func TestHostileRuntimeKeepsNobody(t *testing.T) {
	for crime, name := range map[uint32]string{
		stealsAndSleeps: "steals and sleeps",
		stealsAndSpins:  "steals and spins", liesAndSpins: "lies and spins",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			hostile := r.start(workerPlan{Owner: 3, Hostile: true})
			victim := r.start(workerPlan{Owner: 2, Spin: core.Never})
			w := r.grant(2)
			r.settle()
			r.runs(victim, w)
			r.pass(3)
			r.becomes(2, baton.Waiting)
			eventually(t, "sleeps", func() bool { return r.state(2) == 'S' })
			hostile.crime.Store(crime)
			if crime != liesAndSpins {
				eventually(t, "moves", func() bool { return hostile.moved.Load() > 0 })
			}
			r.taken = nil
			took := r.pass(2)
			t.Logf("it took %d ns, of a deadline of %d, and measures %b", took, rigYield, r.taken)
			if took > 2*rigYield+rigYield/2 { // and what a busy machine needs to run a thread
				t.Errorf("it took %d ns, want two deadlines of %d", took, rigYield)
			}
			if len(r.taken) == 0 {
				t.Error("the crime needed no measures")
			}
		})
	}
}

// state is what the kernel says that an owner's thread does.
func (r *rig) state(o baton.Owner) byte {
	r.t.Helper()
	s, err := r.thread[o].State()
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// A worker that is stopped while it has its core loses it by force, goes on when it is continued
// without harm, and gets its core and its priority back.
func TestStoppedOwnerIsDemoted(t *testing.T) {
	r := newRig(t)
	a, b := r.start(workerPlan{Owner: 1, Spin: core.Never}), r.start(workerPlan{
		Owner: 2,
		Spin:  core.Never,
	})
	r.pass(1)
	a.signal(t, unix.SIGSTOP)
	eventually(t, "stops", func() bool { return r.state(1) == 'T' })
	r.taken = nil
	took := r.pass(2)
	r.wants(baton.DemoteTarget | baton.WakeOwner | baton.SignalOwner)
	t.Logf("it took %d ns, of a deadline of %d", took, rigYield)
	if took < rigYield || took > 2*rigYield {
		t.Errorf("it took %d ns, want one deadline of %d", took, rigYield)
	}
	if p := r.policy(1); p != unix.SCHED_IDLE {
		t.Errorf("the demoted thread has policy %d", p)
	}
	a.signal(t, unix.SIGCONT)
	polls := b.polls.Load()
	eventually(t, "polls", func() bool { return b.polls.Load() > polls+1000 })
	r.runs(a, r.grant(1))
	r.settle()
	if p := r.policy(1); p != unix.SCHED_NORMAL {
		t.Errorf("the promoted thread has policy %d", p)
	}
	r.becomes(2, baton.Waiting)
}

// policy is the scheduling policy of an owner's thread.
func (r *rig) policy(o baton.Owner) uint32 {
	r.t.Helper()
	a, err := unix.SchedGetAttr(r.thread[o].ID(), 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return a.Policy
}

// A request that does not end loses its core by force as well; the kernel lets the next owner run.
func TestLongRequestIsDemoted(t *testing.T) {
	r := newRig(t)
	a, b := r.start(workerPlan{Owner: 1, Spin: core.Never}), r.start(workerPlan{
		Owner: 2,
		Spin:  core.Never,
	})
	r.pass(1)
	a.busy.Store(1)
	eventually(t, "has one in hand", func() bool { return a.inHand.Load() == 1 })
	w := r.grant(2)
	took := r.settle()
	r.runs(b, w)
	t.Logf("it took %d ns, of a deadline of %d", took, rigYield)
	if took < rigYield || took > 2*rigYield {
		t.Errorf("it took %d ns, want one deadline of %d", took, rigYield)
	}
	a.busy.Store(0)
	w = r.grant(1)
	r.settle()
	r.runs(a, w)
}

// Whichever of two processes is killed, whatever it does just then, the other one runs when the
// core is granted to it.
func TestKilledProcessKeepsNobody(t *testing.T) {
	for _, c := range []struct {
		name   string
		spin   core.Time
		first  baton.Owner // has the core when
		then   baton.Owner // it is granted to this one, and
		killed baton.Owner // this one is killed
	}{
		{"has the core", core.Never, 1, baton.Nobody, 1},
		{"is parked", 0, 1, baton.Nobody, 1},
		{"waits", core.Never, 2, baton.Nobody, 1},
		{"hands over", core.Never, 1, 2, 1},
		{"is handed the core", core.Never, 2, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range 4 {
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					r := newRig(t)
					a := r.start(workerPlan{Owner: 1, Spin: c.spin})
					b := r.start(workerPlan{Owner: 2, Spin: core.Never})
					a.idle.Store(1)
					r.pass(c.first)
					if c.spin == 0 {
						r.becomes(1, baton.Parked)
					}
					if c.then != baton.Nobody {
						r.page.Grant(rigCore, c.then) // it may have noticed, or not
						r.spin(core.Time(i) * core.Microsecond)
					}
					a.kill()
					w := r.grant(2)
					if took := r.settle(); took > 2*rigYield+rigYield/2 {
						t.Errorf("it took %d ns", took)
					}
					r.runs(b, w)
					r.lender.Gone(1)
				})
			}
		})
	}
}

// A worker that waits holds up no collection of its process, and neither does one that the next
// owner displaces in the middle of its hand-over, as ordinary threads do with one of SCHED_IDLE.
// Such a thread starves whenever the machine is busy, with or without our help, so the slowest are
// not judged. (With wakes that Go's scheduler is not told of, the second takes three to seven times
// as long as the first.)
func TestWaitingWorkerHoldsUpNoCollection(t *testing.T) {
	r := newRig(t)
	a := r.start(workerPlan{Owner: 1, Spin: core.Never})
	b := r.start(workerPlan{Owner: 2, Spin: core.Never})
	collections := func(n int) (all []time.Duration) {
		for range n {
			r.pass(1)
			r.pass(2)
			start, polls := time.Now(), b.polls.Load()
			next := a.collect.Add(1)
			eventually(t, "collects", func() bool { return a.collects.Load() == next })
			all = append(all, time.Since(start))
			eventually(t, "goes on", func() bool { return b.polls.Load() > polls })
		}
		slices.Sort(all)
		return all
	}
	const count, judged = 20, 14
	waiting := collections(count)
	if err := r.thread[1].Demote(); err != nil {
		t.Fatal(err)
	}
	displaced := collections(count)
	t.Logf("%d collections, waiting: %v", count, waiting)
	t.Logf("displaced: %v", displaced)
	if limit := 5*waiting[judged]/2 + 10*time.Millisecond; displaced[judged] > limit {
		t.Errorf("the %dth of %d takes %v, more than %v", judged, count, displaced[judged], limit)
	}
}

func TestThreadOfAnotherProcess(t *testing.T) {
	r := newRig(t)
	a := r.start(workerPlan{Owner: 1, Spin: core.Never})
	for name, ids := range map[string][2]int{
		"our thread, said to be its":  {a.cmd.Process.Pid, unix.Gettid()},
		"its thread, said to be ours": {os.Getpid(), r.thread[1].ID()},
		"nothing":                     {a.cmd.Process.Pid, 0},
		"its whole process":           {-1, r.thread[1].ID()},
	} {
		if _, err := OpenThread(ids[0], ids[1]); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if s := r.state(1); s != 'S' {
		t.Errorf("it waits for its core in state %c", s)
	}
	r.pass(1)
	if s := r.state(1); s != 'R' {
		t.Errorf("it runs in state %c", s)
	}
	if n := testing.AllocsPerRun(10, func() {
		_ = r.thread[1].Demote()
		_ = r.thread[1].Promote()
		_ = r.waker.Signal(r.thread[1])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	a.kill()
	thread := r.thread[1]
	for name, call := range map[string]func() error{
		"Signal": thread.Signal, "Demote": thread.Demote,
		"Promote": thread.Promote,
	} {
		if err := call(); err == nil {
			t.Errorf("%s of a thread that has ended: no error", name)
		}
	}
	if _, err := thread.State(); err == nil {
		t.Error("a thread that has ended has a state")
	}
}

// What waking across cores costs is in the account.
func TestWakeAccount(t *testing.T) {
	r := newRig(t)
	r.join(1, 0)
	before := r.waker.Account()
	for range 10 {
		r.becomes(1, baton.Waiting)
		eventually(t, "sleeps", func() bool { return r.state(1) == 'S' })
		r.pass(1)
		r.pass(baton.Nobody)
	}
	got := r.waker.Account()
	if got.Wakes-before.Wakes != 10 || got.Woken-before.Woken != 10 || got.Spent <= before.Spent ||
		got.Longest <= 0 || got.Longest > got.Spent {
		t.Errorf("account %+v", got)
	}
	t.Logf("%d wakes cost %d ns each", got.Wakes, got.Spent/core.Time(got.Wakes))
}
