package load

import (
	"math"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// Generator sends requests over a Transport and times and checks the replies. It is a core.Poller:
// its work is replies received and requests sent.
//
//	Begin ─> warm-up ─> measured ─> last replies ─> done
//
// Closed loop: one request is outstanding, and the turn that sees its reply sends the next one.
// Both carry the time of that turn, so the round trips tile the measured time: nothing happens
// between two of them that no sample contains.
//
// Open loop: requests are due at equal distances, or at random ones as by many clients that know
// nothing of each other (Poisson), and count from when they were due, however late
// they could be sent, so a server that stands still does not keep its victims from being counted.
//
// Window: as many requests as fit are outstanding; counted, not timed.
//
// It belongs to the thread that polls it, and allocates nothing while it runs. Stop may be called
// from anywhere.
type Generator struct {
	link Transport
	done func() // called on the polling thread when a run ends

	loop    report.Loop
	patient bool
	running bool
	begun   bool // the first Poll has set the times
	window  int
	gaps    gaps      // of an open loop
	giveUp  core.Time // after which a reply is lost
	warmup  core.Time
	measure core.Time
	warm    core.Time        // requests count from here
	end     core.Time        // no request is sent from here
	due     [burst]core.Time // of the next requests, open loop: as many as are drawn
	drawn   int

	first       uint64 // of this run; numbers are never used twice
	next        uint64 // request to send
	oldest      uint64 // all before it are answered or given up
	outstanding int
	mask        uint64
	slots       [slots]slot
	got         [burst]uint64

	samples []uint32
	count   int // of samples taken in this run
	replies uint64
	faults  report.Faults
	stop    atomic.Bool
}

type state uint8

const (
	waiting state = iota
	answered
	lost
)

// slot remembers one request.
type slot struct {
	seq   uint64
	at    core.Time // it counts from
	state state
}

// NewGenerator returns a generator that keeps at most so many samples of a run: further ones are
// neither timed nor counted.
func NewGenerator(link Transport, samples int) *Generator {
	g := &Generator{link: link, samples: make([]uint32, samples)}
	for i := range g.samples { // touch every page now, not while a row runs
		g.samples[i] = 1
	}
	return g
}

// Begin prepares a run that starts with the next Poll; done, if not nil, is called when it is over.
func (g *Generator) Begin(p Plan, done func()) error {
	if err := p.check(); err != nil {
		return err
	}
	if err := g.link.SetBytes(p.Bytes); err != nil {
		return err
	}
	g.loop, g.patient, g.warmup, g.measure, g.done = p.Loop, p.Patient, p.Warmup, p.Measure, done
	g.window, g.mask = 1, closedSlots-1
	if g.giveUp = p.GiveUp; g.giveUp == 0 {
		g.giveUp = lostAfter
	}
	switch p.Loop {
	case report.Window:
		g.window, g.mask = p.Window, slots-1
	case report.Open:
		g.window, g.mask = MaxWindow, slots-1
		g.gaps = newGaps(&p)
	}
	g.drawn = 0
	g.first, g.oldest, g.outstanding = g.next, g.next, 0
	for i := range g.slots {
		g.slots[i] = slot{seq: Damaged}
	}
	g.count, g.replies, g.faults = 0, 0, report.Faults{}
	g.running, g.begun = true, false
	g.stop.Store(false)
	return nil
}

// Running reports whether a run is not over yet. It is for the polling thread.
func (g *Generator) Running() bool { return g.running }

// Stop ends a run at the next Poll; its result is what it was until then.
func (g *Generator) Stop() { g.stop.Store(true) }

// Result is what came of the run. The samples are the generator's and stay until the next Begin.
func (g *Generator) Result() Result {
	return Result{
		Samples: g.samples[:g.count], Replies: g.replies, Elapsed: g.measure,
		Sent: g.next - g.first, Faults: g.faults,
	}
}

// Next implements core.Poller. A generator that is not patient keeps its loop from parking. One
// that is lets it wait for a reply without a time limit, since timers are expensive to arm: whoever
// runs it polls it now and then, so that it notices losses.
func (g *Generator) Next(now core.Time) core.Time {
	switch {
	case !g.running:
		return core.Never
	case !g.patient || !g.begun || now >= g.end:
		return now
	case g.loop == report.Open && g.outstanding < g.window:
		return g.due[0]
	case g.outstanding < g.window:
		return now
	}
	return core.Never
}

// nanoseconds is a sample; 4.29 s and longer are all the same.
func nanoseconds(t core.Time) uint32 {
	return uint32(min(max(t, 0), math.MaxUint32))
}
