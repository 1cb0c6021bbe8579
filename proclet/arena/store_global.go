package arena

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/dunlin-io/dunlin/core/vmem"
)

// What moves superblocks: between the window, the global heap and those of workers.

// insert makes b one of the shelf's.
func (s *shelf) insert(b *superblock) {
	b.position = len(s.blocks)
	s.blocks = append(s.blocks, b)
	s.used += b.used
	s.idle += b.idle
	s.link(b, b.place())
	b.owner.Store(s)
}

// remove takes b off the shelf. It stays the owner in name until insert: who wants to give a slot
// back to it waits for the lock, or leaves it in the inbox, where it is sent on.
func (s *shelf) remove(b *superblock) {
	s.count(b)
	s.unlink(b)
	last := s.blocks[len(s.blocks)-1]
	last.position = b.position
	s.blocks[b.position] = last
	s.blocks[len(s.blocks)-1] = nil
	s.blocks = s.blocks[:len(s.blocks)-1]
	s.used -= b.used
	s.idle -= b.idle
}

// fetch finds a loose slot of a class and makes it live, or a superblock with a free slot, which it
// puts on a shelf: one with pages, or cold, or any, or a new one.
func (st *Store) fetch(to *shelf, class int, cold *superblock) (*superblock, *cell, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if c := st.loose[class]; c != nil {
		st.loose[class], c.next = c.next, nil
		st.looseBytes.Add(-c.populated)
		c.life.Store(c.life.Load() + 1)
		return nil, c, nil
	}
	b := st.global.find(class)
	if cold != nil && (b == nil || b.warm == 0) {
		return cold, nil, nil
	}
	if b != nil {
		st.global.remove(b)
		st.globalIdle.Store(st.global.idle)
	} else {
		var err error
		if b, err = st.carve(class); err != nil && st.reap() > 0 {
			b, err = st.carve(class)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	to.insert(b)
	return b, nil, nil
}

// loosen lets anybody lend a slot that was destroyed and has pages. If too many are loose, it takes
// its pages instead, and the slot is the caller's to send on.
func (st *Store) loosen(c *cell) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.shared()+c.populated > st.most {
		st.strip(c)
		return false
	}
	class := c.block.class
	c.next, st.loose[class] = st.loose[class], c
	st.looseBytes.Add(c.populated)
	return true
}

// strip takes its pages from a slot that is on its way to its owner.
func (st *Store) strip(c *cell) {
	st.drop(c.start(), c.populated, 0)
	c.block.grown.Add(-c.populated)
	c.populated = 0
}

// tighten strips the loose slots and sends them to their owners. The lock is held.
func (st *Store) tighten() (bytes int64) {
	for class := range st.loose {
		for c := st.loose[class]; c != nil; {
			next := c.next
			c.next = nil
			bytes += c.populated
			st.looseBytes.Add(-c.populated)
			st.strip(c)
			if owner := c.block.owner.Load(); owner != &st.global {
				// Nobody retires while we hold the lock, and who has retired owns nothing.
				owner.inbox.push(c)
			} else if st.global.give(c); c.block.empty() && c.block.idle == 0 {
				st.global.remove(c.block)
				st.release(c.block)
			}
			c = next
		}
		st.loose[class] = nil
	}
	return bytes
}

// retire makes all that a worker has the global heap's, and closes its inbox. It returns the slots
// there whose superblocks were not the worker's any more.
func (st *Store) retire(l *Local) (foreign *cell) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s := &l.shelf
	for c := s.inbox.close(); c != nil; {
		next := c.next
		s.inbox.bytes.Add(-c.populated)
		if c.block.owner.Load() == s {
			c.next = nil
			s.give(c)
		} else {
			c.next, foreign = foreign, c
		}
		c = next
	}
	for len(s.blocks) > 0 {
		b := s.blocks[len(s.blocks)-1]
		s.remove(b)
		st.accept(b)
	}
	st.locals = slices.DeleteFunc(st.locals, func(other *Local) bool { return other == l })
	return foreign
}

// carve makes a superblock of a part of the window that nobody has. The lock is held.
func (st *Store) carve(class int) (*superblock, error) {
	n := slotsOf(class)
	size := uint64(n) * uint64(slotBytes(class))
	off, err := st.space.AllocIn(size, vmem.Constraint{Align: size})
	if err != nil {
		return nil, fmt.Errorf("%w: %d slots of %d bytes: %w", ErrWindow, n, slotBytes(class), err)
	}
	b := &superblock{store: st, off: int64(off), class: uint8(class), cells: make([]cell, n)}
	b.free = b.all()
	for i := range b.cells {
		b.cells[i].block, b.cells[i].index = b, uint8(i)
	}
	return b, nil
}

// release gives b, in which nothing is, back to the window. The lock is held.
func (st *Store) release(b *superblock) {
	if err := st.space.Free(uint64(b.off), uint64(b.bytes())); err != nil {
		panic(fmt.Sprintf("arena: store: superblock at %#x: %v", b.off, err))
	}
	st.unguardAll(b)
}

func (b *superblock) bytes() int64 { return int64(len(b.cells)) * slotBytes(int(b.class)) }

// putBack takes a superblock that a worker has too much of.
func (st *Store) putBack(b *superblock) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.accept(b)
}

// accept makes b the global heap's, or gives it back to the window. The lock is held.
func (st *Store) accept(b *superblock) {
	if b.empty() && b.idle == 0 {
		st.release(b)
		return
	}
	st.global.insert(b)
	st.bound(b)
}

// bound drops what the global heap has too much of, out of the superblock that it got last. The
// lock is held.
func (st *Store) bound(b *superblock) {
	if st.global.idle+st.looseBytes.Load() > st.most {
		st.dropIdle(&st.global, b)
	}
	if b.empty() && b.idle == 0 {
		st.global.remove(b)
		st.release(b)
	}
	st.globalIdle.Store(st.global.idle)
}

// takeBack gives a destroyed slot to the global heap; false if its superblock is not there.
func (st *Store) takeBack(c *cell) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if c.block.owner.Load() != &st.global {
		return false
	}
	st.global.give(c)
	st.bound(c.block)
	return true
}

// dropIdle gives the pages of b's free slots back to the system. Whoever calls it owns b.
func (st *Store) dropIdle(s *shelf, b *superblock) (bytes int64) {
	size := slotBytes(int(b.class))
	var from, to int64 // of a run of pages that are not dropped yet
	for i := range b.cells {
		c := &b.cells[i]
		if b.warm>>i&1 == 0 {
			continue
		}
		start := b.off + int64(i)*size
		if start != to {
			st.drop(from, to-from, 0)
			from = start
		}
		to = start + c.populated
		bytes += c.populated
		b.idle -= c.populated
		s.idle -= c.populated
		c.populated = 0
	}
	st.drop(from, to-from, 0)
	b.warm = 0
	s.sort(b)
	return bytes
}

// drop gives pages back to the system. If that fails, what they held is cleared, dirty bytes of it.
func (st *Store) drop(off, n, dirty int64) bool {
	if n == 0 {
		return true
	}
	if err := st.memory.Drop(off, n); err != nil {
		st.stubborn.Add(1)
		if dirty > 0 {
			clear(st.bytes[off : off+dirty])
		}
		return false
	}
	return true
}

// guard makes a free slot inaccessible, so that a stray access is a fault, as long as there are not
// too many such.
func (st *Store) guard(c *cell) {
	if st.guarded.Add(1) > st.guardMost {
		st.guarded.Add(-1)
		return
	}
	if err := st.memory.Protect(c.start(), slotBytes(int(c.block.class)), true); err != nil {
		st.stubborn.Add(1)
		st.guarded.Add(-1)
		return
	}
	c.guarded = true
}

// unguard makes a slot accessible that is lent, and demands that it is zero.
func (st *Store) unguard(c *cell) {
	if c.guarded {
		st.expose(c)
	}
	var zero [PageBytes]byte
	for off := c.start(); off < c.start()+c.populated; off += PageBytes {
		if !bytes.Equal(st.bytes[off:off+PageBytes], zero[:]) {
			panic(fmt.Sprintf("arena: store: slot at %#x is lent with something at %#x", c.start(),
				off))
		}
	}
}

func (st *Store) expose(c *cell) {
	// A refusal would be a fault at the first use: better here.
	if err := st.memory.Protect(c.start(), slotBytes(int(c.block.class)), false); err != nil {
		panic(fmt.Sprintf("arena: store: slot at %#x stays inaccessible: %v", c.start(), err))
	}
	c.guarded = false
	st.guarded.Add(-1)
}

// unguardAll is for a superblock whose place in the window others will have.
func (st *Store) unguardAll(b *superblock) {
	n := int64(0)
	for i := range b.cells {
		if b.cells[i].guarded {
			n++
		}
	}
	if n == 0 {
		return
	}
	if err := st.memory.Protect(b.off, b.bytes(), false); err != nil {
		panic(fmt.Sprintf("arena: store: superblock at %#x stays inaccessible: %v", b.off, err))
	}
	st.guarded.Add(-n)
}
