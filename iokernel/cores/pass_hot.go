package cores

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// Poll makes a pass if one is due. Its work is what it changed: actions and measures; a pass that
// only looks is none.
func (s *Scheduler) Poll(now core.Time) (work int) {
	if !s.begun {
		s.begin(now)
	}
	if s.count == 0 && !s.busy {
		return 0
	}
	if now < s.next && now-s.last < s.config.Interval {
		if now-s.last < s.prompt || !s.starving() {
			return 0
		}
		s.counts.Prompt++
	}
	return s.pass(now)
}

// Next is at once while a core changes hands or could be needed elsewhere at any time, else when a
// quantum ends or a timer of a runtime without a core is due.
func (s *Scheduler) Next(core.Time) core.Time { return s.next }

// begin starts the clocks.
func (s *Scheduler) begin(now core.Time) {
	s.begun, s.started, s.last = true, now, now-s.config.Interval
	for i := range s.seats {
		s.seats[i].since = now
	}
}

// starving reports whether frames wait for an LC runtime that has no core and gets none.
func (s *Scheduler) starving() bool {
	for _, r := range s.runtimes {
		if r != nil && r.held == 0 && r.running &&
			r.config.Class == policy.LatencyCritical && r.config.Ports.Any() {
			return true
		}
	}
	return false
}

// pass looks, decides and acts. The one wake across cores that a pass may ask for goes to grants
// of earlier passes first.
func (s *Scheduler) pass(now core.Time) (work int) {
	s.counts.Passes++
	budget := true
	work, budget = s.pursue(now, budget)
	s.look(now)
	s.snapshot.Wakes = 0
	if budget {
		s.snapshot.Wakes = 1
	}
	s.actions = s.config.Policy.Decide(now, &s.snapshot, s.actions[:0])
	for i := range s.actions {
		a := &s.actions[i]
		s.act(now, a)
		if s.enforce(now, int(a.Core), budget) {
			budget = false
		}
	}
	work += len(s.actions)
	s.last = now
	s.plan(now)
	return work
}

// pursue takes up what became of earlier grants.
func (s *Scheduler) pursue(now core.Time, budget bool) (work int, left bool) {
	if !s.busy {
		return 0, budget
	}
	for i := range s.seats {
		if s.seats[i].lender.Settled() {
			continue
		}
		if s.enforce(now, i, budget) {
			budget = false
			work++
		}
	}
	return work, budget
}

// act carries out one action.
func (s *Scheduler) act(now core.Time, a *policy.Action) {
	k := &s.seats[a.Core]
	e := decision{at: now, action: *a}
	if from := s.member(a.From); from != nil {
		from.revocations++
		e.from = from.id
	}
	owner := baton.Nobody
	switch a.Kind {
	case policy.Grant:
		r := s.member(a.Runtime)
		if r == nil { // no policy does that
			return
		}
		owner = r.owner
		r.grants++
		k.grants++
		s.counts.Grants++
		e.to, e.waiting, e.delay = r.id, int32(r.backlog.Waiting), r.backlog.Delay
		if r.backlog.Waiting > 0 {
			s.counts.Detection.add(e.delay)
		}
	case policy.Keep:
		s.counts.Keeps++
	case policy.Park:
		s.counts.Parks++
	}
	s.counts.Reasons[a.Reason]++
	s.log.add(e)
	s.grant(now, int(a.Core), owner)
	k.reason, k.granted = a.Reason, true
}

// grant writes a core's word.
func (s *Scheduler) grant(now core.Time, c int, o baton.Owner) {
	k := &s.seats[c]
	if before := k.lender.Word().Owner(); before != baton.Nobody {
		if r := s.runtimes[before-1]; r != nil {
			k.last, k.lastAt = int16(r.place), now
		}
	}
	k.lender.Granted(now, s.config.Page.Grant(c, o))
	k.granted, k.crossed, k.idle, s.busy = false, false, false, true
}

// plan says when the next pass is due.
func (s *Scheduler) plan(now core.Time) {
	s.next, s.busy = core.Never, false
	for i := range s.seats {
		if k := &s.seats[i]; !k.lender.Settled() {
			s.busy = true
			if !k.lender.Stuck() {
				s.next = now
				return
			}
		}
	}
	for i := range s.snapshot.Cores {
		switch k := &s.snapshot.Cores[i]; {
		case k.State == policy.Idle, k.State == policy.Running && s.critical(k.Owner):
			s.next = now // it may fall idle, be needed elsewhere, or be enough no more
			return
		case k.State == policy.Running && s.rivals(k.Owner):
			s.next = min(s.next, k.OwnedAt+s.runtimes[k.Owner].config.Quantum)
		}
	}
	s.next = min(s.next, s.timers(now))
}

func (s *Scheduler) critical(place int16) bool {
	r := s.member(place)
	return r != nil && r.config.Class == policy.LatencyCritical
}

// rivals reports whether another BE runtime could have the core of one.
func (s *Scheduler) rivals(place int16) bool {
	for _, r := range s.runtimes {
		if r != nil && r.running && r.place != int(place) &&
			r.config.Class == policy.BestEffort && r.held < r.config.Most {
			return true
		}
	}
	return false
}

// timers is when the first timer of a runtime without a core is due.
func (s *Scheduler) timers(now core.Time) core.Time {
	next := core.Never
	for i := range s.runtimes {
		if r := s.runtimes[i]; r != nil && r.held == 0 {
			next = min(next, s.snapshot.Runtimes[i].NextTimer)
		}
	}
	return max(next, now)
}

// member is the runtime in a place, or nil.
func (s *Scheduler) member(place int16) *Runtime {
	if place < 0 || int(place) >= len(s.runtimes) {
		return nil
	}
	return s.runtimes[place]
}
