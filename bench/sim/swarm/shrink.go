package swarm

import (
	"slices"

	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/core/fault"
)

// Shrink looks for a smaller scenario that breaks the same promise: fewer hosts, faults and acts,
// less work, a shorter run. It tries one reduction after another and keeps those that still fail
// (Zeller's delta debugging, one element at a time), until none does or so many runs are used up.
// Because each component draws from a generator of its own, a reduction leaves the rest alike.
func Shrink(r *Runner, failed Result, runs int) (smallest Result, used int) {
	smallest = failed
	for again := true; again; {
		again = false
		for _, reduce := range reductions(smallest) {
			if used == runs {
				return smallest, used
			}
			s := copyOf(smallest.Scenario)
			if !reduce(&s) {
				continue
			}
			used++
			result := r.Run(&s)
			if result.Failure != nil && result.Failure.Invariant == smallest.Failure.Invariant {
				smallest, again = result, true
			}
		}
	}
	return smallest, used
}

// copyOf is a scenario that shares nothing with s.
func copyOf(s *Scenario) Scenario {
	c := *s
	c.Script.Cables = slices.Clone(s.Script.Cables)
	c.Script.Steps = slices.Clone(s.Script.Steps)
	c.Hosts = slices.Clone(s.Hosts)
	c.Acts = slices.Clone(s.Acts)
	c.Heal.Well = slices.Clone(s.Heal.Well)
	c.Heal.Other = slices.Clone(s.Heal.Other)
	return c
}

// reduction makes a scenario smaller; false if there is nothing to reduce.
type reduction func(s *Scenario) bool

// reductions is all that may be tried on a failure, what saves most first.
func reductions(failed Result) []reduction {
	all := []reduction{
		func(s *Scenario) bool { return lower(&s.Frames, failed.Failure.Frames+1) },
		func(s *Scenario) bool { return lower(&s.Frames, s.Frames/2) },
		dropHost,
		func(s *Scenario) bool { return dropAll(&s.Acts) },
		func(s *Scenario) bool { return dropAll(&s.Script.Cables) },
		dropLater,
	}
	for k := range fault.Kind(fault.KindCount) {
		all = append(all, func(s *Scenario) bool { return dropFault(s, k) })
	}
	for i := range failed.Scenario.Acts {
		all = append(all, func(s *Scenario) bool { return drop(&s.Acts, i) })
	}
	for i := range failed.Scenario.Script.Steps {
		all = append(all, func(s *Scenario) bool { return dropStep(s, i) })
	}
	for what := range failed.Scenario.Work.Weights {
		all = append(all, func(s *Scenario) bool { return lower(&s.Work.Weights[what], 0) })
	}
	return append(all, lessWork()...)
}

// lessWork is the reductions of what hosts are like and do.
func lessWork() []reduction {
	return []reduction{
		func(s *Scenario) bool { return lower(&s.Work.Outstanding, s.Work.Outstanding/2+1) },
		func(s *Scenario) bool { return lower(&s.Work.Sizes.Most, s.Work.Sizes.Most/2+1) },
		func(s *Scenario) bool { return lower(&s.Work.Replies.Most, s.Work.Replies.Most/2+1) },
		func(s *Scenario) bool { return lower(&s.Work.Regions, s.Work.Regions/2) },
		func(s *Scenario) bool { return lower(&s.Work.Think, 0) },
		func(s *Scenario) bool { return lower(&s.Work.Silent, 0) },
		func(s *Scenario) bool { return lower(&s.Work.Refuse, 0) },
		func(s *Scenario) bool { return lower(&s.Work.Wild, 0) },
		eachPlan(func(p *Plan) bool { return lower(&p.UDP, 0) }),
		eachPlan(func(p *Plan) bool { return lower(&p.Lanes, 1) }),
		eachPlan(func(p *Plan) bool { return lower(&p.ClockAt, 0) }),
		eachPlan(func(p *Plan) bool { return lower(&p.KeyFrames, 0) }),
		eachPlan(func(p *Plan) bool { return set(&p.DriftPPM, 0) }),
		eachPlan(func(p *Plan) bool { return lower(&p.RenewAfter, 0) }),
		eachPlan(func(p *Plan) bool { return set(&p.MTU, 1500) }),
		eachPlan(func(p *Plan) bool { return set(&p.Ring, 512) }),
		eachPlan(func(p *Plan) bool { return set(&p.Burst, 64) }),
		eachPlan(func(p *Plan) bool { return set(&p.PeerBytes, 0) || set(&p.MemoryBytes, 0) }),
		func(s *Scenario) bool {
			if len(s.Heal.Other) == 0 {
				return false
			}
			s.Heal = healAll(len(s.Hosts))
			return true
		},
	}
}

func healAll(hosts int) (h Heal) {
	for i := range hosts {
		h.Well = append(h.Well, i)
	}
	return h
}

func set[T comparable](at *T, to T) bool {
	changes := *at != to
	*at = to
	return changes
}

func lower[T ~int | ~int64 | ~uint64 | ~uint8](at *T, to T) bool {
	if *at <= to {
		return false
	}
	*at = to
	return true
}

func eachPlan(change func(p *Plan) bool) reduction {
	return func(s *Scenario) bool {
		changes := false
		for i := range s.Hosts {
			changes = change(&s.Hosts[i]) || changes
		}
		return changes
	}
}

func dropAll[T any](all *[]T) bool {
	changes := len(*all) > 0
	*all = nil
	return changes
}

func drop[T any](all *[]T, i int) bool {
	if i >= len(*all) {
		return false
	}
	*all = slices.Delete(*all, i, i+1)
	return true
}

// dropHost removes the last host.
func dropHost(s *Scenario) bool {
	last := len(s.Hosts) - 1
	if last < 2 {
		return false
	}
	s.Hosts, s.Script.Hosts = s.Hosts[:last], last
	s.Script.Steps = slices.DeleteFunc(s.Script.Steps, func(x fabric.Step) bool {
		return x.From == last || x.To == last
	})
	s.Script.Cables = slices.DeleteFunc(s.Script.Cables, func(c fabric.Cable) bool {
		return c.Host == last
	})
	s.Acts = slices.DeleteFunc(s.Acts, func(a Act) bool { return a.Host == last })
	s.Heal = healAll(last)
	return true
}

// dropLater removes all steps but those of the beginning.
func dropLater(s *Scenario) bool {
	before := len(s.Script.Steps)
	s.Script.Steps = slices.DeleteFunc(s.Script.Steps, func(x fabric.Step) bool { return x.At > 0 })
	return len(s.Script.Steps) < before
}

// dropFault removes one kind of fault everywhere.
func dropFault(s *Scenario, k fault.Kind) bool {
	changes := false
	for i := range s.Script.Steps {
		c := &s.Script.Steps[i].Faults
		changes = set(c, c.Without(k)) || changes
	}
	return changes
}

// dropStep removes a later step, or the faults of one of the beginning.
func dropStep(s *Scenario, i int) bool {
	if i >= len(s.Script.Steps) {
		return false
	}
	x := &s.Script.Steps[i]
	if x.At > 0 {
		return drop(&s.Script.Steps, i)
	}
	return set(&x.Faults, fault.Config{Delay: fault.Delay{Fixed: x.Faults.Delay.Fixed}})
}
