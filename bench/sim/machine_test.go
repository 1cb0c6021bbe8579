package sim

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

const us = core.Microsecond

// script is a policy that does what it is told at its n-th pass.
type script struct {
	passes []core.Time // when they were
	at     map[int][]policy.Action
}

func (s *script) Decide(now core.Time, _ *policy.Snapshot, out []policy.Action) []policy.Action {
	s.passes = append(s.passes, now)
	return append(out, s.at[len(s.passes)-1]...)
}

func grant(c, to, from int16) policy.Action {
	return policy.Action{
		Kind: policy.Grant, Reason: policy.ForShare, Core: c, Runtime: to, From: from,
	}
}

func park(c, from int16) policy.Action {
	return policy.Action{Kind: policy.Park, Core: c, Runtime: policy.None, From: from}
}

// scene is a small machine with an LC runtime 0 and a BE runtime 1, and no requests but those that
// a test brings.
type scene struct {
	t    *testing.T
	loop *Loop
	m    *machine
	s    *scheduler
	p    *script
}

func newScene(t *testing.T, cores int, at map[int][]policy.Action) *scene {
	c := Config{
		Cores: cores, Interval: 10 * us, Cost: MeasuredCost(), Fixed: true, Measure: 1,
		Runtimes: []RuntimeConfig{
			{Class: policy.LatencyCritical, Most: cores}, {Class: policy.BestEffort, Most: cores},
		},
	}
	s := &scene{t: t, loop: NewLoop(), p: &script{at: at}}
	s.m = newMachine(s.loop, &c)
	s.s = newScheduler(s.loop, s.m, s.p, &c)
	return s
}

// arrive brings a request to LC at a time.
func (s *scene) arrive(at, service core.Time) {
	s.run(at)
	s.m.arrive(0, at, service)
}

func (s *scene) run(until core.Time) {
	s.loop.Run(until)
	if s.s.err != nil {
		s.t.Fatal(s.s.err)
	}
}

// took expects the one request that is done so far to have taken that long.
func (s *scene) took(want core.Time) {
	s.t.Helper()
	if h := s.m.runtimes[0].times; h.Count() != 1 || h.Most() != want {
		s.t.Errorf("%d requests, the longest of %d ns, want one of %d", h.Count(), h.Most(), want)
	}
}

func TestTakingFromBECostsAHandOver(t *testing.T) {
	s := newScene(t, 1, map[int][]policy.Action{0: {grant(0, 1, -1)}, 2: {grant(0, 0, 1)}})
	s.arrive(15*us, 7*us)
	s.run(25 * us)
	if got := s.m.used(25*us, 0); got != 3*us {
		t.Errorf("LC has worked for %d ns, 3 us after it began", got)
	}
	s.run(40 * us)
	s.took((20-15)*us + 2*us + 7*us)
	if got := s.m.used(40*us, 1); got != (20-2)*us {
		t.Errorf("BE had %d ns, want from its taking up at 2 us until 20 us", got)
	}
	if got := s.m.used(40*us, 0); got != 7*us {
		t.Errorf("LC worked for %d ns", got)
	}
	if got := s.m.moves; got != (moves{grants: 2, dead: 4 * us}) {
		t.Errorf("%+v", got)
	}
}

// An LC worker that is told to go finishes its request, and nothing else.
func TestLCFinishesItsRequest(t *testing.T) {
	back := grant(0, 1, 0)
	back.Reason = policy.ForReserved
	s := newScene(t, 1, map[int][]policy.Action{0: {grant(0, 0, -1)}, 1: {back}})
	s.arrive(5*us, 20*us)
	s.m.arrive(0, 5*us, us) // waits, and goes on waiting
	s.run(24 * us)
	if k := &s.m.cores[0]; k.state != policy.Yielding || k.owner != 1 || k.on != 0 || !k.busy {
		t.Errorf("while it works: %+v", k)
	}
	s.run(50 * us)
	s.took(20 * us)
	if k := &s.m.cores[0]; k.state != policy.Running || k.ownedAt != 27*us || k.last != 0 {
		t.Errorf("afterwards: %+v", k)
	}
	if got := s.m.runtimes[0].queue.count; got != 1 {
		t.Errorf("%d requests wait", got)
	}
}

// A wake costs the one who is woken 20 us, and the scheduler 12 us and so its next pass.
func TestWake(t *testing.T) {
	s := newScene(t, 1, map[int][]policy.Action{1: {park(0, -1)}, 2: {grant(0, 0, -1)}})
	s.arrive(15*us, 3*us)
	s.run(60 * us)
	s.took(5*us + 20*us + 3*us)
	if got := s.p.passes; len(got) < 5 || got[2] != 20*us || got[3] != 32*us || got[4] != 42*us {
		t.Errorf("passes at %v", got)
	}
	if got := s.m.moves; got != (moves{grants: 1, wakes: 1, parks: 1, dead: 20 * us}) {
		t.Errorf("%+v", got)
	}
}

// A request goes to an unused core of its runtime at once, and one that waits to the next free
// core.
func TestUnusedCoresTakeRequests(t *testing.T) {
	s := newScene(t, 2, map[int][]policy.Action{0: {grant(0, 0, -1), grant(1, 0, -1)}})
	for i := range core.Time(3) {
		s.arrive((3+i)*us, 10*us)
	}
	s.run(14 * us)
	if got := s.m.runtimes[0].served; got != 2 {
		t.Errorf("%d done", got)
	}
	s.run(23 * us) // on the core that was free first, at 13 us
	if h := s.m.runtimes[0].times; h.Count() != 3 || h.Most() != 18*us {
		t.Errorf("%d done, the longest took %d ns", h.Count(), h.Most())
	}
	if got := len(s.m.runtimes[0].unused); got != 2 {
		t.Errorf("%d unused", got)
	}
}

// A prompt scheduler comes when a request waits, but not twice within its least time.
func TestPrompt(t *testing.T) {
	s := newScene(t, 1, nil)
	s.s.prompt = 4 * us
	for _, at := range []core.Time{15, 15, 16, 18, 40} {
		s.arrive(at*us, us)
	}
	s.run(45 * us)
	want := []core.Time{0, 10, 15, 19, 29, 39, 43}
	for i, at := range want {
		if i >= len(s.p.passes) || s.p.passes[i] != at*us {
			t.Fatalf("passes at %v ns, want %v us", s.p.passes, want)
		}
	}
}

// What the scheduler sees of a machine.
func TestSnapshot(t *testing.T) {
	s := newScene(t, 3, map[int][]policy.Action{
		0: {grant(0, 0, -1), grant(1, 1, -1)}, 1: {grant(1, 0, 1)},
	})
	s.arrive(3*us, 30*us)
	s.run(4 * us)
	s.m.arrive(0, 4*us, us)
	s.run(11 * us)
	s.s.look(11 * us)
	k := s.s.snapshot.Cores
	if k[0].State != policy.Running || k[0].Owner != 0 || k[0].OwnedAt != 2*us {
		t.Errorf("core 0: %+v", k[0])
	}
	if k[1].State != policy.Yielding || k[1].Owner != 0 || k[1].Last != 1 || k[1].LastAt != 10*us {
		t.Errorf("core 1: %+v", k[1])
	}
	if k[2].State != policy.Idle || k[2].Owner != policy.None || k[2].Failed != policy.None {
		t.Errorf("core 2: %+v", k[2])
	}
	r := s.s.snapshot.Runtimes[0]
	if r.Waiting != 1 || r.FrameDelay != 7*us || r.Most != 3 || r.NextTimer != core.Never {
		t.Errorf("LC: %+v", r)
	}
}
