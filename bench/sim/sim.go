// Package sim simulates a machine with many cores in virtual time. What decides in it is the
// production code: a policy of iokernel/policy gets the snapshots that it would get from an
// iokernel, and what it says is carried out at the cost that was measured for it.
//
//	generator ──request──> machine <──grant, park── scheduler ──Snapshot──> policy.Decide
//	                        cores                    each Interval
//
// A [Loop] of events is the only clock. It knows nothing of cores, and serves any simulation whose
// components are machines without a clock of their own. Each component draws its randomness from a
// [Source] of its own, so a seed names a run: the same seed gives the same hash of events.
//
// Modelled: cores that are busy while they work; requests that run to completion, in the order in
// which they came, on whichever of their runtime's cores is free; hand-overs that cost the core,
// wakes that also cost the scheduler; BE that uses all it gets and stops at once when told. Not
// modelled: caches, memory bandwidth, the time Decide takes, the cost of stealing within a runtime,
// and frames between the wire and the runtime.
//
// A simulation is for one goroutine; several can run beside each other.
package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// Policy is who decides.
type Policy interface {
	Decide(now core.Time, s *policy.Snapshot, out []policy.Action) []policy.Action
}

// Cost is what moves cost.
type Cost struct {
	HandOver core.Time // nobody works on a core that changes hands
	Wake     core.Time // the same if it was parked
	Waker    core.Time // what the wake costs the scheduler
}

// MeasuredCost is what moves cost on a virtual machine with two CPUs: a hand-over between two
// processes on one core, and a futex wake of a thread on another core, with the waker's own part.
func MeasuredCost() Cost {
	return Cost{
		HandOver: 2 * core.Microsecond, Wake: 20 * core.Microsecond, Waker: 12 * core.Microsecond,
	}
}

// RuntimeConfig is one runtime.
type RuntimeConfig struct {
	Class    policy.Class
	Reserved int
	Most     int       // 0: all cores
	Quantum  core.Time // of BE
	Service  Service   // of LC
	Load     Load      // of LC; BE has work for every core that it may have
}

// Config is one simulation.
type Config struct {
	Seed     uint64
	Cores    int
	Runtimes []RuntimeConfig
	Interval core.Time // from one pass to the next
	Prompt   core.Time // if not 0, a pass as soon as a request waits, this long after the last one
	Cost     Cost
	Warmup   core.Time // not counted
	Measure  core.Time // counted, after that
	Fixed    bool      // the policy looks at no queue: hold it to the promises that it makes
}

// Result is what came of one simulation.
type Result struct {
	Hash    uint64 // of all events
	Events  uint64
	Times   []*Times    // per runtime: from a request's arrival until it was done; empty for BE
	Waiting []int       // per runtime: requests that were left at the end
	Used    []core.Time // per runtime: core time in requests, or of BE on cores

	// Of all cores over the measured time:
	Unused    float64 // part of the core time in which no LC request ran
	BEShare   float64 // part of that which BE had
	DeadShare float64 // part of the core time in which cores changed hands

	MovesPerSecond float64
	Wakes, Parks   uint64
	Reasons        [policy.Reasons]uint64 // actions, by what decided; warm-up included
}

// Run simulates. An error is a promise broken, with the seed and the time at which it was.
func Run(c Config, p Policy) (Result, error) {
	if err := c.validate(); err != nil {
		return Result{}, fmt.Errorf("sim: %w", err)
	}
	loop := NewLoop()
	m := newMachine(loop, &c)
	for i := range c.Runtimes {
		if r := &c.Runtimes[i]; r.Class == policy.LatencyCritical {
			newGenerator(loop, r.Load, r.Service, c.Cores, NewSource(c.Seed, "requests", i),
				func(arrived, service core.Time) { m.arrive(int16(i), arrived, service) })
		}
	}
	s := newScheduler(loop, m, p, &c)
	loop.Run(c.Warmup)
	before := m.account(c.Warmup)
	if s.err == nil {
		loop.Run(c.Warmup + c.Measure)
	}
	if s.err != nil {
		return Result{}, fmt.Errorf("sim: seed %d, at %d ns: %w", c.Seed, loop.Now(), s.err)
	}
	result := before.until(m, loop.Now())
	result.Hash, result.Events, result.Reasons = loop.Hash(), loop.Events(), s.reasons
	return result, nil
}

func (c *Config) validate() error {
	lc := false
	c.Runtimes = append([]RuntimeConfig(nil), c.Runtimes...)
	for i := range c.Runtimes {
		r := &c.Runtimes[i]
		if r.Most == 0 {
			r.Most = c.Cores
		}
		if r.Class == policy.LatencyCritical {
			lc = true
			if r.Service.Mean <= 0 || r.Load.Low < 0 || r.Load.High < 0 || r.Load.Dwell < 0 {
				return fmt.Errorf("runtime %d: %v, %v", i, r.Service, r.Load)
			}
		}
	}
	switch {
	case c.Cores < 1 || c.Cores > policy.MaxCores:
		return fmt.Errorf("%d cores, and a policy knows 1 to %d", c.Cores, policy.MaxCores)
	case len(c.Runtimes) > policy.MaxRuntimes:
		return fmt.Errorf("%d runtimes, and a policy knows %d", len(c.Runtimes), policy.MaxRuntimes)
	case !lc:
		return errors.New("no LC runtime")
	case c.Interval <= 0 || c.Measure <= 0 || c.Warmup < 0 || c.Prompt < 0:
		return fmt.Errorf("a pass every %d ns, after %d ns, for %d + %d ns", c.Interval, c.Prompt,
			c.Warmup, c.Measure)
	}
	return nil
}

// wait is how long a request may have to wait for a pass.
func (c *Config) wait() core.Time {
	if c.Prompt > 0 {
		return c.Prompt
	}
	return c.Interval
}

// account is what was used until some time.
type account struct {
	at    core.Time
	used  []core.Time
	moves moves
}

func (m *machine) account(now core.Time) account {
	a := account{at: now, moves: m.moves}
	for r := range m.runtimes {
		a.used = append(a.used, m.used(now, int16(r)))
	}
	return a
}

// until is what was used between the account and now.
func (a *account) until(m *machine, now core.Time) Result {
	b := m.account(now)
	total := float64(now-a.at) * float64(len(m.cores))
	var lc, be core.Time
	var r Result
	for i := range m.runtimes {
		t := &m.runtimes[i]
		used := b.used[i] - a.used[i]
		if t.be() {
			be += used
		} else {
			lc += used
		}
		r.Used = append(r.Used, used)
		r.Times = append(r.Times, t.times)
		r.Waiting = append(r.Waiting, t.queue.count)
	}
	r.Unused = 1 - float64(lc)/total
	r.BEShare = float64(be) / (total - float64(lc))
	r.DeadShare = float64(b.moves.dead-a.moves.dead) / total
	r.MovesPerSecond = float64(b.moves.grants-a.moves.grants) / (float64(now-a.at) / 1e9)
	r.Wakes, r.Parks = b.moves.wakes-a.moves.wakes, b.moves.parks-a.moves.parks
	return r
}

func micros(t core.Time) time.Duration { return time.Duration(t) }
