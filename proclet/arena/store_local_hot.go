package arena

import "github.com/dunlin-io/dunlin/core/invariant"

// Local is one worker's part of a store: superblocks that it alone lends slots of. It belongs to
// one thread at a time. A slot may be destroyed through any Local of its store.
type Local struct {
	shelf   shelf
	store   *Store
	waiting *cell // taken out of the inbox, not yet looked at
	retired bool
}

// drainMost is how many slots that others destroyed are taken back at a time: some microseconds.
// (guess)
const drainMost = 64

// Create lends a slot of at least size bytes: the next power of two from MinCap on. All of it is
// zero; Slot.Populated says how much has pages. Usually it takes neither a lock nor a system call.
// The error is an ErrSize, an ErrWindow or an ErrRetired.
func (l *Local) Create(size int64) (Slot, error) {
	class, ok := slotClass(size)
	if !ok {
		return Slot{}, sizeError("slot", size)
	}
	if l.mail() {
		l.drain(drainMost)
	}
	b, c := l.shelf.find(class), (*cell)(nil)
	if b == nil || b.warm == 0 {
		var err error
		if b, c, err = l.refill(class); err != nil {
			return Slot{}, err
		}
	}
	if c == nil {
		c = l.shelf.lend(b)
	}
	if invariant.Enabled {
		l.store.unguard(c)
	}
	return Slot{cell: c, life: c.life.Load()}, nil
}

// mail reports whether others have destroyed slots of ours.
func (l *Local) mail() bool { return l.waiting != nil || l.shelf.inbox.head.Load() != nil }

// Destroy takes a slot back. Of its bytes only the first dirty ones may be other than zero, and
// only the first populated ones have pages that were asked for, as Arena.Dirty and Arena.Populated
// say. What was written is cleared, or its pages are dropped; that takes as long as what was used
// of the slot was large. The error is an ErrDead, an ErrForeign or an ErrSize, and then nothing has
// changed.
func (l *Local) Destroy(s Slot, dirty, populated int64) error {
	c := s.cell
	if c == nil || c.block.store != l.store {
		return slotError(s, ErrForeign)
	}
	if size := s.Cap(); dirty < 0 || dirty > size || populated < 0 || populated > size {
		return sizeError("used part of a slot", max(dirty, populated))
	}
	// From here on it is ours alone: who destroys it a second time, even now, is refused.
	if !c.life.CompareAndSwap(s.life, s.life+1) {
		return slotError(s, ErrDead)
	}
	owner := c.block.owner.Load()
	l.store.clean(c, dirty, populated, l.store.keep(c, owner, &l.shelf))
	if owner == &l.shelf {
		l.accept(c)
	} else {
		l.send(c)
	}
	if l.shelf.crowded(l.store.slack) {
		l.shed()
	}
	return nil
}

// accept takes a slot of our own back. Its superblock goes back to the window if nothing is in it.
func (l *Local) accept(c *cell) {
	l.shelf.give(c)
	if b := c.block; b.empty() && b.idle == 0 {
		l.vacate(b)
	}
}

// clean makes a slot zero that nobody has any more, and leaves pages for keep bytes of it at most.
func (st *Store) clean(c *cell, dirty, populated, keep int64) {
	// Writing makes pages, asked for or not, and those that it was lent with are still there.
	populated = max(populated, c.populated, wholePages(dirty))
	off := c.start()
	if populated > keep {
		if st.drop(off+keep, populated-keep, dirty-keep) {
			populated = keep
		}
	}
	if n := min(dirty, keep); n > 0 {
		clear(st.bytes[off : off+n])
	}
	if n := populated - c.populated; n != 0 {
		c.block.grown.Add(n)
		c.populated = populated
	}
	if invariant.Enabled {
		st.guard(c)
	}
}

func wholePages(n int64) int64 { return (n + PageBytes - 1) / PageBytes * PageBytes }

// keep is how many bytes of a slot that is destroyed may stay populated: less than the class's warm
// size only when whoever gets the slot has as much as it may have, and what all share as well.
func (st *Store) keep(c *cell, owner, mine *shelf) int64 {
	most := min(st.warm, slotBytes(int(c.block.class)))
	switch {
	case owner == mine, owner != &st.global && owner.inbox.bytes.Load()+most <= st.slack,
		st.shared()+most <= st.most:
		return most
	}
	return 0
}

// shared is how many bytes are kept for all workers.
func (st *Store) shared() int64 { return st.globalIdle.Load() + st.looseBytes.Load() }
