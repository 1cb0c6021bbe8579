package arena

import "fmt"

// What the software tracker has to be told. With the kernel's, or none, nothing of this runs.

// noteHeader says that the header was written.
func (h *Heap) noteHeader() {
	if h.watch {
		h.arena.tracker.Wrote(h.arena.off, headerRoom)
	}
}

// noteBlock says that a block was given or taken: its first word, its payload and the header.
//
//go:noinline
func (h *Heap) noteBlock(at, units uint64) {
	if h.watch {
		h.noteHeader()
		h.noteUnits(at-1, units+1)
	}
}

// noteUnits says that units from an offset were, or may be, written.
//
//go:noinline
func (h *Heap) noteUnits(at, units uint64) {
	if h.watch {
		h.arena.tracker.Wrote(h.arena.off+int64(at)*unitBytes, int64(units)*unitBytes)
	}
}

// Wrote says that somebody else (a remote write, a system call) wrote into the slot: n bytes from
// its offset off. A range that is not inside it is refused.
func (a *Arena) Wrote(off, n int64) error {
	size := int64(len(a.slot))
	if off < 0 || n < 0 || off > size || n > size-off {
		return fmt.Errorf("%w: a write of %d bytes at %d of %d", ErrSize, n, off, size)
	}
	if a.user.watch {
		a.tracker.Wrote(a.off+off, n)
	}
	return nil
}

// Settle says that the handler has ended: no pointer or view that it was given is used any more.
func (a *Arena) Settle() {
	if a.user.watch {
		a.tracker.Settle(a.off, a.Cap())
	}
}

// Changes appends what changed since the last call, as offsets of the slot; see Tracker.Scan. An
// arena without a tracker has changed everywhere.
func (a *Arena) Changes(dst []Change) ([]Change, error) {
	if a.tracker == nil {
		return append(dst, Change{Len: a.Cap()}), nil
	}
	first := len(dst)
	dst, err := a.tracker.Scan(a.off, a.Cap(), dst)
	for i := range dst[first:] {
		dst[first+i].Off -= a.off
	}
	return dst, err
}

// Trim merges free blocks and gives the pages back that lie wholly in free blocks or behind the
// last one, through the tracker if there is one. It returns how many bytes.
func (a *Arena) Trim() (dropped int64, err error) {
	if a.memory == nil && a.tracker == nil {
		return 0, nil
	}
	a.user.merge()
	for off, n := range a.FreePages() {
		if err = a.drop(off, n); err != nil {
			return dropped, err
		}
		dropped += n
	}
	p := a.user.part
	p.high = min(p.high, (p.bump+pageUnits-1)/pageUnits*pageUnits)
	p.ready = min(p.ready, (p.bump+pageUnits-1)/pageUnits*pageUnits)
	a.user.noteHeader()
	return dropped, nil
}

func (a *Arena) drop(off, n int64) error {
	if a.tracker != nil {
		return a.tracker.Drop(a.off+off, n)
	}
	return a.memory.Drop(a.off+off, n)
}
