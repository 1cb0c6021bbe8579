package fault

import (
	"math/rand/v2"

	"github.com/dunlin-io/dunlin/core"
)

// Swarm draws a Config: each fault exists in every second one, and how strong it is spreads over
// orders of magnitude. Testing with few faults at a time reaches states that all faults together
// hide (Groce et al., Swarm Testing, 2012). The Config is valid and its cuts heal; the strongest
// of each (a guess, after what TigerBeetle's and FoundationDB's simulators draw) is well past what
// a protocol must carry traffic through.
func Swarm(rng *rand.Rand) Config {
	d := draws{rng}
	var c Config
	c.Delay.Fixed = d.duration(core.Microsecond, core.Millisecond)
	if d.coin() {
		c.Delay.Jitter = d.duration(core.Microsecond, core.Millisecond)
	}
	if d.coin() {
		c.Delay.TailProbability = d.probability(0.1)
		c.Delay.Tail = d.duration(10*core.Microsecond, core.Millisecond)
		c.Delay.TailMax = core.Second
	}
	if d.coin() {
		c.Loss = d.probability(0.3)
	}
	if d.coin() {
		c.Burst = Burst{d.probability(0.02), d.between(0.02, 0.5), d.between(0.5, 1)}
	}
	if d.coin() {
		c.Duplicate = Duplicate{
			d.probability(0.5), 1 + rng.IntN(MaxExtraCopies),
			d.duration(core.Microsecond, 10*core.Millisecond),
		}
	}
	if d.coin() {
		c.Reorder = Reorder{d.probability(0.5), d.duration(core.Microsecond, 10*core.Millisecond)}
	}
	if d.coin() {
		c.Corrupt = d.probability(0.1)
	}
	if d.coin() {
		c.Truncate.Probability = d.probability(0.1)
	}
	if d.coin() {
		c.Clog = d.outage()
	}
	if d.coin() {
		c.Cut = d.outage()
	}
	if d.coin() {
		c.Replay = Replay{
			d.probability(0.5), int(d.log(1, MaxReplayDepth)),
			d.duration(core.Microsecond, core.Second),
		}
	}
	return c
}

// Without is c less one kind of fault, for whoever shrinks a failure. All others strike as they
// did.
func (c Config) Without(k Kind) Config {
	switch k {
	case KindCut:
		c.Cut = Outage{}
	case KindBurst:
		c.Burst = Burst{}
	case KindLoss:
		c.Loss = 0
	case KindDuplicate:
		c.Duplicate = Duplicate{}
	case KindReorder:
		c.Reorder = Reorder{}
	case KindCorrupt:
		c.Corrupt = 0
	case KindTruncate:
		c.Truncate = Truncate{}
	case KindClog:
		c.Clog = Outage{}
	case KindReplay:
		c.Replay = Replay{}
	case KindTail:
		c.Delay.TailProbability, c.Delay.Tail, c.Delay.TailMax = 0, 0, 0
	}
	return c
}

// draws names the ways in which Swarm uses its generator.
type draws struct{ rng *rand.Rand }

func (d draws) coin() bool { return d.rng.Uint64()&1 != 0 }

func (d draws) between(low, high float64) float64 { return low + d.rng.Float64()*(high-low) }

// probability is at most the given one and more than a 2,048th of it, its order of magnitude
// uniform.
func (d draws) probability(most float64) float64 {
	return most * (1 - d.rng.Float64()/2) / float64(uint64(1)<<d.rng.IntN(11))
}

// log is from low to high, its order of magnitude roughly uniform: a uniform number of doublings
// of low, then uniform up to one more.
func (d draws) log(low, high int64) int64 {
	doublings := 0
	for low<<doublings <= high/2 {
		doublings++
	}
	from := low << d.rng.IntN(doublings+1)
	return from + d.rng.Int64N(min(2*from, high)-from+1)
}

func (d draws) duration(low, high core.Time) core.Time {
	return core.Time(d.log(int64(low), int64(high)))
}

// outage begins at most every 500 packets, or the path would carry nothing else.
func (d draws) outage() Outage {
	a := d.duration(10*core.Microsecond, 5*core.Second)
	b := d.duration(10*core.Microsecond, 5*core.Second)
	return Outage{d.probability(0.002), min(a, b), max(a, b)}
}
