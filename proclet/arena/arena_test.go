package arena

import (
	"errors"
	"math/rand/v2"
	"testing"
)

type pair struct{ A, B uint64 }

type block64 struct{ Words [8]uint64 }

// failer is what a testing.T, a testing.B and a rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newArena(t failer, size int, o Options) *Arena {
	t.Helper()
	a, err := New(make([]byte, size), o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func audit(t failer, a *Arena) {
	t.Helper()
	if err := a.Audit(); err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	for r := range a.Walk() {
		if r.Off != end || r.Len <= 0 {
			t.Fatalf("run %+v follows offset %d", r, end)
		}
		end += r.Len
	}
	if end != a.Cap() {
		t.Fatalf("the runs end at %d of %d", end, a.Cap())
	}
}

func TestNewAndFree(t *testing.T) {
	a := newArena(t, MinCap, Options{Seed: 1})
	pairs, h := MustRegister[pair](), a.User()
	r, err := pairs.New(h)
	if err != nil {
		t.Fatal(err)
	}
	p := r.Mut(h)
	if *p != (pair{}) {
		t.Fatalf("new memory holds %v", *p)
	}
	*p = pair{1, 2}
	if got := *r.Get(h); got != (pair{1, 2}) {
		t.Fatalf("read %v", got)
	}
	audit(t, a)
	if err := r.Free(h); err != nil {
		t.Fatal(err)
	}
	audit(t, a)
	again, _ := pairs.New(h)
	if again.Offset() != r.Offset() || again == r || *again.Get(h) != (pair{}) {
		t.Errorf("%v after %v was freed, holding %v", again, r, *again.Get(h))
	}
	if err := r.Free(h); !errors.Is(err, ErrRef) {
		t.Errorf("a stale Ref was freed: %v", err)
	}
}

func TestClasses(t *testing.T) {
	for c := range uint32(classes) {
		n := sizeOf(c)
		if classOf(n) != c || classFor(n) != c {
			t.Fatalf("class %d begins at %d units, whose class is %d", c, n, classOf(n))
		}
		if c > 0 && (classOf(n-1) != c-1 || sizeOf(c-1) >= n) {
			t.Fatalf("%d units are of class %d", n-1, classOf(n-1))
		}
	}
	if classFor(1<<32-1) != classes || classOf(1<<32-1) != classes-1 {
		t.Errorf("the largest block is of class %d", classOf(1<<32-1))
	}
}

func TestRandomMix(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	a := newArena(t, 256<<10, Options{})
	h := a.User()
	bytes := MustRegister[byte]()
	type held struct {
		s Span[byte]
		b byte
	}
	var hand []held
	full := 0
	for i := range 40_000 {
		if rng.IntN(2) == 0 || len(hand) == 0 {
			n := 1 + rng.IntN(1<<rng.IntN(16))
			align := 1 << rng.IntN(13)
			s, err := bytes.NewAligned(h, n, align)
			if errors.Is(err, ErrFull) {
				full++
				for range len(hand) / 2 {
					last := len(hand) - 1
					if err := hand[last].s.Free(h); err != nil {
						t.Fatal(err)
					}
					hand = hand[:last]
				}
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			if s.Offset()%int64(align) != 0 {
				t.Fatalf("offset %d, alignment %d", s.Offset(), align)
			}
			v := s.Mut(h)
			for _, b := range v {
				if b != 0 {
					t.Fatal("memory is not zero")
				}
			}
			b := byte(i)
			for j := range v {
				v[j] = b
			}
			hand = append(hand, held{s, b})
		} else {
			j := rng.IntN(len(hand))
			for _, b := range hand[j].s.View(h) {
				if b != hand[j].b {
					t.Fatal("memory of one was written by another")
				}
			}
			if err := hand[j].s.Free(h); err != nil {
				t.Fatal(err)
			}
			hand[j] = hand[len(hand)-1]
			hand = hand[:len(hand)-1]
		}
		if i%1000 == 0 {
			audit(t, a)
		}
	}
	if full == 0 {
		t.Error("the arena was never full")
	}
	for _, x := range hand {
		if err := x.s.Free(h); err != nil {
			t.Fatal(err)
		}
	}
	audit(t, a)
	h.Merge()
	if h.Used() != 0 || h.Live() != 0 {
		t.Errorf("%d bytes used and %d live after everything was freed", h.Used(), h.Live())
	}
}

func BenchmarkPair64(b *testing.B) {
	a := newArena(b, DefaultCap, Options{})
	blocks, h := MustRegister[block64](), a.User()
	b.ResetTimer()
	for range b.N {
		r, err := blocks.New(h)
		if err != nil {
			b.Fatal(err)
		}
		r.Get(h).Words[0] = 1
		if err := r.Free(h); err != nil {
			b.Fatal(err)
		}
	}
}
