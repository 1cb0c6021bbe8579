package sim

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
)

// Service is how long requests take.
type Service struct {
	Mean  core.Time
	Fixed bool // always the mean; else exponentially distributed
}

func (s Service) String() string {
	if s.Fixed {
		return fmt.Sprintf("fixed %v", micros(s.Mean))
	}
	return fmt.Sprintf("exponential %v", micros(s.Mean))
}

func (s Service) draw(from *Source) core.Time {
	if s.Fixed {
		return s.Mean
	}
	// What is drawn is cut down to a nanosecond; half of one is the mean loss.
	return core.Time(from.Exponential(2*int64(s.Mean))+1) / 2
}

// Load is an open loop of requests: they come whether or not those before are done. Within a level
// they come as a Poisson process.
type Load struct {
	Low, High int       // percent of the time of all cores
	Dwell     core.Time // how long a level lasts; 0: for ever, so High is not used
	Random    bool      // that long on average, exponentially distributed: bursts
}

func (l Load) String() string {
	switch {
	case l.Dwell == 0:
		return fmt.Sprintf("Poisson %d %%", l.Low)
	case l.Random:
		return fmt.Sprintf("bursts %d/%d %%, mean %v", l.Low, l.High, micros(l.Dwell))
	}
	return fmt.Sprintf("steps %d/%d %%, %v", l.Low, l.High, micros(l.Dwell))
}

// picoseconds is one nanosecond: at 64 cores and 1 us the gaps between requests are 20 ns, too
// short to be counted in whole nanoseconds.
const picoseconds = 1000

// generator makes the requests of one LC runtime.
type generator struct {
	loop    *Loop
	id      ID
	load    Load
	service Service
	gap     [2]int64 // mean, in ps, at the low and the high level; 0: none come
	draw    *Source
	to      func(arrived, service core.Time)

	high  bool
	clock int64  // of the next request, in ps
	level uint64 // counts changes of level
}

// What happens to a generator.
const (
	requestDue = iota // of the level in Arg
	levelOver
)

// newGenerator adds a generator for that many cores to the loop and starts it.
func newGenerator(l *Loop, load Load, s Service, cores int, draw *Source,
	to func(arrived, service core.Time),
) *generator {
	g := &generator{loop: l, load: load, service: s, draw: draw, to: to}
	for i, percent := range [...]int{load.Low, load.High} {
		if percent > 0 {
			g.gap[i] = int64(s.Mean) * picoseconds * 100 / int64(cores*percent)
		}
	}
	g.id = l.Add(g)
	g.begin()
	return g
}

// begin starts a level. The process has no memory, so the gap is drawn anew.
func (g *generator) begin() {
	now := g.loop.Now()
	g.clock = int64(now) * picoseconds
	g.next()
	if g.load.Dwell > 0 {
		dwell := g.load.Dwell
		if g.load.Random {
			dwell = core.Time(g.draw.Exponential(int64(dwell)))
		}
		g.loop.Post(now+dwell, g.id, levelOver, 0)
	}
}

func (g *generator) next() {
	gap := g.gap[0]
	if g.high {
		gap = g.gap[1]
	}
	if gap > 0 {
		g.clock += g.draw.Exponential(gap)
		g.loop.Post(core.Time(g.clock/picoseconds), g.id, requestDue, g.level)
	}
}

// Handle lets a request come or the level change.
func (g *generator) Handle(now core.Time, e Event) {
	switch {
	case e.Kind == levelOver:
		g.high = !g.high
		g.level++
		g.begin()
	case e.Arg == g.level:
		g.to(now, g.service.draw(g.draw))
		g.next()
	}
}
