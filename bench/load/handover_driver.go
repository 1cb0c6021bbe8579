package load

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/core/pin"
)

// passEvery is how often an iokernel looks who should have a core.
const passEvery = 5 * core.Microsecond

// handoverDriver plays the iokernel to two processes: it grants a core to one and the other in
// turn, and sees from their stamps when they ran.
type handoverDriver struct {
	thread  *pin.Loop
	page    *baton.Page
	stamps  []stamp
	waker   *pin.Waker
	wakes   bool // the second process sleeps, and is woken each time
	samples []uint32
	random  uint64
	stop    atomic.Bool
}

func (d *handoverDriver) run(ctx context.Context, p Plan) (r Result, err error) {
	if p.Loop != report.Closed && p.Loop != report.Open {
		return r, fmt.Errorf("load: a core is not handed over in a %s loop", p.Loop)
	}
	d.stop.Store(false)
	stop := context.AfterFunc(ctx, func() { d.stop.Store(true) })
	defer stop()
	d.thread.Do(func() { r, err = d.measure(p) })
	if err == nil {
		err = ctx.Err()
	}
	return r, err
}

// handoverRun is a run of the driver.
type handoverRun struct {
	plan        Plan
	clock       pin.Clock
	warm, end   core.Time
	due         core.Time  // of the next grant
	word        baton.Word // the last one
	granted     core.Time
	outstanding bool      // it was not seen to be taken up yet
	progress    core.Time // when a grant was last seen to be, or was given up
	samples     []uint32
	result      Result
}

// measure grants until the plan is over and the last grant has arrived.
func (d *handoverDriver) measure(p Plan) (Result, error) {
	r := handoverRun{plan: p, clock: pin.NewClock(), samples: d.samples[:0]}
	now := r.clock.Now()
	r.warm, r.end, r.progress = now+p.Warmup, now+p.Warmup+p.Measure, now
	// Whoever had the core when the last run ended was stopped since, or never began.
	d.grant(&r)
	if err := d.wake(&r); err != nil {
		return Result{}, err
	}
	for !d.stop.Load() {
		now = r.clock.Now()
		d.look(&r, now)
		switch {
		case r.outstanding && now-r.progress > lostAfter:
			r.result.Faults.Lost++
			r.progress = now
			if err := d.wake(&r); err != nil {
				return Result{}, err
			}
			if now >= r.end {
				return r.finish(now), nil
			}
		case now >= r.end && !r.outstanding:
			return r.finish(now), nil
		case now < r.due || now >= r.end || r.outstanding && p.Loop == report.Closed:
		default:
			d.grant(&r)
			if d.wakes {
				if err := d.wake(&r); err != nil {
					return Result{}, err
				}
			}
			r.due = now + d.interval(&p)
		}
	}
	return r.finish(now), nil
}

// interval is the time between two grants of an open loop: any up to twice the mean, so that grants
// meet every moment of the hand-overs before them.
func (d *handoverDriver) interval(p *Plan) core.Time {
	if p.Loop == report.Closed {
		return passEvery
	}
	d.random = d.random*6364136223846793005 + 1442695040888963407 // Knuth's, MMIX
	return core.Time((d.random >> 32) * 2 * uint64(core.Second) / p.Rate >> 32)
}

// grant gives the core to the other process, or to the one that sleeps.
func (d *handoverDriver) grant(r *handoverRun) {
	next := firstOwner + secondOwner - max(d.page.Load(handoverCore).Owner(), firstOwner)
	if d.wakes {
		next = secondOwner
	}
	r.granted = r.clock.Now()
	r.word = d.page.Grant(handoverCore, next)
	r.outstanding = true
}

// wake does what a hand-over does not need.
func (d *handoverDriver) wake(r *handoverRun) error {
	_, err := d.waker.Wake(d.page.Cell(handoverCore), r.word.Owner())
	return err
}

// look takes notice if the last grant was taken up.
func (d *handoverDriver) look(r *handoverRun, now core.Time) {
	s := &d.stamps[r.word.Owner()]
	if !r.outstanding || s.word.Load() != uint32(r.word) {
		return
	}
	r.outstanding, r.progress = false, now
	if r.plan.Loop == report.Closed {
		r.due = now + passEvery
	}
	if r.granted < r.warm {
		return
	}
	r.result.Replies++
	if len(r.samples) < cap(r.samples) {
		r.samples = append(r.samples, uint32(core.Time(s.at.Load())-r.granted))
	}
}

func (r *handoverRun) finish(now core.Time) Result {
	r.result.Samples = r.samples
	r.result.Elapsed = max(now-r.warm, 1)
	return r.result
}
