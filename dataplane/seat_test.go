package dataplane_test

import (
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
)

// tasks are n tasks that enter their number when and where they run.
type tasks struct {
	all  []dataplane.Task
	ran  []int
	seat []*dataplane.Seat
}

func newTasks(n int) *tasks {
	s := &tasks{all: make([]dataplane.Task, n)}
	for i := range s.all {
		s.all[i].Run = func(at *dataplane.Seat, _ core.Time) {
			s.ran, s.seat = append(s.ran, i), append(s.seat, at)
		}
	}
	return s
}

func (s *tasks) submit(t *testing.T, to *dataplane.Seat, now core.Time, numbers ...int) {
	t.Helper()
	for _, i := range numbers {
		if !to.Submit(now, &s.all[i]) {
			t.Fatalf("task %d does not fit", i)
		}
	}
}

// A seat runs its own tasks first, one a turn, then the oldest of a sibling, one a turn.
func TestTasksAreRunAndStolen(t *testing.T) {
	team, _, _ := plainTeam(t, 3)
	s := newTasks(6)
	mine, theirs := team.Seat(0), team.Seat(2)
	turns(theirs, 1) // it has a core
	s.submit(t, theirs, 10, 2, 3, 4)
	s.submit(t, mine, 11, 0, 1)
	if n, oldest := theirs.Queued(); n != 3 || oldest != 10 {
		t.Errorf("%d queued since %d", n, oldest)
	}
	for i := range 5 {
		if !mine.Pending() || turns(mine, 1) != 1 {
			t.Fatalf("turn %d: nothing to do", i)
		}
	}
	if want := []int{0, 1, 2, 3, 4}; !slices.Equal(s.ran, want) || s.seat[4] != mine {
		t.Errorf("ran %v, want %v", s.ran, want)
	}
	if c := mine.Counters(); c.Tasks != 2 || c.Stolen != 3 || mine.Pending() {
		t.Errorf("%+v, pending %v", c, mine.Pending())
	}
}

// While it has work of its own, a seat steals only from threads that have no core.
func TestBusySeatStealsFromTheAbsent(t *testing.T) {
	team, _, _ := plainTeam(t, 3)
	s := newTasks(6)
	busy, here := team.Seat(0), team.Seat(1)
	turns(here, 1)
	s.submit(t, here, 1, 0)
	s.submit(t, team.Seat(2), 1, 1)
	s.submit(t, busy, 1, 2, 3, 4)
	if n := turns(busy, 5); n != 5 || !slices.Equal(s.ran, []int{1, 2, 3, 4, 0}) {
		t.Errorf("did %d, ran %v", n, s.ran)
	}
	s.submit(t, here, 1, 0)
	s.submit(t, busy, 1, 2)
	here.Leave()
	if n := turns(busy, 2); n != 2 || !slices.Equal(s.ran[5:], []int{2, 0}) {
		t.Errorf("did %d, ran %v", n, s.ran)
	}
}

// Requests that put work off each get it done as fast as they come: a turn runs as many tasks as
// frames came in the one before. A full queue says so.
func TestDeferredWorkKeepsUp(t *testing.T) {
	team, sides, _ := newTeam(t, 1, dataplane.WorkerConfig{}, dataplane.TeamConfig{Tasks: 64})
	seat := team.Seat(0)
	s := newTasks(1)
	submitted := 0
	sides[0].during = func(r *dataplane.Request) {
		if !r.Seat().Submit(r.Now(), &s.all[0]) {
			t.Errorf("no room for task %d, %d ran", submitted, len(s.ran))
		}
		submitted++
	}
	for range 100 {
		sides[0].deliverSome(max(0, 24-int(sides[0].far.Rx.Outstanding())))
		turns(seat, 1)
	}
	turns(seat, 100)
	if submitted < 500 || len(s.ran) != submitted {
		t.Errorf("%d submitted, %d ran", submitted, len(s.ran))
	}
	for i := range 65 {
		if ok := seat.Submit(1, &s.all[0]); ok != (i < 64) {
			t.Errorf("task %d of 64: %v", i, ok)
		}
	}
	if c := seat.Counters(); c.Full != 1 {
		t.Errorf("%+v", c)
	}
}

// What a thread tells of itself is so at the end of each turn.
func TestTelltale(t *testing.T) {
	team, sides, _ := plainTeam(t, 2)
	mine, theirs := team.Seat(0), team.Seat(1)
	var l, away teller
	mine.Report(&l)
	theirs.Report(&away)
	s := newTasks(4)
	turns(mine, 100)
	if l.calls != 0 {
		t.Fatalf("%d calls of an idle seat", l.calls)
	}

	sides[0].during = func(*dataplane.Request) {
		if !l.busy || l.began != 7 {
			t.Errorf("in a request: %+v", l)
		}
	}
	sides[0].deliverSome(1)
	sides[1].deliverSome(1)
	mine.Poll(7)
	if !l.busy || l.began != 7 || sides[0].replies != 1 {
		t.Errorf("after a turn with a request: %+v", l)
	}
	mine.Poll(8)
	if !l.busy || l.began != 8 || sides[1].replies != 1 || away.calls != 0 {
		t.Errorf("after a turn with a sibling's: %+v, %+v", l, away)
	}
	mine.Poll(9)
	if l.busy || l.calls != 3 {
		t.Errorf("after an idle turn: %+v", l)
	}

	s.submit(t, mine, 10, 0)
	s.submit(t, mine, 10, 1, 2)
	mine.Poll(11)
	if !l.busy || l.began != 11 || l.tasks != 2 || l.oldest != 10 {
		t.Errorf("with two tasks left: %+v", l)
	}
	mine.Leave()
	if l.busy || l.tasks != 2 {
		t.Errorf("after leaving: %+v", l)
	}
	theirs.Poll(12) // steals one, and tells for whom it cannot
	if l.tasks != 1 || l.oldest != 10 || l.busy || !away.busy {
		t.Errorf("after a theft: %+v, the thief %+v", l, away)
	}
	theirs.Poll(13)
	theirs.Poll(14)
	if l.tasks != 0 || l.oldest != 0 || away.busy || theirs.Pending() || len(s.ran) != 3 {
		t.Errorf("in the end: %+v, the thief %+v, ran %v", l, away, s.ran)
	}
}

// What is told of a thread that is gone is corrected by who looks next, if it could not be at once.
func TestTelltaleOfTheAbsent(t *testing.T) {
	team, _, _ := plainTeam(t, 3)
	gone, thief, third := team.Seat(0), team.Seat(1), team.Seat(2)
	var l teller
	gone.Report(&l)
	s := newTasks(2)
	s.submit(t, gone, 5, 0, 1)
	gone.Poll(6)
	gone.Leave()
	if w := third.Borrow(); w == nil || l.tasks != 1 {
		t.Fatalf("told %+v", l)
	}
	third.Return()
	turns(third, 1) // it has stolen the task
	if l.tasks != 0 || len(s.ran) != 2 || thief.Pending() {
		t.Errorf("told %+v, ran %v", l, s.ran)
	}
}

// costly is a seat in a world where time passes only in handlers and tasks.
type costly struct {
	now  core.Time
	cost core.Time // of a request
	most core.Time // longest turn
}

// turn polls and takes the time.
func (c *costly) turn(p core.Poller) {
	began := c.now
	p.Poll(began)
	c.most = max(c.most, c.now-began)
}

func (c *costly) spend(*dataplane.Request) { c.now += c.cost }

// The bound on a turn is for all that a seat does in it: its own port's requests, a sibling's, and
// tasks. What they cost is learnt, whoever served a port before.
func TestSeatKeepsToItsTurn(t *testing.T) {
	const bound = 50 * core.Microsecond
	team, sides, _ := newTeam(t, 3, dataplane.WorkerConfig{Turn: bound},
		dataplane.TeamConfig{Turn: bound})
	seat := team.Seat(0)
	c := costly{cost: 5 * core.Microsecond}
	var task dataplane.Task
	task.Run = func(*dataplane.Seat, core.Time) { c.now += c.cost }
	for _, s := range sides {
		s.during = c.spend
	}
	sides[0].during = func(r *dataplane.Request) {
		c.spend(r)
		r.Seat().Submit(c.now, &task)
	}
	for i := range 100 {
		for _, s := range sides {
			s.deliverSome(max(0, min(16, 24-int(s.far.Rx.Outstanding()))))
		}
		if i == 20 {
			c.most = 0
		}
		c.turn(seat)
	}
	if c.most > 2*bound || c.most < bound/2 {
		t.Errorf("the longest turn took %d ns, want about %d", c.most, bound)
	}
	for i, s := range sides {
		if s.replies < 100 {
			t.Errorf("%d replies of port %d in 100 turns", s.replies, i)
		}
	}
	t.Logf("longest turn %d ns, %d, %d and %d replies", c.most, sides[0].replies, sides[1].replies,
		sides[2].replies)
}
