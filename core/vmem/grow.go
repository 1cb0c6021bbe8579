package vmem

import "math/bits"

// minTags is the tags of a small arena (guess: a page of them).
const minTags = 100

// init makes a table for n segments.
func (t *table) init(n int) {
	n = max(n, minBuckets)
	t.half = 1 << (bits.Len(uint(n)) - 1)
	t.buckets = make([]uint32, n)
}

// growTags makes n more tags, or as many as are allowed; false when that is too few.
func (a *Arena) growTags(n int) bool {
	first := len(a.tags)
	n = min(n, a.maxTags-first)
	if n > cap(a.tags)-first {
		grown := make([]tag, first, first+n)
		copy(grown, a.tags)
		a.tags = grown
	}
	a.tags = a.tags[:first+n]
	for i := first + n - 1; i >= first; i-- { // the lowest are taken first
		a.recycle(uint32(i))
	}
	return a.spares >= opTags
}

// grow makes an empty bucket more.
//
//go:noinline
func (t *table) grow() { t.buckets = append(t.buckets, 0) }

// growSlabs returns the number of a slab that there was not before.
//
//go:noinline
func (a *Arena) growSlabs() uint32 {
	a.slabs = append(a.slabs, slab{})
	return uint32(len(a.slabs) - 1)
}
