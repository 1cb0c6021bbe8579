// Package courier carries a transport endpoint's frames over a worker: what arrives goes to the
// endpoint, what the endpoint has to say goes out through the worker's link.
//
//	Link ─> Worker ─handler─> Endpoint.HandlePacket ─> Events (the application)
//	Link <─ Worker <─SendRaw, SendUDP── Endpoint.NextFrame
//
// A Courier is a core.Poller; its work is events taken and frames sent. It belongs to whoever has
// the worker, as its endpoint does: put it behind the worker in the host, or among its companions
// in a team. A frame that the worker has not taken yet lies in the Courier, so the next turn may be
// another thread's. Where every frame of the endpoint fits into a chunk of the worker's pool it is
// built there; longer ones are copied.
//
// A worker that had no core for a while finds the acknowledgements and replies of that while in its
// ring, a burst a turn: timers wait for those, or they would take for lost what has come.
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
	Submit(*handshake.Job) bool // to be run; false: there is no room before one was Solved
	Solved() *handshake.Job     // one that was run, or nil
}

// Courier joins an endpoint and a worker.
type Courier struct {
	e       *transport.Endpoint
	w       *dataplane.Worker
	solver  Solver
	app     func(now core.Time, ev transport.Event)
	job     *handshake.Job // that the solver had no room for
	frame   []byte         // the frame at hand; nil: all are built in chunks
	held    int            // bytes of it that the worker has not taken yet; 0: none
	blocked bool           // the worker had no chunk to build in
	last    core.Time      // the last Poll
	late    lateness
	in      []byte // a packet of several segments
	path    transport.Path
	port    uint16
	from    []*relay // from other workers
	came    uint64   // packets through them
	first   int      // of them, to be looked at first
}

// New joins them. App takes each event, on the worker's thread; its bytes are valid until it
// returns. Port is the UDP port of the endpoint, 0 for raw frames only.
func New(e *transport.Endpoint, w *dataplane.Worker, port uint16, s Solver,
	app func(now core.Time, ev transport.Event),
) (*Courier, error) {
	if w.MaxPacket() < e.MaxFrame() {
		return nil, fmt.Errorf("courier: frames of %d bytes, the worker sends %d: give the "+
			"endpoint a smaller MTU", e.MaxFrame(), w.MaxPacket())
	}
	c := &Courier{
		e: e, w: w, solver: s, app: app, port: port, in: make([]byte, wire.MaxPacketBytes),
	}
	if e.MaxFrame() > w.Cache().Pool().ChunkBytes() {
		c.frame = make([]byte, e.MaxFrame())
	}
	return c, c.serve(w, c.handle)
}

// serve has a worker give the endpoint's packets to h.
func (c *Courier) serve(w *dataplane.Worker, h dataplane.Handler) error {
	if err := w.HandleRaw(wire.EtherTypeDunlin, h); err != nil || c.port == 0 {
		return err
	}
	return w.HandleUDP(netip.AddrPortFrom(netip.Addr{}, c.port), h)
}

// Relay brings what comes in at another worker of the same pool to the endpoint: flows decide to
// which of a runtime's workers a peer's packets come. Wake has the Courier polled soon; it is
// called in that worker's turns. It is for wiring.
func (c *Courier) Relay(from *dataplane.Worker, wake func()) error {
	if from.Cache().Pool() != c.w.Cache().Pool() {
		return fmt.Errorf("courier: relay from a worker whose frames are of another pool")
	}
	q := &relay{from: from, wake: wake}
	c.from = append(c.from, q)
	return c.serve(from, q.handle)
}

// handle gives a packet to the endpoint. What follows from it is sent once for all packets of a
// turn, in Poll.
func (c *Courier) handle(r *dataplane.Request) {
	payload := r.Payload()
	if r.Segments() > 1 {
		payload = c.in[:r.CopyPayload(c.in)]
	}
	c.path = pathOf(r)
	c.e.HandlePacket(r.Now(), &c.path, payload)
	c.events(r.Now())
}

// Poll implements core.Poller.
func (c *Courier) Poll(now core.Time) (work int) {
	work = c.relays(now)
	for j := c.solver.Solved(); j != nil; j = c.solver.Solved() {
		c.e.JobDone(now, j)
		work++
	}
	if !c.behind(now) && c.e.Deadline() <= now {
		c.e.HandleTimeout(now)
	}
	work += c.events(now) // which may ask for handshakes
	return work + c.submit() + c.Push(now)
}

// Push sends what the endpoint has to say, for whoever has just asked something of it outside of
// the worker's turn. It returns how many frames that were.
func (c *Courier) Push(now core.Time) (n int) {
	if n = c.send(now); n > 0 {
		c.w.Flush()
	}
	return n
}

// submit hands jobs out, as far as there is room for them.
func (c *Courier) submit() (n int) {
	for {
		if c.job == nil {
			if c.job = c.e.NextJob(); c.job == nil {
				return n
			}
		}
		if !c.solver.Submit(c.job) {
			return n // until it has solved one, which wakes us
		}
		c.job = nil
		n++
	}
}

// Next implements core.Poller.
func (c *Courier) Next(now core.Time) core.Time {
	if c.held > 0 || c.blocked || c.left() {
		return now
	}
	return c.e.Deadline()
}

func (c *Courier) events(now core.Time) (n int) {
	for ev, ok := c.e.NextEvent(now); ok; ev, ok = c.e.NextEvent(now) {
		c.app(now, *ev)
		n++
	}
	return n
}

// send gives the worker what the endpoint has to say, as far as it takes it in this turn.
func (c *Courier) send(now core.Time) (n int) {
	if c.frame != nil {
		return c.sendCopies(now)
	}
	for {
		index, chunk, reason := c.w.Chunk()
		if c.blocked = reason != dataplane.OK; c.blocked {
			return n // it passes with time
		}
		length := c.e.NextFrame(now, chunk)
		if length == 0 {
			c.w.DropChunk(index)
			return n
		}
		c.w.SendChunk(index, length)
		n++
	}
}

// sendCopies is send for frames that need several chunks.
func (c *Courier) sendCopies(now core.Time) (n int) {
	for {
		if c.held == 0 {
			if c.held = c.e.NextFrame(now, c.frame); c.held == 0 {
				return n
			}
		}
		switch c.w.SendPacket(c.frame[:c.held]) {
		case dataplane.ReasonQueueFull, dataplane.ReasonNoFrame:
			return n // it passes with time
		}
		c.held = 0
		n++
	}
}

var _ core.Poller = (*Courier)(nil)
