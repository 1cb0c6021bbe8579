package sim

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// checker holds a policy to its promises, after every pass and by its own count.
type checker struct {
	m     *machine
	fixed bool // the policy looks at no queue

	// How long a reserved core may be away from a runtime with work. The time of the longest
	// request comes on top: another LC runtime may have one in hand there.
	returning core.Time

	starving core.Time   // how long a runtime with work may be without any core
	short    []core.Time // since when each runtime has had fewer cores than reserved, and work
	without  []core.Time // since when each has had no core, and work
	held     []int       // cores that each runtime owns
	on       []int       // cores on which its worker is
	coming   []int       // cores that it owns and has not taken up
}

func newChecker(m *machine, c *Config) checker {
	n := len(m.runtimes)
	quantum := core.Time(0)
	for _, r := range c.Runtimes {
		quantum += max(r.Quantum, core.Millisecond)
	}
	pass := c.Interval + c.Cost.Waker
	k := checker{
		m: m, fixed: c.Fixed, short: make([]core.Time, n), without: make([]core.Time, n),
		held: make([]int, n), on: make([]int, n), coming: make([]int, n),
		// One pass, and another if all cores are changing hands in the first.
		returning: 2*pass + c.Cost.HandOver + c.Cost.Wake,
		starving:  quantum + core.Time(n)*2*pass + core.Millisecond,
	}
	for i := range n {
		k.short[i], k.without[i] = core.Never, core.Never
	}
	return k
}

// actions checks what a pass wants to do before it is done.
func (k *checker) actions(now core.Time, all []policy.Action, s *policy.Snapshot) error {
	wakes := 0
	for i, a := range all {
		if int(a.Core) < 0 || int(a.Core) >= len(k.m.cores) {
			return fmt.Errorf("no such core: %v", a)
		}
		for _, b := range all[:i] {
			if a.Core == b.Core {
				return fmt.Errorf("two actions on one core: %v; %v", b, a)
			}
		}
		c := &k.m.cores[a.Core]
		if c.state == policy.Parked && a.Kind == policy.Grant {
			wakes++
		}
		if c.state == policy.Yielding || a.From != c.owner || wakes > s.Wakes ||
			a.Kind == policy.Grant && a.Runtime == c.owner || a.Kind != policy.Grant && c.busy {
			return fmt.Errorf("%v: state %d, owner %d, %d wakes", a, c.state, c.owner, wakes)
		}
		if to := a.Runtime; c.busy && k.m.runtimes[to].be() && a.Reason != policy.ForReserved {
			return fmt.Errorf("BE takes from LC: %v", a)
		}
	}
	return nil
}

// state checks what stands after a pass.
func (k *checker) state(now core.Time) error {
	if err := k.conserved(); err != nil {
		return err
	}
	for r := range k.m.runtimes {
		t := &k.m.runtimes[r]
		if k.held[r] > t.config.Most {
			return fmt.Errorf("runtime %d has %d cores of %d", r, k.held[r], t.config.Most)
		}
		if k.fixed {
			continue
		}
		if err := k.served(now, r, t); err != nil {
			return fmt.Errorf("runtime %d has %d of %d reserved cores, %d on it, and %d frames "+
				"wait: %w", r, k.held[r], t.config.Reserved, k.on[r], t.queue.count, err)
		}
	}
	return nil
}

// served checks that a runtime with work has what is its due.
func (k *checker) served(now core.Time, r int, t *tenant) error {
	// Cores under way, and those where its workers poll, will turn to what waits.
	work := t.queue.count > len(t.unused)+k.coming[r]
	if t.be() {
		work = k.held[r] < t.config.Most
	}
	short := work && k.held[r] < t.config.Reserved
	starved := work && k.held[r] == 0
	if c := k.lent(r); c >= 0 && (short || starved && !t.be()) {
		return fmt.Errorf("BE keeps core %d", c)
	}
	if err := overdue(&k.short[r], short, now, k.returning+k.m.longest); err != nil {
		return fmt.Errorf("short of them %w", err)
	}
	if t.be() {
		starved = starved && k.lent(r) >= 0 // LC may have all
	}
	if err := overdue(&k.without[r], starved, now, k.starving); err != nil {
		return fmt.Errorf("without a core %w", err)
	}
	return nil
}

// lent is a core that another BE runtime than r has beyond its reservation and could give, or -1.
func (k *checker) lent(r int) int {
	for i := range k.m.cores {
		c := &k.m.cores[i]
		if c.state != policy.Running || c.owner == policy.None || int(c.owner) == r {
			continue
		}
		if t := &k.m.runtimes[c.owner]; t.be() && k.held[c.owner] > t.config.Reserved {
			return i
		}
	}
	return -1
}

// overdue notes since when something has been the case, and complains if that is too long.
func overdue(since *core.Time, is bool, now, limit core.Time) error {
	switch {
	case !is:
		*since = core.Never
	case *since == core.Never:
		*since = now
	case now-*since > limit:
		return fmt.Errorf("for %v, not %v", micros(now-*since), micros(limit))
	}
	return nil
}

// conserved counts owners and workers.
func (k *checker) conserved() error {
	clear(k.held)
	clear(k.on)
	clear(k.coming)
	for i := range k.m.cores {
		c := &k.m.cores[i]
		if c.on != policy.None {
			k.on[c.on]++
		}
		if c.owner != policy.None {
			k.held[c.owner]++
			if c.state == policy.Yielding {
				k.coming[c.owner]++
			}
		}
		settled := c.on == c.owner || c.state == policy.Yielding
		if !settled || c.state == policy.Parked && c.owner != policy.None ||
			c.busy && c.state != policy.Running && c.state != policy.Yielding {
			return fmt.Errorf("core %d in state %d is owned by %d with %d on it", i, c.state,
				c.owner, c.on)
		}
	}
	for r := range k.m.runtimes {
		if t := &k.m.runtimes[r]; t.onCores != k.on[r] {
			return fmt.Errorf("runtime %d runs on %d cores, and believes in %d", r, k.on[r],
				t.onCores)
		}
	}
	return nil
}
