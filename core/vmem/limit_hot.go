package vmem

import "math"

// Constraint narrows where an allocation may lie. Its zero value allows everything.
type Constraint struct {
	Align   uint64 // power of two; 0 is the quantum, which is also the least
	Phase   uint64 // the first address is this modulo Align; below Align, a multiple of the quantum
	NoCross uint64 // power of two: no multiple of it lies inside, but perhaps first; 0 is none
	Min     uint64 // first address that may be used
	End     uint64 // first address behind those that may be used, modulo 2^64: 0 is no limit
}

// limits is a constraint that was checked.
type limits struct {
	align, phase, nocross uint64
	min, last             uint64 // the last address is included
}

// probes is how many segments of each list are tried before one is taken that surely fits, and
// before everything is searched (guess: the cost of a few cache misses).
const probes = 8

// limits checks c for an allocation of need addresses; false when no span whatever could meet it.
func (a *Arena) limits(need uint64, c Constraint) (l limits, ok bool) {
	l = limits{
		align: max(c.Align, a.quantum), phase: c.Phase, nocross: c.NoCross,
		min: c.Min, last: c.End - 1,
	}
	switch {
	case !powerOfTwo(l.align), c.Align != 0 && !powerOfTwo(c.Align),
		l.phase >= l.align, l.phase&(a.quantum-1) != 0,
		l.nocross != 0 && (!powerOfTwo(l.nocross) || need > l.nocross),
		l.min > l.last, need-1 > l.last-l.min:
		return l, false
	}
	return l, true
}

// place returns the lowest first address of need addresses in [start, last] that meets l.
func (l *limits) place(start, last, need uint64) (at uint64, ok bool) {
	start, last = max(start, l.min), min(last, l.last)
	if start > last || last-start < need-1 {
		return 0, false
	}
	highest := last - (need - 1)
	at, ok = l.up(start, highest)
	if !ok || !l.crosses(at, need) {
		return at, ok
	}
	// Behind the boundary that it crosses. If it crosses there as well it does so everywhere: what
	// follows repeats itself.
	boundary := at | (l.nocross - 1)
	if boundary >= highest {
		return 0, false
	}
	at, ok = l.up(boundary+1, highest)
	return at, ok && !l.crosses(at, need)
}

// up is the first address from start on, up to highest, that is aligned.
func (l *limits) up(start, highest uint64) (at uint64, ok bool) {
	gap := (l.phase - start) & (l.align - 1)
	return start + gap, gap <= highest-start
}

func (l *limits) crosses(at, need uint64) bool {
	return l.nocross != 0 && at^(at+(need-1)) >= l.nocross
}

// chooseWithin returns a free segment and a place in it that meets l, or 0. It looks at a few
// segments of each list from the smallest that could do, so that an exact hole is preferred to a
// large one, and only then at all.
func (a *Arena) chooseWithin(need uint64, l *limits) (i uint32, start uint64) {
	if a.fit == InstantFit {
		if i, start = a.firstWithin(need, l, probes); i != 0 {
			return i, start
		}
		return a.firstWithin(need, l, math.MaxInt)
	}
	for left := a.nonEmpty >> log2(need) << log2(need); left != 0; left &= left - 1 {
		if i, start = a.smallestWithin(log2(left&-left), need, l); i != 0 {
			return i, start
		}
	}
	return 0, 0
}

func (a *Arena) firstWithin(need uint64, l *limits, most int) (i uint32, start uint64) {
	for left := a.nonEmpty >> log2(need) << log2(need); left != 0; left &= left - 1 {
		n := 0
		for i = a.lists[log2(left&-left)]; i != 0 && n < most; i = a.tags[i].fwd {
			t := &a.tags[i]
			if start, ok := l.place(t.start, t.last(), need); ok {
				return i, start
			}
			n++
		}
	}
	return 0, 0
}

func (a *Arena) smallestWithin(k uint, need uint64, l *limits) (best uint32, start uint64) {
	size := uint64(math.MaxUint64)
	for i := a.lists[k]; i != 0; i = a.tags[i].fwd {
		t := &a.tags[i]
		if t.size > size {
			continue
		}
		if at, ok := l.place(t.start, t.last(), need); ok {
			best, start, size = i, at, t.size
		}
	}
	return best, start
}
