package vmem

import (
	"fmt"
	"math/bits"
)

// State says who has a segment.
type State uint8

const (
	Free      State = iota // in a free list
	Allocated              // handed out
	Held                   // in a slab of a quantum cache and not handed out
)

// String is the state's name.
func (s State) String() string { return [...]string{"free", "allocated", "held"}[s] }

// Segment is a run of addresses in one state.
type Segment struct {
	Start, Size uint64
	State       State
	SpanStart   uint64 // of the span it lies in
	SpanSize    uint64
}

// Walk yields all segments of all spans by address: together they are exactly the spans. It is an
// iter.Seq, for audits; the arena must not change meanwhile.
func (a *Arena) Walk(yield func(Segment) bool) {
	for _, s := range a.spans {
		for i := a.tags[s].next; i != s; i = a.tags[i].next {
			t := &a.tags[i]
			g := Segment{
				Start: t.start, Size: t.size,
				SpanStart: a.tags[s].start, SpanSize: a.tags[s].size,
			}
			if t.kind == slabbed {
				if !a.walkSlab(g, &a.slabs[t.back], yield) {
					return
				}
				continue
			}
			if t.kind == allocated {
				g.State = Allocated
			}
			if !yield(g) {
				return
			}
		}
	}
}

// walkSlab yields the objects of a slab, and what is behind the last.
func (a *Arena) walkSlab(g Segment, s *slab, yield func(Segment) bool) bool {
	end := g.Start + (g.Size - 1)
	g.Size = uint64(s.multiple) << a.shift
	for index := range a.caches[s.multiple].objects {
		g.Start = s.start + uint64(index)*g.Size
		g.State = Allocated
		if s.free>>index&1 != 0 {
			g.State = Held
		}
		if !yield(g) {
			return false
		}
	}
	g.Start += g.Size
	g.Size, g.State = end-g.Start+1, Held
	return g.Size == 0 || yield(g)
}

// Audit checks everything that must hold between two calls, and returns the first thing that does
// not. It takes time and memory in proportion to the arena.
func (a *Arena) Audit() error {
	seen := make([]bool, len(a.tags)) // tags that were met
	if err := a.auditSpans(seen); err != nil {
		return fmt.Errorf("vmem: arena %s: %w", a.name, err)
	}
	if err := a.auditLists(seen); err != nil {
		return fmt.Errorf("vmem: arena %s: %w", a.name, err)
	}
	if err := a.auditSlabs(); err != nil {
		return fmt.Errorf("vmem: arena %s: %w", a.name, err)
	}
	spares := 0
	for i := a.spare; i != 0; i = a.tags[i].fwd {
		if seen[i] || a.tags[i].kind != unused {
			return fmt.Errorf("vmem: arena %s: recycled tag %d is in use", a.name, i)
		}
		seen[i] = true
		spares++
	}
	for i := range a.tags {
		if i > 0 && !seen[i] {
			return fmt.Errorf("vmem: arena %s: tag %d is lost", a.name, i)
		}
	}
	if spares != a.spares {
		return fmt.Errorf("vmem: arena %s: %d recycled tags, counted %d", a.name, spares, a.spares)
	}
	return nil
}

// auditSpans checks that each span's segments fill it, are merged, and are found by address.
func (a *Arena) auditSpans(seen []bool) error {
	var size, imported, inUse uint64
	entries := 0
	for n, s := range a.spans {
		h := &a.tags[s]
		if h.kind != span && h.kind != importedSpan || seen[s] {
			return fmt.Errorf("tag %d is no span, or twice", s)
		}
		if n > 0 && a.tags[a.spans[n-1]].last() >= h.start {
			return fmt.Errorf("span at %#x overlaps the one before", h.start)
		}
		seen[s] = true
		size += h.size
		if h.kind == importedSpan {
			imported += h.size
		}
		at, left, before := h.start, h.size, s
		for i := h.next; i != s; before, i = i, a.tags[i].next {
			t := &a.tags[i]
			if seen[i] || t.prev != before || t.start != at || t.size == 0 || t.size > left ||
				(t.start|t.size)&(a.quantum-1) != 0 {
				return fmt.Errorf("segment %+v after %#x of span %+v", *t, at, *h)
			}
			seen[i] = true
			switch t.kind {
			case free:
				if a.tags[before].kind == free {
					return fmt.Errorf("free segments side by side at %#x", at)
				}
			case allocated, slabbed:
				if a.find(at) != i {
					return fmt.Errorf("allocated segment at %#x is not found", at)
				}
				entries++
				inUse += t.size
			default:
				return fmt.Errorf("segment %+v", *t)
			}
			at += t.size
			left -= t.size
		}
		if left != 0 || h.prev != before {
			return fmt.Errorf("span at %#x: the last %d addresses are in no segment", h.start, left)
		}
		if h.kind == importedSpan && a.tags[h.next].kind == free && h.next == h.prev {
			return fmt.Errorf("imported span at %#x is empty and was not returned", h.start)
		}
	}
	if size != a.size || imported != a.imported || inUse != a.allocated+a.held ||
		entries != a.table.count {
		return fmt.Errorf("%d addresses, %d imported, %d in use, %d entries; "+
			"counted %d, %d, %d + %d, %d", size, imported, inUse, entries,
			a.size, a.imported, a.allocated, a.held, a.table.count)
	}
	return nil
}

// auditLists checks that each free segment is in the list of its size, and nothing else is.
func (a *Arena) auditLists(seen []bool) error {
	listed := 0
	for k, head := range a.lists {
		if (head != 0) != (a.nonEmpty>>k&1 != 0) {
			return fmt.Errorf("list %d begins with %d, bitmap %#x", k, head, a.nonEmpty)
		}
		back := uint32(0)
		for i := head; i != 0; back, i = i, a.tags[i].fwd {
			t := &a.tags[i]
			if !seen[i] || t.kind != free || t.back != back || log2(t.size) != uint(k) {
				return fmt.Errorf("list %d has %+v", k, *t)
			}
			if listed++; listed > len(a.tags) {
				return fmt.Errorf("list %d has a ring", k)
			}
		}
	}
	for i := range a.tags {
		if a.tags[i].kind == free {
			listed--
		}
	}
	if listed != 0 {
		return fmt.Errorf("%d free segments are in no list", -listed)
	}
	return nil
}

// auditSlabs checks that slabs and tags name each other and that each slab is where its state says.
func (a *Arena) auditSlabs() error {
	listed := make([]bool, len(a.slabs))
	for m := range a.caches {
		c := &a.caches[m]
		back := uint32(0)
		for n := c.partial; n != 0; back, n = n, a.slabs[n].fwd {
			s := &a.slabs[n]
			if listed[n] || s.back != back || s.multiple != uint32(m) || s.free == 0 ||
				s.free == c.all {
				return fmt.Errorf("slab %+v is listed as partly used", *s)
			}
			listed[n] = true
		}
		if n := c.idle; n != 0 {
			if listed[n] || a.slabs[n].free != c.all {
				return fmt.Errorf("slab %+v is listed as idle", a.slabs[n])
			}
			listed[n] = true
		}
	}
	var held uint64
	for i := range a.tags {
		t := &a.tags[i]
		if t.kind != slabbed {
			continue
		}
		s := &a.slabs[t.back]
		c := &a.caches[s.multiple]
		if s.tag != uint32(i) || s.start != t.start || t.size != a.slabBytes ||
			t.start&(a.slabBytes-1) != 0 || s.free&^c.all != 0 || listed[t.back] != (s.free != 0) {
			return fmt.Errorf("slab %+v of segment %+v", *s, *t)
		}
		out := int(c.objects) - bits.OnesCount64(s.free)
		held += a.slabBytes - uint64(out)*uint64(s.multiple)<<a.shift
	}
	if held != a.held {
		return fmt.Errorf("slabs hold %d, counted %d", held, a.held)
	}
	return nil
}
