// Package cores lends a machine's cores to runtimes: it looks at what waits and who works, has a
// policy decide, writes the batons, and sees to it that each core passes on.
//
//	ports' backlogs ──┐                                          ┌──> baton page, read by workers
//	load pages ───────┼──> Snapshot ──policy──> []Action ──grant──┤
//	batons, clocks ───┘        ^                                  └──> Lender: what if it is not
//	                           └──── what became of it ───────────────  taken up ──> Hands
//
// Scheduler is a poller of the iokernel's loop, behind the Dataplane. A pass comes every Interval,
// and at once when a frame waits for a latency-critical runtime that has no core. Nothing here
// makes system calls or reads a clock: Hands has the few calls that concern other processes'
// threads, and they are made seldom, because workers hand their cores over by themselves (package
// baton).
//
// What a runtime says on its load page costs nobody but itself: it is clamped, and the core of a
// worker that does not do what it says is taken by force, from the kernel's scheduler.
//
// A guest is an ordinary program on the cores that others leave. It knows no batons: the kernel
// runs it, at the lowest priority, when the workers of a core sleep. Granting it a core has them
// sleep.
//
// Time on a core belongs to whoever took it up last, until the next one is seen to; so the times
// of all owners and of nobody add up to the time since the start.
package cores

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// Policy decides who gets which core: see package policy.
type Policy interface {
	Decide(now core.Time, s *policy.Snapshot, out []policy.Action) []policy.Action
}

// Hands are what a Scheduler does to threads of other processes. Cores are named by their line, a
// thread by the core that its worker is confined to and the owner it is of.
type Hands interface {
	Wake(core int, o baton.Owner) (woken int)
	Signal(core int, o baton.Owner)
	Demote(core int, o baton.Owner)
	Promote(core int, o baton.Owner)
}

// Config of a Scheduler.
type Config struct {
	Page      *baton.Page // a line for each core that is lent
	Policy    Policy
	Interval  core.Time // between two passes, at most
	Deadlines baton.Deadlines
	Siblings  []int16 // of each core, the index of its other hyperthread or policy.None; nil: none
	Hands     Hands
	// MemoryLimit is the memory traffic in bytes per second above which BE gives way; 0: none.
	MemoryLimit uint64
	// Notify is called, on the Scheduler's thread, when a stuck worker waits for NextStuck. It must
	// not block.
	Notify func()
}

// handOverGuess is what a hand-over takes before one was seen. (DIARY #5)
const handOverGuess = 3 * core.Microsecond

// recallGuess is what one takes that needs a wake from another core, before one was seen.
const recallGuess = 20 * core.Microsecond

// defaultPrompt is the least time between two passes, however much waits. (guess: about what one
// takes)
const defaultPrompt = core.Microsecond

// Scheduler is the poller. It belongs to the iokernel's thread.
type Scheduler struct {
	config   Config
	prompt   core.Time
	rests    bool // idle cores park: but for a policy that has dealt them out for good
	seats    []seat
	runtimes [policy.MaxRuntimes]*Runtime // by place; nil: free
	count    int                          // of runtimes
	ids      uint64                       // given out so far
	snapshot policy.Snapshot
	actions  []policy.Action
	crew     crew
	log      decisions
	stuck    []Stuck // not reported yet
	handOver core.Time
	recall   core.Time // the same where it took a wake from here
	offline  []bool

	started core.Time
	begun   bool
	last    core.Time // the last pass
	next    core.Time // when the next one is due at the latest
	busy    bool      // some core may not be settled
	awake   bool      // something may happen that rings nobody
	counts  Counters
}

// seat is one core.
type seat struct {
	lender   baton.Lender
	ownedAt  core.Time // when it was seen to be taken up
	idleAt   core.Time
	idle     bool
	named    uint64 // places whose it was since then: they may have had it for a moment, unseen
	last     int16  // who had it before the owner, by place
	lastAt   core.Time
	failed   int16 // who did not take it up last, by place
	failedAt core.Time
	beats    uint32    // of the worker, when it failed
	failures uint8     // times in a row
	excused  uint8     // of these, how often it ran afterwards
	parked   bool      // the owner's worker parks, and that was seen
	stoodAt  core.Time // when it was last said that the owner's worker stands
	reason   policy.Reason
	granted  bool // reason is that of the word
	crossed  bool // ... and it took a wake across cores
	grants   uint64

	occupant int16     // whose time it is, by place, or policy.None
	since    core.Time // ... from then on
	nobody   core.Time // time that was nobody's
	times    [policy.MaxRuntimes]core.Time
	past     map[string]core.Time // of runtimes that were detached, by name
}

// Counters are what a Scheduler did since the start.
type Counters struct {
	Passes    uint64
	Prompt    uint64 // of these, those that did not wait for the interval
	Grants    uint64
	Keeps     uint64
	Parks     uint64
	Reasons   [policy.Reasons]uint64
	Demotions uint64
	Stuck     uint64
	HandOver  Histogram // from a grant until a pass sees it taken up, by the core alone
	Woken     Histogram // the same where it took a wake from here
	Detection Histogram // how long a grant's work had been seen to wait
}

// Stuck names a worker that does not do its part, whatever is done.
type Stuck struct {
	Core    int
	Runtime *Runtime
	Fault   Fault
}

// Fault is what a worker does not do.
type Fault uint8

// The faults.
const (
	Keeps  Fault = iota // the core is another's, and it does not pass it on
	Stays               // the core is nobody's, and it does not sleep
	Misses              // the core is its own, and it does not take it up
	Stands              // ... and it has taken it up, and its loop does not go round; LC only
)

// New returns a Scheduler that lends nothing yet: every core is nobody's.
func New(c Config) (*Scheduler, error) {
	n := c.Page.Cores()
	if n > policy.MaxCores {
		return nil, fmt.Errorf("cores: %d cores: at most %d can be lent", n, policy.MaxCores)
	}
	if c.Interval <= 0 || c.Deadlines.Yield <= 0 || c.Deadlines.Stuck < 2*c.Deadlines.Yield {
		return nil, fmt.Errorf("cores: passes every %d ns, deadlines of %d and %d ns: want "+
			"more than 0, and the second deadline at least twice the first", c.Interval,
			c.Deadlines.Yield, c.Deadlines.Stuck)
	}
	if c.Siblings != nil && len(c.Siblings) != n {
		return nil, fmt.Errorf("cores: siblings of %d cores, and %d are lent",
			len(c.Siblings), n)
	}
	s := &Scheduler{
		config: c, prompt: defaultPrompt, seats: make([]seat, n),
		actions:  make([]policy.Action, 0, n),
		handOver: handOverGuess, recall: recallGuess, offline: make([]bool, n), next: core.Never,
		snapshot: policy.Snapshot{
			Cores: make([]policy.Core, n), Runtimes: make([]policy.Runtime, policy.MaxRuntimes),
			Interval: c.Interval, Memory: policy.Memory{Limit: c.MemoryLimit},
		},
		stuck: make([]Stuck, 0, n),
	}
	s.crew.scheduler = s
	_, dealt := c.Policy.(*policy.Static)
	s.rests = !dealt
	for i := range s.seats {
		s.seats[i] = seat{
			lender: baton.NewLender(c.Deadlines, c.Page.Load(i)),
			last:   policy.None, failed: policy.None, occupant: policy.None,
			past: map[string]core.Time{},
		}
	}
	return s, nil
}

// Cores is how many cores are lent.
func (s *Scheduler) Cores() int { return len(s.seats) }

// SetOffline takes a core out, or has it back. Whoever has it loses it.
func (s *Scheduler) SetOffline(now core.Time, core int, offline bool) {
	if s.offline[core] == offline {
		return
	}
	s.offline[core] = offline
	if offline && s.seats[core].lender.Word().Owner() != baton.Nobody {
		s.grant(now, core, baton.Nobody)
	}
	s.next = now
}

// Revoke takes a core from a runtime whose worker there is known not to run, though it has it.
func (s *Scheduler) Revoke(now core.Time, core int, r *Runtime) {
	k := &s.seats[core]
	if s.runtimes[r.place] != r || k.lender.Word().Owner() != r.owner || !k.lender.Settled() {
		return // it has lost it meanwhile
	}
	s.fail(now, core, r)
	s.grant(now, core, baton.Nobody)
	s.next = now
}

// SetMemoryTraffic is a reading of the memory traffic, as of at; not valid: nobody measures it.
func (s *Scheduler) SetMemoryTraffic(at core.Time, bytesPerSecond policy.Reading) {
	s.snapshot.Memory.At, s.snapshot.Memory.BytesPerSecond = at, bytesPerSecond
}

// SetPasses changes the interval between passes, and the least time before one that comes early
// because a frame waits for a runtime without a core; 0 means the usual one.
func (s *Scheduler) SetPasses(interval, prompt core.Time) {
	if prompt == 0 {
		prompt = defaultPrompt
	}
	s.config.Interval, s.snapshot.Interval, s.prompt = interval, interval, prompt
}

// NextStuck returns the oldest report of a stuck worker that was not taken yet.
func (s *Scheduler) NextStuck() (Stuck, bool) {
	if len(s.stuck) == 0 {
		return Stuck{}, false
	}
	first := s.stuck[0]
	s.stuck = append(s.stuck[:0], s.stuck[1:]...)
	return first, true
}

// Counters returns a copy of the counts.
func (s *Scheduler) Counters() Counters { return s.counts }

// Standing is how readily an LC runtime lends what it does not use, where the policy says so.
func (s *Scheduler) Standing(r *Runtime) policy.Standing {
	if p, ok := s.config.Policy.(interface{ Standing(int) policy.Standing }); ok {
		return p.Standing(r.place)
	}
	return policy.Standing{}
}

var _ core.Poller = (*Scheduler)(nil)
