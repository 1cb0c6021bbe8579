package policy

import "github.com/dunlin-io/dunlin/core"

// State says what happens on a core.
type State uint8

// The states of a core.
const (
	Idle     State = iota // somebody polls there and has nothing to do: ready for a hand-over
	Running               // the owner's worker works
	Yielding              // granted, and not yet taken up: left alone until it is, or has failed
	Parked                // nobody runs: needs a wake
	Offline               // not ours
)

// Class says who gives way to whom.
type Class uint8

// The classes of runtimes.
const (
	Absent          Class = iota // a free place in Snapshot.Runtimes; its cores belong to nobody
	LatencyCritical              // LC
	BestEffort                   // BE: has what LC leaves
)

// Snapshot is what a policy knows. Times are as of the same clock as the now of Decide.
//
// Much of it comes from memory that runtimes write. The reader clamps it; a policy stays within
// bounds all the same, and believes a runtime only to the runtime's own cost.
type Snapshot struct {
	Cores    []Core
	Runtimes []Runtime

	Interval core.Time // how long work waits for a pass at most
	HandOver core.Time // measured: from a grant until the new owner runs
	Wakes    int       // wakes across cores that this pass may ask for
	Memory   Memory
}

// Core is one core that runtimes may get. Where nobody is meant stands None: 0 is a runtime.
type Core struct {
	State   State
	Owner   int16 // index of the runtime, or None; of a yielding core, who will have it
	Last    int16 // who had it before the owner, or None
	Sibling int16 // index of the other hyperthread, or None

	OwnedAt core.Time // when the owner took it up
	IdleAt  core.Time // when work there ended; of idle cores
	LastAt  core.Time // when Last lost it

	// RequestAge is how long the request has run in which the worker is; 0 if none or unknown.
	RequestAge core.Time

	Failed   int16     // who did not take it up when it was granted to him last, or None
	FailedAt core.Time // when that was noticed
}

// Runtime is one place in the table of runtimes. How many cores it holds stands in Cores, once.
type Runtime struct {
	Class    Class
	ID       uint64    // not 0; another one means another runtime in the same place
	Reserved int       // cores it gets within one pass when it has work
	Most     int       // cores it may have
	Recall   core.Time // of BE: measured, until LC runs where it was; 0: as a hand-over
	Quantum  core.Time // of BE: how long it keeps a core that another BE runtime wants

	// Able is how many workers could run, the ones that do included: a runtime has no use for more
	// cores. For BE, a core without an able worker is one too many.
	Able int

	Waiting    int       // frames in its ports that no worker has begun
	FrameDelay core.Time // how long the oldest of them has waited
	TaskDelay  core.Time // age of its oldest task that any worker can run and none does; 0: none
	NextTimer  core.Time // when its next timer is due, or core.Never

	// Only is the one core that is of use to it, or None if any is: all that it has to do is a
	// timer of the worker there, which has no core.
	Only int16

	Served uint64    // requests done since it started
	Busy   core.Time // time its workers spent in them

	RequestBudget core.Time // a request older than this wants its whole physical core; 0: never
	Misses        Reading   // LLC misses per second, of all its cores
}

// Reading is what a sensor says, if there is one.
type Reading struct {
	Valid bool
	Value uint64
}

// Memory is the traffic of all cores with memory.
type Memory struct {
	BytesPerSecond Reading
	Limit          uint64    // bytes per second above which BE has to give way; 0: none
	At             core.Time // when it was read: a reading is acted upon once
}

// delay is how long the oldest piece of work has waited.
func (r *Runtime) delay() core.Time { return max(r.FrameDelay, r.TaskDelay, 0) }

// limit is how many cores it may have at most.
func (r *Runtime) limit() int {
	if !r.present() {
		return 0
	}
	return min(max(min(r.Most, r.Able), 0), MaxCores)
}

// only is the one core that is of use to r, or None.
func (s *Snapshot) only(r int16) int16 {
	if c := s.Runtimes[r].Only; c >= 0 && int(c) < s.cores() {
		return c
	}
	return None
}

// entitled is how many of them nobody else may claim.
func (r *Runtime) entitled() int { return min(max(r.Reserved, 0), r.limit()) }

// wanted is for how many more cores there is work, before those are counted that it has.
func (r *Runtime) wanted(now, interval core.Time) int {
	switch {
	case r.Class == BestEffort:
		return r.limit()
	case r.Class != LatencyCritical:
		return 0
	case r.Waiting > 0:
		return min(r.Waiting, MaxCores)
	case r.TaskDelay > 0 || r.timerDue(now, interval):
		return 1
	}
	return 0
}

// timerDue reports whether a timer is due within lead.
func (r *Runtime) timerDue(now, lead core.Time) bool {
	return r.NextTimer <= now || r.NextTimer-now <= lead
}

// owner is the index of the runtime that owns core c, or None if nobody does.
func (s *Snapshot) owner(c int) int16 { return s.present(s.Cores[c].Owner) }

// present is r if there is a runtime in that place, else None.
func (s *Snapshot) present(r int16) int16 {
	if r < 0 || int(r) >= s.runtimes() || !s.Runtimes[r].present() {
		return None
	}
	return r
}

// present reports whether somebody has this place.
func (r *Runtime) present() bool { return r.Class == LatencyCritical || r.Class == BestEffort }

// FailedFor is how long a core is not offered again to a runtime that did not take it up. A guess:
// long against a worker that was preempted, short against a person who looks.
const FailedFor = core.Millisecond

// barred is the runtime that must not get this core now, or None.
func (c *Core) barred(now core.Time) int16 {
	if c.Failed == None || since(now, c.FailedAt) >= FailedFor {
		return None
	}
	return c.Failed
}

// cores and runtimes are how many of each a policy looks at.
func (s *Snapshot) cores() int    { return min(len(s.Cores), MaxCores) }
func (s *Snapshot) runtimes() int { return min(len(s.Runtimes), MaxRuntimes) }
