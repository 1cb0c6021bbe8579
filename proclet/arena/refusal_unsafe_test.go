package arena

import (
	"errors"
	"math"
	"strings"
	"testing"
	"unsafe"
)

func TestSlotsThatAreNone(t *testing.T) {
	whole := make([]byte, 4*MinCap)
	for _, slot := range [][]byte{
		nil, whole[:MinCap/2], whole[:MinCap+4096], whole[:3*MinCap], whole[1 : 1+MinCap],
	} {
		if _, err := New(slot, Options{}); !errors.Is(err, ErrSlot) {
			t.Errorf("a slot of %d bytes: %v", len(slot), err)
		}
		if _, err := Adopt(slot, Options{}); !errors.Is(err, ErrSlot) {
			t.Errorf("adopted a slot of %d bytes: %v", len(slot), err)
		}
	}
	for _, o := range []Options{
		{System: -1},
		{System: MinCap/2 + 1},
		{Dirty: -1},
		{Dirty: MinCap + 1},
		{Populated: -1},
		{Populated: MinCap + 1},
	} {
		if _, err := New(whole[:MinCap], o); !errors.Is(err, ErrSize) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestSizesThatAreNone(t *testing.T) {
	a := newArena(t, MinCap, Options{})
	kinds, large := MustRegister[byte](), MustRegister[[1 << 20]uint64]()
	h := a.User()
	for _, n := range []int{0, -1, math.MinInt, math.MaxInt, MaxCap + 1} {
		if _, err := kinds.NewSpan(h, n); !errors.Is(err, ErrSize) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if _, err := large.NewSpan(h, n); !errors.Is(err, ErrSize) {
			t.Errorf("%d times 8 MiB: %v", n, err)
		}
	}
	for _, align := range []int{0, -8, 3, 24, 2 * PageBytes, math.MinInt} {
		if _, err := kinds.NewAligned(h, 1, align); !errors.Is(err, ErrAlign) {
			t.Errorf("alignment %d: %v", align, err)
		}
	}
	for _, n := range []int{MinCap, MaxCap, MaxCap - 1} {
		if _, err := kinds.NewSpan(h, n); !errors.Is(err, ErrFull) {
			t.Errorf("%d bytes in a slot of %d: %v", n, MinCap, err)
		}
	}
	var unregistered Type[uint64]
	if _, err := unregistered.New(h); !errors.Is(err, ErrType) {
		t.Errorf("a type that was not registered: %v", err)
	}
	if _, err := unregistered.NewSpan(h, 1); !errors.Is(err, ErrType) {
		t.Errorf("a span of a type that was not registered: %v", err)
	}
	audit(t, a)
	if h.Used() != 0 {
		t.Errorf("%d bytes are used after nothing was allocated", h.Used())
	}
}

type inside struct {
	Good uint32
	Deep [3]struct{ Name string }
}

type behind struct{ Next Ref[inside] }

type list struct {
	Next Ref[list]
	All  Span[Ref[list]]
}

func TestTypesWithPointers(t *testing.T) {
	refused := func(err error, want string) {
		t.Helper()
		var bad *TypeError
		if !errors.As(err, &bad) || !errors.Is(err, ErrType) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
	_, err := Register[inside]()
	refused(err, "inside.Deep[].Name is a string")
	_, err = Register[behind]()
	refused(err, "behind.Next.*.Deep[].Name is a string")
	_, err = Register[Span[[]int]]()
	refused(err, ".* is a slice")
	_, err = Register[*int]()
	refused(err, "ptr")
	_, err = Register[struct{ F func() }]()
	refused(err, ".F is a func")
	_, err = Register[struct{ A any }]()
	refused(err, ".A is a interface")
	_, err = Register[struct{ P unsafe.Pointer }]()
	refused(err, ".P is a unsafe.Pointer")
	_, err = Register[struct{ U uintptr }]()
	refused(err, ".U is a uintptr")
	_, err = Register[struct{}]()
	refused(err, "without bytes")
	_, err = Register[[MaxTypeBytes + 1]byte]()
	refused(err, "more than")
	if _, err = Register[list](); err != nil {
		t.Errorf("a type that refers to itself: %v", err)
	}
	a := newArena(t, MinCap, Options{})
	for range 2 {
		if _, err := TypeIn[behind](a.User()); !errors.Is(err, ErrType) {
			t.Errorf("in an arena: %v", err)
		}
		if _, err := TypeIn[list](a.User()); err != nil {
			t.Error(err)
		}
	}
}

// Refs of another arena or part, stale, interior and wild ones: Free refuses each, and access
// either panics with a RefError or stays in the user part.
func TestBadRefs(t *testing.T) {
	a, b := newArena(t, MinCap, Options{Seed: 1}), newArena(t, MinCap, Options{Seed: 2})
	pairs, h := MustRegister[pair](), a.User()
	mine, err := pairs.New(h)
	if err != nil {
		t.Fatal(err)
	}
	foreign, _ := pairs.New(b.User())
	system, _ := pairs.New(a.System())
	stale, _ := pairs.New(h)
	if err := stale.Free(h); err != nil {
		t.Fatal(err)
	}
	before := a.Image(nil)
	for name, r := range map[string]Ref[pair]{
		"nil": {}, "foreign": foreign, "system": system, "stale": stale,
		"interior": {l: mine.l + 1}, "in front": {l: mine.l - 1},
		"other generation": {l: mine.l + 2*liveBit}, "even": {l: mine.l + liveBit},
		"beyond": {l: mine.l + 1000}, "far beyond": {l: mine.l | sizeMask},
	} {
		if err := r.Free(h); !errors.Is(err, ErrRef) {
			t.Errorf("%s: freed: %v", name, err)
		}
		if _, err := r.Try(h); err != nil && !errors.Is(err, ErrRef) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, r := range map[string]Ref[pair]{
		"nil": {}, "system": system, "beyond": {l: mine.l + 1000}, "far": {l: mine.l | sizeMask},
	} {
		func() {
			defer func() {
				if e, ok := recover().(*RefError); !ok || !errors.Is(e, ErrRef) {
					t.Errorf("%s: access panicked with %v", name, e)
				}
			}()
			r.Get(h).A++
		}()
	}
	if string(a.Image(nil)) != string(before) {
		t.Error("something was changed")
	}
	if err := mine.Free(h); err != nil {
		t.Error(err)
	}
	if err := mine.Free(h); !errors.Is(err, ErrRef) {
		t.Errorf("freed twice: %v", err)
	}
	audit(t, a)
	wild := Span[pair]{ref: mine, n: math.MaxUint64}
	defer func() {
		if _, ok := recover().(*RefError); !ok {
			t.Error("a span of 2^64 pairs was viewed")
		}
	}()
	wild.View(h)
}

// After a Reset no Ref from before is good, and the memory is zero again.
func TestReset(t *testing.T) {
	a := newArena(t, MinCap, Options{})
	blocks, h := MustRegister[block64](), a.User()
	var old []Ref[block64]
	for range 100 {
		r, err := blocks.New(h)
		if err != nil {
			t.Fatal(err)
		}
		r.Mut(h).Words = [8]uint64{1, 2, 3, 4, 5, 6, 7, 8}
		old = append(old, r)
	}
	old[0].SetRoot(h)
	a.Reset()
	audit(t, a)
	if h.Used() != 0 || !blocks.Root(h).IsNil() {
		t.Errorf("%d bytes used, root %v", h.Used(), blocks.Root(h))
	}
	for i, r := range old {
		if err := r.Free(h); !errors.Is(err, ErrRef) {
			t.Fatalf("%d: %v", i, err)
		}
	}
	for range 100 {
		r, err := blocks.New(h)
		if err != nil {
			t.Fatal(err)
		}
		if *r.Get(h) != (block64{}) {
			t.Fatal("memory from before the Reset")
		}
	}
	for i, r := range old {
		if err := r.Free(h); !errors.Is(err, ErrRef) {
			t.Fatalf("%d: %v", i, err)
		}
	}
	audit(t, a)
}

// A write through a pointer that was kept beyond Free can lead a free list astray. The allocation
// that finds out panics; nothing else is touched.
func TestBrokenList(t *testing.T) {
	a := newArena(t, MinCap, Options{})
	pairs, h := MustRegister[pair](), a.User()
	var refs [3]Ref[pair]
	for i := range refs {
		refs[i], _ = pairs.New(h)
	}
	kept := refs[0].Mut(h)
	for _, r := range refs {
		if err := r.Free(h); err != nil {
			t.Fatal(err)
		}
	}
	kept.A = 3 // it was the link
	if a.Audit() == nil {
		t.Error("the audit does not see it")
	}
	defer func() {
		if e, ok := recover().(*CorruptError); !ok || e.Error() == "" {
			t.Errorf("panicked with %v", e)
		}
	}()
	for range 4 {
		if _, err := pairs.New(h); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAllocs(t *testing.T) {
	a := newArena(t, 1<<20, Options{})
	blocks, kinds, h := MustRegister[block64](), MustRegister[byte](), a.User()
	var refs [100]Ref[block64]
	if n := testing.AllocsPerRun(100, func() {
		for i := range refs {
			refs[i], _ = blocks.New(h)
			refs[i].Mut(h).Words[0] = refs[i].Get(h).Words[1]
		}
		for i := range refs {
			_ = refs[i].Free(h)
		}
		s, _ := kinds.NewAligned(h, 5000, 64)
		s.MutRange(h, 1, 3)[0] = s.View(h)[7]
		_ = s.Free(h)
		a.Settle()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	slot := make([]byte, MinCap)
	if n := testing.AllocsPerRun(100, func() { _ = a.Format(slot, Options{}) }); n != 0 {
		t.Errorf("making an arena: %v allocations", n)
	}
}
