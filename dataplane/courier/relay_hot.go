package courier

import (
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// relayed is how many packets wait in a relay; more are dropped, and the peers send them again. A
// power of 2. (guess: four bursts)
const relayed = 256

// relayedTurn is how many of them are taken in a turn, of all relays together, so that a thread
// that is to leave its core soon can: a burst.
const relayedTurn = dataplane.MaxBurst

// lineBytes is a cache line of every machine we know.
const lineBytes = 64

// relay is a queue of packets that came in at another worker of the runtime, because flows decide
// about that, to the one that has the endpoint.
//
//	worker 1 ─handler─> [relayed] ─> Courier.Poll, in worker 0's turn ─> Endpoint.HandlePacket
//	                       └─ wake, if it was empty
//
// It has one writer and one reader: whoever has the one worker, and whoever has the other. The
// frames are the relay's in between; the reader frees them.
type relay struct {
	head    atomic.Uint32 // read so far; the reader's
	_       [lineBytes - 4]byte
	tail    atomic.Uint32 // written so far; the writer's
	_       [lineBytes - 4]byte
	parcels [relayed]parcel
	from    *dataplane.Worker
	wake    func()
}

// parcel is a packet's payload and the way back.
type parcel struct {
	path   transport.Path
	frames [dataplane.MaxSegments]dataplane.Frame
	count  int
}

// handle takes a packet in. It looks whether the relay was empty after the packet is there, as the
// reader looks for packets after it has said how far it came: one of the two sees the other.
func (q *relay) handle(r *dataplane.Request) {
	tail := q.tail.Load()
	if tail-q.head.Load() == relayed {
		r.Decline()
		return
	}
	p := &q.parcels[tail%relayed]
	p.path = pathOf(r)
	p.count = r.Take(p.frames[:])
	q.tail.Store(tail + 1)
	if q.head.Load() == tail {
		q.wake()
	}
}

// pathOf is the way back to who sent a packet.
func pathOf(r *dataplane.Request) transport.Path {
	flow := r.Flow()
	return transport.Path{UDP: r.Kind() != wire.KindRaw, Flow: flow.Turned()}
}

// relays gives the endpoint what came in at other workers, a turn's worth, beginning with another
// relay each time. Nobody wakes us for what is left: Next says that it is.
func (c *Courier) relays(now core.Time) (n int) {
	for i := range c.from {
		n += c.relay(now, c.from[(c.first+i)%len(c.from)], relayedTurn-n)
	}
	if c.first++; c.first >= len(c.from) {
		c.first = 0
	}
	c.came += uint64(n)
	return n
}

// relay gives the endpoint at most so many packets of one other worker.
func (c *Courier) relay(now core.Time, q *relay, most int) (n int) {
	for ; n < most && q.waiting(); n++ {
		head := q.head.Load()
		p := &q.parcels[head%relayed]
		frames := p.frames[:p.count]
		c.e.HandlePacket(now, &p.path, c.payload(frames))
		c.w.Cache().FreeAll(frames)
		q.head.Store(head + 1)
	}
	return n
}

// waiting reports whether a packet waits.
func (q *relay) waiting() bool { return q.head.Load() != q.tail.Load() }

// left reports whether packets of other workers wait.
func (c *Courier) left() bool {
	for _, q := range c.from {
		if q.waiting() {
			return true
		}
	}
	return false
}

// payload is that of a packet in one piece.
func (c *Courier) payload(frames []dataplane.Frame) []byte {
	pool := c.w.Cache().Pool()
	if len(frames) == 1 {
		return pool.Bytes(frames[0])
	}
	n := 0
	for _, f := range frames {
		n += copy(c.in[n:], pool.Bytes(f))
	}
	return c.in[:n]
}
