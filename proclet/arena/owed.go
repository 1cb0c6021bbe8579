package arena

import "math/bits"

// Owed is what a copy of an arena has yet to get: the pages that changed and were not taken. A page
// in which nothing is (see FreePages) need not be sent, since an image has zeros there; but when it
// is used again without being written, no tracker names it a second time. So a page stays owed
// until it is taken, however often it is skipped.
//
//	tracker ── Changes ──> Collect ──> owed pages ── Take: those in use ──> the copy
//	                                       └── free: skipped, still owed
type Owed struct {
	arena   *Arena
	pages   []uint64 // a bit for each page of the slot
	free    []uint64 // scratch of Take
	changes []Change // scratch of Collect
}

// NewOwed returns an account for a copy that has nothing yet: everything is owed.
func NewOwed(a *Arena) *Owed {
	n := (a.Cap()/PageBytes + 63) / 64
	o := &Owed{arena: a, pages: make([]uint64, n), free: make([]uint64, n)}
	for i := range o.pages {
		o.pages[i] = ^uint64(0)
	}
	return o
}

// Collect adds what changed since the last call. After an error everything is owed.
func (o *Owed) Collect() error {
	for int64(len(o.pages))*64*PageBytes < o.arena.Cap() { // the cap was raised
		o.pages, o.free = append(o.pages, ^uint64(0)), append(o.free, 0)
	}
	var err error
	o.changes, err = o.arena.Changes(o.changes[:0])
	if err != nil {
		for i := range o.pages {
			o.pages[i] = ^uint64(0)
		}
		return err
	}
	for _, c := range o.changes {
		set(o.pages, c.Off/PageBytes, (c.Off+c.Len)/PageBytes)
	}
	return nil
}

// Take appends the owed pages that are in use to dst, as runs of bytes of the slot, and owes them
// no longer. At most limit pages are taken: the first ones. The bytes are the caller's to copy
// before the arena is used again, or after: the next Collect has what changed in between.
func (o *Owed) Take(dst []Change, limit int) []Change {
	o.markFree()
	mine := len(dst)
	for i := range o.pages {
		for word := o.pages[i] &^ o.free[i]; word != 0 && limit > 0; word &= word - 1 {
			bit := bits.TrailingZeros64(word)
			o.pages[i] &^= 1 << bit
			dst = appendPage(dst, mine, int64(i*64+bit)*PageBytes, false)
			limit--
		}
	}
	return dst
}

// markFree finds the pages in which nothing is, up to the end of the slot.
func (o *Owed) markFree() {
	clear(o.free)
	for off, n := range o.arena.FreePages() {
		set(o.free, off/PageBytes, (off+n)/PageBytes)
	}
	set(o.free, o.arena.ImageBytes()/PageBytes, int64(len(o.free))*64)
}

// set sets the bits from first up to end.
func set(words []uint64, first, end int64) {
	for first < end {
		n := min(end-first, 64-first%64)
		words[first/64] |= (1<<n - 1) << (first % 64)
		first += n
	}
}
