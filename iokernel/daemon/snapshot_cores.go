package daemon

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/cores"
	"github.com/dunlin-io/dunlin/iokernel/metrics"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// coreSnapshot is what the metrics show of the cores that are lent; the caller holds mu.
func (d *Daemon) coreSnapshot() metrics.CoreSnapshot {
	l := d.lending
	c := metrics.CoreSnapshot{Policy: d.o.Config.Cores.Policy.String()}
	bounds := histogramBounds()
	d.loop.Do(func() {
		now := d.clock.Now()
		counts, wakes := l.scheduler.Counters(), l.hands.waker.Account()
		c.Passes = counts.Passes
		c.Wakes, c.Signals, c.Waking = wakes.Wakes, wakes.Signals, wakes.Spent
		for reason, n := range counts.Reasons {
			c.Decisions = append(c.Decisions, metrics.Count{
				Reason: metrics.Label(policy.Reason(reason).String()), Count: n,
			})
		}
		c.Detection = histogram(bounds, &counts.Detection)
		// Whoever waits for a core does not mind whether somebody had to be woken for it.
		c.HandOver = histogram(bounds, &counts.HandOver, &counts.Woken)
		for i, k := range l.scheduler.CoreReports(now) {
			lent := metrics.LentCore{Core: i, CPU: l.cpus[i]}
			for _, t := range k.Times {
				lent.Times = append(lent.Times, metrics.OwnerTime{Runtime: t.Runtime, Time: t.Time})
			}
			c.Cores = append(c.Cores, lent)
		}
		for _, a := range d.attached {
			if a.loan != nil {
				c.Runtimes = append(c.Runtimes, l.coreUser(now, bounds, a))
			}
		}
	})
	return c
}

// coreUser is an attached runtime's part; on the loop's thread.
func (l *lending) coreUser(now core.Time, bounds []core.Time, a *attachment) metrics.CoreUser {
	k := l.scheduler.Report(now, a.loan)
	u := metrics.CoreUser{
		Runtime: a.config.Name, Held: k.Held, Waiting: k.Waiting, Busy: k.Busy, Grants: k.Grants,
		Revocations: k.Revocations, Demotions: k.Demotions, Stuck: k.Stuck,
		Nonsense: k.Nonsense.Sum(), Delays: histogram(bounds, &k.Delays),
	}
	return u
}

// histogramBounds are the upper bounds of the scheduler's histograms.
func histogramBounds() []core.Time {
	bounds := make([]core.Time, cores.Buckets)
	for i := range bounds {
		bounds[i] = cores.UpperBound(i)
	}
	return bounds
}

// histogram adds histograms up.
func histogram(bounds []core.Time, parts ...*cores.Histogram) metrics.Histogram {
	h := metrics.Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds))}
	for _, p := range parts {
		for i, n := range p.Counts {
			h.Counts[i] += n
		}
		h.Sum += p.Sum
	}
	return h
}
