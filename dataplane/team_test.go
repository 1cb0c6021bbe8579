package dataplane_test

import (
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
	"pgregory.net/rapid"
)

func plainTeam(t testing.TB, n int) (*dataplane.Team, []*side, *dataplane.Pool) {
	t.Helper()
	return newTeam(t, n, dataplane.WorkerConfig{Batch: 8}, dataplane.TeamConfig{})
}

func TestNewTeamRefuses(t *testing.T) {
	_, sides, _ := plainTeam(t, 2)
	one, two := sides[0].worker, sides[1].worker
	s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
	for _, c := range []struct {
		name    string
		workers []*dataplane.Worker
		c       dataplane.TeamConfig
		text    string
	}{
		{"good", []*dataplane.Worker{one, two}, dataplane.TeamConfig{Tasks: 1}, ""},
		{"nobody", nil, dataplane.TeamConfig{}, "want 1 to 64"},
		{"65", make([]*dataplane.Worker, 65), dataplane.TeamConfig{}, "want 1 to 64"},
		{"one twice", []*dataplane.Worker{one, two, one}, dataplane.TeamConfig{}, "0 and 2 share"},
		{"another link", []*dataplane.Worker{one, s.worker}, dataplane.TeamConfig{}, "memlink"},
		{"odd queue", []*dataplane.Worker{one}, dataplane.TeamConfig{Tasks: 3}, "power of two"},
		{"past turns", []*dataplane.Worker{one}, dataplane.TeamConfig{Turn: -1}, "0 or more"},
	} {
		_, err := dataplane.NewTeam(c.workers, c.c)
		if c.text == "" && err != nil ||
			c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.text)
		}
	}
}

// An idle seat serves whichever port has input, one a turn and all in turn.
func TestIdleSeatServesAll(t *testing.T) {
	team, sides, pool := plainTeam(t, 4)
	seat := team.Seat(2)
	turns(seat, 3)
	if seat.Pending() || seat.Next(5) != core.Never {
		t.Fatal("an idle team has something to do")
	}
	for _, i := range []int{0, 1, 3} {
		sides[i].deliverSome(3)
	}
	if !seat.Pending() || seat.Next(5) != 5 {
		t.Fatal("input of siblings is not pending")
	}
	for turn, want := range [][4]int{{0, 0, 0, 1}, {1, 0, 0, 1}, {1, 1, 0, 1}} { // B is 1
		turns(seat, 1)
		for i, s := range sides {
			if s.replies != want[i] {
				t.Errorf("turn %d: %d replies of port %d, want %d", turn, s.replies, i, want[i])
			}
		}
	}
	turns(seat, 10)
	for i, s := range sides {
		if s.replies != 3 && i != 2 {
			t.Errorf("%d replies of port %d", s.replies, i)
		}
	}
	if c := seat.Counters(); c.Helped < 6 || c.Missed != 0 {
		t.Errorf("%+v", c)
	}
	auditTeam(t, pool, sides)
}

// A busy seat serves ports whose thread has no core, and leaves those alone whose thread has one,
// but looks after them now and then.
func TestBusySeatServesTheAbsent(t *testing.T) {
	team, sides, _ := plainTeam(t, 3)
	busy, here := team.Seat(0), team.Seat(1)
	turns(here, 1)
	turn := func() { // twice, so that there is always something to do
		sides[0].deliverSome(2)
		turns(busy, 2)
	}
	turn()
	sides[1].deliverSome(1)
	sides[2].deliverSome(1)
	turn()
	if sides[1].replies != 0 || sides[2].replies != 1 || sides[0].replies != 3 {
		t.Fatalf("%d, %d and %d replies, want 3, 0 and 1", sides[0].replies, sides[1].replies,
			sides[2].replies)
	}
	here.Leave()
	turn()
	if sides[1].replies != 1 {
		t.Error("a seat that left is not helped")
	}
	turns(here, 1) // back, and then in a long task
	sides[1].deliverSome(1)
	for range 16 {
		turn()
	}
	if sides[1].replies != 2 {
		t.Error("nobody looked after a sibling for 32 turns")
	}
}

// An idle seat serves a port whose thread has a core if it is in need at two looks in a row, so that
// it does not race for requests that the thread is about to take.
func TestIdleSeatLooksTwice(t *testing.T) {
	team, sides, _ := plainTeam(t, 2)
	idle, here := team.Seat(0), team.Seat(1)
	turns(here, 1)
	for i := range 3 {
		sides[1].deliverSome(1)
		if turns(idle, 1) != 0 || !idle.Pending() || turns(here, 1) != 1 || turns(idle, 1) != 0 {
			t.Fatalf("request %d was served by the idle sibling", i)
		}
	}
	sides[1].deliverSome(1)
	if turns(idle, 1) != 0 || turns(idle, 1) != 1 {
		t.Error("a port that waits for its thread is not helped")
	}
}

// A port that somebody serves is passed over, by turns and by the last look before sleeping; what
// came meanwhile is pending once it is free.
func TestClaimedPortIsPassedOver(t *testing.T) {
	team, sides, _ := plainTeam(t, 2)
	home, other := team.Seat(0), team.Seat(1)
	inside := 0
	sides[0].during = func(r *dataplane.Request) {
		inside++
		if inside > 1 {
			return
		}
		if r.Seat() != home {
			t.Error("a request that does not know its seat")
		}
		sides[0].deliverSome(2) // flows 0 and 1
		if other.Pending() || turns(other, 3) != 0 {
			t.Error("a port that is served is pending, or served twice")
		}
	}
	if !sides[0].deliverFlow(2) {
		t.Fatal("not delivered")
	}
	turns(home, 1)
	if inside != 1 || !other.Pending() || turns(other, 3) == 0 || sides[0].replies != 3 {
		t.Errorf("%d handled, %d replies", inside, sides[0].replies)
	}
}

// Output that the kernel did not take is somebody's to do, whoever left it.
func TestLeftOutputIsPending(t *testing.T) {
	team, sides, pool := plainTeam(t, 2)
	home, other := team.Seat(0), team.Seat(1)
	sides[0].blocked = true
	sides[0].deliverSome(1)
	turns(home, 1)
	home.Leave()
	if sides[0].replies != 0 || !other.Pending() || !home.Pending() {
		t.Fatal("output that was not taken is not pending")
	}
	sides[0].blocked = false
	turns(other, 1)
	if sides[0].replies != 1 || other.Pending() {
		t.Errorf("%d replies, pending %v", sides[0].replies, other.Pending())
	}
	auditTeam(t, pool, sides)
}

// An index that cannot be keeps nobody awake. Once there was one, the port calls no input pending, and
// so does the team; the port's own seat takes it all the same, as a worker alone does.
func TestBrokenPortIsNotPending(t *testing.T) {
	team, sides, _ := plainTeam(t, 2)
	home, other := team.Seat(0), team.Seat(1)
	sides[0].far.Rx.Submit(1000)
	turns(home, 1)
	turns(other, 1)
	if !sides[0].port.Broken() || home.Pending() || other.Pending() {
		t.Fatalf("broken %v, pending %v, %v", sides[0].port.Broken(), home.Pending(),
			other.Pending())
	}
	back := uint32(1000)
	sides[0].far.Rx.Submit(-back)
	sides[0].deliverSome(4)
	turns(home, 1)
	if sides[0].replies != 1 || home.Pending() || other.Pending() || turns(other, 9) != 0 {
		t.Errorf("%d replies, pending %v, %v", sides[0].replies, home.Pending(), other.Pending())
	}
	turns(home, 3)
	if sides[0].replies != 4 {
		t.Errorf("%d replies, want 4", sides[0].replies)
	}
}

// A worker is borrowed to send with, its own first; what it queued leaves in its next turn, by
// whoever.
func TestBorrow(t *testing.T) {
	team, sides, pool := newTeam(t, 2, dataplane.WorkerConfig{MAC: serverMAC},
		dataplane.TeamConfig{})
	seat, other := team.Seat(0), team.Seat(1)
	first := seat.Borrow()
	if first != sides[0].worker || first != seat.Worker() {
		t.Fatal("borrowed another worker than its own, which is free")
	}
	if other.Borrow() != sides[1].worker {
		t.Fatal("two seats borrowed one worker")
	}
	other.Return()
	if other.Pending() {
		t.Error("a worker that was borrowed for nothing is pending")
	}
	if r := first.SendRaw(clientMAC, 0x88B5, make([]byte, 5)); r != dataplane.OK {
		t.Fatal(r)
	}
	if turns(other, 1) != 0 || other.Pending() {
		t.Error("a borrowed worker is served")
	}
	seat.Return()
	if sides[0].replies != 0 || !other.Pending() {
		t.Errorf("%d packets left, pending %v", sides[0].replies, other.Pending())
	}
	if turns(other, 1) != 1 || sides[0].replies != 1 || other.Pending() {
		t.Errorf("%d packets left, pending %v", sides[0].replies, other.Pending())
	}
	sides[0].during = func(r *dataplane.Request) { // the handler has its own worker
		if w := seat.Borrow(); w != sides[1].worker || r.Worker() != sides[0].worker {
			t.Error("a handler borrowed the worker that serves it")
		}
		seat.Return()
	}
	sides[0].left[0] = 0
	sides[0].deliverSome(1)
	turns(seat, 1)
	auditTeam(t, pool, sides)
}

// TestTeamInAnyOrder runs turns of seats, arrivals and absences in random order on one goroutine:
// each flow is handled and answered in order, no chunk is lost, and who polls last gets it all out.
func TestTeamInAnyOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(r, "workers")
		team, sides, pool := plainTeam(t, n)
		some := func(name string) int { return rapid.IntRange(0, n-1).Draw(r, name) }
		r.Repeat(map[string]func(*rapid.T){
			"deliver": func(*rapid.T) {
				s := sides[some("port")]
				for range rapid.IntRange(1, 20).Draw(r, "packets") {
					s.deliverFlow(rapid.IntRange(0, flowsPerPort-1).Draw(r, "flow"))
				}
			},
			"turn":  func(*rapid.T) { turns(team.Seat(some("seat")), 1) },
			"leave": func(*rapid.T) { team.Seat(some("seat")).Leave() },
			"block": func(*rapid.T) { s := sides[some("port")]; s.blocked = !s.blocked },
			"":      func(*rapid.T) { auditTeam(t, pool, sides) },
		})
		for _, s := range sides {
			s.blocked = false
		}
		last := team.Seat(some("last"))
		for i := 0; last.Pending(); i++ {
			if turns(last, 1); i > 1000 {
				r.Fatal("still pending after 1000 turns")
			}
		}
		for i, s := range sides {
			if s.left != s.next || s.handled != s.next {
				r.Fatalf("port %d: delivered %v, handled %v, answered %v", i, s.next, s.handled, s.left)
			}
		}
	})
}
