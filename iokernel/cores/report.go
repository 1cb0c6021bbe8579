package cores

import (
	"maps"
	"slices"
	"strings"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// CoreReport is one core, for people.
type CoreReport struct {
	State  policy.State
	Owner  string // empty: nobody
	Held   core.Time
	Reason string // why the owner has it; empty: nobody decided
	Grants uint64
	Times  []OwnerTime // they add up to the time since the start
}

// OwnerTime is how long a runtime has had a core; nobody has no name.
type OwnerTime struct {
	Runtime string
	Time    core.Time
}

// CoreReports describes the cores at now, in their order.
func (s *Scheduler) CoreReports(now core.Time) []CoreReport {
	all := make([]CoreReport, len(s.seats))
	for i := range s.seats {
		k, c := &s.seats[i], &all[i]
		s.book(now, k)
		c.State, c.Grants = s.snapshot.Cores[i].State, k.grants
		if r := s.member(int16(k.lender.Word().Owner()) - 1); r != nil {
			c.Owner, c.Held = r.config.Name, now-k.lender.Since()
		}
		if k.granted {
			c.Reason = k.reason.String()
		}
		times := maps.Clone(k.past)
		for place, t := range k.times {
			if r := s.runtimes[place]; r != nil {
				times[r.config.Name] += t
			}
		}
		times[""] += k.nobody
		for name, t := range times {
			if t > 0 {
				c.Times = append(c.Times, OwnerTime{name, t})
			}
		}
		slices.SortFunc(c.Times, func(a, b OwnerTime) int {
			return strings.Compare(a.Runtime, b.Runtime)
		})
	}
	return all
}

// RuntimeReport is one runtime, for people.
type RuntimeReport struct {
	Held        int
	Waiting     int
	Delays      Histogram // queueing delays of frames, one for each pass that saw any wait
	Time        core.Time // on all cores
	Busy        core.Time // of it, with a request in hand, by sampling; LC only
	Served      uint64    // frames taken
	Grants      uint64
	Revocations uint64
	Demotions   uint64
	Stuck       uint64
	Nonsense    baton.Counts // statements on its load page that cannot be
	Hold        core.Time    // LC: how long it keeps cores that it does not use
}

// Report describes a runtime at now.
func (s *Scheduler) Report(now core.Time, r *Runtime) RuntimeReport {
	for i := range s.seats {
		s.book(now, &s.seats[i])
	}
	report := RuntimeReport{
		Held: r.held, Waiting: r.backlog.Waiting, Delays: r.delays, Time: r.time, Busy: r.busy,
		Served: r.backlog.Taken, Grants: r.grants, Revocations: r.revocations,
		Demotions: r.demotions, Stuck: r.stuck, Hold: s.Standing(r).Hold,
	}
	for i := range r.watches {
		for kind, n := range r.watches[i].Nonsense() {
			report.Nonsense[kind] += n
		}
	}
	return report
}

// DecisionReport is one decision, for people.
type DecisionReport struct {
	At       core.Time
	Action   policy.Action
	From, To string
	Waiting  int
	Delay    core.Time
}

// Decisions are up to n of the last decisions, the latest first.
func (s *Scheduler) Decisions(n int) []DecisionReport {
	names := map[uint64]string{0: ""}
	for _, r := range s.runtimes {
		if r != nil {
			names[r.id] = r.config.Name
		}
	}
	var all []DecisionReport
	for i := range min(uint64(max(n, 0)), s.log.made, logged) {
		e := &s.log.ring[(s.log.made-1-i)%logged]
		all = append(all, DecisionReport{
			At: e.at, Action: e.action, From: nameOf(names, e.from), To: nameOf(names, e.to),
			Waiting: int(e.waiting), Delay: e.delay,
		})
	}
	return all
}

func nameOf(names map[uint64]string, id uint64) string {
	if name, ok := names[id]; ok {
		return name
	}
	return "(detached)"
}

// Uptime is the time since the first pass.
func (s *Scheduler) Uptime(now core.Time) core.Time {
	if !s.begun {
		return 0
	}
	return now - s.started
}
