// Package memlink is a wire in memory: two Links, each with a frame pool of its own, and a path
// each way on which a fault.Model may lose, delay, copy and damage packets. It is for tests without
// root.
//
//	End A  Send,Flush ─copy─> in flight, judged by the model ─copy─> Recv  End B
//	pool A     <─ chunks freed                   chunks allocated ─>     pool B
//
// It is no network card: there are no rings and no doorbells, and a flush always succeeds. It does
// keep a card's manners: a packet is received in frames of at most a chunk less the kernel's
// headroom, whatever frames it was sent in; full queues and empty pools drop packets and count
// them.
//
// Time is what Wire.Poll is told: a packet is offered to the model at the first Poll after its
// Flush and delivered at the first Poll at or after its time. The Wire, both ends and both caches
// belong to one thread. Frames belong to an end between Send and the Poll that puts them on the
// wire, and from their arrival until Recv; what is on the wire belongs to nobody's pool.
package memlink

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
	"github.com/dunlin-io/dunlin/dataplane"
)

// headroomBytes is where received data begins in a chunk: XDP_PACKET_HEADROOM, as in the kernel.
const headroomBytes = 256

// Defaults and limits of a Config.
const (
	DefaultQueueFrames = 256     // (guess: a small NIC ring)
	DefaultInFlight    = 4096    // (guess: 4 ms of 1 Mpps)
	MaxQueueFrames     = 1 << 16 // as core/ring
	MaxInFlight        = 1 << 20 // (guess: 2 GiB of full frames)
)

// Config describes a wire. The zero value is a perfect one without delay.
type Config struct {
	AB, BA      *fault.Model // what goes wrong from A to B and from B to A; nil: nothing
	QueueFrames int          // of each end's transmit and receive queue; 0 means DefaultQueueFrames
	InFlight    int          // most packets under way each way; 0 means DefaultInFlight
}

// Counters are what became of the packets of one direction, booked at the end that sends them.
//
//	Sent      = Lent().Tx's packets + Offered
//	Offered   = packets judged; the model's Counts say how many deliveries came of them
//	deliveries = Received + InFlight + NoFrame + QueueFull + TooLong + Empty + Forgotten +
//	             Overflow
type Counters struct {
	Sent      uint64 // packets taken by Send
	Offered   uint64 // packets put on the wire
	Received  uint64 // packets put into the other end's receive queue
	NoFrame   uint64 // lost: the receiver's pool had too few chunks
	QueueFull uint64 // lost: the receiver's queue was full
	TooLong   uint64 // lost: it would have taken more than MaxSegments chunks
	Empty     uint64 // lost: cut to no bytes
	Forgotten uint64 // replays of packets offered before replays were asked for
	Overflow  uint64 // lost: more under way than the wire holds
	InFlight  uint64 // under way now
}

// Wire joins two ends. It is a core.Poller; its work is packets put on the wire and packets taken
// off.
type Wire struct {
	a, b *End
}

// New joins two ends over the pools of two caches. The wire uses the caches, so they belong to the
// thread that polls it.
func New(a, b *dataplane.Cache, c Config) (*Wire, error) {
	if c.QueueFrames == 0 {
		c.QueueFrames = DefaultQueueFrames
	}
	if c.InFlight == 0 {
		c.InFlight = DefaultInFlight
	}
	if c.QueueFrames < dataplane.MaxSegments || c.QueueFrames > MaxQueueFrames ||
		c.InFlight < 1 || c.InFlight > MaxInFlight {
		return nil, fmt.Errorf("memlink: queues of %d frames, %d packets in flight: want %d to %d "+
			"and 1 to %d", c.QueueFrames, c.InFlight, dataplane.MaxSegments, MaxQueueFrames,
			MaxInFlight)
	}
	if a == b {
		return nil, fmt.Errorf("memlink: both ends use one cache")
	}
	w := &Wire{a: newEnd(a, c, c.AB), b: newEnd(b, c, c.BA)}
	w.a.peer, w.b.peer = w.b, w.a
	return w, nil
}

// A and B are the two ends.
func (w *Wire) A() *End { return w.a }
func (w *Wire) B() *End { return w.b }

var _ core.Poller = (*Wire)(nil)

// Lent is how many frames an end has: an audit adds them to what is free and what is held.
type Lent struct {
	Rx int // arrived and not yet received
	Tx int // sent and not yet on the wire
}

// End is one end of a wire: a dataplane.Link.
type End struct {
	cache     *dataplane.Cache
	peer      *End
	path      path    // what this end sent
	tx, rx    []frame // capacity is the queue's limit
	published int     // frames of tx that Flush has seen
}

type frame = dataplane.Frame

func newEnd(cache *dataplane.Cache, c Config, model *fault.Model) *End {
	return &End{
		cache: cache, path: path{model: model, limit: c.InFlight},
		tx: make([]frame, 0, c.QueueFrames), rx: make([]frame, 0, c.QueueFrames),
	}
}

// Lent returns how many frames the end has.
func (e *End) Lent() Lent { return Lent{Rx: len(e.rx), Tx: len(e.tx)} }

// Counters returns a copy of the counts of what this end sent.
func (e *End) Counters() Counters {
	c := e.path.counts
	c.InFlight = uint64(len(e.path.heap))
	return c
}

var _ dataplane.Link = (*End)(nil)
