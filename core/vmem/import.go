package vmem

import (
	"fmt"
	"slices"
)

// unlimited is what an allocation without constraints has.
func (a *Arena) unlimited() limits {
	l, _ := a.limits(1, Constraint{})
	return l
}

// importFor takes a span from the parent that has room for need addresses within l (nil: anywhere),
// and returns its free segment and the place in it; 0 if that cannot be had.
func (a *Arena) importFor(need uint64, l *limits) (i uint32, at uint64) {
	if a.parent == nil {
		return 0, 0
	}
	anywhere := a.unlimited()
	if l == nil {
		l = &anywhere
	}
	size := need
	if l.nocross == 0 && l.min == anywhere.min && l.last == anywhere.last {
		size = max(need, a.importBytes)
	}
	start, size, ok := a.ask(size, need, l)
	if !ok {
		return 0, 0
	}
	place, free := a.spanPlace(start, size)
	if !free || a.size+size < a.size || !a.reserve() {
		a.returnSpan(start, size)
		return 0, 0
	}
	i = a.insertSpan(place, start, size, importedSpan)
	if at, ok = l.place(start, start+(size-1), need); !ok {
		a.giveBack(i)
		return 0, 0
	}
	return i, at
}

// ask has the parent allocate size addresses, or else as few as are enough for need.
func (a *Arena) ask(size, need uint64, l *limits) (start, got uint64, ok bool) {
	unit := max(a.quantum, a.parent.quantum)
	c := Constraint{
		Align: max(l.align, unit), Phase: l.phase, NoCross: l.nocross,
		Min: l.min, End: l.last + 1,
	}
	if l.phase&(unit-1) != 0 || l.nocross != 0 && l.nocross < unit {
		// The parent cannot put a span's beginning where ours has to be. What l asks for repeats
		// itself after the larger of its two periods, so a span of that much more has a place.
		more := max(l.align, l.nocross)
		if need += more; need < more {
			return 0, 0, false
		}
		size = max(size, need)
		c = Constraint{Align: unit, Min: l.min, End: l.last + 1}
	}
	for _, n := range [...]uint64{size, need} {
		got = (n + unit - 1) &^ (unit - 1)
		if got < n {
			continue
		}
		if c == (Constraint{Align: a.parent.quantum}) {
			start, err := a.parent.Alloc(got)
			if err == nil {
				return start, got, true
			}
			continue
		}
		if start, err := a.parent.AllocIn(got, c); err == nil {
			return start, got, true
		}
	}
	return 0, 0, false
}

// giveBack returns the imported span whose only segment is i, which is free, to the parent.
func (a *Arena) giveBack(i uint32) {
	s := a.tags[i].prev
	start, size := a.tags[s].start, a.tags[s].size
	at, _ := a.spanPlace(start, size)
	a.spans = slices.Delete(a.spans, at, at+1)
	a.drop(i)
	a.recycle(i)
	a.recycle(s)
	a.size -= size
	a.imported -= size
	a.returnSpan(start, size)
}

// returnSpan frees what ask got. The parent cannot refuse: nobody else knows of it.
func (a *Arena) returnSpan(start, size uint64) {
	if err := a.parent.Free(start, size); err != nil {
		panic(fmt.Sprintf("vmem: arena %s: span of %d at %#x cannot be returned: %v",
			a.name, size, start, err))
	}
}

func (a *Arena) compareSpan(i uint32, start uint64) int {
	switch s := a.tags[i].start; {
	case s < start:
		return -1
	case s > start:
		return 1
	}
	return 0
}

// spanPlace is where in a.spans a span belongs, and whether nothing is there.
func (a *Arena) spanPlace(start, size uint64) (at int, free bool) {
	at, found := slices.BinarySearchFunc(a.spans, start, a.compareSpan)
	if found || at > 0 && a.tags[a.spans[at-1]].last() >= start ||
		at < len(a.spans) && a.tags[a.spans[at]].start <= start+(size-1) {
		return at, false
	}
	return at, true
}

// insertSpan makes a span, all free, and returns its segment.
func (a *Arena) insertSpan(at int, start, size uint64, k kind) uint32 {
	s := a.take(start, size, k)
	a.tags[s].prev, a.tags[s].next = s, s
	a.spans = slices.Insert(a.spans, at, s)
	i := a.take(start, size, free)
	a.insertAfter(s, i)
	a.push(i)
	a.size += size
	if k == importedSpan {
		a.imported += size
	}
	return i
}

// Reap returns the idle slabs of the quantum caches to the arena, and so perhaps spans to the
// parent. An Alloc that would fail does so by itself.
func (a *Arena) Reap() { a.giveWay() }
