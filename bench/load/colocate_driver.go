package load

import (
	"context"
	"time"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
)

// settle is how long an iokernel is left alone after a run, before its runtimes are stopped: by
// then the service is idle and has given its core up. (the policy's rest of 1 ms, and some)
const settlePause = 4 * time.Millisecond

// colocationDriver runs a load against a service on a core that is lent, and finds out what the
// best-effort runtime beside it had meanwhile.
type colocationDriver struct {
	driver   driver
	work     core.Time // of the service for each request
	beside   *share    // what the other one did; nil: there is none
	prepare  func()    // before the run; nil: nothing
	complete func()    // after it; nil: nothing
}

func (d *colocationDriver) run(ctx context.Context, p Plan) (Result, error) {
	if d.prepare != nil {
		d.prepare()
	}
	clock := pin.NewClock()
	start, before := clock.Now(), d.done()
	r, err := d.driver.run(ctx, p)
	elapsed, did := clock.Now()-start, d.done()-before
	if d.complete != nil {
		d.complete()
	}
	time.Sleep(settlePause)
	if left := elapsed - core.Time(r.Sent)*d.work; left > 0 {
		r.Share = float64(did) / float64(left)
	}
	return r, err
}

// done is the useful time of the one beside so far.
func (d *colocationDriver) done() core.Time {
	if d.beside == nil {
		return 0
	}
	return core.Time(d.beside.useful.Load())
}

// referenceDriver looks how a thread fares that does nothing but look at the clock, on the servers'
// CPU: what it misses, others of this machine or of its host had.
type referenceDriver struct {
	share  *share
	stalls uint64    // over 1 ms, in all runs
	missed core.Time // in them
	looked core.Time
	most   core.Time
}

func (d *referenceDriver) run(ctx context.Context, p Plan) (Result, error) {
	time.Sleep(settlePause) // it has just been stopped, and that is no stall
	before, lost, clock := d.share.stalls.Load(), d.share.stalled.Load(), pin.NewClock()
	start := clock.Now()
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(p.Warmup + p.Measure)):
	}
	elapsed := clock.Now() - start
	missed := core.Time(d.share.stalled.Load() - lost)
	d.stalls += d.share.stalls.Load() - before
	d.missed, d.looked = d.missed+missed, d.looked+elapsed
	d.most = max(d.most, core.Time(d.share.longest.Load()))
	r := Result{Replies: 1, Elapsed: elapsed, Share: float64(missed) / float64(elapsed)}
	return r, ctx.Err()
}
