package sensor

import (
	"errors"
	"fmt"

	"github.com/dunlin-io/dunlin/core"
)

// Counter is one hardware counter of one CPU.
type Counter interface {
	Read() (Count, error)
	Close() error
}

// Count is a reading. When there are more events than counters the kernel takes turns: the event
// was wanted for Enabled, and counted for Running.
type Count struct {
	Value            uint64
	Enabled, Running uint64 // ns
}

// Perf is the Misses of hardware counters, one for each CPU, that count whatever runs there.
type Perf struct {
	cpus map[int]*perfCPU
}

// perfCPU is the counter of one CPU and its last reading.
type perfCPU struct {
	counter Counter
	failed  error // why there is none
	last    Count
	at      core.Time
	rate    uint64
	any     bool
}

// OpenPerf opens a counter for each CPU; open is OpenCounter but in tests. The error, that of the
// last CPU, is *Unavailable unless something is broken; a counter for one of them is enough. The
// caller closes it.
func OpenPerf(open func(cpu int) (Counter, error), cpus []int) (*Perf, error) {
	p := &Perf{cpus: map[int]*perfCPU{}}
	err := error(&Unavailable{Sensor: "perf", Why: "no CPU was named"})
	opened := false
	for _, cpu := range cpus {
		if p.cpus[cpu] != nil {
			continue
		}
		counter, failed := open(cpu)
		p.cpus[cpu] = &perfCPU{counter: counter, failed: failed}
		if failed == nil {
			opened = true
		} else {
			err = failed
		}
	}
	if !opened {
		return nil, err
	}
	return p, nil
}

// PerSecond is part of Misses.
func (p *Perf) PerSecond(now core.Time, cpu int) (uint64, error) {
	c := p.cpus[cpu]
	switch {
	case c == nil:
		return 0, fmt.Errorf("sensor: perf: CPU %d was not opened", cpu)
	case c.failed != nil:
		return 0, c.failed
	case c.any && now <= c.at:
		return c.rate, nil
	}
	count, err := c.counter.Read()
	if err != nil {
		return 0, fmt.Errorf("sensor: perf: CPU %d: %w", cpu, err)
	}
	before, within, first := c.last, now-c.at, !c.any
	if !first && count.Running == before.Running {
		// Others had the counter all the time; the next reading covers this one's time too.
		return 0, fmt.Errorf("sensor: perf: CPU %d: %w: other events have the counter", cpu,
			ErrNotNow)
	}
	c.last, c.at, c.any = count, now, true
	if first {
		return 0, ErrNoRate
	}
	// Counters are 64 bits wide and wrap within differences.
	share := float64(count.Enabled-before.Enabled) / float64(count.Running-before.Running)
	c.rate = perSecond(float64(count.Value-before.Value)*max(share, 1), within)
	return c.rate, nil
}

// Close closes the counters.
func (p *Perf) Close() error {
	var errs []error
	for _, c := range p.cpus {
		if c.counter != nil {
			errs = append(errs, c.counter.Close())
		}
	}
	return errors.Join(errs...)
}
