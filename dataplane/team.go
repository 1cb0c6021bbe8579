package dataplane

import (
	"fmt"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/runq"
)

// MaxTeam is the most workers of a team: one bit each in a word. (The iokernel's policies have
// tables for as many cores.)
const MaxTeam = 64

// DefaultTasks is the room in a member's run queue. (Go's own run queues have as much; at 1 us a
// task, the last of them waits for 0.25 ms.)
const DefaultTasks = 256

// lineBytes is a cache line of every machine we know.
const lineBytes = 64

// Inbox is what a team needs of a worker's link: a look at its input that any thread may take,
// while another uses the link. A Port is one.
type Inbox interface {
	Link
	Unread() bool
}

// Telltale is told what a seat's thread has in hand, for whoever lends it its core. It has the
// methods of a baton.Line, and the same meaning: times are when something began, not ages.
//
// Begin and End are called by the seat's thread, Queue and Heard by whoever has the claim of its
// worker: one thread at a time, but perhaps beside Begin or End. They are called only when that has
// changed, at most once each a turn, and must not block.
type Telltale interface {
	Begin(now core.Time) // a turn with something to do begins
	End()                // a turn found nothing to do, or the thread leaves
	// Queue is what waits for any of the team's threads: runnable tasks, and since when the oldest
	// is (0, 0: none); and when the worker's companions want a turn (core.Never: only when called).
	Queue(tasks int, oldest, due core.Time)
	Heard() // the companions were called, and are polled now
}

// Task is work that is put off to a later turn, of this thread or of a sibling. It is part of what
// it works on; Run is set once, as a method value say, so that submitting it costs no allocation.
// It belongs to the team from Submit until Run begins, and is in one queue at a time.
//
// Tasks are begun in the order in which one thread submitted them, but on several threads: who
// needs an order among them, as within a flow, submits the next from the end of the one before.
type Task struct {
	Run func(s *Seat, now core.Time) // on the thread of s; it must not block
}

// TeamConfig describes a team. The zero value is good.
type TeamConfig struct {
	Tasks int       // room in each run queue, a power of two; 0 means DefaultTasks
	Turn  core.Time // longest that the tasks of a turn should take together; 0: no bound
}

// Team shares the ports of a runtime among its threads, whose cores come and go.
//
//	flows ──hash, for ever──> port 0      port 1      port 2        a port is the unit of order
//	                            │           │           │
//	                         worker 0    worker 1    worker 2       claimed for one turn at a time
//	                            ^           ^  ^
//	                            │           │  └── after its own, if its thread is away
//	                         seat 0      seat 1      (seat 2)        one a thread
//	                            └─ tasks: own queue, then a sibling's
//
// Which port a flow comes in on never changes. A worker, with its port, its cache and its handlers'
// state, is used by one thread at a time: by whoever claims it, for one turn, in which it takes a
// burst, serves each request to completion and sends the replies through that same port. So the
// requests of a flow are handled in order, one at a time, and their replies leave in order, whoever
// serves; a handler's state for one worker needs no lock.
//
// A worker may have companions (Accompany): pollers that use it, and what it is used for, as a
// transport endpoint does. They are polled behind each of its turns, under its claim, by whoever
// has that; so they need no lock against its handlers or each other. A turn is due not only when
// the port has input, but also when they say so (Next), or were called (Call).
//
// A claim is tried and never waited for: a port that another has needs nobody else. The reason why
// that forgets no input is at word. A thread that the kernel stops in the middle of a turn keeps
// its claim, and that port waits for it: whoever lends cores gives such a thread one, or ends the
// runtime.
//
// Whoever wakes the threads of a team must wake one of them when any of its ports has input, not
// only the one whose own port it is: that one may have no core.
type Team struct {
	members []member
	seats   []Seat
	_       [lineBytes - 48]byte
	here    atomic.Uint64 // seats whose thread has a core; written as that changes
	_       [lineBytes - 8]byte
}

// member is a worker, its companions and a run queue of a team.
type member struct {
	// What several threads write.
	claim  atomic.Uint32 // a word
	called atomic.Uint32 // not 0: the companions have input; any goroutine sets it
	_      [lineBytes - 8]byte

	// What follows is for whoever has the claim.
	due    atomic.Int64  // core.Time at which the companions want to be polled; read by all
	oldest atomic.Int64  // core.Time, as told last; read by all
	told   atomic.Uint32 // tasks as told last; read by all
	cost   atomic.Int64  // of a frame in a turn that is over; written by who served it; 0: none
	said   core.Time     // due, as told last
	_      [lineBytes - 40]byte

	// What follows is set at wiring.
	worker     *Worker
	inbox      Inbox
	queue      *runq.Queue[Task]
	telltale   Telltale // nil: nobody wants to know
	companions []core.Poller
	_          [2*lineBytes - 72]byte
}

// NewTeam makes a team of workers, each over a link and a cache of its own. From then on only its
// seats poll them. Endpoints are added before the first turn, or by who has the claim.
func NewTeam(workers []*Worker, c TeamConfig) (*Team, error) {
	if c.Tasks == 0 {
		c.Tasks = DefaultTasks
	}
	if len(workers) < 1 || len(workers) > MaxTeam || c.Turn < 0 {
		return nil, fmt.Errorf("dataplane: team of %d workers, turns of %d ns: want 1 to %d and "+
			"0 or more", len(workers), c.Turn, MaxTeam)
	}
	t := &Team{members: make([]member, len(workers)), seats: make([]Seat, len(workers))}
	for i, w := range workers {
		for j, other := range workers[:i] {
			if w == other || w.link == other.link || w.cache == other.cache {
				return nil, fmt.Errorf("dataplane: team: workers %d and %d share a link or a cache",
					j, i)
			}
		}
		inbox, ok := w.link.(Inbox)
		if !ok {
			return nil, fmt.Errorf("dataplane: team: worker %d: other threads cannot look at the "+
				"input of a %T", i, w.link)
		}
		queue, err := runq.New[Task](c.Tasks)
		if err != nil {
			return nil, fmt.Errorf("dataplane: team: %w", err)
		}
		m := &t.members[i]
		m.worker, m.inbox, m.queue = w, inbox, queue
		m.due.Store(int64(core.Never))
		m.said = core.Never
		s := &t.seats[i]
		s.team, s.own, s.number, s.next = t, m, uint32(i), uint32(i)
		s.tasks.turn = c.Turn
	}
	return t, nil
}

// Seats is how many there are: one for each worker.
func (t *Team) Seats() int { return len(t.seats) }

// Seat is the poller of thread k, whose own port is that of worker k.
func (t *Team) Seat(k int) *Seat { return &t.seats[k] }

// Report has the seat's load told. It is for wiring.
func (s *Seat) Report(to Telltale) { s.own.telltale = to }

// Accompany has p polled behind each turn of worker k, by the thread that gives it that turn: never
// by two at a time. What it returns counts as work of that turn, and its Next says when the next
// turn is due without input. It is for wiring.
func (t *Team) Accompany(k int, p core.Poller) {
	m := &t.members[k]
	m.companions = append(m.companions, p)
	m.due.Store(0) // nobody has asked it yet
}

// Call has the companions of worker k polled soon, by any thread that has a core: they have input
// that came neither with a frame nor with time. Any goroutine may call it. It wakes nobody: where
// no thread may have a core, whoever lends them is told first (baton.Line.Ask).
func (t *Team) Call(k int) { t.members[k].called.Store(1) }

// SeatCounters are what a seat's thread did.
type SeatCounters struct {
	Own    uint64 // turns of its own port
	Helped uint64 // turns of others' ports
	Missed uint64 // claims and thefts in which another was faster
	Tasks  uint64 // of its own queue
	Stolen uint64 // of others' queues
	Full   uint64 // tasks that did not fit into its queue
}

// Counters returns a copy of the counts, for the seat's thread.
func (s *Seat) Counters() SeatCounters { return s.counts }

var (
	_ core.Poller = (*Seat)(nil)
	_ Inbox       = (*Port)(nil)
)
