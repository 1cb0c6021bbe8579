// Package courier carries a transport endpoint's frames over a worker: what arrives goes to the
// endpoint, what the endpoint has to say goes out through the worker's link.
//
//	Link ─> Worker ─handler─> Endpoint.HandlePacket ─> Events (the application)
//	Link <─ Worker <─SendRaw, SendUDP── Endpoint.NextFrame
//
// A Courier is a core.Poller; its work is events taken and frames sent. It belongs to the worker's
// thread, as its endpoint does; put it behind the worker in the host. Frames longer than a chunk of
// the worker's pool cannot be sent: give the endpoint an MTU that fits.
package courier

import (
	"fmt"
	"net/netip"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// Solver does the arithmetic of handshakes elsewhere. Neither call blocks.
type Solver interface {
	Submit(*handshake.Job)  // to be run
	Solved() *handshake.Job // one that was run, or nil
}

// Courier joins an endpoint and a worker.
type Courier struct {
	e      *transport.Endpoint
	w      *dataplane.Worker
	solver Solver
	app    func(now core.Time, ev transport.Event)
	frame  []byte // the frame at hand
	held   int    // bytes of it that the worker has not taken yet; 0: none
	in     []byte // a packet of several segments
	path   transport.Path
}

// New joins them. App takes each event, on the worker's thread; its bytes are valid until it
// returns. Port is the UDP port of the endpoint, 0 for raw frames only.
func New(e *transport.Endpoint, w *dataplane.Worker, port uint16, s Solver,
	app func(now core.Time, ev transport.Event),
) (*Courier, error) {
	if w.MaxSend(false)+wire.UDP4Bytes < e.MaxFrame() {
		return nil, fmt.Errorf("courier: frames of %d bytes, the worker sends %d",
			e.MaxFrame(), w.MaxSend(false)+wire.UDP4Bytes)
	}
	c := &Courier{
		e: e, w: w, solver: s, app: app, frame: make([]byte, e.MaxFrame()),
		in: make([]byte, wire.MaxPacketBytes),
	}
	if err := w.HandleRaw(wire.EtherTypeDunlin, c.handle); err != nil {
		return nil, err
	}
	if port != 0 {
		if err := w.HandleUDP(netip.AddrPortFrom(netip.Addr{}, port), c.handle); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// handle gives a packet to the endpoint and sends what follows from it in the same turn.
func (c *Courier) handle(r *dataplane.Request) {
	payload := r.Payload()
	if r.Segments() > 1 {
		payload = c.in[:r.CopyPayload(c.in)]
	}
	flow := r.Flow()
	c.path = transport.Path{UDP: r.Kind() != wire.KindRaw, Flow: flow.Turned()}
	c.e.HandlePacket(r.Now(), &c.path, payload)
	c.events(r.Now())
	c.send(r.Now())
}

// Poll implements core.Poller.
func (c *Courier) Poll(now core.Time) (work int) {
	for j := c.solver.Solved(); j != nil; j = c.solver.Solved() {
		c.e.JobDone(now, j)
		work++
	}
	if c.e.Deadline() <= now {
		c.e.HandleTimeout(now)
	}
	for j := c.e.NextJob(); j != nil; j = c.e.NextJob() {
		c.solver.Submit(j)
		work++
	}
	return work + c.events(now) + c.send(now)
}

// Next implements core.Poller.
func (c *Courier) Next(now core.Time) core.Time {
	if c.held > 0 {
		return now
	}
	return c.e.Deadline()
}

func (c *Courier) events(now core.Time) (n int) {
	for ev, ok := c.e.NextEvent(now); ok; ev, ok = c.e.NextEvent(now) {
		c.app(now, ev)
		n++
	}
	return n
}

// send gives the worker what the endpoint has to say, as far as it takes it in this turn.
func (c *Courier) send(now core.Time) (n int) {
	for {
		if c.held == 0 {
			if c.held = c.e.NextFrame(now, c.frame); c.held == 0 {
				return n
			}
		}
		switch c.put(c.frame[:c.held]) {
		case dataplane.ReasonQueueFull, dataplane.ReasonNoFrame:
			return n // it passes with time
		}
		c.held = 0
		n++
	}
}

func (c *Courier) put(frame []byte) dataplane.Reason {
	e := wire.Ethernet(frame)
	if e.EtherType() == wire.EtherTypeDunlin {
		return c.w.SendRaw(e.Dst(), wire.EtherTypeDunlin, frame[wire.EthernetBytes:])
	}
	p, _ := wire.Parse(frame, len(frame))
	flow := wire.FlowOf(frame, p)
	return c.w.SendUDP(&flow, frame[p.Payload:])
}

var _ core.Poller = (*Courier)(nil)
