package cores

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// Poll makes a pass if one is due, and looks after cores that change hands in any case. Its work is
// what it changed: actions and measures; a pass that only looks is none.
func (s *Scheduler) Poll(now core.Time) (work int) {
	if !s.begun {
		s.begin(now)
	}
	if s.count == 0 && !s.busy {
		return 0
	}
	if now < s.next && now-s.last < s.config.Interval {
		if now-s.last < s.prompt || !s.starving(policy.LatencyCritical) {
			work, _ = s.pursue(now, true)
			return work
		}
		s.counts.Prompt++
	}
	return s.pass(now)
}

// Next is at once while a core changes hands or LC works, whose need may change without a sound, or
// a frame waits for a runtime without a core that came too soon after a pass; else when a quantum
// ends or a timer of a worker without a core is due.
func (s *Scheduler) Next(now core.Time) core.Time {
	switch {
	case s.count == 0 && !s.busy:
		return core.Never
	case s.next <= now:
		return s.next
	case s.awake || s.starving(policy.LatencyCritical) || s.parked():
		return now
	case s.starving(policy.BestEffort): // which waits for the next pass
		return min(s.next, s.last+s.config.Interval)
	}
	return s.next
}

// parked reports whether a worker that worked in the last pass has parked since. It has rung, but
// too soon after that pass.
func (s *Scheduler) parked() bool {
	for c := range s.snapshot.Cores {
		k := &s.snapshot.Cores[c]
		if k.State != policy.Running {
			continue
		}
		r := s.member(k.Owner)
		if r != nil && !r.guest && r.watches[c].State() == baton.Parked {
			return true
		}
	}
	return false
}

// begin starts the clocks.
func (s *Scheduler) begin(now core.Time) {
	s.begun, s.started, s.last = true, now, now-s.config.Interval
	for i := range s.seats {
		s.seats[i].since = now
	}
}

// starving reports whether frames wait for a runtime of a class that has no core and gets none, or
// somebody asks for one.
func (s *Scheduler) starving(class policy.Class) bool {
	for _, r := range s.runtimes {
		if r != nil && r.held == 0 && r.running && r.denials == 0 && !r.guest &&
			r.config.Class == class && (r.config.Ports.Any() || r.asked()) {
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
	work += len(s.actions) + s.rest(now)
	s.last = now
	s.plan(now)
	return work
}

// restAfter is how long an LC core may be idle before it parks, whatever the policy: as long as
// policy.Caladan has it. Beside an idle worker that polls the iokernel polls as well; under
// policy.Static, which would wake it again, both do.
const restAfter = core.Millisecond

// rest parks cores that the policy has left idle for long.
func (s *Scheduler) rest(now core.Time) (parked int) {
	if !s.rests {
		return 0
	}
	for i := range s.seats {
		k := &s.seats[i]
		if !k.idle || now-k.idleAt < restAfter || !k.lender.Settled() {
			continue
		}
		a := policy.Action{
			Kind: policy.Park, Reason: policy.ForRest, Core: int16(i), Runtime: policy.None,
			From: int16(k.lender.Word().Owner()) - 1, Input: int64(now - k.idleAt),
		}
		s.act(now, &a)
		s.enforce(now, i, false)
		parked++
	}
	return parked
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

// grant writes a core's word. Who holds what is as the next pass would count it: a frame may come
// before that.
func (s *Scheduler) grant(now core.Time, c int, o baton.Owner) {
	k := &s.seats[c]
	if r := s.member(int16(k.lender.Word().Owner()) - 1); r != nil {
		k.last, k.lastAt = int16(r.place), now
		k.named |= 1 << r.place
		if !k.parked && !k.lender.Stuck() {
			r.held = max(0, r.held-1)
		}
	}
	if r := s.member(int16(o) - 1); r != nil {
		r.held++
	}
	k.lender.Granted(now, s.config.Page.Grant(c, o))
	k.granted, k.crossed, k.idle, k.parked, s.busy = false, false, false, false, true
}

// plan says when the next pass is due, and whether the iokernel may sleep until then.
func (s *Scheduler) plan(now core.Time) {
	s.next, s.busy = core.Never, false
	s.awake = len(s.actions) > 0 // one wake a pass: there may be more to do
	for i := range s.seats {
		k := &s.seats[i]
		if !k.lender.Settled() {
			s.busy = true
			s.awake = s.awake || !k.lender.Stuck()
		}
		if over := k.failedAt + policy.FailedFor; k.failed != policy.None && over > now {
			s.next = min(s.next, over) // who failed may have it again, and says nothing of it
		}
	}
	for i := range s.snapshot.Cores {
		switch k := &s.snapshot.Cores[i]; {
		case k.State == policy.Idle, k.State == policy.Running && s.critical(k.Owner):
			s.awake = true // it may fall idle, be needed elsewhere, or be enough no more
		case k.State == policy.Running && s.rivals(k.Owner):
			quantum := max(s.runtimes[k.Owner].config.Quantum, policy.MinQuantum)
			over := k.OwnedAt + quantum
			if over <= now { // and the policy did not think so
				over = now + quantum
			}
			s.next = min(s.next, over)
		}
	}
	s.next = min(s.next, s.timers(now), s.denied(now))
	if s.awake {
		s.next = min(s.next, now+s.config.Interval)
	}
}

// denied is when to look again at runtimes with work that the policy gives no core: ever more
// seldom, so that the iokernel may sleep beside one that never gets any.
func (s *Scheduler) denied(now core.Time) core.Time {
	next := core.Never
	for _, r := range s.runtimes {
		if r == nil || !r.running || r.guest {
			continue
		}
		due := s.snapshot.Runtimes[r.place].NextTimer <= now
		if !due && (r.held > 0 || r.backlog.Waiting == 0) {
			r.denials = 0
			continue
		}
		next = min(next, max(now+s.config.Interval<<r.denials, r.errand.quiet))
		r.denials = min(r.denials+1, mostDenials)
	}
	return next
}

// mostDenials bounds the pause between two looks at such a runtime: 256 intervals.
const mostDenials = 8

func (s *Scheduler) critical(place int16) bool {
	r := s.member(place)
	return r != nil && r.config.Class == policy.LatencyCritical
}

// rivals reports whether another BE runtime that has fewer cores could have one of this one's.
func (s *Scheduler) rivals(place int16) bool {
	owner := s.member(place)
	for _, r := range s.runtimes {
		if r == nil || !r.running || r.config.Class != policy.BestEffort {
			continue
		}
		in := &s.snapshot.Runtimes[r.place]
		if r.held < min(in.Most, in.Able, owner.held) {
			return true
		}
	}
	return false
}

// lingering is how often to look after workers that run on when their core has passed on. Nobody
// rings for them. (guess: far above what a look costs)
const lingering = core.Millisecond

// timers is when the next timer of a worker without a core is due.
func (s *Scheduler) timers(now core.Time) core.Time {
	next := core.Never
	for i := range s.runtimes {
		due := s.snapshot.Runtimes[i].NextTimer
		r := s.runtimes[i]
		if r != nil && due > now {
			next = min(next, due)
		}
		if r != nil && r.errand.linger > 0 {
			next = min(next, now+lingering)
		}
	}
	return next
}

// member is the runtime in a place, or nil.
func (s *Scheduler) member(place int16) *Runtime {
	if place < 0 || int(place) >= len(s.runtimes) {
		return nil
	}
	return s.runtimes[place]
}
