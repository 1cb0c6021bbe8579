// Package runq is a bounded run queue without locks: its owner pushes tasks, owner and siblings
// take the oldest.
//
//	owner ──Push──> tail                                   head ──Pop───> owner
//	                 │  ┌────┬────┬────┬────┬────┬────┐      │
//	                 └─>│    │    │ t4 │ t3 │ t2 │    │ <────┴────Steal─> siblings
//	                    └────┴────┴────┴────┴────┴────┘
//
// It is first in, first out for all: a task that a sibling takes is the one that has waited
// longest, which is what a bound on waiting needs. (The deque of Chase and Lev, SPAA 2005, has its
// owner take the youngest, because it wants a warm cache for tasks that split; here the oldest
// would starve.) The protocol is that of Go's own run queue: a task is taken by moving the head
// from the value that was read, in one compare-and-swap, and whoever fails to has taken nothing.
//
// Each entry carries since when its task is runnable, so that the owner can tell how long the
// oldest has waited, without a look into the task.
//
// A queue carries pointers, not interfaces or functions: a thief reads an entry before it knows
// whether it will get it, while the owner may be writing the next round's task there, so an entry
// must be read and written in words that are whole. One pointer is one word; an interface is two,
// and half of one with half of another is none. What to do with the object is for its type to say.
//
// Push and Pop belong to the owner, Steal is anybody's. Len and Oldest may be asked by
// anybody. A full queue refuses: the owner runs the task itself, or gives it up. Nothing allocates
// after New. An entry keeps its pointer until it is written again, so a queue may keep up to its
// capacity of finished objects from being collected.
package runq

import (
	"fmt"
	"math/bits"
	"sync/atomic"
)

// MaxEntries bounds a queue. (guess: tasks of 1 us in a queue of that size wait for 65 ms)
const MaxEntries = 1 << 16

// lineBytes is a cache line of every machine we know.
const lineBytes = 64

// Queue is a run queue of objects of type T.
//
// The indices run freely and are masked at each access. They are 64 bits wide so that none comes
// back: with 32, a thief that slept through exactly 2^32 tasks would take one twice.
type Queue[T any] struct {
	slots []slot[T]
	mask  uint64
	_     [lineBytes - 32]byte

	head atomic.Uint64 // next to take; written by whoever takes
	_    [lineBytes - 8]byte

	tail  atomic.Uint64 // next to fill; written by the owner only, as is what follows
	taken uint64        // the head as the owner saw it last
	_     [lineBytes - 16]byte
}

// slot is one entry. Thieves may read it while the owner writes it; then they do not get it.
type slot[T any] struct {
	task  atomic.Pointer[T]
	since atomic.Int64 // core.Time
}

// New returns an empty queue of n entries, a power of two.
func New[T any](n int) (*Queue[T], error) {
	if n < 1 || n > MaxEntries || bits.OnesCount(uint(n)) != 1 {
		return nil, fmt.Errorf("runq: %d entries: want a power of two up to %d", n, MaxEntries)
	}
	return &Queue[T]{slots: make([]slot[T], n), mask: uint64(n - 1)}, nil
}
