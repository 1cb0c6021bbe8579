package arena

import "sync/atomic"

// inbox is where other workers leave slots that they destroyed, for the owner of their superblock.
// It is a stack that anybody pushes to and the owner takes as a whole, so no step of it can be
// overtaken unseen: what a push found on top is still there when its exchange succeeds, or gone
// with all below.
type inbox struct {
	head  atomic.Pointer[cell] // pushed by anybody, taken by the owner
	bytes atomic.Int64         // populated, of the slots in it and of those being pushed
	_     [lineBytes - 16]byte
	ended cell // is the head when nothing is taken any more
}

// lineBytes is a cache line of every machine we know.
const lineBytes = 64

// push adds c; false when the owner has closed it.
func (q *inbox) push(c *cell) bool {
	for {
		top := q.head.Load()
		if top == &q.ended {
			return false
		}
		if q.replace(c, top) {
			return true
		}
	}
}

// replace puts c on top of what was seen there; false when that has changed.
func (q *inbox) replace(c, top *cell) bool {
	c.next = top
	return q.head.CompareAndSwap(top, c)
}

// take empties it: a chain by next, the last pushed first.
func (q *inbox) take() *cell { return q.head.Swap(nil) }

// close is take for the last time.
func (q *inbox) close() *cell { return q.head.Swap(&q.ended) }
