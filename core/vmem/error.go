package vmem

import "fmt"

// constraintError says what was asked for. Nothing has changed.
func (a *Arena) constraintError(need uint64, c Constraint) error {
	return fmt.Errorf("vmem: arena %s: %d addresses with align %#x, phase %#x, nocross %#x, "+
		"from %#x to %#x: %w", a.name, need, c.Align, c.Phase, c.NoCross, c.Min, c.End,
		ErrConstraint)
}

// freeError says why [start, start+size) cannot be freed. It walks through the span.
func (a *Arena) freeError(start, size uint64) error {
	reason := ErrForeign
	for _, s := range a.spans {
		if start < a.tags[s].start || start > a.tags[s].last() {
			continue
		}
		for i := a.tags[s].next; i != s; i = a.tags[i].next {
			if t := &a.tags[i]; start >= t.start && start <= t.last() {
				reason = a.freeReason(i, start)
				break
			}
		}
	}
	return fmt.Errorf("vmem: arena %s: free of %d at %#x: %w", a.name, size, start, reason)
}

// freeReason is what is wrong with freeing something at start, which lies in segment i.
func (a *Arena) freeReason(i uint32, start uint64) error {
	t := &a.tags[i]
	first, isFree := t.start, t.kind == free
	if t.kind == slabbed {
		s := &a.slabs[t.back]
		size := uint64(s.multiple) << a.shift
		index := (start - s.start) / size
		first = s.start + index*size
		isFree = index >= uint64(a.caches[s.multiple].objects) || s.free>>index&1 != 0
	}
	switch {
	case isFree:
		return ErrDoubleFree
	case first != start:
		return ErrForeign
	}
	return ErrWrongSize
}
