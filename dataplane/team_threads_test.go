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

// crowd is a team with threads: one for each seat, and one for each port's far side, which has
// packets of all flows arrive.
type crowd struct {
	team    *dataplane.Team
	sides   []*side
	pool    *dataplane.Pool
	bells   []chan struct{}
	handled atomic.Int64
	total   int64
	over    chan struct{} // closed when all was handled
	feeders sync.WaitGroup
	threads sync.WaitGroup
}

func newCrowd(t *testing.T, n, packets int) *crowd {
	t.Helper()
	c := &crowd{total: int64(n * packets), over: make(chan struct{})}
	c.team, c.sides, c.pool = plainTeam(t, n)
	for _, s := range c.sides {
		c.bells = append(c.bells, make(chan struct{}, 1))
		s.during = func(*dataplane.Request) {
			if c.handled.Add(1) == c.total {
				close(c.over)
			}
		}
	}
	for i, s := range c.sides {
		c.feeders.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 7))
			for left := packets; left > 0; {
				if !s.deliverFlow(random.IntN(flowsPerPort)) {
					runtime.Gosched()
					continue
				}
				left--
				if s.far.Rx.NeedWakeup() {
					select {
					case c.bells[i] <- struct{}{}:
					default:
					}
				}
				if random.IntN(8) == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	return c
}

// isOver reports whether all was handled.
func (c *crowd) isOver() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// finish waits for all threads and checks that every flow came through in order.
func (c *crowd) finish(t *testing.T) (helped uint64) {
	t.Helper()
	c.feeders.Wait()
	c.threads.Wait()
	for last := c.team.Seat(0); last.Pending(); {
		turns(last, 1)
	}
	for i, s := range c.sides {
		if s.left != s.next || s.handled != s.next {
			t.Errorf("port %d: delivered %v, handled %v, answered %v", i, s.next, s.handled, s.left)
		}
		helped += c.team.Seat(i).Counters().Helped
	}
	auditTeam(t, c.pool, c.sides)
	return helped
}

// TestTeamKeepsOrder has threads whose cores come and go at random serve each other's ports; the
// first never has one. Each flow is handled in order, by one thread at a time (the handler's state has
// no lock, so the race detector would tell), and answered in order.
func TestTeamKeepsOrder(t *testing.T) {
	const workers, packets = 4, 4000
	c := newCrowd(t, workers, packets)
	for k := 1; k < workers; k++ {
		c.threads.Go(func() {
			random := rand.New(rand.NewPCG(uint64(k), 8))
			seat := c.team.Seat(k)
			for now := core.Time(1); !c.isOver(); now++ {
				if seat.Poll(now) == 0 {
					runtime.Gosched()
				}
				if random.IntN(20) > 0 {
					continue
				}
				seat.Leave()
				for range random.IntN(10) {
					runtime.Gosched()
				}
			}
			seat.Leave()
		})
	}
	if helped := c.finish(t); helped == 0 {
		t.Error("nobody helped")
	}
}

// TestTeamSleeps has each thread with a core of its own sleep whenever there is nothing to do: a
// forgotten packet would leave all of them asleep, and the test would not end.
func TestTeamSleeps(t *testing.T) {
	const workers, packets = 3, 4000
	c := newCrowd(t, workers, packets)
	var slept atomic.Int64
	for k := range workers {
		c.threads.Go(func() {
			seat, port := c.team.Seat(k), c.sides[k].port
			for now := core.Time(1); !c.isOver(); now++ {
				if seat.Poll(now) > 0 {
					continue
				}
				port.Arm(true)
				seat.Leave()
				if !seat.Pending() {
					slept.Add(1)
					select {
					case <-c.bells[k]:
					case <-c.over:
					}
				}
				port.Arm(false)
			}
		})
	}
	c.finish(t)
	if slept.Load() == 0 {
		t.Error("nobody slept")
	}
	t.Logf("slept %d times", slept.Load())
}

// TestTasksAreRunOnce has threads submit to their own queues, steal and leave at random: each task
// runs once.
func TestTasksAreRunOnce(t *testing.T) {
	const workers, each = 3, 10_000
	team, _, _ := plainTeam(t, workers)
	var ran atomic.Int64
	var threads sync.WaitGroup
	all := make([][]dataplane.Task, workers)
	counts := make([]atomic.Int32, workers*each)
	for k := range workers {
		all[k] = make([]dataplane.Task, each)
		for i := range all[k] {
			all[k][i].Run = func(*dataplane.Seat, core.Time) {
				counts[k*each+i].Add(1)
				ran.Add(1)
			}
		}
	}
	for k := range workers {
		threads.Go(func() {
			seat := team.Seat(k)
			random := rand.New(rand.NewPCG(uint64(k), 9))
			next := 0
			for now := core.Time(1); ran.Load() < workers*each; now++ {
				for range random.IntN(4) {
					if next < each && seat.Submit(now, &all[k][next]) {
						next++
					}
				}
				if random.IntN(4) == 0 {
					seat.Leave()
					runtime.Gosched()
				} else if seat.Poll(now) == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	threads.Wait()
	for i := range counts {
		if n := counts[i].Load(); n != 1 {
			t.Fatalf("task %d of thread %d ran %d times", i%each, i/each, n)
		}
	}
}

// TestLinesAreToldInTheEnd: whoever empties the queues, and whoever is away, what was told last of
// each thread is that nothing waits.
func TestLinesAreToldInTheEnd(t *testing.T) {
	const workers, rounds = 3, 3000
	team, _, _ := plainTeam(t, workers)
	lines := make([]teller, workers)
	for k := range workers {
		team.Seat(k).Report(&lines[k])
	}
	var threads sync.WaitGroup
	for k := range workers {
		threads.Go(func() {
			seat := team.Seat(k)
			random := rand.New(rand.NewPCG(uint64(k), 10))
			tasks := make([]dataplane.Task, rounds)
			for i := range tasks {
				tasks[i].Run = func(*dataplane.Seat, core.Time) {}
				seat.Submit(core.Time(i+1), &tasks[i])
				if seat.Poll(core.Time(i + 1)); random.IntN(8) == 0 {
					seat.Leave()
					runtime.Gosched()
				}
			}
			for seat.Leave(); seat.Pending(); seat.Leave() {
				seat.Poll(rounds)
				runtime.Gosched()
			}
		})
	}
	threads.Wait()
	for k := range lines {
		if l := &lines[k]; l.tasks != 0 || l.oldest != 0 || l.busy {
			t.Errorf("thread %d: %d tasks since %d, busy %v", k, l.tasks, l.oldest, l.busy)
		}
	}
}
