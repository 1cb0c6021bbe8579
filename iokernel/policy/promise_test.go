package policy

import (
	"fmt"
	"slices"

	"github.com/dunlin-io/dunlin/core"
)

// decider is what all policies are.
type decider interface {
	Decide(now core.Time, s *Snapshot, out []Action) []Action
}

// outcome is a snapshot after a pass, by a count that shares no code with the policies' own.
type outcome struct {
	now   core.Time
	s     *Snapshot
	owner []int16 // as it will be
	moved []bool
	held  []int
	ready []int // cores that will turn to waiting work: idle ones and those under way
	wakes int
}

// settle checks what the actions say in themselves, and computes what comes of them.
func settle(now core.Time, s *Snapshot, actions []Action) (*outcome, error) {
	o := &outcome{
		now: now, s: s, wakes: s.Wakes, owner: make([]int16, s.cores()),
		moved: make([]bool, s.cores()), held: make([]int, s.runtimes()),
		ready: make([]int, s.runtimes()),
	}
	for c := range o.owner {
		o.owner[c] = None
		k := &s.Cores[c]
		if k.State <= Yielding {
			o.owner[c] = s.owner(c)
		}
		if r := o.owner[c]; r != None {
			o.held[r]++
			if k.State != Running {
				o.ready[r]++
			}
		}
	}
	for _, a := range actions {
		if err := o.apply(a); err != nil {
			return nil, fmt.Errorf("%w: %v in %v", err, a, actions)
		}
	}
	for _, a := range actions {
		if r := a.Runtime; r != None && o.held[r] > s.Runtimes[r].limit() {
			return nil, fmt.Errorf("runtime %d gets %d cores, and may have %d: %v", r, o.held[r],
				s.Runtimes[r].limit(), actions)
		}
	}
	if o.wakes < min(0, s.Wakes) {
		return nil, fmt.Errorf("%d wakes more than allowed: %v", -o.wakes, actions)
	}
	return o, nil
}

func (o *outcome) apply(a Action) error {
	if a.Core < 0 || int(a.Core) >= len(o.owner) {
		return fmt.Errorf("no such core")
	}
	if o.moved[a.Core] {
		return fmt.Errorf("two actions on one core")
	}
	k := &o.s.Cores[a.Core]
	if k.State == Yielding || k.State >= Offline {
		return fmt.Errorf("a core that is not to be touched, of state %d", k.State)
	}
	was := o.owner[a.Core]
	if a.From != was {
		return fmt.Errorf("the owner is %d", was)
	}
	if was != None {
		o.held[was]--
		if k.State == Idle {
			o.ready[was]--
		}
	}
	o.owner[a.Core], o.moved[a.Core] = None, true
	if a.Kind != Grant {
		if a.Runtime != None {
			return fmt.Errorf("a runtime where there is none")
		}
		return nil
	}
	r := a.Runtime
	if r < 0 || int(r) >= len(o.held) || !o.s.Runtimes[r].present() || r == was {
		return fmt.Errorf("granted to nobody, or to its owner")
	}
	if k.State == Parked {
		o.wakes--
	}
	if k.barred(o.now) == r {
		return fmt.Errorf("it did not take it up a moment ago")
	}
	o.owner[a.Core] = r
	o.held[r]++
	o.ready[r]++
	return nil
}

// lacks is for how many more cores runtime r has work.
func (o *outcome) lacks(r int) int {
	t := &o.s.Runtimes[r]
	lacks := t.wanted(o.now, o.s.Interval)
	switch {
	case t.Class == BestEffort:
		lacks -= o.held[r]
	case o.s.only(int16(r)) == None:
		lacks -= o.ready[r]
	}
	return min(lacks, t.limit()-o.held[r])
}

// left reports whether there is a core that runtime r could have: from LC as well, or not.
func (o *outcome) left(r int, lc bool) (core int, ok bool) {
	be := o.s.Runtimes[r].Class == BestEffort
	for c, was := range o.owner {
		k := &o.s.Cores[c]
		if o.moved[c] || k.State == Yielding || k.State >= Offline || was == int16(r) ||
			k.barred(o.now) == int16(r) {
			continue
		}
		if only := o.s.only(int16(r)); only != None && int(only) != c {
			continue
		}
		if k.State == Parked {
			if o.wakes > 0 {
				return c, true
			}
			continue
		}
		if was == None {
			return c, true
		}
		t := &o.s.Runtimes[was]
		over := o.held[was] > t.entitled()
		unused := k.State == Idle && o.unused(was)
		switch {
		case t.Class == BestEffort && over:
			return c, true
		case t.Class == LatencyCritical && unused && (be || over):
			return c, true
		case t.Class == LatencyCritical && over && lc:
			return c, true
		}
	}
	return 0, false
}

// unused reports whether runtime r has nothing to do for an idle worker of its own.
func (o *outcome) unused(r int16) bool {
	return o.s.Runtimes[r].wanted(o.now, o.s.Interval) == 0 || o.s.only(r) != None
}

// failed reports whether some core is barred to somebody. Who cannot have the core that is left may
// then get the one of a runtime that could have had it, and the next pass has to sort it out: what
// is promised of one pass assumes that the grants of the last ones succeeded.
func (o *outcome) failed() bool {
	for c := range o.owner {
		if o.s.Cores[c].barred(o.now) != None {
			return true
		}
	}
	return false
}

// promises checks everything that the package promises of one pass.
func promises(now core.Time, s *Snapshot, actions []Action, threshold core.Time) error {
	o, err := settle(now, s, actions)
	if err != nil {
		return err
	}
	for _, a := range actions {
		if err := o.fair(a, threshold); err != nil {
			return fmt.Errorf("%w: %v in %v", err, a, actions)
		}
	}
	for r := range s.runtimes() {
		t := &s.Runtimes[r]
		if o.lacks(r) <= 0 || o.failed() || parks(int16(r), actions) {
			continue
		}
		if o.held[r] < t.entitled() {
			if c, ok := o.left(r, true); ok {
				return fmt.Errorf("runtime %d lacks cores reserved for it, and could have %d: %v",
					r, c, actions)
			}
		}
		if o.held[r] == 0 && t.Class == LatencyCritical {
			if c, ok := o.left(r, false); ok {
				return fmt.Errorf("runtime %d has work, no core, and could have %d: %v",
					r, c, actions)
			}
		}
	}
	return nil
}

// parks reports whether runtime r gives up a core of no use to it. It had no room for the one it has
// use for, and has in the next pass.
func parks(r int16, actions []Action) bool {
	return slices.ContainsFunc(actions, func(a Action) bool {
		return a.Kind == Park && a.From == r
	})
}

// fair checks that an action takes a core from nobody who must not lose it.
func (o *outcome) fair(a Action, threshold core.Time) error {
	if a.From == None {
		return nil
	}
	k, from := &o.s.Cores[a.Core], &o.s.Runtimes[a.From]
	if from.Class == LatencyCritical && k.State == Idle && o.unused(a.From) {
		return nil
	}
	if o.held[a.From] < from.entitled() && !o.failed() {
		return fmt.Errorf("taken from what is reserved")
	}
	if from.Class != LatencyCritical {
		return nil
	}
	if a.Kind != Grant {
		return fmt.Errorf("taken from LC for nobody")
	}
	to := &o.s.Runtimes[a.Runtime]
	switch {
	case a.Reason == ForReserved && o.held[a.Runtime] <= to.entitled():
		return nil
	case to.Class != LatencyCritical:
		return fmt.Errorf("BE takes from LC")
	case to.delay() < threshold:
		return fmt.Errorf("LC takes from LC after %d ns", to.delay())
	}
	return nil
}
