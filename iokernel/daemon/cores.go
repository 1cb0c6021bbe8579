package daemon

import (
	"context"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/iokernel/cores"
)

// Threads takes notice of the threads of a runtime's workers.
func (h handler) Threads(_ context.Context, s *control.Session, ids []int) error {
	return h.d.threads(s, ids)
}

// Cores says who has which core.
func (h handler) Cores(_ context.Context, decisions int) (control.Cores, error) {
	return h.d.Cores(decisions)
}

// Cores says who has which core, with up to so many of the last decisions.
func (d *Daemon) Cores(decisions int) (control.Cores, error) {
	if d.lending == nil {
		return control.Cores{}, errNoCores()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	users := make([]control.CoreUser, 0, len(d.o.Config.Runtimes))
	loans := map[string]*attachment{}
	for _, a := range d.attached {
		if a.loan != nil {
			loans[a.config.Name] = a
		}
	}
	var r control.Cores
	d.loop.Do(func() {
		now := d.clock.Now()
		r = d.lending.report(now, decisions)
		for i := range d.o.Config.Runtimes {
			if c := &d.o.Config.Runtimes[i]; c.Class != config.ClassPinned {
				users = append(users, d.lending.user(now, c, loans[c.Name]))
			}
		}
	})
	r.Policy, r.Interval = d.o.Config.Cores.Policy.String(), d.o.Config.Cores.Interval
	r.Runtimes, r.Sensors = users, d.lending.senses.list
	return r, nil
}

// SetPasses changes the interval between passes, and the least time before one that comes early
// because a frame waits; 0 for the usual one. It is for measuring what they bring.
func (d *Daemon) SetPasses(interval, prompt core.Time) {
	if d.lending != nil {
		d.loop.Do(func() { d.lending.scheduler.SetPasses(interval, prompt) })
	}
}

// report describes the cores; on the loop's thread.
func (l *lending) report(now core.Time, decisions int) control.Cores {
	s := l.scheduler
	counts, wakes := s.Counters(), l.hands.waker.Account()
	r := control.Cores{
		Passes: counts.Passes, Uptime: s.Uptime(now),
		Latencies: control.CoreLatency{
			Detection: counts.Detection.Quantile(500_000),
			HandOver:  counts.HandOver.Quantile(500_000),
			HandOver9: counts.HandOver.Quantile(990_000),
		},
		Wakes: control.WakeAccount{
			Wakes: wakes.Wakes, Signals: wakes.Signals, Spent: wakes.Spent,
			Longest: wakes.Longest,
		},
	}
	for i, k := range s.CoreReports(now) {
		c := control.Core{
			Core: i, CPU: l.cpus[i], State: k.State.String(), Owner: k.Owner, Held: k.Held,
			Reason: k.Reason, Grants: k.Grants,
		}
		for _, t := range k.Times {
			c.Times = append(c.Times, control.OwnerTime{Runtime: t.Runtime, Time: t.Time})
		}
		r.Cores = append(r.Cores, c)
	}
	for _, e := range s.Decisions(decisions) {
		r.Decisions = append(r.Decisions, decisionOf(now, &e))
	}
	return r
}

func decisionOf(now core.Time, e *cores.DecisionReport) control.Decision {
	return control.Decision{
		Age: now - e.At, Core: int(e.Action.Core), From: e.From, To: e.To,
		Action: e.Action.Kind.String(), Reason: e.Action.Reason.String(),
		Input:   e.Action.Reason.Unit().Format(e.Action.Input),
		Waiting: e.Waiting, Delay: e.Delay,
	}
}

// user describes one runtime of class lc or be, which may not be attached.
func (l *lending) user(now core.Time, c *config.Runtime, a *attachment) control.CoreUser {
	u := control.CoreUser{
		Runtime: c.Name, Class: c.Class.String(), Reserved: c.Reserved, Most: l.most(c),
	}
	if a == nil {
		return u
	}
	k := l.scheduler.Report(now, a.loan)
	u.Attached, u.Guest = true, a.mode == control.Guest
	u.Held, u.Waiting, u.Served = k.Held, k.Waiting, k.Served
	u.DelayP50, u.DelayP99 = k.Delays.Quantile(500_000), k.Delays.Quantile(990_000)
	u.Time, u.Busy, u.Hold = k.Time, k.Busy, k.Hold
	u.Grants, u.Revocations, u.Demotions = k.Grants, k.Revocations, k.Demotions
	u.Stuck, u.Nonsense = k.Stuck, k.Nonsense.Sum()
	return u
}
