// Package magazine is the two-level object cache of Bonwick and Adams (Magazines and Vmem, USENIX
// 2001): each worker takes and gives objects through a Cache of two magazines, and trades full ones
// for empty ones at a Depot that all workers share.
//
//	Cache (one worker, no atomics)        Depot (shared, lock-free stacks)
//	  loaded   [####....]   <── full ───  full     [########] [########]   ──> Reap
//	  previous [........]   ── empty ──>  empty    [........] [........] [........]
//	            └────── Drain ──────────> partial  [#####...]
//
// An object is an integer (a frame's index, a slot's number, a reference), never a pointer: what it
// stands for is the caller's. Every object that was put in is in exactly one place: a cache's two
// magazines, a full or partial magazine of the depot, or the caller's hand.
//
// Having two magazines is what makes it cheap: a worker that alternates at a magazine's edge swaps
// the two instead of trading at each step. The depot's stacks are linked by index and tagged, so no
// worker that loses its core in the middle of a trade can stop another. Between trades a worker
// touches no line that another writes.
//
// How many objects make a magazine full adapts: a cache that often finds others at the depot
// doubles it, up to a limit, and so trades half as often. Reap gives back what the working set did
// not need.
//
// A Cache belongs to one thread. A Depot may be used by any number. Nothing allocates after New,
// unless the depot is lazy: that one makes magazines when they are first needed, and Reap drops
// them.
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

// Object is what a magazine holds.
type Object interface{ ~uint32 | ~uint64 }

// magazine is a stack of objects. It belongs to whoever took it off a depot's stack.
type magazine[T Object] struct {
	objects []T // as long as a magazine may become; nil while bare
	count   int
	number  uint32 // its own, in Depot.mags
	_       [lineBytes - 36]byte
}

// Config describes a depot.
type Config struct {
	Objects int // most that are put
	Caches  int // most
	Rounds  int // objects that make a magazine full
	GrowTo  int // what Rounds may grow to when the depot is contended; 0: it does not grow
	Lazy    bool
}

// Depot holds the magazines that no cache has.
type Depot[T Object] struct {
	mags   []magazine[T]
	next   []link       // per magazine
	rounds atomic.Int64 // objects that make a magazine full; never falls
	growTo int
	caches atomic.Uint32 // made so far
	limit  uint32        // most caches: each needs two magazines
	lazy   bool
	period atomic.Uint32   // counts the calls of Reap
	reaper atomic.Bool     // somebody reaps: has one magazine in hand
	_      [lineBytes]byte // what is above is read by all and hardly ever written

	full    stack // as many objects as made it full when it was filled
	partial stack // some; only Drain makes such
	empty   stack
	bare    stack // empty, and without the memory for objects
}

// New returns a depot. Unless it is lazy, all memory is allocated here.
func New[T Object](c Config) (*Depot[T], error) {
	if c.GrowTo == 0 {
		c.GrowTo = c.Rounds
	}
	if c.Objects < 1 || c.Objects > MaxObjects || c.Rounds < 1 || c.GrowTo < c.Rounds ||
		c.GrowTo > MaxRounds || c.Caches < 1 || c.Caches > MaxCaches {
		return nil, fmt.Errorf("magazine: %d objects, %d to %d rounds, %d caches: "+
			"want 1 to %d, %d, %d",
			c.Objects, c.Rounds, c.GrowTo, c.Caches, MaxObjects, MaxRounds, MaxCaches)
	}
	// At most objects/rounds magazines are full; each cache has two; and there are no more partial
	// ones than caches, because who drains makes a new one only when it finds none (all are then in
	// the hands of others who drain or trade); the reaper has one. So an empty one is there when
	// one is needed.
	n := (c.Objects+c.Rounds-1)/c.Rounds + 3*c.Caches + 1
	d := &Depot[T]{
		mags: make([]magazine[T], n), next: make([]link, n),
		growTo: c.GrowTo, limit: uint32(c.Caches), lazy: c.Lazy,
	}
	d.rounds.Store(int64(c.Rounds))
	stride := d.stride()
	var backing []T
	if !c.Lazy {
		backing = make([]T, n*stride)
	}
	for i := range d.mags {
		d.mags[i].number = uint32(i)
		if c.Lazy {
			d.put(&d.bare, uint32(i))
			continue
		}
		d.mags[i].objects = backing[i*stride : i*stride+c.GrowTo : i*stride+c.GrowTo]
		d.put(&d.empty, uint32(i))
	}
	return d, nil
}

// stride is the objects of a magazine with those that fill up its last line. Objects of 8 bytes
// fill it up twice.
func (d *Depot[T]) stride() int {
	const perLine = lineBytes / 4
	return (d.growTo + perLine - 1) / perLine * perLine
}

// furnish makes the memory of a bare magazine.
//
//go:noinline
func (d *Depot[T]) furnish(m *magazine[T]) { m.objects = make([]T, d.stride())[:d.growTo] }

// Cache returns a new cache, or an error when the depot was made for fewer.
func (d *Depot[T]) Cache() (*Cache[T], error) {
	if n := d.caches.Add(1); n > d.limit {
		d.caches.Add(^uint32(0))
		return nil, fmt.Errorf("magazine: all %d caches that the depot was made for are in use",
			d.limit)
	}
	loaded, _ := d.takeEmpty()
	previous, _ := d.takeEmpty()
	return &Cache[T]{depot: d, loaded: loaded, previous: previous, rounds: d.Rounds()}, nil
}

// Rounds is how many objects make a magazine full now.
func (d *Depot[T]) Rounds() int { return int(d.rounds.Load()) }
