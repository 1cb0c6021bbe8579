package dataplane_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
)

// companion is a poller with mail and a timer. Like a transport endpoint it is used by the worker's
// handlers as well, and has no lock.
type companion struct {
	mail   chan int
	got    []int
	at     core.Time // of its timer
	fired  int
	polls  int
	inside int // calls that are in it
}

func newCompanion(room int) *companion {
	return &companion{mail: make(chan int, room), at: core.Never}
}

func (c *companion) Poll(now core.Time) (work int) {
	c.inside++
	c.polls++
	for len(c.mail) > 0 {
		c.got = append(c.got, <-c.mail)
		work++
	}
	if c.at <= now {
		c.at = core.Never
		c.fired++
		work++
	}
	c.inside--
	return work
}

func (c *companion) Next(core.Time) core.Time { return c.at }

// TestCompanions: they are polled behind their worker's turns, when they are due, and when they are
// called, by whichever seat has a core; and it is told when they want one.
func TestCompanions(t *testing.T) {
	team, sides, _ := plainTeam(t, 2)
	gone, here := team.Seat(0), team.Seat(1)
	l := teller{due: core.Never}
	gone.Report(&l)
	c := newCompanion(4)
	team.Accompany(0, c)
	if here.Next(5) > 5 {
		t.Error("nobody polls a companion to begin with")
	}
	here.Poll(5)
	if c.polls == 0 || l.due != core.Never || here.Next(5) != core.Never || here.Pending() {
		t.Fatalf("polled %d times, told %+v, next at %d", c.polls, l, here.Next(5))
	}
	sides[0].during = func(*dataplane.Request) { c.at = 20 }
	sides[0].deliverSome(1)
	here.Poll(6)
	if l.due != 20 || here.Next(6) != 20 || here.Pending() || sides[0].replies != 1 {
		t.Errorf("told %+v, next at %d, %d replies", l, here.Next(6), sides[0].replies)
	}
	before := c.polls
	for now := core.Time(7); now < 20; now++ {
		here.Poll(now)
	}
	if c.polls != before {
		t.Errorf("polled %d times before it was due", c.polls-before)
	}
	if here.Poll(20) != 1 || c.fired != 1 || l.due != core.Never {
		t.Errorf("fired %d times, told %+v", c.fired, l)
	}
	c.mail <- 1
	team.Call(0)
	if !here.Pending() || here.Next(21) != 21 {
		t.Error("a call does not keep a thread awake")
	}
	if here.Poll(21) != 1 || len(c.got) != 1 || l.heard != 1 || here.Pending() {
		t.Errorf("got %v, heard %d", c.got, l.heard)
	}
}

// TestCompanionsOfATakenWorker: whoever finds the claim taken passes over, and looks again when it is
// free.
func TestCompanionsOfATakenWorker(t *testing.T) {
	team, _, _ := plainTeam(t, 2)
	owner, other := team.Seat(0), team.Seat(1)
	c := newCompanion(4)
	team.Accompany(0, c)
	turns(owner, 2)
	if owner.Borrow() == nil {
		t.Fatal("its own worker is not free")
	}
	c.mail <- 1
	team.Call(0)
	turns(other, 3)
	if other.Pending() || len(c.got) != 0 {
		t.Errorf("pending %v, got %v, while another has the worker", other.Pending(), c.got)
	}
	owner.Return()
	if !other.Pending() || !owner.Pending() {
		t.Error("a call was forgotten with the claim")
	}
	owner.Leave()
	turns(other, 1)
	if len(c.got) != 1 {
		t.Errorf("got %v", c.got)
	}
}

// TestCompanionOfASiblingWithACore: while a sibling has a core its companions are its own to poll,
// unless they are in need at two looks in a row, as its port is.
func TestCompanionOfASiblingWithACore(t *testing.T) {
	team, _, _ := plainTeam(t, 2)
	slow, idle := team.Seat(0), team.Seat(1)
	c := newCompanion(4)
	team.Accompany(0, c)
	turns(slow, 1) // it is here, and in a long task now
	c.mail <- 1
	team.Call(0)
	if turns(idle, 1); len(c.got) != 0 {
		t.Error("a call was answered at the first look")
	}
	if turns(idle, 1); len(c.got) != 1 {
		t.Error("a call was not answered at the second look")
	}
}

// lender keeps what threads tell about one worker, as a baton.Line does: any thread may ask.
type lender struct {
	asks, heard atomic.Uint32
	due         atomic.Int64
}

func (l *lender) Begin(core.Time)               {}
func (l *lender) End()                          {}
func (l *lender) Heard()                        { l.heard.Store(l.asks.Load()) }
func (l *lender) Queue(_ int, _, due core.Time) { l.due.Store(int64(due)) }
func (l *lender) wants(now core.Time) (want bool) {
	due := core.Time(l.due.Load())
	return l.asks.Load() != l.heard.Load() || due > 0 && due <= now
}

// TestCompanionsOnThreads has threads that sleep without any core whenever there is nothing to do.
// Frames, mail and timers come at random for one worker, and a lender gives a core to a thread only
// for what it can see: a frame in a ring, an ask, a time that was told. The companion is used by the
// handlers, too, and has no lock, so the race detector would tell if two threads were in it.
func TestCompanionsOnThreads(t *testing.T) {
	const workers, letters, packets = 3, 3000, 3000
	team, sides, pool := plainTeam(t, workers)
	var told lender
	told.due.Store(int64(core.Never))
	team.Seat(0).Report(&told)
	c := newCompanion(letters)
	team.Accompany(0, c)
	var clock atomic.Int64
	clock.Store(1)
	var handled, fired, read atomic.Int64
	set := 0 // timers; under the claim
	sides[0].during = func(r *dataplane.Request) {
		c.inside++
		if set%3 == 0 && c.at == core.Never {
			c.at = r.Now() + 3
		}
		set++
		c.inside--
		handled.Add(1)
	}
	over := func() bool {
		return handled.Load() == packets && read.Load() == letters && told.due.Load() == int64(core.Never)
	}
	cores := make([]chan struct{}, workers)
	var awake atomic.Int64 // threads that have a core
	var all, threads sync.WaitGroup
	stop := make(chan struct{})
	team.Accompany(0, &witness{c, &read, &fired})
	for k := range workers {
		cores[k] = make(chan struct{}, 1)
		threads.Go(func() { compete(team.Seat(k), cores[k], stop, &clock, &awake, k) })
	}
	all.Go(func() { // frames
		random := rand.New(rand.NewPCG(1, 1))
		for left := packets; left > 0; {
			if sides[0].deliverFlow(random.IntN(flowsPerPort)) {
				left--
			}
			runtime.Gosched()
		}
	})
	all.Go(func() { // mail
		for n := range letters {
			c.mail <- n
			told.asks.Add(1)
			team.Call(0)
			runtime.Gosched()
		}
	})
	lent := 0
	for next := 0; !over(); {
		now := core.Time(clock.Add(1))
		if awake.Load() == 0 && (sides[0].port.Unread() || told.wants(now)) {
			awake.Add(1)
			lent++
			cores[next%workers] <- struct{}{}
			next++
		}
		runtime.Gosched()
	}
	close(stop)
	all.Wait()
	threads.Wait()
	for i, n := range c.got {
		if n != i {
			t.Fatalf("letter %d is the %d-th", n, i)
		}
	}
	if c.inside != 0 || len(c.got) != letters || fired.Load() == 0 || lent < 3 {
		t.Errorf("inside %d, %d letters, %d timers fired, %d cores lent", c.inside, len(c.got),
			fired.Load(), lent)
	}
	auditTeam(t, pool, sides)
	t.Logf("%d cores lent, %d timers fired", lent, fired.Load())
}

// witness says outside how far a companion has come.
type witness struct {
	c           *companion
	read, fired *atomic.Int64
}

func (w *witness) Poll(core.Time) int {
	w.read.Store(int64(len(w.c.got)))
	w.fired.Store(int64(w.c.fired))
	return 0
}

func (w *witness) Next(core.Time) core.Time { return core.Never }

// compete turns a seat while its thread has a core, which it gives up at random and when there is
// nothing to do.
func compete(seat *dataplane.Seat, core1 <-chan struct{}, stop <-chan struct{}, clock,
	awake *atomic.Int64, k int,
) {
	random := rand.New(rand.NewPCG(uint64(k), 3))
	for {
		select {
		case <-core1:
		case <-stop:
			return
		}
		for {
			now := core.Time(clock.Load())
			seat.Poll(now)
			if random.IntN(4) == 0 {
				break
			}
			if random.IntN(2) == 0 && !seat.Pending() && seat.Next(now) > now {
				break
			}
			runtime.Gosched()
		}
		seat.Leave()
		awake.Add(-1)
	}
}
