// Package magazine is the two-level object cache of Bonwick and Adams (Magazines and Vmem, USENIX
// 2001): each worker takes and gives objects through a Cache of two magazines, and trades full ones
// for empty ones at a Depot that all workers share.
//
//	Cache (one worker, no atomics)        Depot (shared, lock-free)
//	  loaded   [####....]   <── full ───  full  magazines: stack
//	  previous [........]   ── empty ──>  empty magazines: stack
//
// An object is a small integer (a frame's index, a slot's number), never a pointer: what it stands
// for is the caller's. Every object that was put in is in exactly one place: a cache's two
// magazines, a full or partly full magazine of the depot, or the caller's hand.
//
// Having two magazines is what makes it cheap: a worker that alternates at a magazine's edge swaps
// the two instead of trading at each step. The depot's stacks are linked by index and tagged, so no
// worker that loses its core in the middle of a trade can stop another.
//
// A Cache belongs to one thread. A Depot may be used by any number. Nothing allocates after New.
package magazine

import (
	"fmt"
	"sync/atomic"
)

// MaxRounds bounds a magazine's capacity. (guess: more than any burst)
const MaxRounds = 1024

// magazine is a fixed stack of objects. It belongs to whoever took it off a depot's stack.
type magazine struct {
	rounds []uint32 // capacity is the magazine's size
	count  int
}

// Depot holds the magazines that no cache has.
type Depot struct {
	mags   []magazine
	next   []atomic.Uint32 // per magazine: the one below it on its stack, as number + 1
	full   stack           // with at least one object
	empty  stack
	rounds int
	caches atomic.Uint32 // made so far
	limit  uint32        // most caches: each needs two magazines
}

// New returns a depot for up to objects objects in magazines of rounds, and up to caches caches. All
// memory is allocated here.
func New(objects, rounds, caches int) (*Depot, error) {
	if objects < 1 || rounds < 1 || rounds > MaxRounds || caches < 1 {
		return nil, fmt.Errorf("magazine: %d objects, %d rounds, %d caches: want at least 1 of each "+
			"and at most %d rounds", objects, rounds, caches, MaxRounds)
	}
	// Partly full magazines come from caches that were drained; at most one for each cache.
	n := (objects+rounds-1)/rounds + 3*caches
	d := &Depot{mags: make([]magazine, n), next: make([]atomic.Uint32, n), rounds: rounds,
		limit: uint32(caches)}
	backing := make([]uint32, n*rounds)
	for i := range d.mags {
		d.mags[i].rounds = backing[i*rounds : (i+1)*rounds : (i+1)*rounds]
		d.empty.push(d.next, uint32(i))
	}
	return d, nil
}

// Cache returns a new cache, or an error when the depot was made for fewer.
func (d *Depot) Cache() (*Cache, error) {
	if n := d.caches.Add(1); n > d.limit {
		d.caches.Add(^uint32(0))
		return nil, fmt.Errorf("magazine: %d caches are in use, the depot was made for that many", n-1)
	}
	a, ok1 := d.empty.pop(d.next)
	b, ok2 := d.empty.pop(d.next)
	if !ok1 || !ok2 { // cannot be: New made enough
		panic("magazine: no empty magazine for a new cache")
	}
	return &Cache{depot: d, loaded: a, previous: b}, nil
}

// Stored counts the objects in the depot. It is exact only while no cache trades: an audit.
func (d *Depot) Stored() int {
	n := 0
	for at, i := uint32(d.full.head.Load()), 0; at != 0 && i < len(d.mags); i++ {
		n += d.mags[at-1].count
		at = d.next[at-1].Load()
	}
	return n
}
