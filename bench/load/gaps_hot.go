package load

import (
	"math"

	"github.com/dunlin-io/dunlin/core"
)

// gaps are the times between the requests of an open loop.
type gaps struct {
	mean   float64 // nanoseconds
	random bool    // exponential; otherwise all are the mean
	state  uint64
	burst  Burst
	high   bool      // of a burst: at the higher rate
	change core.Time // ... until then
}

func newGaps(p *Plan) gaps {
	rate := p.Rate
	if p.Burst.Low > 0 {
		rate = p.Burst.Low
	}
	return gaps{
		mean: float64(core.Second) / float64(rate), random: p.Poisson, burst: p.Burst,
		state: p.Seed*2 + 1,
	}
}

// begin starts the clock of bursts.
func (g *gaps) begin(now core.Time) {
	g.high, g.change = false, core.Never
	if g.burst.Low > 0 {
		g.change = now + g.exponential(float64(g.burst.Dwell))
	}
}

// next is the time from a request at the given time to the one after it. Where the rate changes in
// between, what is left is drawn anew: an exponential gap has no memory.
func (g *gaps) next(at core.Time) core.Time {
	if !g.random {
		return max(core.Time(g.mean), 1)
	}
	from := at
	for {
		gap := g.exponential(g.mean)
		if g.change == core.Never || from+gap <= g.change {
			return from + gap - at
		}
		from = g.change
		g.high = !g.high
		g.change = from + g.exponential(float64(g.burst.Dwell))
		rate := g.burst.Low
		if g.high {
			rate = g.burst.High
		}
		g.mean = float64(core.Second) / float64(rate)
	}
}

// exponential draws a time of that mean.
func (g *gaps) exponential(mean float64) core.Time {
	// The generator of Steele, Lea and Flood (SplitMix, 2014): one state, good high bits.
	g.state += 0x9E3779B97F4A7C15
	z := g.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	z ^= z >> 31
	u := (float64(z>>11) + 1) / (1 << 53) // from (0, 1]
	return max(core.Time(-math.Log(u)*mean), 1)
}
