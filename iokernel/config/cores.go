package config

import (
	"fmt"
	"slices"

	"github.com/dunlin-io/dunlin/core"
)

// Class says whether a runtime's cores come and go.
type Class uint8

const (
	ClassPinned Class = iota // its workers stay where they are
	ClassLC                  // latency-critical: has cores when it has work
	ClassBE                  // best effort: has what lc leaves
)

// CorePolicy says who gets the cores that are lent.
type CorePolicy uint8

const (
	PolicyStatic  CorePolicy = iota // each runtime a fixed part
	PolicySimple                    // by demand, whatever a move costs
	PolicyCaladan                   // by demand and queueing delay, unless moves do not pay
)

func (c Class) names() []string      { return []string{"pinned", "lc", "be"} }
func (p CorePolicy) names() []string { return []string{"static", "simple", "caladan"} }

func (c Class) String() string      { return nameOf(c) }
func (p CorePolicy) String() string { return nameOf(p) }

func (c *Class) parse(text string) error      { return choose(c, text) }
func (p *CorePolicy) parse(text string) error { return choose(p, text) }

// Lend is the CPUs that are lent.
type Lend struct {
	Auto bool  // all that are allowed, but the iokernel's; List is empty
	List []int // without repetition; none: no CPU is lent
}

// Any reports whether CPUs are lent.
func (l Lend) Any() bool { return l.Auto || len(l.List) > 0 }

func (l Lend) String() string {
	switch {
	case l.Auto:
		return "auto"
	case len(l.List) == 0:
		return "none"
	}
	return FormatList(l.List)
}

func (l *Lend) parse(text string) error {
	switch text {
	case "auto":
		*l = Lend{Auto: true}
		return nil
	case "none", "":
		*l = Lend{}
		return nil
	}
	list, err := ParseList(text)
	if err != nil {
		return fmt.Errorf("%w (auto and none are fine too)", err)
	}
	*l = Lend{List: list}
	return nil
}

// Lent are the CPUs to lend where the process may use the allowed ones and the iokernel runs on
// own, in their order.
func (c Config) Lent(allowed []int, own int) []int {
	if !c.Cores.Lend.Auto {
		return c.Cores.Lend.List
	}
	return slices.DeleteFunc(slices.Clone(allowed), func(cpu int) bool { return cpu == own })
}

// Bounds of the times of cores.
const (
	// A pass takes about 1 us; more often than every second one nothing else would be done.
	minInterval = core.Microsecond
	maxInterval = core.Second
	// Force before a hand-over can be done would be used each time.
	minYield    = 10 * core.Microsecond
	maxDeadline = 10 * core.Second
	maxQuantum  = 10 * core.Second

	maxLent      = 64      // threads that can serve each other's ports
	maxBandwidth = 100_000 // GB/s
)

// validateCores looks at what is lent.
func (c *Config) validateCores(p *problems) {
	k := &c.Cores
	if n := len(k.Lend.List); n > maxLent {
		p.add("cores.lend", "%d CPUs; want at most %d", n, maxLent)
	}
	if c.CPU != AnyCPU && slices.Contains(k.Lend.List, int(c.CPU)) {
		p.add("cores.lend", "CPU %d is the iokernel's own (cpu); it cannot lend that", c.CPU)
	}
	if k.Interval < minInterval || k.Interval > maxInterval {
		p.add("cores.interval", "%s: want %s to %s", FormatTime(k.Interval),
			FormatTime(minInterval), FormatTime(maxInterval))
	}
	if k.Threshold <= 0 || k.Threshold > maxDeadline {
		p.add("cores.threshold", "%s: want up to %s", FormatTime(k.Threshold),
			FormatTime(maxDeadline))
	}
	if k.YieldDeadline < minYield || k.YieldDeadline > maxDeadline {
		p.add("cores.yield_deadline", "%s: want %s to %s", FormatTime(k.YieldDeadline),
			FormatTime(minYield), FormatTime(maxDeadline))
	}
	if k.StuckDeadline < 2*k.YieldDeadline || k.StuckDeadline > maxDeadline {
		p.add("cores.stuck_deadline", "%s: want %s (twice the yield_deadline) to %s",
			FormatTime(k.StuckDeadline), FormatTime(2*k.YieldDeadline), FormatTime(maxDeadline))
	}
	if k.BandwidthLimit < 0 || k.BandwidthLimit > maxBandwidth*1000 {
		p.add("cores.bandwidth_limit", "%d MB/s: want 0 to %d", k.BandwidthLimit,
			maxBandwidth*1000)
	}
}

// validateClass looks at what a runtime says of its cores.
func (r *Runtime) validateClass(p *problems, prefix string, lend Lend) {
	if r.Class == ClassPinned {
		if r.Reserved != 0 || r.Most != 0 || r.RequestBudget != 0 {
			p.add(prefix+"class", "reserved, most and request_budget are for class lc or be")
		}
		return
	}
	switch {
	case !lend.Any():
		p.add(prefix+"class", "%v: no cores are lent; name CPUs in cores.lend, or auto", r.Class)
	case r.AllowDirect:
		p.add(prefix+"class", "%v: the cores of a direct runtime stay its own; take allow_direct "+
			"out, or class", r.Class)
	case r.Workers != 1 || len(r.CPUs) > 0:
		p.add(prefix+"workers", "a runtime of class %v has one on each core that is lent; leave "+
			"workers and cpus out", r.Class)
	}
	if r.Reserved < 0 || r.Most < 0 || r.Most > 0 && r.Reserved > r.Most {
		p.add(prefix+"reserved", "%d cores of at most %d", r.Reserved, r.Most)
	}
	if r.Quantum <= 0 || r.Quantum > maxQuantum {
		p.add(prefix+"quantum", "%s: want up to %s", FormatTime(r.Quantum),
			FormatTime(maxQuantum))
	}
	if r.RequestBudget > maxQuantum {
		p.add(prefix+"request_budget", "%s: want up to %s", FormatTime(r.RequestBudget),
			FormatTime(maxQuantum))
	}
}

// checkLent reports runtimes that ask for more than the lent CPUs have.
func (c *Config) checkLent(p *problems, lent []int) {
	reserved := 0
	for i, r := range c.Runtimes {
		if r.Class == ClassPinned {
			continue
		}
		prefix := fmt.Sprintf("runtimes[%d].", i)
		places := len(lent)
		reserved += r.Reserved
		if r.Reserved > places || r.Most > places {
			p.add(prefix+"reserved", "%d cores reserved of at most %d, but it can have %d (CPUs "+
				"%s are lent)", r.Reserved, r.Most, places, FormatList(lent))
		}
		if r.Frames < minFrames*places {
			p.add(prefix+"frames", "%d: want %d or more, %d for each core that it may get",
				r.Frames, minFrames*places, minFrames)
		}
	}
	if reserved > len(lent) {
		p.add("runtimes", "%d cores are reserved in all, and %d are lent (CPUs %s)", reserved,
			len(lent), FormatList(lent))
	}
	for i, r := range c.Runtimes {
		if r.Class != ClassPinned {
			continue
		}
		for _, cpu := range r.CPUs {
			if slices.Contains(lent, cpu) {
				p.add(fmt.Sprintf("runtimes[%d].cpus", i), "CPU %d is lent to others "+
					"(cores.lend); a pinned worker would run there beside them", cpu)
			}
		}
	}
}
