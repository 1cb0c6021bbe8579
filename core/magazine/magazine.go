// Package magazine is the two-level object cache of Bonwick and Adams (Magazines and Vmem, USENIX
// 2001): each worker takes and gives objects through a Cache of two magazines, and trades full ones
// for empty ones at a Depot that all workers share.
//
//	Cache (one worker, no atomics)        Depot (shared, lock-free stacks)
//	  loaded   [####....]   <── full ───  full     [########] [########]
//	  previous [........]   ── empty ──>  empty    [........] [........] [........]
//	            └────── Drain ──────────> partial  [#####...]
//
// An object is a small integer (a frame's index, a slot's number), never a pointer: what it stands
// for is the caller's. Every object that was put in is in exactly one place: a cache's two
// magazines, a full or partial magazine of the depot, or the caller's hand.
//
// Having two magazines is what makes it cheap: a worker that alternates at a magazine's edge swaps
// the two instead of trading at each step. The depot's stacks are linked by index and tagged, so no
// worker that loses its core in the middle of a trade can stop another. Between trades a worker
// touches no line that another writes.
//
// A Cache belongs to one thread. A Depot may be used by any number. Nothing allocates after New.
package magazine

import (
	"fmt"
	"sync/atomic"
)

// Limits of a depot.
const (
	MaxRounds  = 1024    // objects in a magazine (guess: more than any burst)
	MaxObjects = 1 << 24 // (guess: 64 GiB of frames of 4 KiB)
	MaxCaches  = 1 << 12 // (guess: more than threads that share anything)
)

// lineBytes is a cache line of every machine we know.
const lineBytes = 64

// magazine is a fixed stack of objects. It belongs to whoever took it off a depot's stack.
type magazine struct {
	rounds []uint32 // capacity is the magazine's size
	count  int
	number uint32 // its own, in Depot.mags
	_      [lineBytes - 36]byte
}

// Depot holds the magazines that no cache has.
type Depot struct {
	mags   []magazine
	next   []atomic.Uint32 // per magazine: the one below it on its stack, as number + 1
	caches atomic.Uint32   // made so far
	limit  uint32          // most caches: each needs two magazines
	_      [lineBytes]byte // what is above is read by all and hardly ever written

	full    stack // every round filled
	partial stack // some; only Drain makes such
	empty   stack
}

// New returns a depot for up to objects objects in magazines of rounds, and up to caches caches.
// All memory is allocated here.
func New(objects, rounds, caches int) (*Depot, error) {
	if objects < 1 || objects > MaxObjects || rounds < 1 || rounds > MaxRounds ||
		caches < 1 || caches > MaxCaches {
		return nil, fmt.Errorf("magazine: %d objects, %d rounds, %d caches: want 1 to %d, %d, %d",
			objects, rounds, caches, MaxObjects, MaxRounds, MaxCaches)
	}
	// At most objects/rounds magazines are full; each cache has two; and there are no more partial
	// ones than caches, because who drains makes a new one only when it finds none (all are then in
	// the hands of others who drain or trade). So an empty one is there when one is needed.
	n := (objects+rounds-1)/rounds + 3*caches
	d := &Depot{mags: make([]magazine, n), next: make([]atomic.Uint32, n), limit: uint32(caches)}
	const perLine = lineBytes / 4
	stride := (rounds + perLine - 1) / perLine * perLine
	backing := make([]uint32, n*stride)
	for i := range d.mags {
		d.mags[i].rounds = backing[i*stride : i*stride+rounds : i*stride+rounds]
		d.mags[i].number = uint32(i)
		d.empty.push(d.next, uint32(i))
	}
	return d, nil
}

// Cache returns a new cache, or an error when the depot was made for fewer.
func (d *Depot) Cache() (*Cache, error) {
	if n := d.caches.Add(1); n > d.limit {
		d.caches.Add(^uint32(0))
		return nil, fmt.Errorf("magazine: all %d caches that the depot was made for are in use",
			d.limit)
	}
	return &Cache{depot: d, loaded: d.takeEmpty(), previous: d.takeEmpty()}, nil
}

// Stored counts the objects in the depot. It is exact only while no cache trades: an audit.
func (d *Depot) Stored() int { return d.stored(&d.full) + d.stored(&d.partial) }

func (d *Depot) stored(s *stack) (n int) {
	at := uint32(s.head.Load())
	for range d.mags {
		if at == 0 {
			break
		}
		n += d.mags[at-1].count
		at = d.next[at-1].Load()
	}
	return n
}
