package arena

import (
	"math/bits"
	"sync/atomic"
)

// cell is what the store knows of one slot. While the slot is live it belongs to whoever has it,
// and else to the owner of its superblock.
type cell struct {
	block     *superblock
	next      *cell         // in an inbox, or of the loose ones
	populated int64         // bytes from the slot's start that have pages, at most
	life      atomic.Uint32 // odd while the slot is live; each Create and Destroy adds one
	index     uint8         // in the superblock
	guarded   bool          // inaccessible, under the build tag invariants
}

// superblock is a run of slots of one class. Its shelf, apart from owner and grown, has the only
// hand that writes it.
type superblock struct {
	owner atomic.Pointer[shelf] // changed by the owner; the global one holds the lock
	grown atomic.Int64          // populated by live slots and not counted yet; anybody adds
	store *Store

	free uint64 // a bit for each slot that is not live; those in an inbox or loose count as live
	warm uint64 // of them, those that have pages
	used int64  // populated bytes of live slots, as far as counted
	idle int64  // populated bytes of free ones

	off        int64 // in the window
	class      uint8
	list       int8 // of its shelf's class: a group, coldList or noList
	position   int  // in its shelf's blocks
	prev, next *superblock
	cells      []cell
}

// all has a bit for each slot of a superblock.
func (b *superblock) all() uint64 { return ^uint64(0) >> (blockSlots - len(b.cells)) }

func (b *superblock) empty() bool { return b.free == b.all() }

// start is a slot's place in the window.
func (c *cell) start() int64 { return c.block.off + int64(c.index)*slotBytes(int(c.block.class)) }

// Groups of superblocks by how many of their slots are live: Hoard's fullness groups.
const (
	groups   = 4
	coldList = groups // some slot is free, none of them has pages
	noList   = -1     // no slot is free
)

// shelf is a heap in Hoard's sense: superblocks, by class and how full they are. It belongs to one
// worker; the global one to whoever holds the store's lock.
type shelf struct {
	inbox  inbox
	blocks []*superblock
	lists  [slotClasses][groups + 1]*superblock
	used   int64 // sum of its superblocks'
	idle   int64 // sum of its superblocks'
	cursor int   // in blocks: whose growth is counted next
}

// place is the list that b belongs to.
func (b *superblock) place() int8 {
	switch {
	case b.free == 0:
		return noList
	case b.warm == 0:
		return coldList
	}
	n := len(b.cells)
	return int8((n - bits.OnesCount64(b.free)) * groups / n)
}

// sort moves b to the list that it belongs to.
func (s *shelf) sort(b *superblock) {
	if list := b.place(); list != b.list {
		s.unlink(b)
		s.link(b, list)
	}
}

func (s *shelf) link(b *superblock, list int8) {
	b.list = list
	if list == noList {
		return
	}
	head := &s.lists[b.class][list]
	if b.next = *head; b.next != nil {
		b.next.prev = b
	}
	*head = b
}

func (s *shelf) unlink(b *superblock) {
	if b.list == noList {
		return
	}
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		s.lists[b.class][b.list] = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	}
	b.prev, b.next = nil, nil
}

// find returns the fullest superblock of a class that has a free slot, one with pages if there is
// any, or nil.
func (s *shelf) find(class int) *superblock {
	lists := &s.lists[class]
	for group := groups - 1; group >= 0; group-- {
		if b := lists[group]; b != nil {
			return b
		}
	}
	return lists[coldList]
}

// emptiest returns a superblock of the emptiest group that has free slots with pages, or nil.
func (s *shelf) emptiest() *superblock {
	for group := range groups {
		for class := range s.lists {
			if b := s.lists[class][group]; b != nil {
				return b
			}
		}
	}
	return nil
}

// lend takes a free slot out of b, the first that has pages if any has, and makes it live.
func (s *shelf) lend(b *superblock) *cell {
	from := b.warm
	if from == 0 {
		from = b.free
	}
	i := bits.TrailingZeros64(from)
	c := &b.cells[i]
	b.free &^= 1 << i
	b.warm &^= 1 << i
	s.shift(b, c.populated)
	s.sort(b)
	c.life.Store(c.life.Load() + 1)
	return c
}

// give takes a slot back that is live no longer.
func (s *shelf) give(c *cell) {
	b := c.block
	s.count(b)
	b.free |= 1 << c.index
	if c.populated > 0 {
		b.warm |= 1 << c.index
	}
	s.shift(b, -c.populated)
	s.sort(b)
}

// shift moves populated bytes from idle to used.
func (s *shelf) shift(b *superblock, n int64) {
	b.used += n
	b.idle -= n
	s.used += n
	s.idle -= n
}

// count takes what live slots of b populated since the last time into the books.
func (s *shelf) count(b *superblock) {
	if b.grown.Load() != 0 {
		n := b.grown.Swap(0)
		b.used += n
		s.used += n
	}
}

// crowded reports whether a shelf keeps more idle bytes than Hoard's invariant allows: more than
// slack, and more than a quarter of all that it has.
func (s *shelf) crowded(slack int64) bool {
	return s.idle > slack && s.idle > (s.used+s.idle)/emptyPart
}
