package vmem

import (
	"errors"
	"testing"
)

type failer interface {
	Helper()
	Fatal(args ...any)
}

// newArena returns an arena of size addresses from start on.
func newArena(t failer, c Config, start, size uint64) *Arena {
	t.Helper()
	a, err := New(c)
	if err == nil && size > 0 {
		err = a.Add(start, size)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{
		{Quantum: 3},
		{Quantum: top},
		{Fit: BestFit + 1},
		{Caches: -1},
		{Caches: MaxCaches + 1},
		{Segments: -1},
		{Segments: MaxTags},
		{Quantum: 1 << 58, Caches: MaxCaches},
		{Quantum: 1 << 63, Caches: 1},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	a := newArena(t, Config{Quantum: 16}, 160, 160)
	for _, r := range []run{
		{0, 0},
		{8, 16},
		{16, 8},
		{160, 16},
		{144, 32},
		{304, 16},
		{0, 1 << 63},
		{16, top - 15},
		{top - 15, 32},
		{top - 31, top - 15},
	} {
		if err := a.Add(r.start, r.size); !errors.Is(err, ErrSpan) {
			t.Errorf("span %x: %v", r, err)
		}
	}
	for _, r := range []run{{144, 16}, {320, 16}, {top - 15, 16}} {
		if err := a.Add(r.start, r.size); err != nil {
			t.Errorf("span %x: %v", r, err)
		}
	}
	if err := a.Audit(); err != nil {
		t.Error(err)
	}
	if a.Size() != 208 {
		t.Errorf("%d addresses", a.Size())
	}
}

func TestSizes(t *testing.T) {
	a := newArena(t, Config{Quantum: 4096, Caches: 4}, 0, top-4095)
	for _, c := range []struct {
		size uint64
		want error
	}{
		{0, ErrSize},
		{top, ErrSize},
		{top - 4094, ErrSize},
		{top - 8191, nil},
		{1, nil},
		{1 << 63, nil},
	} {
		at, err := a.Alloc(c.size)
		if !errors.Is(err, c.want) {
			t.Errorf("%#x: %v, want %v", c.size, err, c.want)
		}
		if c.want != nil {
			if _, err := a.AllocIn(c.size, Constraint{}); !errors.Is(err, c.want) {
				t.Errorf("%#x: %v, want %v", c.size, err, c.want)
			}
			if err := a.Free(0, c.size); !errors.Is(err, c.want) {
				t.Errorf("free of %#x: %v", c.size, err)
			}
			continue
		}
		if err := a.Free(at, c.size); err != nil {
			t.Error(err)
		}
		a.Reap()
	}
	if err := a.Audit(); err != nil || a.Allocated() != 0 {
		t.Errorf("%d allocated, %v", a.Allocated(), err)
	}
}

func TestConstraintsAreChecked(t *testing.T) {
	a := newArena(t, Config{Quantum: 16}, 0, 1<<20)
	for _, c := range []Constraint{
		{Align: 3},
		{Align: 48},
		{Align: top},
		{Align: 64, Phase: 64},
		{Align: 64, Phase: 8},
		{Phase: 16},
		{NoCross: 24},
		{NoCross: 32},
		{Min: 100, End: 100},
		{Min: 100, End: 50},
		{Min: 64, End: 127},
		{Min: top},
		{End: 1},
	} {
		if _, err := a.AllocIn(64, c); !errors.Is(err, ErrConstraint) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if a.Allocated() != 0 || a.Audit() != nil {
		t.Error("a refused allocation left something behind")
	}
}

// Slots of power-of-two sizes, aligned to their size, fill a window without a gap, whatever the
// order in which they come and go.
func TestAlignedSlotsFillAWindow(t *testing.T) {
	const base, window = uint64(0x4000_0000_0000), uint64(16 << 40)
	a := newArena(t, Config{Quantum: 64 << 10}, base, window)
	var slots []run
	take := func(size uint64) {
		at, err := a.AllocIn(size, Constraint{Align: size})
		if err != nil {
			t.Fatal(err)
		}
		if at%size != 0 || at < base {
			t.Fatalf("slot of %#x at %#x", size, at)
		}
		slots = append(slots, run{at, size})
	}
	for i := range 3000 {
		take(64 << 10 << (i % 7))
	}
	for i := 0; i < len(slots); i += 2 {
		if err := a.Free(slots[i].start, slots[i].size); err != nil {
			t.Fatal(err)
		}
	}
	before := uint64(0)
	for _, s := range slots {
		before = max(before, s.last())
	}
	slots = slots[:0]
	for i := range 3000 {
		if i%2 == 0 {
			take(64 << 10 << (i % 7))
		}
	}
	for _, s := range slots {
		if s.last() > before {
			t.Fatalf("slot %x lies beyond %#x though its like was freed", s, before)
		}
	}
	if err := a.Audit(); err != nil {
		t.Error(err)
	}
}

// An arena with the same sizes again and again uses no tag, bucket or slab anew.
func TestAllocs(t *testing.T) {
	for _, caches := range []int{0, 4} {
		parent := newArena(t, Config{Quantum: 4096}, 0, 1<<30)
		a := newArena(t, Config{
			Quantum: 64, Caches: caches, Parent: parent, ImportBytes: 1 << 16,
		}, 0, 0)
		var hold [300]run
		turn := func() {
			for i := range hold {
				size := uint64(i%9+1) * 64
				var at uint64
				var err error
				if i%3 == 0 {
					at, err = a.AllocIn(size, Constraint{Align: 256, NoCross: 4096})
				} else {
					at, err = a.Alloc(size)
				}
				if err != nil {
					t.Fatal(err)
				}
				hold[i] = run{at, size}
			}
			for i := range hold {
				r := hold[i*7%len(hold)]
				if err := a.Free(r.start, r.size); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := a.Alloc(1 << 40); err == nil {
				t.Fatal("there is no such room")
			}
		}
		turn()
		if n := testing.AllocsPerRun(20, turn); n != 0 {
			t.Errorf("%d caches: %v allocations", caches, n)
		}
		if parent.Allocated() != 0 {
			t.Errorf("%d caches: the parent lent %d for nothing", caches, parent.Allocated())
		}
	}
}

// Segments tells how many segments need no new tag.
func TestSegmentsAreMadeAtOnce(t *testing.T) {
	const n = 10_000
	a := newArena(t, Config{Segments: n}, 0, 1<<40)
	tags, buckets := cap(a.tags), cap(a.table.buckets)
	for range n {
		if _, err := a.Alloc(3); err != nil {
			t.Fatal(err)
		}
	}
	if cap(a.tags) != tags || cap(a.table.buckets) != buckets {
		t.Errorf("%d tags became %d, %d buckets %d", tags, cap(a.tags), buckets,
			cap(a.table.buckets))
	}
}

// The last in use of a class leaves one slab for the next, Reap does not.
func TestIdleSlabs(t *testing.T) {
	a := newArena(t, Config{Caches: 2}, 0, 1024)
	var hold []uint64
	for range 40 { // slabs of 8
		at, err := a.Alloc(1)
		if err != nil {
			t.Fatal(err)
		}
		hold = append(hold, at)
	}
	for _, at := range hold {
		if err := a.Free(at, 1); err != nil {
			t.Fatal(err)
		}
	}
	if a.Held() != 8 {
		t.Errorf("%d held", a.Held())
	}
	if at, err := a.Alloc(1024); err != nil || at != 0 { // does not fit beside the slab
		t.Errorf("%d, %v", at, err)
	}
	if a.Held() != 0 || a.Audit() != nil {
		t.Errorf("%d held, %v", a.Held(), a.Audit())
	}
}

// An arena that may not make more tags says so and stays as it is.
func TestTagsAreLimited(t *testing.T) {
	parent := newArena(t, Config{}, 1<<20, 1<<20)
	a := newArena(t, Config{Parent: parent, ImportBytes: 64}, 0, 1<<16)
	a.maxTags = len(a.tags)
	out := uint64(0)
	var err error
	for err == nil {
		out = a.Allocated()
		_, err = a.AllocIn(1, Constraint{Align: 2})
	}
	if !errors.Is(err, ErrTags) || a.Allocated() != out || out == 0 {
		t.Errorf("%d allocated, %v", a.Allocated(), err)
	}
	if _, err := a.Alloc(1); !errors.Is(err, ErrTags) {
		t.Error(err)
	}
	if err := a.Add(1<<17, 1); !errors.Is(err, ErrTags) {
		t.Error(err)
	}
	if err := a.Audit(); err != nil {
		t.Error(err)
	}
}

// What Audit is for: it notices when a book is wrong.
func TestAuditNotices(t *testing.T) {
	for name, damage := range map[string]func(a *Arena, in, out uint32){
		"size":       func(a *Arena, in, _ uint32) { a.tags[in].size++ },
		"start":      func(a *Arena, in, _ uint32) { a.tags[in].start++ },
		"neighbour":  func(a *Arena, in, out uint32) { a.tags[in].prev = out },
		"lost":       func(a *Arena, in, _ uint32) { a.remove(in) },
		"free":       func(a *Arena, in, _ uint32) { a.tags[in].kind = free },
		"unlisted":   func(a *Arena, _, out uint32) { a.drop(out) },
		"bitmap":     func(a *Arena, _, _ uint32) { a.nonEmpty ^= 1 << 63 },
		"back":       func(a *Arena, in, out uint32) { a.tags[out].back = in },
		"allocated":  func(a *Arena, _, _ uint32) { a.allocated++ },
		"held":       func(a *Arena, _, _ uint32) { a.held++; a.allocated-- },
		"slab":       func(a *Arena, _, _ uint32) { a.slabs[1].free ^= 1 },
		"slab's tag": func(a *Arena, in, _ uint32) { a.slabs[1].tag = in },
		"idle":       func(a *Arena, _, _ uint32) { a.caches[1].idle = 1 },
		"recycled":   func(a *Arena, _, _ uint32) { a.spares++ },
		"lost tag":   func(a *Arena, _, _ uint32) { a.spare = a.tags[a.spare].fwd },
		"span":       func(a *Arena, in, _ uint32) { a.spans = append(a.spans, in) },
		"imported":   func(a *Arena, _, _ uint32) { a.imported++ },
	} {
		a := newArena(t, Config{Caches: 1}, 0, 1000)
		for _, size := range []uint64{1, 7, 9} {
			if _, err := a.Alloc(size); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Free(4, 7); err != nil {
			t.Fatal(err)
		}
		if err := a.Audit(); err != nil {
			t.Fatal(err)
		}
		in := a.find(11)
		damage(a, in, a.tags[in].next)
		if a.Audit() == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

// The one hole that meets the constraint is found behind many of its list that do not.
func TestConstraintsSearchEverything(t *testing.T) {
	for _, fit := range []Fit{InstantFit, BestFit} {
		a := newArena(t, Config{Fit: fit}, 0, 64*100)
		for range 100 {
			if _, err := a.Alloc(64); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Free(64*10, 64); err != nil { // the first to be freed is the last of its list
			t.Fatal(err)
		}
		for i := uint64(13); i < 100; i += 2 {
			if err := a.Free(64*i, 64); err != nil {
				t.Fatal(err)
			}
		}
		if at, err := a.AllocIn(64, Constraint{Align: 128}); err != nil || at != 640 {
			t.Errorf("fit %d: %d, %v", fit, at, err)
		}
		if _, err := a.AllocIn(64, Constraint{Align: 128}); !errors.Is(err, ErrFull) {
			t.Errorf("fit %d: %v", fit, err)
		}
	}
}

// What is behind the last object of a slab was never handed out.
func TestFreeBehindTheLastObject(t *testing.T) {
	a := newArena(t, Config{Caches: 3}, 0, 16) // a slab of 5 objects of 3, and 1
	if _, err := a.Alloc(3); err != nil {
		t.Fatal(err)
	}
	if err := a.Free(15, 3); !errors.Is(err, ErrDoubleFree) {
		t.Error(err)
	}
	if err := a.Free(0, 2); !errors.Is(err, ErrWrongSize) {
		t.Error(err)
	}
	if err := a.Free(0, 9); !errors.Is(err, ErrWrongSize) {
		t.Error(err)
	}
	if err := a.Audit(); err != nil || a.Allocated() != 3 {
		t.Error(err)
	}
}
