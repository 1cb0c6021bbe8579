package swarm

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
)

// Streams of a seed besides those of the network and the hosts.
const (
	streamScenario = 0x7363656e6172696f
	streamApp      = 0x617070
	streamKeys     = 0x6b657973
	streamRenew    = 0x72656e6577
)

// draws names the ways in which a scenario is drawn.
type draws struct{ *rand.Rand }

func (d draws) percent(p int) bool { return d.IntN(100) < p }

func (d draws) between(low, high int64) int64 { return low + d.Int64N(high-low+1) }

// log is from low to high, its order of magnitude uniform.
func (d draws) log(low, high int64) int64 {
	doublings := 0
	for low<<doublings <= high/2 {
		doublings++
	}
	from := low << d.IntN(doublings+1)
	return d.between(from, min(2*from, high))
}

func (d draws) time(low, high core.Time) core.Time {
	return core.Time(d.log(int64(low), int64(high)))
}

// oneOf is one of some numbers.
func (d draws) oneOf(of ...int) int { return of[d.IntN(len(of))] }

// Draw is the scenario of a seed: which faults exist and how strong they are, what the hosts are
// like and what they do. Each part exists in some seeds only (swarm testing), and sizes that are
// usually large are tiny in some (FoundationDB's BUGGIFY).
func Draw(seed, frames uint64) Scenario {
	d := draws{rand.New(rand.NewPCG(seed, streamScenario))}
	s := Scenario{Seed: seed, Asked: frames, Frames: frames}
	hosts := d.oneOf(2, 2, 2, 2, 2, 3, 3, 3, 4, 5)
	d.network(&s, hosts)
	udp := uint8(d.oneOf(0, 0, 4, 6))
	for range hosts {
		s.Hosts = append(s.Hosts, d.plan(udp))
	}
	if d.percent(30) {
		for range d.IntN(4) + 1 {
			s.Acts = append(s.Acts, d.act(frames, hosts))
		}
		slices.SortStableFunc(s.Acts, func(a, b Act) int { return cmp.Compare(a.After, b.After) })
	}
	s.Work = d.work(frames)
	if d.percent(30) { // keys that are soon used up, and time for the next ones
		s.Work.Gap = d.time(core.Millisecond, 8*core.Millisecond)
		for i := range s.Hosts {
			s.Hosts[i].KeyFrames = uint64(d.log(1500, 8000))
		}
		if d.percent(50) {
			d.revenants(&s)
		}
	}
	if d.percent(5) { // counters beyond the width of every window
		s.Frames *= 3
	}
	s.Heal = d.heal(hosts)
	if d.percent(5) {
		for i := range s.Hosts {
			s.Hosts[i].FewNumbers = true
		}
	}
	s.drawRenewals()
	return s
}

// network draws a few climates and gives one to each direction of each path.
func (d draws) network(s *Scenario, hosts int) {
	s.Script = fabric.Script{Seed: s.Seed, Hosts: hosts}
	climates := []fault.Config{d.calm()}
	for range d.IntN(3) {
		climates = append(climates, d.climate())
	}
	shrinks := d.percent(20)
	for from := range hosts {
		for to := range hosts {
			if from == to {
				continue
			}
			c := climates[d.IntN(len(climates))]
			step := fabric.Step{From: from, To: to, Faults: c}
			s.Script.Steps = append(s.Script.Steps, step)
			if shrinks && d.percent(50) {
				step.At = d.time(10*core.Microsecond, 20*core.Millisecond)
				step.MTU = int(d.between(1300, 1600))
				s.Script.Steps = append(s.Script.Steps, step)
			}
			if d.percent(10) {
				step.At = d.time(100*core.Microsecond, 100*core.Millisecond)
				step.Faults = d.climate()
				s.Script.Steps = append(s.Script.Steps, step)
			}
		}
	}
	if d.percent(40) {
		for h := range hosts {
			s.Script.Cables = append(s.Script.Cables, fabric.Cable{
				Host: h, Out: d.port(), In: d.port(),
			})
		}
	}
}

// revenants lets frames come late that were lost, some of them after their key's time.
func (d draws) revenants(s *Scenario) {
	for i := range s.Script.Steps {
		c := &s.Script.Steps[i].Faults
		c.Loss = max(c.Loss, 0.05)
		c.Reorder = fault.Reorder{Probability: 0.2, Delay: 30 * core.Millisecond}
		c.Replay = fault.Replay{Probability: 0.3, Depth: mostHistory, Spread: 2 * core.Second}
	}
}

// mostHistory is how many frames are kept for each path where old ones are what a run is about, and
// someHistory elsewhere: more would be most of what a run touches.
const (
	mostHistory = 2000
	someHistory = 500
)

// calm is a network in order.
func (d draws) calm() fault.Config {
	c := fault.Config{Delay: fault.Delay{Fixed: d.time(core.Microsecond, 200*core.Microsecond)}}
	if d.percent(50) {
		c.Delay.Jitter = c.Delay.Fixed / 2
	}
	return c
}

// climate is one that is not.
func (d draws) climate() fault.Config {
	c := fault.Swarm(d.Rand)
	c.Replay.Depth = min(c.Replay.Depth, someHistory)
	return c
}

func (d draws) port() fabric.Port {
	const gigabit = 1_000_000_000
	return fabric.Port{Rate: d.log(gigabit, 100*gigabit), Queue: d.log(20_000, 2_000_000)}
}

func (d draws) plan(udp uint8) Plan {
	p := Plan{
		MTU: d.oneOf(1500, 1500, 1500, 1500, 1500, 1400, 3000, 9000), Lanes: 1, UDP: udp,
		FrameCost: d.time(100, 500), EventCost: d.time(50, 200),
		Ring: 512, Burst: 64, ClockAt: core.Time(d.Int64N(int64(1000 * core.Second))),
		Handshake: d.time(50*core.Microsecond, 500*core.Microsecond),
	}
	if d.percent(20) {
		p.FrameCost = d.time(500, 20*core.Microsecond)
	}
	if d.percent(30) {
		p.Lanes = d.oneOf(2, 3, 4)
	}
	if d.percent(20) {
		p.Ring = int(d.log(8, 64))
	}
	if d.percent(20) {
		p.Burst = int(d.log(1, 16))
	}
	if d.percent(25) {
		p.PeerBytes = int(d.log(64<<10, 1<<20))
		p.MemoryBytes = p.PeerBytes * d.oneOf(1, 2, 4, 8) / 2
	}
	if d.percent(30) {
		p.DriftPPM = d.between(-1000, 1000)
	}
	return p
}

func (d draws) act(frames uint64, hosts int) Act {
	return Act{
		After: uint64(d.Int64N(int64(frames))), Host: d.IntN(hosts),
		Kind: ActKind(d.IntN(2)), For: d.time(10*core.Microsecond, 4*core.Second),
	}
}

func (d draws) work(frames uint64) Work {
	w := Work{
		Gap:         d.time(2*core.Microsecond, 100*core.Microsecond),
		Outstanding: int(d.log(1, 64)),
		Sizes:       d.sizes(), Replies: d.sizes(),
		Regions: d.oneOf(0, 1, 1, 2), RegionBytes: int(d.log(256, 16<<10)),
		Stable: 50,
	}
	w.Deadline[0] = d.time(100*core.Microsecond, 100*core.Millisecond)
	w.Deadline[1] = d.time(w.Deadline[0], 4*core.Second)
	// A handshake costs as much as a hundred frames: what ends sessions is rare.
	w.Weights = [actions]int{doCall: 2000}
	for a, most := range [actions]int{
		doSend: 1000, doWrite: 2000, doCancel: 400, doRegister: 50, doDeregister: 50, doConnect: 1,
		doDrain: 1, doClose: 1,
	} {
		if most > 0 && d.percent(50) {
			w.Weights[a] = 1 + d.IntN(most)
		}
	}
	// A longer run has longer sessions, and not more of them.
	for a, longer := 0, int(max(frames/DefaultFrames, 1)); a < int(doConnect); a++ {
		w.Weights[a] *= longer
	}
	if d.percent(1) { // whoever must answer so many handshakes asks for cookies
		w.Weights[doClose], w.Closes = 100, stormCloses
		w.Gap = core.Microsecond
	}
	if d.percent(50) {
		w.Think = d.time(core.Microsecond, 10*core.Millisecond)
	}
	if d.percent(20) {
		w.Silent = 1 + d.IntN(20)
	}
	if d.percent(20) {
		w.Refuse = 1 + d.IntN(30)
	}
	if d.percent(20) {
		w.Wild = 1 + d.IntN(10)
	}
	return w
}

// stormCloses is how many sessions a host closes in a storm of handshakes: several times what is
// answered without a cookie. Each means arithmetic worth some hundred frames.
const stormCloses = 32

func (d draws) sizes() Sizes {
	small, most := d.oneOf(60, 80, 95, 100), d.oneOf(2000, 20_000, 200_000)
	return Sizes{Small: small, Most: int(d.log(100, int64(most)))}
}

func (d draws) heal(hosts int) Heal {
	order := d.Perm(hosts)
	well := 2 + d.IntN(hosts-1)
	h := Heal{Well: order[:well]}
	for range hosts - well {
		h.Other = append(h.Other, Fate(d.IntN(3)))
	}
	return h
}
