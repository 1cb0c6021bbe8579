package swarm

import (
	"cmp"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
)

// Fleet runs the seeds from Base on, on several goroutines. Which goroutine runs which seed changes
// nothing about it.
type Fleet struct {
	Base    uint64
	Seeds   uint64 // at most so many; 0: until Stop
	Frames  uint64 // of each; 0: DefaultFrames
	Workers int
	Stop    func() bool // asked before each seed; nil: never
	Tell    func(Result)
}

// Summary is what came of many seeds.
type Summary struct {
	Seeds    uint64
	Frames   uint64 // link events
	Events   uint64
	Starved  uint64 // seeds with fewer link events than asked for
	Outcomes Outcomes
	Rare     Rare
	Failures []Result // by seed, the first few
	Failed   uint64   // seeds
}

// keepFailures bounds the failures that are kept: the first few are enough to work on.
const keepFailures = 16

// gcPercent lets the heap grow to five times what is in use, which is little: each run throws away
// what it had. A twentieth of the time.
const gcPercent = 400

// Run runs the fleet.
func (f *Fleet) Run() Summary {
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	frames := f.Frames
	if frames == 0 {
		frames = DefaultFrames
	}
	var next atomic.Uint64
	var sum Summary
	var mu sync.Mutex
	var all sync.WaitGroup
	for range max(f.Workers, 1) {
		all.Go(func() {
			r := NewRunner()
			for {
				n := next.Add(1) - 1
				if f.Seeds != 0 && n >= f.Seeds || f.Stop != nil && f.Stop() {
					return
				}
				s := Draw(f.Base+n, frames)
				result := r.Run(&s)
				mu.Lock()
				sum.add(result)
				if f.Tell != nil {
					f.Tell(result)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.SortFunc(sum.Failures, func(a, b Result) int {
		return cmp.Compare(a.Scenario.Seed, b.Scenario.Seed)
	})
	return sum
}

func (s *Summary) add(r Result) {
	s.Seeds++
	s.Frames += r.Frames
	s.Events += r.Events
	if r.Starved {
		s.Starved++
	}
	for k := range r.Outcomes {
		for o, n := range r.Outcomes[k] {
			s.Outcomes[k][o] += n
		}
	}
	s.Rare.add(&r.Rare)
	if r.Failure != nil {
		s.Failed++
		if len(s.Failures) < keepFailures {
			s.Failures = append(s.Failures, r)
		}
	}
}
