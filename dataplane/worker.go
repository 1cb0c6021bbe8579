package dataplane

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// DefaultMTU is the bytes after the Ethernet header that every Ethernet carries (IEEE 802.3).
const DefaultMTU = 1500

// maxQueued bounds the frames that wait to be sent: the replies to one burst, which have no more
// frames than the burst, and as many sends of the application's own.
const (
	maxSends  = MaxBurst
	maxQueued = MaxBurst + maxSends
)

// WorkerConfig says how a worker treats packets. The zero value is good for a server on Ethernet.
type WorkerConfig struct {
	// MAC is this side's Ethernet address: packets to another are dropped, and SendRaw writes it
	// as the source. Zero: packets to any unicast address are taken.
	MAC wire.MAC
	// MTU is the most bytes after the Ethernet header of a packet that is built here; 0 means
	// DefaultMTU. A reply in the request's own frames may be as long as the request was.
	MTU int
	// Batch is the most frames of a burst, 1 to MaxBurst; 0 means MaxBurst. A handler that takes
	// much longer than a system call (1 us) gives earlier replies with a small one.
	Batch int
	// VerifyChecksums drops UDP packets whose checksum is wrong. It is off by default because a
	// peer on the same machine (veth, containers) leaves the checksum to hardware that is not
	// there: the field then holds an unfinished sum, and every packet would be dropped.
	VerifyChecksums bool
	// Steered says that whoever passes packets on has compared their destination with the MAC that
	// the interface has now, as the XDP program does. It is not compared with MAC then, which is
	// from when the worker was made.
	Steered bool
	// Turn is the longest that the requests of one turn should take together, for a thread that
	// looks between two turns whether it is to leave its core; 0: there is no bound. The worker
	// learns what a frame costs from the times at which it is polled, and takes no more of them
	// than fit, but always one. A request that takes longer by itself takes as long as it takes,
	// and when requests become dearer from one to the next, one turn is too long before the worker
	// knows.
	Turn core.Time
}

// WorkerCounters are what a worker did since it was made.
//
//	Packets = Replies + Silent + sum of Dropped
type WorkerCounters struct {
	Bursts  uint64 // turns that received
	Frames  uint64 // received
	Packets uint64 // received
	Replies uint64 // packets answered
	Silent  uint64 // packets that the handler took without an answer
	Sends   uint64 // packets of SendUDP, SendRaw, SendChunk and SendPacket
	Refused uint64 // ... that were not accepted
	Blocked uint64 // turns that did not receive because the link did not take all that waited
	Dropped [ReasonCount]uint64
}

// Worker is the run-to-completion loop of IX (Belay et al., OSDI 2014) over one Link: take a burst,
// serve each request to completion in order, send all replies, flush once.
//
//	Link.Recv ─burst─> parse, admit, find endpoint ─> Handler ─reply─> queue ─> Link.Send, Flush
//	                      │ malformed, not ours         │ no reply
//	                      └─> counted by Reason, freed <┘
//
// Batching is bounded and adaptive, and never waits for a batch to fill. A turn takes at most B
// frames, B starting at 1:
//
//   - a burst that left no room for another packet like its last one doubles B, up to the limit;
//   - any other burst sets B to what it took, an empty one to 1.
//
// With a bound on the turn (WorkerConfig.Turn) it takes no more than fit into that time either.
//
// So a lone request is answered at once; when many wait, the first replies leave early and the cost
// of a flush is spread over ever more; under steady overload B stays at the limit. A packet of more
// frames than B is taken whole, and what fits into MaxSegments frames with it.
//
// What the link does not take stays in the queue, and the worker receives nothing more until it is
// out: the sender of requests feels it as a full ring, nothing is lost here, and the queue is
// bounded by one burst.
//
// A Worker is a core.Poller; its work is frames received and frames that had waited and were sent.
// It belongs to the thread that polls it, as do its link and its cache; in a Team, to whoever has
// claimed it. It owns the frames between Recv and Send or Free; Held counts them between two turns.
type Worker struct {
	link      Link
	inbox     Inbox // the link; nil if it cannot tell whether input waits
	cache     *Cache
	pool      *Pool
	mac       wire.MAC // source of SendRaw
	only      wire.MAC // destination of the packets taken; zero: any
	longest   int      // bytes of the longest packet built here in one frame
	largest   int      // the same in several
	limit     int      // of burst
	burst     int      // B
	pace      pace     // of frames
	queued    int      // frames in out
	sends     int      // of them the application's own, at most; 0 whenever the queue ran empty
	verify    bool
	seat      *Seat // whose thread serves it; nil without a team
	request   Request
	endpoints endpoints
	counts    WorkerCounters
	in        [MaxBurst]Frame
	out       [maxQueued]Frame
	segments  [MaxSegments][]byte // of the packet at hand, if it has several
}

// NewWorker returns a worker over link. The cache is the thread's and of the pool whose frames the
// link carries.
func NewWorker(link Link, cache *Cache, c WorkerConfig) (*Worker, error) {
	if c.MTU == 0 {
		c.MTU = DefaultMTU
	}
	if c.Batch == 0 {
		c.Batch = MaxBurst
	}
	if c.MTU < wire.IPv6Bytes+wire.UDPBytes || c.MTU > wire.MaxPacketBytes {
		return nil, fmt.Errorf("dataplane: worker with an MTU of %d bytes: want %d to %d",
			c.MTU, wire.IPv6Bytes+wire.UDPBytes, wire.MaxPacketBytes)
	}
	if c.Batch < 1 || c.Batch > MaxBurst {
		return nil, fmt.Errorf("dataplane: worker with bursts of %d frames: want 1 to %d",
			c.Batch, MaxBurst)
	}
	if c.Turn < 0 {
		return nil, fmt.Errorf("dataplane: worker with turns of at most %d ns: want 0 or more",
			c.Turn)
	}
	if c.MAC.IsMulticast() {
		return nil, fmt.Errorf("dataplane: worker with Ethernet address %v: it is a group's", c.MAC)
	}
	w := &Worker{
		link: link, cache: cache, pool: cache.Pool(), mac: c.MAC, limit: c.Batch,
		burst: 1, verify: c.VerifyChecksums, pace: pace{turn: c.Turn},
		longest: min(c.MTU+wire.EthernetBytes, cache.Pool().ChunkBytes()),
		largest: min(c.MTU+wire.EthernetBytes, MaxSegments*cache.Pool().ChunkBytes()),
	}
	if !c.Steered {
		w.only = c.MAC
	}
	w.request.worker = w
	w.inbox, _ = link.(Inbox)
	return w, nil
}

// Counters returns a copy of the counts.
func (w *Worker) Counters() WorkerCounters { return w.counts }

// Received is how many frames it has received.
func (w *Worker) Received() uint64 { return w.counts.Frames }

// Unread reports whether input waits in its link; false where the link cannot tell.
func (w *Worker) Unread() bool { return w.inbox != nil && w.inbox.Unread() }

// Held is how many frames the worker owns between two turns: those that wait to be sent.
func (w *Worker) Held() int { return w.queued }

// Burst is the most frames that the next turn takes: B, or fewer if they would take too long.
func (w *Worker) Burst() int { return w.pace.bound(w.burst) }

// Cache is the thread's way to free frames.
func (w *Worker) Cache() *Cache { return w.cache }

// Release frees what waits to be sent: the last call, when the worker stops for good.
func (w *Worker) Release() {
	w.cache.FreeAll(w.out[:w.queued])
	w.queued, w.sends = 0, 0
}

var _ core.Poller = (*Worker)(nil)
