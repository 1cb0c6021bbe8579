package vmem

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A span that the parent lent goes back when the last of it is freed, not before.
func TestSpansAreReturned(t *testing.T) {
	parent := newArena(t, Config{Name: "parent", Quantum: 4096}, 1<<20, 1<<20)
	a := newArena(t, Config{Name: "child", Quantum: 64, Parent: parent, ImportBytes: 10000}, 0, 0)
	first, err := a.Alloc(100)
	if err != nil {
		t.Fatal(err)
	}
	if parent.Allocated() != 12288 || a.Imported() != 12288 || a.Size() != 12288 {
		t.Fatalf("imported %d, parent lent %d", a.Imported(), parent.Allocated())
	}
	second, err := a.Alloc(12200) // does not fit beside the first
	if err != nil || parent.Allocated() != 2*12288 {
		t.Fatalf("%v, parent lent %d", err, parent.Allocated())
	}
	for i, r := range []run{{first, 100}, {second, 12200}} {
		if err := a.Free(r.start, r.size); err != nil {
			t.Fatal(err)
		}
		if want := uint64(1-i) * 12288; parent.Allocated() != want || a.Imported() != want {
			t.Errorf("parent lent %d, want %d", parent.Allocated(), want)
		}
	}
	if err := a.Free(first, 100); !errors.Is(err, ErrForeign) {
		t.Errorf("free in a span that was returned: %v", err)
	}
}

// A parent that has less than the wish is asked for the need.
func TestImportOfTheNeed(t *testing.T) {
	parent := newArena(t, Config{}, 0, 100)
	a := newArena(t, Config{Parent: parent, ImportBytes: 1000}, 0, 0)
	if _, err := a.Alloc(60); err != nil || a.Imported() != 60 {
		t.Errorf("%v, imported %d", err, a.Imported())
	}
	if _, err := a.Alloc(60); !errors.Is(err, ErrFull) || parent.Allocated() != 60 {
		t.Errorf("%v, imported %d", err, a.Imported())
	}
}

// A span of one's own that lies where the parent lends makes the import fail and change nothing.
func TestImportOverAnOwnSpan(t *testing.T) {
	parent := newArena(t, Config{}, 0, 100)
	a := newArena(t, Config{Parent: parent}, 5, 1)
	if _, err := a.Alloc(10); !errors.Is(err, ErrFull) || parent.Allocated() != 0 {
		t.Errorf("%v, parent lent %d", err, parent.Allocated())
	}
	if err := a.Audit(); err != nil {
		t.Error(err)
	}
}

// family is a parent and two children, and what is allocated from each.
type family struct {
	members [3]*Arena // the first is the parent
	out     [3]map[uint64]uint64
	from    chooser
}

// step allocates from or frees to any of them.
func (f *family) step() error {
	who := f.from.below(3)
	a := f.members[who]
	switch f.from.below(5) {
	case 0:
		a.Reap()
	case 1, 2:
		return f.free(who)
	default:
		quanta := []int{3, 20, 100}[f.from.below(3)]
		size := uint64(1+f.from.below(quanta)) * a.quantum
		var c Constraint
		if f.from.below(2) == 0 {
			c.Align = a.quantum << f.from.below(8)
			c.Phase = uint64(f.from.below(int(c.Align/a.quantum))) * a.quantum
		}
		if f.from.below(3) == 0 {
			c.NoCross = a.quantum << f.from.below(9)
		}
		if f.from.below(4) == 0 {
			c.Min, c.End = uint64(f.from.below(3000)), uint64(2000+f.from.below(6000))
		}
		var at uint64
		var err error
		if c == (Constraint{}) {
			at, err = a.Alloc(size)
		} else {
			at, err = a.AllocIn(size, c)
		}
		if errors.Is(err, ErrFull) || errors.Is(err, ErrConstraint) {
			return nil
		}
		if err != nil {
			return err
		}
		if !(run{0, top}).within(at, size, a.quantum, c) {
			return fmt.Errorf("%d at %#x for %+v", size, at, c)
		}
		f.out[who][at] = size
	}
	return nil
}

func (f *family) free(who int) error {
	starts := slices.Sorted(maps.Keys(f.out[who]))
	if len(starts) == 0 {
		return nil
	}
	at := starts[f.from.below(len(starts))]
	size := f.out[who][at]
	delete(f.out[who], at)
	return f.members[who].Free(at, size)
}

// audit checks that the parent's allocations are its own and exactly the children's spans.
func (f *family) audit() error {
	lent := map[uint64]uint64{}
	for who := 1; who < 3; who++ {
		if err := f.members[who].Audit(); err != nil {
			return err
		}
		out := map[uint64]uint64{}
		for g := range f.members[who].Walk {
			lent[g.SpanStart] = g.SpanSize
			if g.State == Allocated {
				out[g.Start] = g.Size
			}
		}
		if !maps.Equal(out, f.out[who]) {
			return fmt.Errorf("child %d allocated %x, want %x", who, out, f.out[who])
		}
	}
	for at, size := range f.out[0] {
		if _, twice := lent[at]; twice {
			return fmt.Errorf("%#x is the parent's and lent", at)
		}
		lent[at] = size
	}
	out := map[uint64]uint64{}
	for g := range f.members[0].Walk {
		if g.State == Allocated {
			out[g.Start] = g.Size
		}
	}
	if !maps.Equal(out, lent) {
		return fmt.Errorf("the parent allocated %x, children and tests have %x", out, lent)
	}
	return f.members[0].Audit()
}

// TestFamily plays random moves of a parent and two children with other quanta and caches.
func TestFamily(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &family{from: rapidChooser{t}}
		parent := newArena(t, Config{
			Quantum: 1 << f.from.below(7), Caches: f.from.below(4), Fit: Fit(f.from.below(2)),
		}, 1024, 8192)
		for who := range f.members {
			f.out[who] = map[uint64]uint64{}
			f.members[who] = newArena(t, Config{
				Quantum: 1 << f.from.below(7), Caches: f.from.below(4), Parent: parent,
				ImportBytes: uint64(f.from.below(500)), Fit: Fit(f.from.below(2)),
			}, 0, 0)
		}
		f.members[0] = parent
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			if err := f.step(); err != nil {
				t.Fatal(err)
			}
			if err := f.audit(); err != nil {
				t.Fatal(err)
			}
		}
		for who := 2; who >= 0; who-- {
			for len(f.out[who]) > 0 {
				if err := f.free(who); err != nil {
					t.Fatal(err)
				}
			}
			f.members[who].Reap()
		}
		if err := f.audit(); err != nil {
			t.Fatal(err)
		}
		if n := parent.Allocated(); n != 0 {
			t.Fatalf("%d are still lent", n)
		}
	})
}

// Whatever an empty parent could satisfy, a child of any other quantum can import.
func TestImportForConstraints(t *testing.T) {
	for _, q := range []uint64{1, 8, 64, 512} {
		for _, c := range []Constraint{
			{},
			{Align: 1024},
			{Align: 1024, Phase: 512},
			{Align: 32, Phase: 16},
			{Align: 32, Phase: 16, NoCross: 32},
			{Align: 8, NoCross: 32},
			{NoCross: 64},
			{Align: 16, Phase: 8, NoCross: 4096},
			{Align: 2048, Phase: 8, NoCross: 16},
			{Min: 5000, End: 9000},
			{Align: 32, Phase: 16, Min: 5000, End: 9000},
			{Align: 1024, Phase: 8, NoCross: 64, Min: 3000},
		} {
			importOne(t, q, 8, c)
			if c.End == 0 && (c.NoCross == 0 || c.NoCross >= 3000) {
				importOne(t, q, 3000, c)
			}
		}
	}
}

// importOne allocates and frees size addresses by an import from a parent of quantum q, whose span
// begins in the middle of most boundaries.
func importOne(t *testing.T, q, size uint64, c Constraint) {
	t.Helper()
	all := run{6144, 1 << 16}
	parent := newArena(t, Config{Quantum: q}, all.start, all.size)
	a := newArena(t, Config{Quantum: 8, Parent: parent, ImportBytes: 100}, 0, 0)
	at, err := a.AllocIn(size, c)
	if err != nil || !all.within(at, size, 8, c) {
		t.Errorf("parent's quantum %d, %d for %+v: %#x, %v", q, size, c, at, err)
		return
	}
	if err := a.Free(at, size); err != nil || parent.Allocated() != 0 {
		t.Errorf("parent's quantum %d, %d for %+v: %v, %d are lent", q, size, c, err,
			parent.Allocated())
	}
}
