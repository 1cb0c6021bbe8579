package cores

import (
	"math/bits"
	"slices"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// crew is the workers of one core, for its lender.
type crew struct {
	scheduler *Scheduler
	core      int
}

// State is what the worker of an owner says. A guest has none: it is neither waited for nor asked.
func (c *crew) State(o baton.Owner) baton.State {
	r := c.scheduler.runtimes[o-1]
	switch {
	case r == nil:
		return baton.Absent
	case r.guest:
		return baton.Waiting
	}
	return r.watches[c.core].State()
}

// Ack is the grant that the worker of an owner took up last. A guest takes every grant up once
// nobody else runs: the kernel sees to that.
func (c *crew) Ack(o baton.Owner) baton.Word {
	r := c.scheduler.runtimes[o-1]
	switch {
	case r == nil:
		return 0
	case r.guest && !c.occupied():
		return c.scheduler.seats[c.core].lender.Word()
	case r.guest:
		return 0
	}
	return r.watches[c.core].Ack()
}

// occupied reports whether a worker still runs that had the core before.
func (c *crew) occupied() bool {
	r := c.scheduler.member(c.scheduler.seats[c.core].occupant)
	return r != nil && !r.guest && r.watches[c.core].State() == baton.Running
}

// enforce has the lender of a core say what to do about its last grant, and does it. It reports
// whether that took the pass's wake across cores.
func (s *Scheduler) enforce(now core.Time, c int, budget bool) (crossed bool) {
	seat := &s.seats[c]
	if seat.lender.Settled() {
		return false
	}
	s.crew.core = c
	m := seat.lender.Check(now, &s.crew, budget)
	if seat.lender.Settled() {
		s.settle(now, c)
		return false
	}
	if m == 0 {
		return false
	}
	owner, hands := seat.lender.Word().Owner(), s.config.Hands
	if m&baton.DemoteTarget != 0 {
		s.demote(c, seat.lender.Target())
	}
	if m&baton.PromoteOwner != 0 && s.critical(int16(owner)-1) {
		hands.Promote(c, owner)
	}
	woken := 0
	if m&baton.Crossing != 0 {
		seat.crossed = true
	}
	if m&baton.WakeOwner != 0 {
		woken = hands.Wake(c, owner)
	}
	if m&baton.SignalOwner != 0 && woken == 0 {
		hands.Signal(c, owner)
	}
	if m&baton.ReportStuck != 0 {
		s.report(now, c)
	}
	return m&baton.Crossing != 0
}

// settle books a grant that was taken up.
func (s *Scheduler) settle(now core.Time, c int) {
	seat := &s.seats[c]
	s.book(now, seat)
	left := s.member(seat.occupant)
	seat.occupant, seat.ownedAt = int16(seat.lender.Word().Owner())-1, now
	s.part(now, left, c)
	for ; seat.named != 0; seat.named &= seat.named - 1 {
		s.part(now, s.runtimes[bits.TrailingZeros64(seat.named)], c)
	}
	r := s.member(seat.occupant)
	if r == nil {
		return
	}
	if !r.guest {
		r.errand.has(c)
		r.sated = false // its timer may have made work for others
	}
	took := now - seat.lender.Since()
	if seat.failed == seat.occupant { // another's taking it up proves nothing of who failed
		seat.failed = policy.None
	}
	if seat.crossed {
		s.counts.Woken.add(took)
		s.recall = towards(s.recall, took)
		return
	}
	s.counts.HandOver.add(took)
	s.handOver = towards(s.handOver, took)
}

// towards moves an estimate a little towards a sample, by a fixed part of itself, however far it is
// away: that finds the median (Ma, Muthukrishnan and Sandler, "Frugal Streaming for Estimating
// Quantiles", 2013), which no stall spoils.
func towards(estimate, sample core.Time) core.Time {
	step := max(estimate/estimateSteps, 1)
	switch {
	case sample > estimate:
		return estimate + step
	case sample < estimate:
		return estimate - step
	}
	return estimate
}

// estimateSteps is in how many steps an estimate doubles, about. (guess: the speed of a machine
// changes within thousands of hand-overs)
const estimateSteps = 64

// book gives the time since the last booking of a core to its occupant.
func (s *Scheduler) book(now core.Time, k *seat) {
	if !s.begun {
		return
	}
	if r := s.member(k.occupant); r != nil {
		k.times[r.place] += now - k.since
		r.time += now - k.since
	} else {
		k.nobody += now - k.since
	}
	k.since = now
}

// demote takes the priority of an owner's worker.
func (s *Scheduler) demote(c int, o baton.Owner) {
	s.config.Hands.Demote(c, o)
	s.counts.Demotions++
	if r := s.runtimes[o-1]; r != nil {
		r.demotions++
	}
}

// fail bars the owner of a core's word from that core for a while, twice as long each time: the
// next attempt keeps the core from others, and the iokernel awake, until the second deadline. See
// recovers.
func (s *Scheduler) fail(now core.Time, c int, owner *Runtime) {
	seat := &s.seats[c]
	seat.blame(owner)
	seat.failedAt = now + policy.FailedFor<<seat.failures - policy.FailedFor
	seat.failures = min(seat.failures+1, mostFailures)
	if !owner.guest {
		seat.beats = owner.watches[c].Beats()
	}
}

// blame notes who failed: what another did before counts no more.
func (k *seat) blame(r *Runtime) {
	if k.failed != int16(r.place) {
		k.failed, k.failures, k.excused = int16(r.place), 0, 0
	}
}

const (
	mostFailures = 6 // bounds how long a core is not offered again: to 64 ms
	mostExcuses  = 3 // ... and how often that is cut short, until it takes a core up
)

// recovers lifts the bar of a worker that has run since, as one does that was stopped and goes on.
func (s *Scheduler) recovers(now core.Time, c int) {
	seat := &s.seats[c]
	r := s.member(seat.failed)
	if r == nil || r.guest || seat.failures < 2 || seat.excused >= mostExcuses ||
		now >= seat.failedAt+policy.FailedFor {
		return
	}
	if w := &r.watches[c]; w.Beats() != seat.beats && w.State() == baton.Waiting {
		seat.failedAt, seat.excused = now-policy.FailedFor, seat.excused+1
	}
}

// report notes that a worker keeps a core from passing on. The owner does not get this core again
// for a while; others may: what keeps it runs at the lowest priority by now.
func (s *Scheduler) report(now core.Time, c int) {
	seat := &s.seats[c]
	s.counts.Stuck++
	if o := s.member(int16(seat.lender.Word().Owner()) - 1); o != nil {
		s.fail(now, c, o)
	}
	r := s.member(int16(seat.lender.Target()) - 1)
	if r == nil {
		return
	}
	r.stuck++
	switch seat.lender.Word().Owner() {
	case r.owner:
		s.tell(Stuck{c, r, Misses})
	case baton.Nobody:
		s.tell(Stuck{c, r, Stays})
	default:
		s.tell(Stuck{c, r, Keeps})
	}
}

// tell has somebody look at a worker.
func (s *Scheduler) tell(what Stuck) {
	n := len(s.stuck)
	if n == cap(s.stuck) || slices.Contains(s.stuck, what) {
		return
	}
	s.stuck = s.stuck[:n+1]
	s.stuck[n] = what
	if s.config.Notify != nil {
		s.config.Notify()
	}
}

// stands has somebody look at an LC worker that has its core and goes round no more: it may
// compute, which is its right, or be stopped. See Revoke.
func (s *Scheduler) stands(now core.Time, c int, r *Runtime) {
	if seat := &s.seats[c]; now-seat.stoodAt >= still {
		seat.stoodAt = now
		s.tell(Stuck{c, r, Stands})
	}
}
