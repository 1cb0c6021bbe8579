package cores

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// A wake across cores costs the iokernel 10 to 20 us, in which it does nothing for anybody else. A
// worker that parks as soon as it is woken, with a timer that is always past or a frame that it
// never takes, would have most of its time. So a runtime whose worker has parked may have to wait
// for its next core: BE always, LC only if that core was in vain, and twice as long each time that
// it was again.
const (
	pauseBE = 100 * core.Microsecond // ten wakes' time: they are worth a tenth of the iokernel
	pauseLC = 25 * core.Microsecond  // about what a wake takes until the worker runs

	mostVain = 7 // doublings: 13 ms for BE, 3 ms for LC
)

// has takes notice that the worker of core c has taken it up.
func (e *errand) has(c int) {
	e.want(c, core.Never)
	e.stay(c, false)
}

// want notes when the worker of core c, which it does not have, wants it; core.Never: not at all.
func (e *errand) want(c int, at core.Time) {
	e.parting[c] = at
	e.at, e.core = core.Never, policy.None
	for c, t := range e.parting {
		if t < e.at {
			e.at, e.core = t, int16(c)
		}
	}
}

// part notes when a worker that has left its core wants it again; r is nil if nobody has.
func (s *Scheduler) part(now core.Time, r *Runtime, c int) {
	if r == nil || r.guest || r.owner == s.seats[c].lender.Word().Owner() {
		return
	}
	at, sight := core.Never, r.watches[c].Look(now, s.seats[c].lender.Word())
	if sight.State != baton.Absent {
		at = sight.Timer
	}
	if sight.Ack != 0 { // else it has had no core yet, and has not said what it wants
		r.errand.want(c, at)
	}
	r.errand.stay(c, sight.State == baton.Running)
}

// stay notes whether the worker of core c, which it has lost, still runs: what it wants is known
// when it does not.
func (e *errand) stay(c int, runs bool) {
	if e.lingers[c] == runs {
		return
	}
	e.lingers[c] = runs
	if runs {
		e.linger++
		return
	}
	e.linger--
}

// follow looks after workers that ran on when their core had passed on.
func (s *Scheduler) follow(now core.Time, r *Runtime) {
	for c := range r.errand.lingers {
		if r.errand.lingers[c] {
			s.part(now, r, c)
		}
	}
}

// asked reports whether somebody asks for any of its workers and was not heard yet.
func (r *Runtime) asked() bool {
	for c := range r.watches {
		if r.watches[c].Asked() {
			return true
		}
	}
	return false
}

// due is when the first timer is due that any of its workers serves.
func (r *Runtime) due() core.Time {
	due := core.Never
	for c := range r.watches {
		due = min(due, r.watches[c].Due())
	}
	return due
}

// overdue reports whether nothing that any worker serves has been served for long, while something
// of that is due: since then, 0 if that was not so at the last look.
func (r *Runtime) overdue(now core.Time, since *core.Time) bool {
	served := uint64(0)
	for c := range r.watches {
		served += uint64(r.watches[c].Heard()) + uint64(r.watches[c].Due())
	}
	if *since == 0 || served != r.served {
		*since, r.served = now, served
	}
	return now-*since >= longTurn
}

// parks takes notice of a worker that has parked, once.
func (r *Runtime) parks(now core.Time, in *policy.Runtime) {
	e := &r.errand
	if (in.Waiting > 0 || in.NextTimer <= now) && e.taken == in.Served {
		e.vain = min(e.vain+1, mostVain)
	} else {
		e.vain = 0
	}
	e.taken = in.Served
	switch {
	case r.config.Class == policy.BestEffort:
		e.quiet = now + pauseBE<<e.vain
	case e.vain > 1: // once it may have been too late to see what came
		e.quiet = now + pauseLC<<e.vain
	}
}

// limit has runtimes want no cores that are of no use to them, and none before their time.
func (s *Scheduler) limit(now core.Time) {
	for _, r := range s.runtimes {
		if r == nil || !r.running || r.guest {
			continue
		}
		in := &s.snapshot.Runtimes[r.place]
		idle := r.sated && r.config.Class == policy.BestEffort
		timer := in.NextTimer <= now+s.config.Interval
		if idle {
			in.Able = r.held
		}
		if timer && in.Waiting == 0 && in.TaskDelay == 0 &&
			(idle || r.config.Class == policy.LatencyCritical) {
			in.Only = r.errand.due
			in.Able = max(in.Able, r.held+1)
		}
		if now < r.errand.quiet {
			in.Able = r.held
		}
	}
}
