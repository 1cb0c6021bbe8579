package vmem

import (
	"errors"
	"testing"
)

// TestPlaceExhaustively compares the arithmetic of constraints with trying every address, in small
// ranges at the bottom of the integers, across a power of two, and at the top.
func TestPlaceExhaustively(t *testing.T) {
	const width = 12
	for _, base := range []uint64{0, 1<<32 - 5, top - width + 1} {
		for size := uint64(1); size <= width; size++ {
			for _, c := range smallConstraints(base, width) {
				for need := uint64(1); need <= 5; need++ {
					comparePlace(t, run{base, size}, need, c)
				}
			}
		}
	}
}

func comparePlace(t *testing.T, r run, need uint64, c Constraint) {
	t.Helper()
	a := Arena{quantum: 1}
	l, ok := a.limits(need, c)
	possible := (c.NoCross == 0 || need <= c.NoCross) && c.Min <= c.End-1 &&
		c.End-1-c.Min >= need-1
	if ok != possible {
		t.Fatalf("%d with %+v: accepted %v, want %v", need, c, ok, possible)
	}
	if !ok {
		return
	}
	got, ok := l.place(r.start, r.last(), need)
	for offset := range r.size {
		if at := r.start + offset; r.within(at, need, 1, c) {
			if !ok || got != at {
				t.Fatalf("%d in %x with %+v: %#x, %v, want %#x", need, r, c, got, ok, at)
			}
			return
		}
	}
	if ok {
		t.Fatalf("%d in %x with %+v: %#x, want none", need, r, c, got)
	}
}

// smallConstraints are all combinations that can matter in a range of that width.
func smallConstraints(base, width uint64) (all []Constraint) {
	for align := uint64(1); align <= 8; align *= 2 {
		for phase := range align {
			for _, nocross := range []uint64{0, 1, 2, 4, 8, 1 << 63} {
				for _, from := range []uint64{0, base, base + 3} {
					for _, end := range []uint64{0, base + width/2, base + width} {
						all = append(all, Constraint{align, phase, nocross, from, end})
					}
				}
			}
		}
	}
	return all
}

// script is a chooser that enumerates: it counts through all sequences of decisions.
type script struct {
	digits []int
	limits []int
	at     int
}

func (s *script) below(n int) int {
	if s.at == len(s.digits) {
		s.digits, s.limits = append(s.digits, 0), append(s.limits, n)
	}
	s.at++
	return s.digits[s.at-1]
}

// next moves on to the next sequence; false after the last.
func (s *script) next() bool {
	s.digits, s.limits = s.digits[:s.at], s.limits[:s.at]
	for i := s.at - 1; i >= 0; i-- {
		if s.digits[i]++; s.digits[i] < s.limits[i] {
			s.digits, s.limits, s.at = s.digits[:i+1], s.limits[:i+1], 0
			return true
		}
	}
	return false
}

// TestExhaustively tries every sequence of a few operations in a span of 7 addresses: sizes of 1 to
// 3, aligned sizes of 2, and the release of anything that is there, with and without caches.
func TestExhaustively(t *testing.T) {
	const moves = 5
	for _, c := range []Config{{}, {Fit: BestFit}, {Caches: 1}} {
		s := &script{}
		for games := 1; ; games++ {
			if err := playSmall(c, s, moves); err != nil {
				t.Fatalf("%+v, decisions %v: %v", c, s.digits, err)
			}
			if !s.next() {
				t.Logf("%+v: %d games", c, games)
				break
			}
		}
	}
}

func playSmall(c Config, s *script, moves int) error {
	a, err := New(c)
	if err != nil {
		return err
	}
	g := &game{arena: a, twin: twin{quantum: 1, out: map[uint64]uint64{}}, from: s}
	g.twin.spans = []run{{top - 6, 7}}
	if err := a.Add(top-6, 7); err != nil {
		return err
	}
	for range moves {
		switch move := s.below(4 + min(len(g.twin.out), 4)); move {
		case 0, 1, 2:
			err = g.takeSmall(uint64(move+1), nil)
		case 3:
			err = g.takeSmall(2, &Constraint{Align: 2})
		default:
			err = g.freeNth(move - 4)
		}
		if err != nil {
			return err
		}
		if err := g.twin.compare(a); err != nil {
			return err
		}
	}
	return g.end()
}

func (g *game) takeSmall(need uint64, c *Constraint) (err error) {
	var at uint64
	var met Constraint
	if c == nil {
		at, err = g.arena.Alloc(need)
	} else {
		met = *c
		at, err = g.arena.AllocIn(need, met)
	}
	switch {
	case err == nil:
		return g.twin.took(at, need, met)
	case errors.Is(err, ErrFull):
		return g.twin.failed(g.arena, need, c)
	}
	return err
}

func (g *game) freeNth(n int) error {
	for start := uint64(top - 6); ; start++ {
		if size, ok := g.twin.out[start]; ok {
			if n--; n < 0 {
				delete(g.twin.out, start)
				return g.arena.Free(start, size)
			}
		}
	}
}
