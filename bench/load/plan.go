package load

import (
	"fmt"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// Plan is one run of a generator. Its fields are exported for encoding/gob.
type Plan struct {
	Loop    report.Loop // Closed, Window or Open
	Window  int         // requests outstanding at most; Window only
	Rate    uint64      // requests per second; Open only
	Bytes   int         // of a frame, without the Ethernet checksum
	Warmup  core.Time   // before anything counts
	Measure core.Time   // how long to send requests that count
	GiveUp  core.Time   // after which a reply is lost; 0: lostAfter
	Poisson bool        // Open only: the times between requests are exponential, Rate is their mean
	Burst   Burst       // Poisson only: instead of Rate
	Seed    uint64      // of what is drawn
	Patient bool        // Next says when there is something to do, so that the loop parks
}

// Burst is a load that changes between two rates, at times that are exponential as well.
type Burst struct {
	Low, High uint64    // requests per second; 0, 0: the load is even
	Dwell     core.Time // mean time at one rate
}

// Result is what came of a run.
type Result struct {
	Samples []uint32  // round trips in nanoseconds, in order of arrival; not of a Window
	Replies uint64    // right replies that arrived in the measured time
	Sent    uint64    // requests in all, those of the warm-up included
	Elapsed core.Time // the measured time
	Faults  report.Faults
	Share   float64 // of rows in which somebody else works beside: the part he had; see shared
}

// Limits of plans.
const (
	// MaxWindow is the most requests outstanding. An open loop against a server that has stopped
	// fills it and then waits; what could not be sent still counts from when it was due. (guess: 50
	// times what is outstanding at 10,000 requests a second and 2 ms)
	MaxWindow = 1024

	// slots is how many requests a generator remembers, to tell a second reply from a late one. The
	// oldest ones outstanding are never overwritten.
	slots = 4 * MaxWindow
	// closedSlots is the same for one request outstanding: so few that they stay in the cache.
	closedSlots = 256

	// lostAfter is how long a reply may take before it counts as lost. On a busy machine a server
	// may not run for some hundred milliseconds; its replies are slow then, not lost. (guess)
	lostAfter = core.Second

	// lookAfter is how long something that waits for a reply sleeps before it looks around.
	lookAfter = 100 * core.Millisecond

	// minFrame is the least frame: Ethernet's minimum without its checksum is 60 B.
	minFrame = 60
)

func (p Plan) check() error {
	switch {
	case p.Loop != report.Closed && p.Loop != report.Window && p.Loop != report.Open:
		return fmt.Errorf("load: no generator for a %s loop", p.Loop)
	case p.Loop == report.Window && (p.Window < 1 || p.Window > MaxWindow):
		return fmt.Errorf("load: window of %d requests: want 1 to %d", p.Window, MaxWindow)
	case p.Loop == report.Open && (p.Rate < 1 || p.Rate > uint64(core.Second)):
		return fmt.Errorf("load: open loop at %d requests/s: want 1 to %d", p.Rate, core.Second)
	case p.Burst != Burst{} && (!p.Poisson || p.Burst.Low < 1 || p.Burst.High < p.Burst.Low ||
		p.Burst.High > uint64(core.Second) || p.Burst.Dwell < core.Microsecond):
		return fmt.Errorf("load: bursts of %+v: want a Poisson load, and rates from 1 to %d for "+
			"at least a microsecond", p.Burst, core.Second)
	case p.Bytes < minFrame || p.Warmup < 0 || p.Measure <= 0:
		return fmt.Errorf("load: frames of %d bytes for %d + %d ns: want at least %d bytes and "+
			"some time", p.Bytes, p.Warmup, p.Measure, minFrame)
	}
	return nil
}
