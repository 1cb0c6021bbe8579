package daemon

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/iokernel/sensor"
)

// lookTest is how often an iokernel asks which CPUs a test's machine has online.
const lookTest = 20 * time.Millisecond

// machine is what a test has the sensors say.
type machine struct {
	offline atomic.Bool // the lent CPU is
	unknown atomic.Bool // which CPUs are online
	time    atomic.Int64
	traffic sensor.Script // in that time
}

// senses are an iokernel's sensors of that machine.
func (m *machine) senses() *senses {
	return &senses{
		sibling: func(int) (int, bool) { return 0, false },
		memory:  m,
		look:    lookTest,
		online: func() ([]int, error) {
			switch {
			case m.unknown.Load():
				return nil, errors.New("no list of CPUs, for a test")
			case m.offline.Load():
				return []int{0}, nil
			}
			return []int{0, lentCPU}, nil
		},
	}
}

// BytesPerSecond is the script's, in the time of the test.
func (m *machine) BytesPerSecond(core.Time) (uint64, error) {
	return m.traffic.BytesPerSecond(core.Time(m.time.Load()))
}

// coreIs waits for the state and the owner of the lent core, "" for nobody.
func coreIs(t *testing.T, d *Daemon, state, owner string) {
	t.Helper()
	var c control.Core
	await(t, fmt.Sprintf("the core is %s, of %q", state, owner), func() bool {
		c = coresOf(t, d).Cores[0]
		return c.State == state && c.Owner == owner
	})
}

// TestCPUGoesOfflineAsASourceSays takes the only lent core out, and has it back, while both classes
// use it and a runtime beside them has a CPU of its own. Which CPUs are online is said by the test:
// to take one out of this machine would stop everything else that runs on it, and not every machine
// can.
func TestCPUGoesOfflineAsASourceSays(t *testing.T) {
	l, m := newLab(t, lab.PairOptions{}), &machine{}
	d := startDaemon(t, l, func(o *Options) {
		withOther(o)
		lendingOptions(t, o)
		o.Config.Runtimes[1].Class = config.ClassPinned
		o.senses = m.senses()
	})
	startChild(t, "echo", d.Socket(), "echo", modeMediated)
	startChild(t, "compute", d.Socket(), batchName, modeMediated)
	startChild(t, "other", d.Socket(), otherName, modeMediated)
	p := &pair{t: t, d: d, asking: startTraffic(t, l, echoPort)}
	beside := startTraffic(t, l, otherPort)
	for range 2 {
		p.answers()
		p.computes()
		m.offline.Store(true)
		coreIs(t, d, "offline", "")
		r := coresOf(t, d)
		lc, be := user(r, "echo"), user(r, batchName)
		if lc.Held+be.Held > 0 {
			t.Errorf("LC holds %d cores, BE %d, and there is none", lc.Held, be.Held)
		}
		answered := beside.replies.Load()
		await(t, "the runtime with a CPU of its own answers", func() bool {
			return beside.replies.Load() > answered+livelyReplies
		})
		r = coresOf(t, d)
		if err := coresAddUp(r); err != nil {
			t.Error(err)
		}
		if g := user(r, "echo").Grants + user(r, batchName).Grants; g != lc.Grants+be.Grants {
			t.Errorf("%d grants of a core that is offline", g-lc.Grants-be.Grants)
		}
		// Who cannot be asked has not said that it is back.
		m.unknown.Store(true)
		m.offline.Store(false)
		time.Sleep(3 * lookTest)
		coreIs(t, d, "offline", "")
		m.unknown.Store(false)
	}
	p.answers()
	p.computes()
}

// TestMemoryTrafficHoldsBEBack replays readings: above the limit BE loses the core, with the reading
// as the reason; it has it again below, and when nobody can read any more.
func TestMemoryTrafficHoldsBEBack(t *testing.T) {
	const calm, wild, blind = 1, 2, 3 // in the script's time
	l, m := newLab(t, lab.PairOptions{}), &machine{traffic: sensor.Script{Traffic: []sensor.Reading{
		{At: calm, Value: 100_000_000},
		{At: wild, Value: 5_000_000_000},
		{At: blind, Err: errors.New("unreadable, for a test")},
	}}}
	d := startDaemon(t, l, func(o *Options) {
		lendingOptions(t, o)
		o.Config.Cores.BandwidthLimit = 1000
		o.senses = m.senses()
	})
	startChild(t, "compute", d.Socket(), batchName, modeMediated)
	p := &pair{t: t, d: d}
	computes := func(when core.Time) {
		t.Helper()
		m.time.Store(int64(when))
		p.computes()
	}
	held := func() {
		t.Helper()
		m.time.Store(wild)
		await(t, "BE has no core", func() bool { return user(coresOf(t, d), batchName).Held == 0 })
		r := coresOf(t, d)
		for _, e := range r.Decisions {
			if strings.Contains(e.Reason, "bandwidth") {
				if e.From != batchName || !strings.Contains(e.Input, "5") {
					t.Errorf("the decision was %+v", e)
				}
				return
			}
		}
		t.Errorf("no decision says bandwidth: %+v", r.Decisions)
	}
	computes(0) // no rate before the second reading
	computes(calm)
	held()
	computes(calm)
	held()
	computes(blind)
	held()
}

// TestScrapesWhileCoresMove asks for the cores and the metrics from several sides while cores move
// as fast as they can: each answer adds up by itself, and no count ever falls.
func TestScrapesWhileCoresMove(t *testing.T) {
	const scrapers, moves = 3, 30
	l, d := lend(t)
	startChild(t, "echo", d.Socket(), "echo", modeMediated)
	startChild(t, "compute", d.Socket(), batchName, modeMediated)
	p := &pair{t: t, d: d, asking: startTraffic(t, l, echoPort)}
	p.answers()
	p.computes()
	before := coresOf(t, d)
	var running sync.WaitGroup
	var moved atomic.Bool
	for range scrapers {
		running.Go(func() {
			last := control.Cores{}
			for !moved.Load() {
				r, err := d.Cores(1000)
				if err = errors.Join(err, coresAddUp(r), falls(&last, &r)); err != nil {
					t.Error(err)
					return
				}
				last = r
				s, err := d.snapshot()
				if err != nil {
					t.Error(err)
					return
				}
				sum := core.Time(0)
				for _, o := range s.Cores.Cores[0].Times {
					sum += o.Time
				}
				if sum < last.Uptime || s.Cores.Passes < last.Passes {
					t.Errorf("metrics: times of %d ns and %d passes, after %d and %d", sum,
						s.Cores.Passes, last.Uptime, last.Passes)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	defer running.Wait()
	defer moved.Store(true)
	awaitIdle(t, "the core moves meanwhile", func() bool {
		return user(coresOf(t, d), batchName).Grants > user(before, batchName).Grants+moves
	})
}

// falls says which counts are lower in the later of two reports.
func falls(a, b *control.Cores) error {
	var errs []error
	if b.Passes < a.Passes || b.Uptime < a.Uptime || b.Wakes.Wakes < a.Wakes.Wakes {
		errs = append(errs, fmt.Errorf("passes %d, uptime %d, wakes %d after %d, %d, %d", b.Passes,
			b.Uptime, b.Wakes.Wakes, a.Passes, a.Uptime, a.Wakes.Wakes))
	}
	for _, u := range a.Runtimes {
		v := user(*b, u.Runtime)
		if v.Grants < u.Grants || v.Revocations < u.Revocations || v.Served < u.Served ||
			v.Time < u.Time || v.Busy < u.Busy || v.Demotions < u.Demotions {
			errs = append(errs, fmt.Errorf("%+v after %+v", v, u))
		}
		if v.Revocations > v.Grants {
			errs = append(errs, fmt.Errorf("%s lost its core %d times and had it %d times",
				u.Runtime, v.Revocations, v.Grants))
		}
	}
	return errors.Join(errs...)
}
