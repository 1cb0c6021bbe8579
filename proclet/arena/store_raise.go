package arena

import "fmt"

// copyMost is up to where copying into pages that are there is cheaper than moving pages: 16 pages
// take 1.5 us, and the call that moves them 5. (measured on another machine: 91 and 320 ns a page)
const copyMost = 64 << 10

// Raise moves what lies in a slot to a larger one, of size bytes at least, and destroys the old
// one. Dirty and populated are as for Destroy. Pages are moved where the memory can, so that a
// large arena costs no copy. After an error the old slot is as it was.
func (l *Local) Raise(old Slot, size, dirty, populated int64) (Slot, error) {
	c := old.cell
	if c == nil || c.block.store != l.store {
		return Slot{}, slotError(old, ErrForeign)
	}
	if !old.Live() {
		return Slot{}, slotError(old, ErrDead)
	}
	if n := old.Cap(); size <= n || dirty < 0 || dirty > n || populated < 0 || populated > n {
		return Slot{}, fmt.Errorf("%w: from %d bytes, %d dirty, %d populated, to %d", ErrSize, n,
			dirty, populated, size)
	}
	to, err := l.Create(size)
	if err != nil {
		return Slot{}, err
	}
	populated = max(populated, c.populated, wholePages(dirty))
	if l.store.mover != nil && populated > copyMost {
		if err := l.store.mover.Move(to.Off(), old.Off(), populated); err != nil {
			return Slot{}, l.abandon(to, err)
		}
		to.cell.resize(populated)
		c.resize(0)
		return to, l.Destroy(old, 0, 0)
	}
	if n := populated - to.cell.populated; n > 0 {
		if err := to.cell.Populate(to.Off()+to.cell.populated, n); err != nil {
			return Slot{}, l.abandon(to, err)
		}
	}
	copy(to.Bytes(), old.Bytes()[:dirty])
	return to, l.Destroy(old, dirty, populated)
}

// abandon gives back a slot that was never used.
func (l *Local) abandon(s Slot, why error) error {
	if err := l.Destroy(s, 0, s.cell.populated); err != nil {
		return fmt.Errorf("%w, and then %w", why, err)
	}
	return fmt.Errorf("arena: raise a cap: %w", why)
}

// resize says how far a live slot has pages now.
func (c *cell) resize(populated int64) {
	if n := populated - c.populated; n != 0 {
		c.block.grown.Add(n)
		c.populated = populated
	}
}

// Open makes an arena in a new slot of size bytes at least, into a handle that may be used again.
// Of the options it sets those that say where the arena lies.
func (l *Local) Open(a *Arena, size int64, o Options) (Slot, error) {
	s, err := l.Create(size)
	if err != nil {
		return Slot{}, err
	}
	if err := a.Format(s.Bytes(), s.Options(o)); err != nil {
		return Slot{}, l.abandon(s, err)
	}
	return s, nil
}

// Shut ends an arena, also for its tracker, and destroys its slot.
func (l *Local) Shut(a *Arena, s Slot) error {
	if err := l.check(a, s); err != nil {
		return err
	}
	if a.tracker != nil {
		if err := a.tracker.Untrack(s.Off(), s.Cap()); err != nil {
			return err
		}
	}
	dirty, populated := a.Dirty(), a.Populated()
	a.Close()
	return l.Destroy(s, dirty, populated)
}

// RaiseCap moves an arena to a slot of size bytes at least. Its Refs and Heaps stay valid, pointers
// and views do not. A tracker of it counts everything as changed once.
func (l *Local) RaiseCap(a *Arena, s Slot, size int64) (Slot, error) {
	if err := l.check(a, s); err != nil {
		return s, err
	}
	to, err := l.Raise(s, size, a.Dirty(), a.Populated())
	if err != nil {
		return s, err
	}
	from, n := s.Off(), s.Cap()
	a.memory = to.cell
	if err := a.Moved(to.Bytes(), to.Off()); err != nil || a.tracker == nil {
		return to, err
	}
	if k, ok := a.tracker.(interface{ Tracked(off, n int64) bool }); ok && !k.Tracked(from, n) {
		return to, nil
	}
	if err := a.tracker.Untrack(from, n); err != nil {
		return to, err
	}
	return to, a.tracker.Track(to.Off(), to.Cap())
}

// check demands that an arena lies in a slot.
func (l *Local) check(a *Arena, s Slot) error {
	switch {
	case s.cell == nil || s.cell.block.store != l.store:
		return slotError(s, ErrForeign)
	case !s.Live():
		return slotError(s, ErrDead)
	case a.slot == nil || a.off != s.Off():
		return fmt.Errorf("%w: the arena does not lie in the slot at %#x", ErrSlot, s.Off())
	}
	return nil
}
