package load

import (
	"context"
	"os"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// The processes of a colocation besides the iokernel.

// fileShare is what a process inherits that computes.
const fileShare = 3

// computeRounds is the work of one turn: about 1 us, so that a core is given back soon.
const computeRounds = 700

// stallLimit is from when on a thread that only looks at the clock is said to have stood still.
const stallLimit = core.Millisecond

// computer is a best-effort poller. Each turn is a piece of work; its time counts, unless others
// had the CPU in the middle of it.
type computer struct {
	clock pin.Clock
	share *share
	state uint64
}

// Poll implements core.Poller. Its work is turns.
func (c *computer) Poll(core.Time) int {
	start := c.clock.Now()
	c.state = churn(c.state)
	if t := c.clock.Now() - start; t < 20*core.Microsecond {
		c.share.useful.Store(c.share.useful.Load() + int64(t))
	}
	return 1
}

// Next implements core.Poller: there is always more to do.
func (c *computer) Next(now core.Time) core.Time { return now }

// churn is work that the compiler cannot leave out.
func churn(x uint64) uint64 {
	for range computeRounds {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

// compute is a best-effort runtime with work for ever.
func (p *peer) compute() error {
	memory, err := mem.Map(os.NewFile(fileShare, "share"), os.Getpagesize())
	if err != nil {
		return err
	}
	rt, err := attach.Open(attach.Options{Name: batchName, Socket: p.Socket})
	if err != nil {
		return err
	}
	for w := range rt.Workers() {
		rt.Add(w, &computer{clock: pin.NewClock(), share: layShare(memory.Bytes)})
	}
	return rt.Run(context.Background())
}

// serveLent is a latency-critical runtime: an echo that computes for some time before.
func (p *peer) serveLent() error {
	rt, err := attach.Open(attach.Options{Name: p.Runtime, Socket: p.Socket})
	if err != nil {
		return err
	}
	if err := rt.HandleRaw(wire.EtherType(p.Ether), p.handler()); err != nil {
		return err
	}
	return rt.Run(context.Background())
}

// handler computes for the time of the service, then sends the request back.
func (p *peer) handler() dataplane.Handler {
	if p.Work == 0 {
		return func(r *dataplane.Request) { r.Turn() }
	}
	clock, work := pin.NewClock(), p.Work
	return func(r *dataplane.Request) {
		spinFor(clock, work)
		r.Turn()
	}
}

// spinFor computes for a time, by the clock.
func spinFor(clock pin.Clock, t core.Time) {
	for end := clock.Now() + t; clock.Now() < end; {
	}
}

// reference looks at the clock for ever, and notes when it could not.
func (p *peer) reference() error {
	memory, err := mem.Map(os.NewFile(fileShare, "share"), os.Getpagesize())
	if err != nil {
		return err
	}
	spinOn("reference")
	share, clock := layShare(memory.Bytes), pin.NewClock()
	for last := clock.Now(); ; {
		now := clock.Now()
		gap := now - last
		last = now
		if gap < stallLimit || gap > core.Time(stopPatience) { // longer: we were stopped
			continue
		}
		share.stalls.Store(share.stalls.Load() + 1)
		share.stalled.Store(share.stalled.Load() + int64(gap))
		share.longest.Store(max(share.longest.Load(), int64(gap)))
	}
}
