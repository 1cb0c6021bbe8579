package vmem

import "math/bits"

// slab is a run of quanta, aligned to its size, that a cache cuts into objects of equal size. What
// remains behind the last object is not used.
type slab struct {
	start     uint64
	free      uint64 // bit i: object i is not handed out
	fwd, back uint32 // partly used slabs of the cache, or recycled slab numbers
	tag       uint32
	multiple  uint32 // of the quantum: the object's size
}

// cache holds the slabs of one object size. Slabs that are all handed out are in no list.
type cache struct {
	objects uint32 // in a slab
	partial uint32 // slabs with something free and something handed out
	idle    uint32 // one slab with nothing handed out, so that the next Alloc need not make one
	all     uint64 // free of a slab with nothing handed out
}

// allocObject takes an object of m quanta; false if there is none and no slab to be had.
func (a *Arena) allocObject(m uint32) (start uint64, ok bool) {
	c := &a.caches[m]
	n := c.partial
	if n == 0 {
		if n = c.idle; n != 0 {
			c.idle = 0
		} else if n = a.makeSlab(m); n == 0 {
			return 0, false
		}
		a.list(n)
	}
	s := &a.slabs[n]
	index := uint32(bits.TrailingZeros64(s.free))
	s.free &= s.free - 1
	if s.free == 0 {
		a.unlist(n)
	}
	size := uint64(m) << a.shift
	a.allocated += size
	a.held -= size
	return s.start + uint64(index)*size, true
}

// freeObject gives an object of slab n back.
func (a *Arena) freeObject(n uint32, start, size uint64) error {
	s := &a.slabs[n]
	if uint64(s.multiple)<<a.shift != size {
		return a.freeError(start, size)
	}
	c := &a.caches[s.multiple]
	offset := uint32((start - s.start) >> a.shift)
	index := offset / s.multiple
	if index >= c.objects || s.start+uint64(index)*size != start || s.free>>index&1 != 0 {
		return a.freeError(start, size)
	}
	a.allocated -= size
	a.held += size
	if s.free == 0 {
		a.list(n)
	}
	if s.free |= 1 << index; s.free == c.all {
		a.unlist(n)
		if c.idle == 0 {
			c.idle = n
		} else {
			a.dropSlab(n)
		}
	}
	return nil
}

// list makes slab n the first that its cache takes from.
func (a *Arena) list(n uint32) {
	s := &a.slabs[n]
	c := &a.caches[s.multiple]
	s.fwd, s.back = c.partial, 0
	if c.partial != 0 {
		a.slabs[c.partial].back = n
	}
	c.partial = n
}

func (a *Arena) unlist(n uint32) {
	s := &a.slabs[n]
	if s.fwd != 0 {
		a.slabs[s.fwd].back = s.back
	}
	if s.back != 0 {
		a.slabs[s.back].fwd = s.fwd
	} else {
		a.caches[s.multiple].partial = s.fwd
	}
	s.fwd, s.back = 0, 0
}

// makeSlab takes a slab for objects of m quanta from the arena; 0 if there is no room for one.
func (a *Arena) makeSlab(m uint32) uint32 {
	l, ok := a.limits(a.slabBytes, Constraint{Align: a.slabBytes})
	if !ok {
		return 0
	}
	i, start, err := a.segmentFor(a.slabBytes, &l)
	if err != nil {
		return 0
	}
	i = a.carve(i, start, a.slabBytes, slabbed)
	n := a.spareSlab
	if n != 0 {
		a.spareSlab = a.slabs[n].fwd
	} else {
		n = a.growSlabs()
	}
	a.slabs[n] = slab{start: start, free: a.caches[m].all, tag: i, multiple: m}
	a.tags[i].back = n
	a.held += a.slabBytes
	return n
}

// dropSlab returns slab n, which is in no list and has nothing handed out, to the arena.
func (a *Arena) dropSlab(n uint32) {
	i := a.slabs[n].tag
	a.slabs[n] = slab{fwd: a.spareSlab}
	a.spareSlab = n
	a.held -= a.slabBytes
	a.tags[i].back = 0
	a.release(i)
}

// giveWay returns the idle slabs to the arena; false if there are none.
func (a *Arena) giveWay() (some bool) {
	if a.cachedBytes == 0 {
		return false
	}
	for m := range a.caches {
		if n := a.caches[m].idle; n != 0 {
			a.caches[m].idle = 0
			a.dropSlab(n)
			some = true
		}
	}
	return some
}
