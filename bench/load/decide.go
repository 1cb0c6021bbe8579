package load

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// A pass of the policy over a large machine, that is: what an iokernel would spend on it every few
// microseconds.
const (
	decideRuntimes = 16
	decideCores    = 64
	// decideBatch is how many passes share two readings of the clock, which cost 5 % of one.
	decideBatch = 8
	// decideStates is how many states of the machine there are to decide about.
	decideStates = 256
)

func decideName() string { return fmt.Sprintf("decide/%dx%d", decideRuntimes, decideCores) }

func decideRow() wanted {
	return wanted{key: report.Key{
		Name: decideName(), Loop: report.Closed, Unit: report.Nanoseconds,
	}}
}

// upDecide has no process and no network.
func upDecide(s *site) ([]*entrant, error) {
	d := &decideDriver{thread: s.thread, samples: make([]uint32, s.o.samples())}
	return []*entrant{{decideName(), nil, map[report.Loop]driver{report.Closed: d}}}, nil
}

// decideDriver has the policy decide about random states of a machine, in which a few cores move in
// each pass.
type decideDriver struct {
	thread  *pin.Loop
	samples []uint32
}

func (d *decideDriver) run(ctx context.Context, p Plan) (r Result, err error) {
	states := decideSnapshots(rand.New(rand.NewPCG(p.Seed, 1)))
	d.thread.Do(func() { r = d.measure(p, states) })
	return r, ctx.Err()
}

func (d *decideDriver) measure(p Plan, states []policy.Snapshot) Result {
	decider := policy.NewCaladan(policy.Config{})
	actions := make([]policy.Action, 0, decideCores)
	clock := pin.NewClock()
	start := clock.Now()
	warm, end := start+p.Warmup, start+p.Warmup+p.Measure
	samples, n := d.samples[:0], 0
	for begun := start; begun < end && len(samples) < cap(samples); {
		for range decideBatch {
			n++
			virtual := core.Time(n) * 5 * core.Microsecond
			actions = decider.Decide(virtual, &states[n%decideStates], actions[:0])
		}
		now := clock.Now()
		if begun >= warm {
			samples = append(samples, nanoseconds((now-begun)/decideBatch))
		}
		begun = clock.Now()
	}
	return Result{Samples: samples, Replies: uint64(len(samples)), Elapsed: p.Measure}
}

// decideSnapshots are states of a machine that is three quarters busy: half of the runtimes are LC,
// and in each state one or two of them have frames waiting.
func decideSnapshots(random *rand.Rand) []policy.Snapshot {
	states := make([]policy.Snapshot, decideStates)
	for i := range states {
		s := &states[i]
		s.Interval, s.HandOver, s.Wakes = 5*core.Microsecond, 3*core.Microsecond, 1
		s.Cores = make([]policy.Core, decideCores)
		s.Runtimes = make([]policy.Runtime, decideRuntimes)
		for c := range s.Cores {
			owner := int16(random.IntN(decideRuntimes))
			s.Cores[c] = policy.Core{
				State: policy.Running, Owner: owner, Last: policy.None, Sibling: policy.None,
				Failed: policy.None,
			}
			if owner%2 == 0 && random.IntN(4) == 0 {
				s.Cores[c].State = policy.Idle
			}
		}
		for r := range s.Runtimes {
			s.Runtimes[r] = policy.Runtime{
				Class: policy.LatencyCritical + policy.Class(r%2), ID: uint64(r) + 1,
				Reserved: 2, Most: decideCores, Able: decideCores, Quantum: core.Millisecond,
				NextTimer: core.Never, Only: policy.None, Served: uint64(i) * 100,
				Busy: core.Time(i) * 1000 * core.Microsecond,
			}
		}
		for range 1 + random.IntN(2) {
			r := &s.Runtimes[2*random.IntN(decideRuntimes/2)]
			r.Waiting, r.FrameDelay = 1+random.IntN(4), core.Time(random.IntN(20_000))
		}
	}
	return states
}
