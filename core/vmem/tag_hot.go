package vmem

import "math/bits"

// kind is what a tag stands for.
type kind uint8

const (
	unused       kind = iota
	span              // head of a span's segments
	importedSpan      // the same, and the parent wants it back
	free              // in a free list
	allocated         // in the hash table
	slabbed           // in the hash table; cut into objects
)

// tag is a boundary tag: a segment, or a span, which is the head of the ring of its segments.
type tag struct {
	start, size uint64
	prev, next  uint32 // neighbours by address, the span between the last and the first
	fwd         uint32 // next in the free list, the hash chain, or the recycled tags
	back        uint32 // previous in the free list; a slab's number
	kind        kind
}

// last is the segment's last address: one past it may lie beyond all integers.
func (t *tag) last() uint64 { return t.start + (t.size - 1) }

// opTags is how many tags one operation takes at most: a span, its free segment, and one for each
// side of what is cut out.
const opTags = 4

// reserve sees to it that an operation can take its tags, so that it need not be able to fail in
// the middle. It must come before pointers to tags are taken: it may move them.
func (a *Arena) reserve() bool {
	return a.spares >= opTags || a.growTags(len(a.tags))
}

// take returns a tag for [start, start+size).
func (a *Arena) take(start, size uint64, k kind) uint32 {
	i := a.spare
	t := &a.tags[i]
	a.spare = t.fwd
	a.spares--
	*t = tag{start: start, size: size, kind: k}
	return i
}

// recycle takes the tag back.
func (a *Arena) recycle(i uint32) {
	a.tags[i] = tag{fwd: a.spare}
	a.spare = i
	a.spares++
}

// insertAfter puts tag i into the ring of segments behind tag p.
func (a *Arena) insertAfter(p, i uint32) {
	n := a.tags[p].next
	a.tags[i].prev, a.tags[i].next = p, n
	a.tags[p].next = i
	a.tags[n].prev = i
}

// unlink takes tag i out of the ring of segments.
func (a *Arena) unlink(i uint32) {
	p, n := a.tags[i].prev, a.tags[i].next
	a.tags[p].next = n
	a.tags[n].prev = p
}

// push puts a free segment at the head of its list: what was freed last is used first.
func (a *Arena) push(i uint32) {
	t := &a.tags[i]
	k := log2(t.size)
	head := a.lists[k]
	t.fwd, t.back = head, 0
	if head != 0 {
		a.tags[head].back = i
	}
	a.lists[k] = i
	a.nonEmpty |= 1 << k
}

// drop takes a free segment out of its list.
func (a *Arena) drop(i uint32) {
	t := &a.tags[i]
	if t.fwd != 0 {
		a.tags[t.fwd].back = t.back
	}
	if t.back != 0 {
		a.tags[t.back].fwd = t.fwd
		return
	}
	k := log2(t.size)
	a.lists[k] = t.fwd
	if t.fwd == 0 {
		a.nonEmpty &^= 1 << k
	}
}

// log2 rounds down. x is not 0.
func log2(x uint64) uint { return uint(bits.Len64(x)-1) & 63 }

// log2Up rounds up: 64 for what is above 2^63. x is not 0.
func log2Up(x uint64) uint { return uint(bits.Len64(x - 1)) }

func powerOfTwo(x uint64) bool { return x != 0 && x&(x-1) == 0 }
