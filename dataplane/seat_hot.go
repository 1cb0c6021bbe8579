package dataplane

import (
	"math/bits"

	"github.com/dunlin-io/dunlin/core"
)

// probeEvery is how many busy turns go by until a seat looks at siblings that have a core: one of
// them may be in a long task, or stopped by the kernel. A look takes lines away from a sibling that
// is at work, 0.1 us each. (guess)
const probeEvery = 16

// upkeepEvery is how many turns go by in which a seat leaves its own port alone because nothing
// waits there; then it looks after what was sent and what is to be filled. An idle seat that
// claimed its port in every turn would take the word away from idle siblings, and they from it.
// (guess: some us)
const upkeepEvery = 64

// Seat is what one thread of a team polls. A turn is one of these:
//
//   - a turn of its own port's worker and its companions, or of a sibling's whose thread has no
//     core: all that are in need in turn, each as often
//   - after a turn of a port, and when no port is in need: as many tasks of its own queue as that
//     port had frames, at least one
//   - a task of a sibling's queue, in turn with the ports
//
// A seat that found nothing to do looks after siblings that have a core as well. Their ports are in
// need only between two turns of theirs, or while they are in a long task, or stopped; so it serves
// one only if it was in need at two looks in a row, and does not race for each request.
//
// Tasks are stolen one at a time, the oldest. Half a queue at a time would cost fewer thefts, but
// the thief would hold tasks that are older than what it left, for as long as the first of them
// takes, and might have to give up its core with all of them.
//
// A turn does only one of these things so that a thread can leave its core between them, and so
// that it is known what each costs: WorkerConfig.Turn and TeamConfig.Turn bound the whole turn.
//
// Its work is frames as a Worker's, that of companions, and tasks. All methods are for its thread.
type Seat struct {
	team     *Team
	own      *member
	borrowed *member
	tasks    pace
	bill     bill      // of the port that was served in the last turn
	last     core.Time // when that began
	turn     uint64
	begun    uint64 // turn of the last Begin; 0 after End
	number   uint32
	streak   uint32 // turns with work in a row
	idle     uint32 // turns in a row that left its own port alone
	next     uint32 // member to look at first
	seen     uint64 // siblings with a core whose ports were in need at the last look
	frames   int    // what is due to its own tasks after the last turn
	here     bool
	counts   SeatCounters
	_        [lineBytes]byte
}

// Poll implements core.Poller: one turn.
func (s *Seat) Poll(now core.Time) (work int) {
	s.turn++
	if !s.here {
		s.here = true
		s.team.here.Or(1 << s.number)
	}
	s.bill.pay(now - s.last)
	s.tasks.learn(now)
	s.last = now
	if s.frames > 0 {
		work = s.runOwn(now)
	}
	if work == 0 {
		work = s.look(now)
	}
	if work > 0 {
		s.streak++
	} else {
		s.streak = 0
		s.end()
	}
	if s.own.misled() {
		s.settle(s.own)
	}
	return work
}

// look finds something to do: first in what is the seat's, or nobody else's.
func (s *Seat) look(now core.Time) (work int) {
	all := uint64(1)<<len(s.team.members) - 1 // with 64 the shift gives 0, and less 1 all of them
	away := all &^ s.team.here.Load()
	whom := away | 1<<s.number
	if s.streak > 0 && s.streak%probeEvery == 0 {
		whom = all
	}
	if work = s.visit(now, whom, away); work == 0 {
		if work = s.runOwn(now); work == 0 && whom != all {
			work = s.visit(now, all&^whom, away)
		}
	}
	return work
}

// runOwn runs tasks of the seat's own queue.
func (s *Seat) runOwn(now core.Time) (n int) {
	most := s.tasks.bound(max(s.frames, 1))
	s.frames = 0
	for n < most {
		task, _ := s.own.queue.Pop()
		if task == nil {
			break
		}
		n++
		s.begin(now)
		task.Run(s, now)
	}
	s.tasks.spend(now, n)
	s.counts.Tasks += uint64(n)
	return n
}

// visit goes round these members until it has done something.
func (s *Seat) visit(now core.Time, whom, away uint64) (work int) {
	behind := uint64(1)<<s.next - 1
	for _, part := range [...]uint64{whom &^ behind, whom & behind} {
		for ; part != 0; part &= part - 1 {
			k := uint32(bits.TrailingZeros64(part))
			if k == s.number {
				work = s.serveOwn(now)
			} else {
				work = s.help(now, k, away>>k&1 != 0)
			}
			if work > 0 {
				s.next = (k + 1) & (MaxTeam - 1)
				return work
			}
		}
	}
	return 0
}

// serveOwn serves the seat's own port, unless a sibling has it.
func (s *Seat) serveOwn(now core.Time) (work int) {
	m := s.own
	w := m.look()
	switch {
	case m.wants(w, now):
		s.begin(now)
		s.idle = 0
	case w.free() && w&wordDeaf != 0: // as a worker alone would poll it
	case s.idle%upkeepEvery != 0 || !w.free():
		s.idle++
		return 0
	default:
		s.idle++
	}
	s.counts.Own++
	work, _ = s.serve(now, m, w)
	return work
}

// help lets sibling k's worker do a turn if its port is in need, or else runs a task of its queue.
// Away says that its own thread has no core, and does not look after what is told of it.
func (s *Seat) help(now core.Time, k uint32, away bool) (work int) {
	m := &s.team.members[k]
	if w := m.look(); !m.wants(w, now) {
		s.seen &^= 1 << k
	} else if s.turnsTo(k, away) {
		s.begin(now)
		work, ok := s.serve(now, m, w)
		if ok {
			s.counts.Helped++
		}
		if work > 0 {
			return work
		}
	}
	var task *Task
	if m.queue.Len() > 0 {
		s.begin(now)
		if task, _ = m.queue.Steal(); task == nil {
			s.counts.Missed++
		}
	}
	if away && m.misled() {
		s.settle(m)
	}
	if task == nil {
		return 0
	}
	s.counts.Stolen++
	s.frames = 1 // the next is its own
	task.Run(s, now)
	return 1
}

// turnsTo reports whether the seat serves sibling k, whose port is in need.
func (s *Seat) turnsTo(k uint32, away bool) bool {
	bit := uint64(1) << k
	if away || s.seen&bit != 0 {
		s.seen &^= bit
		return true
	}
	s.seen |= bit
	return false
}

// Next implements core.Poller: at once while Pending, or else when some worker's companions, whom
// nobody polls, want a turn.
func (s *Seat) Next(now core.Time) core.Time {
	if s.Pending() {
		return now
	}
	next := core.Never
	for k := range s.team.members {
		if m := &s.team.members[k]; m.look().free() {
			next = min(next, core.Time(m.due.Load()))
		}
	}
	return next
}

// Pending reports whether a turn would find something to do, whatever the time: a port that nobody
// has is in need, its companions were called, or a task waits, whoever's. It changes nothing. A
// thread that is going to sleep asks it and Next last, after it announced that and after Leave.
func (s *Seat) Pending() bool {
	t := s.team
	look := ^t.here.Load() | 1<<s.number
	for k := range t.members {
		m := &t.members[k]
		w := m.look()
		if m.wants(w, noTime) || m.queue.Len() > 0 || look>>k&1 != 0 && w.free() && m.misled() {
			return true
		}
	}
	return false
}

// noTime is before every time at which companions are due.
const noTime core.Time = -1

// Submit puts a task, runnable from now on, behind the others; false if there is no room: then the
// caller runs it, or gives it up.
func (s *Seat) Submit(now core.Time, task *Task) bool {
	if !s.own.queue.Push(now, task) {
		s.counts.Full++
		return false
	}
	return true
}

// Queued is how many tasks the seat's queue has, and since when the oldest is runnable.
func (s *Seat) Queued() (n int, oldest core.Time) {
	oldest, n = s.own.queue.Oldest()
	return n, oldest
}

// Worker is the seat's own, for wiring; while the team's threads run, Borrow.
func (s *Seat) Worker() *Worker { return s.own.worker }

// Leave is for a thread that loses its core, or is going to sleep: siblings look after its port and
// its tasks, even while they have work of their own. The next turn is back.
func (s *Seat) Leave() {
	s.bill.frames = 0 // the time until the next turn is nobody's
	s.tasks.forget()
	s.end()
	if s.own.misled() {
		s.settle(s.own)
	}
	if s.here {
		s.here = false
		s.team.here.And(^(uint64(1) << s.number))
	}
}

func (s *Seat) begin(now core.Time) {
	if s.own.telltale != nil && s.begun != s.turn {
		s.begun = s.turn
		s.own.telltale.Begin(now)
	}
}

func (s *Seat) end() {
	if s.begun != 0 {
		s.begun = 0
		s.own.telltale.End()
	}
}
