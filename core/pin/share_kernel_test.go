package pin

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/core/mem"
)

// rig is one CPU that is lent, and the lender's side of it.
type rig struct {
	t       *testing.T
	cpu     int
	baton   *mem.Memory
	loads   *mem.Memory // lines of the workers, by owner
	scratch *mem.Memory // of worker processes
	page    *baton.Page
	load    *baton.Load
	lender  baton.Lender
	waker   *Waker
	clock   Clock
	since   core.Time // the last grant
	taken   []baton.Measure
	thread  map[baton.Owner]Thread
}

// Sizes of a rig.
const (
	rigCores  = 4
	rigOwners = 40
	rigCore   = 1 // the word that is used; others belong to nobody
)

// newRig makes one. Deadlines are such that a machine which is busy meets them.
func newRig(t *testing.T) *rig {
	t.Helper()
	allowed, err := Allowed()
	if err != nil {
		t.Fatal(err)
	}
	list := allowed.List()
	r := &rig{
		t: t, cpu: list[len(list)-1], waker: NewWaker(), clock: NewClock(),
		thread: map[baton.Owner]Thread{},
		lender: baton.NewLender(baton.Deadlines{Yield: rigYield, Stuck: 10 * rigYield}, 0),
	}
	procs(t, 3) // as many loops as a test has
	page := os.Getpagesize()
	if r.baton, err = mem.Publish("baton", baton.PageBytes(rigCores, page)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.baton.Close() })
	if r.loads, err = mem.Create("load", baton.PageBytes(rigOwners, page)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.loads.Close() })
	if r.page, err = baton.NewPage(r.baton.Bytes, rigCores); err != nil {
		t.Fatal(err)
	}
	if r.load, err = baton.NewLoad(r.loads.Bytes, rigOwners); err != nil {
		t.Fatal(err)
	}
	return r
}

// rigYield is a deadline that a thread which is woken meets even beside others on its CPU.
const rigYield = 100 * core.Millisecond

func (r *rig) watch(o baton.Owner) baton.Watch {
	return baton.NewWatch(r.load.Line(int(o)), o, core.Second)
}

// State and Ack make a rig the crew of its lender.
func (r *rig) State(o baton.Owner) baton.State {
	w := r.watch(o)
	return w.State()
}

func (r *rig) Ack(o baton.Owner) baton.Word {
	w := r.watch(o)
	return w.Look(r.clock.Now(), r.page.Load(rigCore)).Ack
}

// grant gives the CPU to an owner, and does what the lender wants at once.
func (r *rig) grant(o baton.Owner) baton.Word {
	r.since = r.clock.Now()
	w := r.page.Grant(rigCore, o)
	r.lender.Granted(r.since, w)
	r.check()
	return w
}

// check carries out what the lender wants now.
func (r *rig) check() {
	m := r.lender.Check(r.clock.Now(), r, true)
	if m == 0 {
		return
	}
	r.taken = append(r.taken, m)
	owner := r.lender.Word().Owner()
	if m&baton.DemoteTarget != 0 {
		_ = r.thread[r.lender.Target()].Demote() // it may have ended
	}
	if m&baton.PromoteOwner != 0 {
		if err := r.thread[owner].Promote(); err != nil {
			r.t.Error(err)
		}
	}
	woken := 0
	if m&baton.WakeOwner != 0 {
		n, err := r.waker.Wake(r.page.Cell(rigCore), owner)
		if err != nil {
			r.t.Error(err)
		}
		woken = n
	}
	if m&baton.SignalOwner != 0 && woken == 0 {
		_ = r.waker.Signal(r.thread[owner]) // it may have ended
	}
}

// settle has the lender look until the core has passed on, and returns how long that took.
func (r *rig) settle() core.Time {
	r.t.Helper()
	for r.check(); !r.lender.Settled(); r.check() {
		if r.clock.Now()-r.since > 100*rigYield {
			r.t.Fatalf("%v is not taken up; measures %b, states %d %d %d", r.lender.Word(), r.taken,
				r.State(1), r.State(2), r.State(3))
		}
		time.Sleep(20 * time.Microsecond)
	}
	return r.clock.Now() - r.since
}

// pass is grant and settle.
func (r *rig) pass(o baton.Owner) core.Time {
	r.t.Helper()
	r.grant(o)
	return r.settle()
}

// becomes waits for a worker's state.
func (r *rig) becomes(o baton.Owner, s baton.State) {
	r.t.Helper()
	for end := time.Now().Add(10 * time.Second); r.State(o) != s; time.Sleep(20 * time.Microsecond) {
		if time.Now().After(end) {
			r.t.Fatalf("worker of %d is in state %d, want %d", o, r.State(o), s)
		}
	}
}

// wants is what the lender had to do since the last time.
func (r *rig) wants(measures ...baton.Measure) {
	r.t.Helper()
	same := len(measures) == len(r.taken)
	for i := range measures {
		same = same && measures[i] == r.taken[i]
	}
	if !same {
		r.t.Errorf("the lender took measures %04b, want %04b", r.taken, measures)
	}
	r.taken = nil
}

// counter is a poller that counts its turns, and a waiter that is never asked to ring.
type counter struct {
	polls, yields atomic.Uint64
	idle          atomic.Bool
	waits         atomic.Bool // input waits
	due           atomic.Int64
	own           atomic.Int64 // 0: due
	t             *testing.T
}

// timer is what it tells: the deadlines that nobody else serves.
func (c *counter) timer(now core.Time) core.Time {
	if own := c.own.Load(); own != 0 {
		return core.Time(own)
	}
	return c.Next(now)
}

func (c *counter) Poll(core.Time) int {
	c.polls.Add(1)
	if c.idle.Load() {
		return 0
	}
	return 1
}

func (c *counter) Next(core.Time) core.Time {
	if d := c.due.Load(); d != 0 {
		return core.Time(d)
	}
	return core.Never
}

func (c *counter) FD() int       { return -1 }
func (c *counter) Pending() bool { return c.waits.Load() }
func (c *counter) Drain()        { c.t.Error("a file of a loop with a baton was polled") }
func (c *counter) Arm(bool)      { c.t.Error("a loop with a baton asked to ring") }

// join starts a loop of this process on the rig's CPU.
func (r *rig) join(o baton.Owner, spin core.Time) (*Loop, *counter) {
	r.t.Helper()
	c := &counter{t: r.t}
	page, err := baton.OpenPage(r.baton.Bytes)
	if err != nil {
		r.t.Fatal(err)
	}
	l := running(r.t, Options{
		Name: "shares", CPU: r.cpu, Spin: spin, Host: core.NewHost(c),
		Waiters: []Waiter{c}, Baton: &Baton{
			Cell: page.Cell(rigCore), Line: r.load.Line(int(o)),
			Self: o, Leave: func() { c.yields.Add(1) }, Timer: c.timer,
		},
	})
	r.becomes(o, baton.Waiting)
	if r.thread[o], err = OpenThread(os.Getpid(), l.Thread()); err != nil {
		r.t.Fatal(err)
	}
	return l, c
}

// turns wants that a poller runs, or that it does not.
func (c *counter) turns(t *testing.T, want bool) {
	t.Helper()
	before := c.polls.Load()
	if want {
		eventually(t, "polls", func() bool { return c.polls.Load() > before })
		return
	}
	time.Sleep(2 * time.Millisecond)
	if after := c.polls.Load(); after != before {
		t.Errorf("it polled %d times", after-before)
	}
}

func TestLoopWithoutItsCPUDoesNothing(t *testing.T) {
	r := newRig(t)
	_, c := r.join(1, core.Never)
	if c.turns(t, false); c.polls.Load() != 0 {
		t.Errorf("it polled %d times before its first grant", c.polls.Load())
	}
	r.pass(1)
	r.wants(baton.WakeOwner)
	c.turns(t, true)
	r.pass(baton.Nobody)
	r.wants()
	r.becomes(1, baton.Waiting)
	c.turns(t, false)
	if c.yields.Load() != 1 {
		t.Errorf("it yielded %d times", c.yields.Load())
	}
}

func TestLoopsHandOver(t *testing.T) {
	r := newRig(t)
	_, a := r.join(1, core.Never)
	_, b := r.join(2, core.Never)
	_, c := r.join(33, core.Never) // on the bit of 1
	r.pass(1)
	r.wants(baton.WakeOwner)
	for range 3 {
		r.pass(2)
		b.turns(t, true)
		r.becomes(1, baton.Waiting)
		r.pass(33)
		c.turns(t, true)
		r.pass(1)
		a.turns(t, true)
		r.becomes(2, baton.Waiting)
		r.becomes(33, baton.Waiting)
	}
	r.wants() // they did all of it
	if a.yields.Load() != 3 || b.yields.Load() != 3 || c.yields.Load() != 3 {
		t.Errorf("they yielded %d, %d and %d times", a.yields.Load(), b.yields.Load(), c.yields.Load())
	}
	r.pass(1) // the same owner again
	a.turns(t, true)
	r.wants()
	if a.yields.Load() != 3 {
		t.Error("it yielded to itself")
	}
}

// A loop that has its CPU and nothing to do sleeps on the word, says so, and runs again when it is
// granted the CPU again. Then its host's deadline is in its line.
func TestParkedLoopIsGrantedItsCPUAgain(t *testing.T) {
	r := newRig(t)
	l, a := r.join(1, 0)
	a.idle.Store(true)
	r.pass(1)
	r.becomes(1, baton.Parked)
	eventually(t, "sleeps", func() bool { return threadState(t, l) == "S" })
	a.turns(t, false)
	due := r.clock.Now() + core.Second
	a.due.Store(int64(due))
	r.taken = nil
	for range 100 {
		parks := l.Parks()
		r.pass(1)
		eventually(t, "parks again", func() bool { return l.Parks() > parks })
		r.becomes(1, baton.Parked)
	}
	w := r.watch(1)
	if s := w.Look(r.clock.Now(), 0); s.Timer != due {
		t.Errorf("its line says that a timer is due at %d, want %d", s.Timer, due)
	}
	if len(r.taken) != 100 {
		t.Errorf("%d wakes for 100 grants to a parked loop", len(r.taken))
	}
	// A deadline that others serve, too, keeps it from parking, and is not told as its own.
	own := due + core.Second
	a.own.Store(int64(own))
	a.due.Store(1)
	parks := l.Parks()
	r.pass(1)
	a.turns(t, true)
	if l.Parks() > parks+1 { // a sleep counts at its end
		t.Error("it parked beside a deadline that has come")
	}
	a.due.Store(int64(due))
	r.becomes(1, baton.Parked)
	if s := w.Look(r.clock.Now(), 0); s.Timer != own {
		t.Errorf("its line says that a timer is due at %d, want its own at %d", s.Timer, own)
	}
}

// Nobody runs who could hand over: the lender wakes the next owner itself, and what is parked finds
// out later.
func TestParkedLoopLosesItsCPU(t *testing.T) {
	r := newRig(t)
	_, a := r.join(1, 0)
	_, b := r.join(2, core.Never)
	a.idle.Store(true)
	r.pass(1)
	r.becomes(1, baton.Parked)
	r.taken = nil
	r.pass(2)
	r.wants(baton.WakeOwner)
	b.turns(t, true)
	a.turns(t, false)
	a.idle.Store(false)
	r.pass(1)
	r.wants() // 2 woke it
	a.turns(t, true)
	r.becomes(2, baton.Waiting)
}

// Input that waits, or a deadline that has come, keeps a loop from parking.
func TestInputKeepsALoopFromParking(t *testing.T) {
	r := newRig(t)
	l, a := r.join(1, 0)
	a.idle.Store(true)
	a.waits.Store(true)
	r.pass(1)
	a.turns(t, true)
	a.waits.Store(false)
	a.due.Store(1)
	a.turns(t, true)
	if l.Parks() > 1 { // between the two
		t.Errorf("it parked %d times", l.Parks())
	}
	a.due.Store(0)
	r.becomes(1, baton.Parked)
}

// Do and Stop reach a loop in each of its states, at whatever moment.
func TestCallsReachALoopWithABaton(t *testing.T) {
	for name, prepare := range map[string]func(*rig, *counter) baton.State{
		"running": func(r *rig, _ *counter) baton.State { r.pass(1); return baton.Running },
		"waiting": func(*rig, *counter) baton.State { return baton.Waiting },
		"parked": func(r *rig, c *counter) baton.State {
			c.idle.Store(true)
			r.pass(1)
			return baton.Parked
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			l, c := r.join(1, 0)
			r.becomes(1, prepare(r, c))
			for range 300 { // many meet it on its way back to sleep
				ran := 0
				returns(t, "Do", func() { l.Do(func() { ran = unix.Gettid() }) })
				if ran != l.Thread() {
					t.Fatalf("ran on thread %d, the loop's is %d", ran, l.Thread())
				}
			}
			l.Stop()
			r.becomes(1, baton.Absent)
		})
	}
}

// Whoever ends while it has the CPU, or while the word has just changed, leaves it to its owner.
func TestLoopThatEndsHandsOver(t *testing.T) {
	for range 50 {
		t.Run("", func(t *testing.T) {
			r := newRig(t)
			l, _ := r.join(1, core.Never)
			_, b := r.join(2, core.Never)
			r.pass(1)
			r.taken = nil
			go l.Stop()
			if d := r.pass(2); d > 2*rigYield {
				t.Errorf("it took %d ns and measures %04b", d, r.taken)
			}
			b.turns(t, true)
			r.becomes(1, baton.Absent)
		})
	}
}

func TestBatonsThatCannotBe(t *testing.T) {
	r := newRig(t)
	good := Baton{Cell: r.page.Cell(0), Line: r.load.Line(0), Self: 1}
	for name, change := range map[string]func(*Options, *Baton){
		"no cell":  func(_ *Options, b *Baton) { b.Cell = nil },
		"no line":  func(_ *Options, b *Baton) { b.Line = nil },
		"nobody":   func(_ *Options, b *Baton) { b.Self = baton.Nobody },
		"too high": func(_ *Options, b *Baton) { b.Self = baton.MaxOwner + 1 },
		"no CPU":   func(o *Options, _ *Baton) { o.CPU = -1 },
	} {
		b, o := good, Options{Host: core.NewHost(), CPU: r.cpu}
		o.Baton = &b
		change(&o, &b)
		if l, err := New(o); err == nil {
			l.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestSharedTurnDoesNotAllocate: hand-overs, and parking.
func TestSharedTurnDoesNotAllocate(t *testing.T) {
	r := newRig(t)
	_, a := r.join(1, 0)
	r.join(2, 0)
	a.idle.Store(true)
	r.pass(1)
	if n := testing.AllocsPerRun(30, func() {
		for _, o := range [...]baton.Owner{2, 1} {
			w := r.page.Grant(rigCore, o)
			_, _ = r.waker.Wake(r.page.Cell(rigCore), o)
			for r.Ack(o) != w {
				time.Sleep(20 * time.Microsecond)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for two hand-overs", n)
	}
}
