package cores

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// look fills the snapshot.
func (s *Scheduler) look(now core.Time) {
	s.snapshot.HandOver = s.handOver
	for i := range s.runtimes {
		s.lookAtRuntime(now, i)
	}
	for i := range s.seats {
		s.lookAtCore(now, i)
	}
	for _, r := range s.runtimes {
		if r != nil && r.running && !r.guest {
			s.lookAtTeam(now, r)
		}
	}
	s.limit(now)
}

// lookAtRuntime fills the part of one runtime, apart from what the workers on its cores say.
func (s *Scheduler) lookAtRuntime(now core.Time, place int) {
	in, r := &s.snapshot.Runtimes[place], s.runtimes[place]
	*in = policy.Runtime{NextTimer: core.Never, Only: policy.None}
	if r == nil {
		return
	}
	r.held, r.ready = 0, 0
	in.ID = r.id
	if !r.running {
		return // of no class: it gets nothing, and has nothing
	}
	in.Class, in.Reserved, in.Most = r.config.Class, r.config.Reserved, r.config.Most
	in.Quantum, in.RequestBudget = r.config.Quantum, r.config.Budget
	in.Able, in.Misses = len(s.seats), r.misses.rate
	if r.guest {
		in.Recall = s.recall // nobody there hands over
		return
	}
	if r.errand.linger > 0 {
		s.follow(now, r)
	}
	r.backlog = r.config.Ports.Backlog(now)
	in.Waiting, in.FrameDelay, in.Served = r.backlog.Waiting, r.backlog.Delay, r.backlog.Taken
	in.Busy, in.NextTimer = r.busy, r.errand.at
	r.errand.due = r.errand.core
	if in.Waiting > 0 {
		r.delays.add(in.FrameDelay)
		r.sated = false
	}
}

// lookAtCore fills the part of one core.
func (s *Scheduler) lookAtCore(now core.Time, c int) {
	k, seat := &s.snapshot.Cores[c], &s.seats[c]
	s.recovers(now, c)
	*k = policy.Core{
		Owner: policy.None, Last: seat.last, Sibling: policy.None, Failed: seat.failed,
		OwnedAt: seat.ownedAt, LastAt: seat.lastAt, FailedAt: seat.failedAt,
	}
	if s.config.Siblings != nil {
		k.Sibling = s.config.Siblings[c]
	}
	r := s.member(int16(seat.lender.Word().Owner()) - 1)
	switch {
	case s.offline[c]:
		k.State = policy.Offline
	case seat.lender.Stuck():
		k.State = policy.Parked
	case !seat.lender.Settled():
		k.State = policy.Yielding
		if r == nil {
			break
		}
		k.Owner = int16(r.place)
		r.held++
		if r.config.Class == policy.BestEffort {
			// What was lent can be taken back before it was taken up. The worker of BE has the
			// lowest priority, and may have to wait for whoever else the kernel runs there; LC need
			// not wait for that.
			k.State, k.OwnedAt = policy.Running, now
		}
	case r == nil:
		k.State = policy.Parked
	case r.guest:
		k.State, k.Owner = policy.Running, int16(r.place)
		r.held++
	default:
		s.lookAtWorker(now, c, r, k)
	}
}

// lookAtWorker fills the part of a core whose owner's worker has it, with what that says. When the
// worker sleeps, nobody runs there: whoever is to, the owner included, has to be woken.
func (s *Scheduler) lookAtWorker(now core.Time, c int, r *Runtime, k *policy.Core) {
	in, seat := &s.snapshot.Runtimes[r.place], &s.seats[c]
	sight := r.watches[c].Look(now, seat.lender.Word())
	if sight.Queued > 0 {
		in.TaskDelay = max(in.TaskDelay, sight.Waited, 1)
	}
	k.State, k.Owner, k.RequestAge = policy.Running, int16(r.place), sight.Worked
	if sight.State == baton.Absent { // the loop has ended, and the process not yet
		seat.blame(r)
		seat.failedAt = now
	}
	if sight.State == baton.Absent || sight.State == baton.Parked {
		k.State, k.Owner, k.Last, k.LastAt = policy.Parked, policy.None, int16(r.place), now
		if sight.Timer < in.NextTimer {
			in.NextTimer, r.errand.due = sight.Timer, int16(c)
		}
		r.parked = r.parked || !seat.parked
		r.sated, seat.parked, seat.idle = r.backlog.Waiting == 0, true, false
		return
	}
	seat.parked = false
	r.held++
	if r.config.Class == policy.BestEffort {
		return
	}
	if sight.Stood >= still {
		s.stands(now, c, r)
	}
	if sight.Busy {
		r.busy += min(now-s.last, s.config.Interval)
	}
	if sight.Busy || r.backlog.Waiting > 0 || sight.Queued > 0 || now-seat.ownedAt < grace {
		seat.idle = false
		return
	}
	if !seat.idle {
		seat.idle, seat.idleAt = true, now
	}
	k.State, k.IdleAt = policy.Idle, seat.idleAt
	r.ready++
}

// lookAtTeam sums up a runtime whose cores were looked at.
func (s *Scheduler) lookAtTeam(now core.Time, r *Runtime) {
	in := &s.snapshot.Runtimes[r.place]
	s.lookAtCalls(now, r, in)
	if r.parked {
		r.parked = false
		r.parks(now, in)
	}
}

// lookAtCalls adds what any worker of a runtime can do and its ports do not show: timers of what
// accompanies them, and what somebody asks for. A worker that works sees to it in its next turn,
// an idle one is about to. If none has a core, or those that have are long in their turns, it has
// waited since a pass first saw it, whatever the runtime says.
func (s *Scheduler) lookAtCalls(now core.Time, r *Runtime, in *policy.Runtime) {
	since := r.wanted
	r.wanted = 0
	due, works := r.due(), r.held > r.ready
	if r.asked() {
		due = min(due, now)
	}
	if works {
		if due > now || r.config.Class == policy.BestEffort {
			return
		}
		if !r.overdue(now, &since) {
			r.wanted = since
			return
		}
	}
	if due < in.NextTimer {
		in.NextTimer, r.errand.due = due, policy.None
	}
	if r.held > 0 && !works || due > now {
		return
	}
	if r.wanted = since; since == 0 {
		r.wanted = now
	}
	in.TaskDelay = max(in.TaskDelay, now-r.wanted, 1)
	r.sated = false
}

// longTurn is from when on a runtime's working cores do not see to what is due. (guess: ten times
// what the turns of a worker on a lent core are bounded to)
const longTurn = 100 * core.Microsecond

// grace is how long a worker that has just taken its core up is not said to be idle: until it has
// had a turn, in which it does what it was granted the core for. (guess: a hand-over)
const grace = 5 * core.Microsecond
