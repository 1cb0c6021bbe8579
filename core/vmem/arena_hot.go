package vmem

import "math"

// Alloc takes size addresses, rounded up to the quantum, and returns the first. ErrFull is the
// arena's own error value and costs no allocation.
func (a *Arena) Alloc(size uint64) (start uint64, err error) {
	need := (size + a.quantum - 1) &^ (a.quantum - 1)
	if need < size || size == 0 {
		return 0, a.badSize
	}
	if need <= a.cachedBytes {
		if start, ok := a.allocObject(uint32(need >> a.shift)); ok {
			return start, nil
		}
	}
	i, start, err := a.segmentFor(need, nil)
	if err != nil {
		return 0, err
	}
	a.carve(i, start, need, allocated)
	a.allocated += need
	return start, nil
}

// AllocIn takes size addresses that meet c. It does not use the quantum caches, so it costs more
// than Alloc for small sizes.
func (a *Arena) AllocIn(size uint64, c Constraint) (start uint64, err error) {
	need := (size + a.quantum - 1) &^ (a.quantum - 1)
	if need < size || size == 0 {
		return 0, a.badSize
	}
	l, ok := a.limits(need, c)
	if !ok {
		return 0, a.constraintError(need, c)
	}
	i, start, err := a.segmentFor(need, &l)
	if err != nil {
		return 0, err
	}
	a.carve(i, start, need, allocated)
	a.allocated += need
	return start, nil
}

// Free gives back what Alloc or AllocIn returned for that size. An error says that the caller's
// books are wrong (ErrDoubleFree, ErrForeign, ErrWrongSize, ErrSize); nothing has changed then, and
// finding out which it is may take a walk through the span.
func (a *Arena) Free(start, size uint64) error {
	need := (size + a.quantum - 1) &^ (a.quantum - 1)
	if need < size || size == 0 {
		return a.badSize
	}
	if need <= a.cachedBytes {
		if i := a.find(start &^ (a.slabBytes - 1)); i != 0 && a.tags[i].kind == slabbed {
			return a.freeObject(a.tags[i].back, start, need)
		}
	}
	i := a.find(start)
	if i == 0 || a.tags[i].kind != allocated || a.tags[i].size != need {
		return a.freeError(start, need)
	}
	a.allocated -= need
	a.release(i)
	return nil
}

// segmentFor finds a free segment, and a place for need addresses in it that meets l (nil: where it
// begins), imports one, or empties the caches. Tags for carving it up are there when it succeeds.
func (a *Arena) segmentFor(need uint64, l *limits) (i uint32, start uint64, err error) {
	if !a.reserve() {
		return 0, 0, a.tooMany
	}
	if i, start = a.search(need, l); i == 0 && a.giveWay() {
		i, start = a.search(need, l)
	}
	if i != 0 {
		return i, start, nil
	}
	if i, start = a.importFor(need, l); i == 0 {
		return 0, 0, a.full
	}
	if !a.reserve() {
		a.giveBack(i)
		return 0, 0, a.tooMany
	}
	return i, start, nil
}

// search returns a free segment and a place in it, or 0.
func (a *Arena) search(need uint64, l *limits) (i uint32, start uint64) {
	if l != nil {
		return a.chooseWithin(need, l)
	}
	i = a.choose(need)
	return i, a.tags[i].start
}

// choose returns a free segment of at least need addresses, or 0.
func (a *Arena) choose(need uint64) uint32 {
	k := log2(need)
	if a.fit == BestFit {
		if i := a.smallest(k, need); i != 0 {
			return i
		}
		if larger := a.nonEmpty &^ (2<<k - 1); larger != 0 {
			return a.smallest(log2(larger&-larger), need)
		}
		return 0
	}
	// Every segment of these lists is large enough.
	if sure := a.nonEmpty >> log2Up(need) << log2Up(need); sure != 0 {
		return a.lists[log2(sure&-sure)]
	}
	for i := a.lists[k]; i != 0; i = a.tags[i].fwd {
		if a.tags[i].size >= need {
			return i
		}
	}
	return 0
}

// smallest returns the smallest segment of list k with at least need addresses, or 0.
func (a *Arena) smallest(k uint, need uint64) (best uint32) {
	size := uint64(math.MaxUint64)
	for i := a.lists[k]; i != 0; i = a.tags[i].fwd {
		if n := a.tags[i].size; n >= need && n <= size {
			if best, size = i, n; n == need {
				break
			}
		}
	}
	return best
}

// carve makes the addresses [start, start+need) of free segment i a segment in use. What is left on
// either side stays free.
func (a *Arena) carve(i uint32, start, need uint64, k kind) uint32 {
	t := &a.tags[i]
	left, right := start-t.start, t.last()-(start+(need-1))
	if left == 0 && right != 0 && log2(right) == log2(t.size) {
		// The rest stays where it is in its list: the common case of a large segment.
		j := a.take(start, need, k)
		t.start, t.size = t.start+need, right
		a.insertAfter(t.prev, j)
		a.enter(j)
		return j
	}
	a.drop(i)
	if left != 0 {
		j := a.take(t.start, left, free)
		a.insertAfter(t.prev, j)
		a.push(j)
	}
	if right != 0 {
		j := a.take(start+need, right, free)
		a.insertAfter(i, j)
		a.push(j)
	}
	t.start, t.size, t.kind, t.back = start, need, k, 0
	a.enter(i)
	return i
}

// release makes segment i free, merges it with its free neighbours, and returns the span to the
// parent if that was the last of it in use.
func (a *Arena) release(i uint32) {
	a.remove(i)
	t := &a.tags[i]
	t.kind = free
	if p := t.prev; a.tags[p].kind == free {
		a.drop(p)
		t.start, t.size = a.tags[p].start, t.size+a.tags[p].size
		a.unlink(p)
		a.recycle(p)
	}
	if n := t.next; a.tags[n].kind == free {
		a.drop(n)
		t.size += a.tags[n].size
		a.unlink(n)
		a.recycle(n)
	}
	a.push(i)
	if t.prev == t.next && a.tags[t.prev].kind == importedSpan {
		a.giveBack(i)
	}
}
