package vmem

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// twin is the allocator that nobody would use: it knows what is allocated, and looks at every
// address to find out what could be.
type twin struct {
	quantum uint64
	spans   []run
	out     map[uint64]uint64 // start to size, of what is handed out
}

type run struct{ start, size uint64 }

func (r run) last() uint64 { return r.start + (r.size - 1) }

// within says whether need addresses from at on lie in r and meet c, in the words of its doc.
func (r run) within(at, need, quantum uint64, c Constraint) bool {
	align := max(c.Align, quantum)
	end := c.End - 1
	last := at + (need - 1)
	return at >= r.start && last >= at && last <= r.last() && at%align == c.Phase &&
		(c.NoCross == 0 || at/c.NoCross == last/c.NoCross) && at >= c.Min && last <= end
}

// fits says whether need addresses that meet c can be had from r.
func (r run) fits(need, quantum uint64, c Constraint) bool {
	for offset := uint64(0); offset < r.size; offset += quantum {
		if r.within(r.start+offset, need, quantum, c) {
			return true
		}
	}
	return false
}

// gaps are the runs that are in a span and not handed out.
func (t *twin) gaps() (all []run) {
	out := slices.Sorted(maps.Keys(t.out))
	for _, s := range t.spans {
		at, left := s.start, s.size
		for _, start := range out {
			if start < s.start || start > s.last() {
				continue
			}
			if start != at {
				all = append(all, run{at, start - at})
			}
			left -= start - at + t.out[start]
			at = start + t.out[start]
		}
		if left > 0 {
			all = append(all, run{at, left})
		}
	}
	return all
}

// took checks a successful allocation and remembers it.
func (t *twin) took(at, need uint64, c Constraint) error {
	for _, g := range t.gaps() {
		if g.within(at, need, t.quantum, c) {
			t.out[at] = need
			return nil
		}
	}
	return fmt.Errorf("%d at %#x for %+v: not free, or not what was asked for", need, at, c)
}

// compare checks that the arena's segments are what the twin knows.
func (t *twin) compare(a *Arena) error {
	if err := a.Audit(); err != nil {
		return err
	}
	var spans, notOut []run
	at, left := uint64(0), uint64(0)
	out := map[uint64]uint64{}
	var allocated, held uint64
	before := Held
	for g := range a.Walk {
		if left == 0 {
			at, left = g.SpanStart, g.SpanSize
			spans = append(spans, run{at, left})
			notOut = append(notOut, run{at, 0})
			before = Held
		}
		if g.Start != at || g.Size == 0 || g.Size > left || g.State == Free && before == Free {
			return fmt.Errorf("segment %+v at %#x, %d left of the span", g, at, left)
		}
		before = g.State
		switch g.State {
		case Allocated:
			out[g.Start] = g.Size
			allocated += g.Size
			notOut = append(notOut, run{g.Start + g.Size, 0})
		case Held:
			held += g.Size
			fallthrough
		default:
			notOut[len(notOut)-1].size += g.Size
		}
		at += g.Size
		left -= g.Size
	}
	notOut = slices.DeleteFunc(notOut, func(r run) bool { return r.size == 0 })
	slices.SortFunc(t.spans, func(x, y run) int {
		if x.start < y.start {
			return -1
		}
		return 1
	})
	switch {
	case left != 0:
		return fmt.Errorf("%d addresses of the last span were not yielded", left)
	case !slices.Equal(spans, t.spans):
		return fmt.Errorf("spans %x, want %x", spans, t.spans)
	case !maps.Equal(out, t.out):
		return fmt.Errorf("allocated %x, want %x", out, t.out)
	case !slices.Equal(notOut, t.gaps()):
		return fmt.Errorf("not allocated %x, want %x", notOut, t.gaps())
	case allocated != a.Allocated() || held != a.Held():
		return fmt.Errorf("walked over %d allocated, %d held; the arena says %d, %d",
			allocated, held, a.Allocated(), a.Held())
	}
	return nil
}

// failed checks that an allocation that failed had to: no free segment fits, and no object of its
// size is held.
func (t *twin) failed(a *Arena, need uint64, c *Constraint) error {
	for g := range a.Walk {
		var unlimited Constraint
		if c != nil {
			unlimited = *c
		}
		r := run{g.Start, g.Size}
		if g.State == Free && r.fits(need, t.quantum, unlimited) ||
			g.State == Held && c == nil && a.objectOf(g.Start) == need {
			return fmt.Errorf("no room for %d, %+v, beside %+v", need, c, g)
		}
	}
	return nil
}

// objectOf is the object size of the slab around start, if start is not behind its last object.
func (a *Arena) objectOf(start uint64) uint64 {
	if a.slabBytes == 0 {
		return 0
	}
	s := &a.slabs[a.tags[a.find(start&^(a.slabBytes-1))].back]
	size := uint64(s.multiple) << a.shift
	if (start-s.start)/size >= uint64(a.caches[s.multiple].objects) {
		return 0
	}
	return size
}

// chooser is where a test's decisions come from: a fuzzer's bytes, or rapid.
type chooser interface {
	below(n int) int // 0 to n-1
}

// game plays decisions of a chooser against an arena and its twin.
type game struct {
	arena *Arena
	twin  twin
	from  chooser
	place uint64 // address of the first span
	quota int    // quanta that all spans may have
	gone  []run  // freed once: to be freed again
}

func newGame(from chooser) (*game, error) {
	quantum := uint64(1) << from.below(4)
	if from.below(4) == 0 {
		quantum = 1 << 40
	}
	a, err := New(Config{
		Name: "test", Quantum: quantum, Fit: Fit(from.below(2)),
		Caches: []int{0, 0, 1, 3, 5, MaxCaches}[from.below(6)], Segments: from.below(3) * 50,
	})
	if err != nil {
		return nil, err
	}
	g := &game{
		arena: a, twin: twin{quantum: quantum, out: map[uint64]uint64{}}, from: from,
		quota: 500,
	}
	switch from.below(3) {
	case 0:
		g.place = 0
	case 1:
		g.place = uint64(from.below(1000)) * quantum
	default: // so that a span can end at the top
		g.place = top - 400*quantum + 1
	}
	return g, g.add()
}

// add adds a span, or tries to.
func (g *game) add() error {
	q := g.twin.quantum
	r := run{
		start: g.place + uint64(g.from.below(400))*q,
		size:  uint64(1+g.from.below(200)) * q,
	}
	if len(g.twin.spans) == 0 && g.from.below(2) == 0 {
		r = run{g.place, 200 * q}
	}
	wrong := r.start+(r.size-1) < r.start
	for _, s := range g.twin.spans {
		wrong = wrong || s.start <= r.last() && r.start <= s.last()
	}
	err := g.arena.Add(r.start, r.size)
	switch {
	case wrong && !errors.Is(err, ErrSpan):
		return fmt.Errorf("span %x beside %x: %v", r, g.twin.spans, err)
	case !wrong && err != nil:
		return err
	case !wrong:
		g.twin.spans = append(g.twin.spans, r)
	}
	return nil
}

// step plays one move.
func (g *game) step() error {
	switch g.from.below(10) {
	case 0:
		if len(g.twin.spans) < 4 {
			return g.add()
		}
		g.arena.Reap()
		return nil
	case 1, 2, 3:
		return g.alloc()
	case 4, 5:
		return g.allocIn()
	case 6:
		return g.freeWrong()
	}
	return g.free()
}

// want draws a size, mostly small.
func (g *game) want() (size, need uint64) {
	quanta := uint64(1 + g.from.below([]int{3, 17, 70, 200}[g.from.below(4)]))
	need = quanta * g.twin.quantum
	return need - uint64(g.from.below(int(min(g.twin.quantum, 1<<20)))), need
}

func (g *game) alloc() error {
	size, need := g.want()
	at, err := g.arena.Alloc(size)
	if err == nil {
		return g.twin.took(at, need, Constraint{})
	}
	if !errors.Is(err, ErrFull) {
		return err
	}
	return g.twin.failed(g.arena, need, nil)
}

func (g *game) allocIn() error {
	size, need := g.want()
	q := g.twin.quantum
	var c Constraint
	if g.from.below(3) > 0 {
		c.Align = q << g.from.below(8)
		if g.from.below(2) == 0 {
			c.Phase = uint64(g.from.below(int(c.Align/q))) * q
		}
	}
	if g.from.below(3) == 0 {
		c.NoCross = q << g.from.below(8)
	}
	if g.from.below(3) == 0 {
		c.Min = g.place + uint64(g.from.below(300))*q + uint64(g.from.below(2))
	}
	if g.from.below(3) == 0 {
		c.End = g.place + uint64(g.from.below(600))*q + uint64(g.from.below(2))
	}
	at, err := g.arena.AllocIn(size, c)
	switch {
	case err == nil:
		return g.twin.took(at, need, c)
	case errors.Is(err, ErrConstraint):
		if c.NoCross != 0 && need > c.NoCross || c.End-1 < c.Min ||
			c.End-1-c.Min < need-1 {
			return nil
		}
		return err
	case !errors.Is(err, ErrFull):
		return err
	}
	return g.twin.failed(g.arena, need, &c)
}

func (g *game) free() error {
	starts := slices.Sorted(maps.Keys(g.twin.out))
	if len(starts) == 0 {
		return nil
	}
	r := run{start: starts[g.from.below(len(starts))]}
	r.size = g.twin.out[r.start]
	if err := g.arena.Free(r.start, r.size-g.twin.quantum+1); err != nil {
		return err
	}
	delete(g.twin.out, r.start)
	g.gone = append(g.gone, r)
	return nil
}

// freeWrong tries what must not work.
func (g *game) freeWrong() error {
	q := g.twin.quantum
	r := run{g.place + uint64(g.from.below(1000))*q, uint64(1+g.from.below(100)) * q}
	switch g.from.below(4) {
	case 0:
		if len(g.gone) > 0 {
			r = g.gone[g.from.below(len(g.gone))]
		}
	case 1: // one that is there, with another size
		for start := range g.twin.out {
			r.start = max(r.start, start)
		}
	case 2:
		r.start++
	}
	if size, ok := g.twin.out[r.start]; ok && size == r.size {
		return nil
	}
	want := g.reason(r.start)
	if err := g.arena.Free(r.start, r.size); !errors.Is(err, want) {
		return fmt.Errorf("free of %x: %v, want %w", r, err, want)
	}
	return nil
}

// reason is why something at start that is not what was allocated cannot be freed.
func (g *game) reason(start uint64) error {
	for _, r := range g.twin.gaps() {
		if start >= r.start && start <= r.last() {
			return ErrDoubleFree
		}
	}
	if _, ok := g.twin.out[start]; ok {
		return ErrWrongSize
	}
	return ErrForeign
}

// end frees everything and checks that nothing is left behind.
func (g *game) end() error {
	for start, size := range g.twin.out {
		if err := g.arena.Free(start, size); err != nil {
			return err
		}
	}
	clear(g.twin.out)
	g.arena.Reap()
	if err := g.twin.compare(g.arena); err != nil {
		return err
	}
	if g.arena.Allocated() != 0 || g.arena.Held() != 0 || g.arena.table.count != 0 {
		return fmt.Errorf("%d allocated, %d held at the end", g.arena.Allocated(), g.arena.Held())
	}
	n := 0
	for range g.arena.Walk {
		n++
	}
	if n != len(g.twin.spans) {
		return fmt.Errorf("%d segments in %d empty spans", n, len(g.twin.spans))
	}
	return nil
}

// play plays a whole game.
func play(from chooser, steps int) error {
	g, err := newGame(from)
	if err != nil {
		return err
	}
	for range steps {
		if err := g.step(); err != nil {
			return err
		}
		if err := g.twin.compare(g.arena); err != nil {
			return err
		}
	}
	return g.end()
}

// top is the last of all integers.
const top = math.MaxUint64
