package dataplane_test

import (
	"fmt"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
)

// loopInbox is a loopLink that other threads may look at.
type loopInbox struct{ loopLink }

func (l *loopInbox) Unread() bool { return l.burst > 0 }

// newLoopTeam is a team of n workers; at the first one burst frames wait at each turn.
func newLoopTeam(t failer, n, burst int) *dataplane.Team {
	t.Helper()
	var workers []*dataplane.Worker
	for range n {
		l := &loopInbox{loopLink{
			cache: newCache(t, 256), packets: [][]byte{request(t, "raw", pattern(50))}, burst: burst,
		}}
		w, err := dataplane.NewWorker(l, l.cache, dataplane.WorkerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.HandleRaw(0x88B5, turnAround); err != nil {
			t.Fatal(err)
		}
		workers, burst = append(workers, w), 0
	}
	team, err := dataplane.NewTeam(workers, dataplane.TeamConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return team
}

func TestSeatDoesNotAllocate(t *testing.T) {
	team, sides, _ := newTeam(t, 3, dataplane.WorkerConfig{MAC: serverMAC, Turn: core.Millisecond},
		dataplane.TeamConfig{Turn: core.Millisecond})
	seat, other := team.Seat(0), team.Seat(1)
	var l teller
	seat.Report(&l)
	var mine, theirs dataplane.Task
	ran := 0
	run := func(*dataplane.Seat, core.Time) { ran++ }
	mine.Run, theirs.Run = run, run
	c := newCompanion(1)
	team.Accompany(1, c)
	now, round := core.Time(0), 0
	turn := func() {
		round++
		for _, s := range sides {
			s.deliverFlow(round % flowsPerPort)
		}
		now++
		seat.Submit(now, &mine)
		other.Submit(now, &theirs)
		c.at = now + 3
		team.Call(1)
		for range 6 {
			now++
			seat.Poll(now)
			seat.Next(now)
		}
		seat.Queued()
		if w := seat.Borrow(); w != nil {
			seat.Return()
		}
		seat.Leave()
	}
	for range 100 { // the kernels' own lists grow
		turn()
	}
	if n := testing.AllocsPerRun(200, turn); n != 0 {
		t.Errorf("%v allocations a round", n)
	}
	k := seat.Counters()
	if ran < 500 || k.Own < 200 || k.Helped < 400 || k.Stolen < 200 || l.calls < 200 ||
		c.fired < 200 {
		t.Errorf("%d tasks ran, %+v, %d calls, %d timers", ran, k, l.calls, c.fired)
	}
}

// BenchmarkSeat is a turn of a seat beside one of a worker alone, idle and with frames that wait at
// its own port, with siblings whose ports are idle.
func BenchmarkSeat(b *testing.B) {
	for _, burst := range []int{0, 1, 32} {
		b.Run(fmt.Sprintf("frames-%d/worker", burst), func(b *testing.B) {
			benchTurns(b, newLoopTeam(b, 1, burst).Seat(0).Worker())
		})
		for _, n := range []int{1, 8} {
			b.Run(fmt.Sprintf("frames-%d/seat-%d", burst, n), func(b *testing.B) {
				benchTurns(b, newLoopTeam(b, n, burst).Seat(0))
			})
		}
		b.Run(fmt.Sprintf("frames-%d/seat-8-here", burst), func(b *testing.B) {
			team := newLoopTeam(b, 8, burst)
			for k := range 8 {
				team.Seat(k).Poll(0)
			}
			benchTurns(b, team.Seat(0))
		})
	}
}

func benchTurns(b *testing.B, p core.Poller) {
	b.Helper()
	now := core.Time(0)
	for b.Loop() {
		now++
		p.Poll(now)
	}
}

// BenchmarkClaim is a claim and its release, with nothing in between.
func BenchmarkClaim(b *testing.B) {
	seat := newLoopTeam(b, 1, 0).Seat(0)
	for b.Loop() {
		seat.Borrow()
		seat.Return()
	}
}

// BenchmarkSeatPending is the last look before sleeping, over 8 idle ports.
func BenchmarkSeatPending(b *testing.B) {
	seat := newLoopTeam(b, 8, 0).Seat(0)
	for b.Loop() {
		seat.Pending()
	}
}

// BenchmarkSeatTask is a task that is submitted and run.
func BenchmarkSeatTask(b *testing.B) {
	seat := newLoopTeam(b, 1, 0).Seat(0)
	var task dataplane.Task
	task.Run = func(*dataplane.Seat, core.Time) {}
	now := core.Time(0)
	for b.Loop() {
		now++
		seat.Submit(now, &task)
		seat.Poll(now)
	}
}
