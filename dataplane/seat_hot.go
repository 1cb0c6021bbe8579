package dataplane

import "github.com/dunlin-io/dunlin/core"

// probeEvery is how many busy turns go by until a seat looks at siblings that have a core: one of
// them may be in a long task, or stopped by the kernel. A look takes lines away from a sibling that
// is at work, 0.1 us each. (guess)
const probeEvery = 16

// upkeepEvery is how many turns go by in which a seat leaves its own port alone because nothing
// waits there; then it looks after what was sent and what is to be filled. An idle seat that
// claimed its port in every turn would take the word away from idle siblings, and they from it.
// (guess: some us)
const upkeepEvery = 64

// Seat is what one thread of a team polls. A turn is, in this order:
//
//   - tasks of its own queue: as many as frames came in its last turn, at least one
//   - its own port, unless a sibling has it
//   - one port or one task of a sibling, beginning after the one it helped last: of any that is in
//     need if there was nothing to do so far; else of those whose threads have no core
//
// Tasks are stolen one at a time, the oldest. Half a queue at a time would cost fewer steals, but
// the thief would hold tasks that are older than what it left, for as long as the first of them
// takes, and might have to give up its core with all of them.
//
// The time that a turn may take (WorkerConfig.Turn, TeamConfig.Turn) is compared with what a whole
// turn of the seat took, so it bounds all of that together.
//
// Its work is frames as a Worker's, and tasks. All methods are for its thread.
type Seat struct {
	team     *Team
	own      *member
	borrowed *member
	tasks    pace
	bills    [2]bill   // of its own port, and of a sibling's, in the last turn
	last     core.Time // when that began
	turn     uint64
	begun    uint64 // turn of the last Begin; 0 after End
	number   uint32
	streak   uint32 // turns with work in a row
	idle     uint32 // turns in a row that left its own port alone
	next     int    // sibling to look at first
	frames   int    // of its own port in the last turn
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
	s.bills[0].pay(now - s.last)
	s.bills[1].pay(now - s.last)
	s.last = now
	work = s.runOwn(now) + s.serveOwn(now)
	work += s.help(now, work > 0)
	if work == 0 {
		s.end()
	}
	return work
}

// serveOwn serves the seat's own port, unless a sibling has it.
func (s *Seat) serveOwn(now core.Time) (work int) {
	m := s.own
	w := m.look()
	s.frames = 0
	switch {
	case m.wants(w):
		s.begin(now)
		s.idle = 0
	case m.misled() && w.free():
	case s.idle%upkeepEvery != 0 || !w.free():
		s.idle++
		return 0
	default:
		s.idle++
	}
	s.counts.Own++
	work, _ = s.serve(now, m, w, &s.bills[0])
	s.frames = work
	return work
}

// runOwn runs tasks of the seat's own queue.
func (s *Seat) runOwn(now core.Time) (n int) {
	s.tasks.learn(now)
	for most := s.tasks.bound(max(s.frames, 1)); n < most; n++ {
		task, _ := s.own.queue.Pop()
		if task == nil {
			break
		}
		s.begin(now)
		task.Run(s, now)
	}
	s.tasks.spend(now, n)
	s.counts.Tasks += uint64(n)
	return n
}

// help does one thing that is a sibling's.
func (s *Seat) help(now core.Time, busy bool) (work int) {
	t := s.team
	away := ^t.here.Load()
	whom := ^uint64(0)
	if busy {
		if s.streak++; s.streak%probeEvery != 0 {
			whom = away
		}
	} else {
		s.streak = 0
	}
	n := len(t.members)
	if whom&(1<<n-1) == 0 { // with 64 members the shift gives 0, and less 1 all of them
		return 0
	}
	for i := range n {
		k := s.next + i
		if k >= n {
			k -= n
		}
		if uint32(k) == s.number || whom>>k&1 == 0 {
			continue
		}
		if work = s.helpOne(now, &t.members[k], away>>k&1 != 0); work > 0 {
			s.next = k + 1
			if s.next == n {
				s.next = 0
			}
			return work
		}
	}
	return 0
}

// helpOne lets m's worker do a turn if its port is in need, or else runs a task of its queue. Away
// says that m's own thread does not look after what is told of it.
func (s *Seat) helpOne(now core.Time, m *member, away bool) (work int) {
	if w := m.look(); m.wants(w) {
		s.begin(now)
		work, ok := s.serve(now, m, w, &s.bills[1])
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
	task.Run(s, now)
	return 1
}

// Next implements core.Poller: at once while Pending.
func (s *Seat) Next(now core.Time) core.Time {
	if s.Pending() {
		return now
	}
	return core.Never
}

// Pending reports whether a turn would find something to do: a port that nobody has is in need, or
// a task waits, whoever's. It changes nothing. A thread that is going to sleep asks it last, after
// it announced that and after Leave.
func (s *Seat) Pending() bool {
	t := s.team
	look := ^t.here.Load() | 1<<s.number
	for k := range t.members {
		m := &t.members[k]
		w := m.look()
		if m.wants(w) || m.queue.Len() > 0 || look>>k&1 != 0 && w.free() && m.misled() {
			return true
		}
	}
	return false
}

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
	s.bills[0].frames, s.bills[1].frames = 0, 0 // the time until the next turn is not theirs
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
