package dataplane

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core/ring"
)

// Rings are the runtime's ends of a port's four rings.
type Rings struct {
	Fill       ring.Producer[uint64]    // empty chunks for receiving
	Completion ring.Consumer[uint64]    // chunks whose transmission is over
	Rx         ring.Consumer[ring.Desc] // received
	Tx         ring.Producer[ring.Desc] // to transmit
}

// Kick is what came of waking the other side.
type Kick uint8

const (
	KickDone    Kick = iota // it has taken what was published
	KickAgain               // it has taken a part: kick again
	KickBlocked             // it cannot take more now: try at a later Flush
	KickDown                // the interface or the peer is gone
)

// Doorbell wakes whoever is on the other side of a port. It is called at most a few times a burst,
// and only while the other side's need-wakeup flag is set.
type Doorbell interface {
	KickTx() Kick // transmit descriptors were published
	KickRx()      // fill entries were published
}

// PortConfig says how a port uses its pool.
type PortConfig struct {
	// FillChunks is the most chunks to lend to the other side for receiving; 0 means half of one
	// cache's share of the pool, at most a fill ring's worth. What is not lent is for transmission.
	// How many of them are lent follows the load: see Port.
	FillChunks int
}

// Counters are what a port did since it was made. They belong to the port's thread.
type Counters struct {
	RxFrames, RxPackets uint64 // given to the caller of Recv
	TxFrames, TxPackets uint64 // taken by Send, those of TxDropped left out
	TxDropped           uint64 // frames sent while the other side was gone, freed
	Kicks               uint64 // system calls or doorbells to transmit
	KicksAgain          uint64 // ... that took only a part of what waited
	KicksBlocked        uint64 // ... after which output stayed unsent
	FillStarved         uint64 // turns in which the pool had no chunk to lend
	RxTooLong           uint64 // packets of more than MaxSegments frames, dropped
	RxBad               uint64 // packets with a bad descriptor, dropped
	BadDescriptors      uint64 // empty, outside the frame memory, or of a chunk that was not lent
}

// Lent is what a port has given to the other side: for the audit of frames.
type Lent struct {
	Rx int // fill, being filled, or received and not yet taken
	Tx int // staged, being sent, or sent and not yet reaped
}

const (
	// lendLeast is how many chunks are lent under light load. A fill ring is a queue, so each chunk
	// in it is touched in turn, and 1,024 of them cost a ping-pong 4 % in misses of cache and TLB;
	// 256 cost hardly more than 64, and absorb more. (DIARY #1)
	lendLeast = 256
	// calmTurns is how many receiving turns in a row must find less than a sixteenth of the lent
	// chunks filled before half of them are kept back. (guess: some tens of milliseconds of load)
	calmTurns = 4096

	// refillBatch is the fewest chunks worth a store to the shared fill index, while the other side
	// has three quarters of its chunks. (guess: a quarter of a burst)
	refillBatch = 16
	// reapBatch is the most sent chunks left on the completion ring by a busy port. (the same
	// guess)
	reapBatch = 16
	// maxKicks bounds the system calls of one Flush. A full ring of 4,096 at 32 a call.
	maxKicks = 128
)

// Port is a Link over four rings. See the package's picture; it belongs to one thread at a time.
// Arm and Unread may be called by others.
//
// It lends few chunks while few are enough, because the other side uses them in turn and so drags
// all of them through the caches: the number doubles when a turn finds a quarter of them filled,
// and is halved after many turns that found few.
//
// It keeps two ledgers of the chunks it lent, so that whatever the other side writes, a chunk is
// free, lent or held exactly once: Pool.Stored, the caches' Count, Lent and what callers hold
// always add up to Pool.Chunks.
type Port struct {
	rings    Rings
	pool     *Pool
	cache    *Cache
	bell     Doorbell
	fill     uint32 // target for lent, between least and most
	least    uint32
	most     uint32
	calm     uint32 // turns in a row that lent more than they needed
	refillAt uint32 // how far lent may fall below it
	reapAt   uint32 // how many may be on the way out before a busy port looks for the sent ones
	lent     uint32 // chunks at the other side for receiving
	staged   uint32 // written to the tx ring, not yet published
	sending  uint32 // published or staged, not yet reaped
	stalled  bool   // published output that the other side could not take
	down     bool
	skip     bool // inside a packet that was too long
	unrung   bool // chunks were lent since the other side was last woken to take them
	rx, tx   ledger
	sent     [MaxBurst]uint32 // chunks of one look at the completion ring
	counts   Counters
}

// NewPort returns a port and fills its fill ring. The cache is the thread's; the port takes chunks
// to lend from it and returns sent ones to it.
func NewPort(r Rings, cache *Cache, bell Doorbell, c PortConfig) (*Port, error) {
	pool := cache.pool
	share := pool.count / uint32(pool.caches)
	fill := c.FillChunks
	if fill == 0 {
		fill = min(int(r.Fill.Size()), max(int(share/2), 1))
	}
	if fill < 0 || fill > int(r.Fill.Size()) || fill >= pool.Chunks() {
		return nil, fmt.Errorf("dataplane: lending %d chunks: the fill ring has %d entries and "+
			"the pool %d chunks, and some must stay to transmit from", fill, r.Fill.Size(),
			pool.count)
	}
	p := &Port{
		rings: r, pool: pool, cache: cache, bell: bell, most: uint32(fill),
		rx: newLedger(pool.count), tx: newLedger(pool.count),
	}
	p.least = min(lendLeast, p.most)
	p.fill = p.least
	p.refillAt = min(refillBatch, max(p.fill/4, 1))
	p.reapAt = min(reapBatch, max((share-min(share, p.most))/4, 1))
	p.refill()
	return p, nil
}

func newLedger(chunks uint32) ledger { return make(ledger, (chunks+63)/64) }

// Counters returns a copy of the counts.
func (p *Port) Counters() Counters { return p.counts }

// Lent returns what the other side holds.
func (p *Port) Lent() Lent { return Lent{Rx: int(p.lent), Tx: int(p.sending)} }

// Down reports whether the other side was gone when last asked to transmit. Until something is
// received again, Send drops what it is given.
func (p *Port) Down() bool { return p.down }

// Broken reports whether the other side ever published an index that it cannot have.
func (p *Port) Broken() bool {
	r := &p.rings
	return r.Fill.Broken() || r.Completion.Broken() || r.Rx.Broken() || r.Tx.Broken()
}

// Arm asks the other side (true) to wake us when it publishes, because we are about to sleep, or
// tells it (false) that we poll. Look at Pending between arming and sleeping.
func (p *Port) Arm(on bool) { p.rings.Rx.SetNeedWakeup(on) }

// Cache is the cache that the port works with: the thread's.
func (p *Port) Cache() *Cache { return p.cache }

var _ Link = (*Port)(nil)
