package seal

import (
	"math"
	"math/rand/v2"
	"testing"
)

// arrive is what Open does with an authentic frame.
func (w *window) arrive(counter uint64) Reason {
	r := w.check(counter)
	if r == OK {
		w.mark(counter)
	}
	return r
}

// TestWindow walks the edges that RFC 6479 has: both ends of a word, of the ring, of the window.
func TestWindow(t *testing.T) {
	const n = WindowFrames
	const ok, dup, old = OK, ReasonReplayed, ReasonTooOld
	type step struct {
		counter uint64
		want    Reason
	}
	for name, steps := range map[string][]step{
		"first frames": {
			{0, ok},
			{0, dup},
			{1, ok},
			{0, dup},
			{1, dup},
			{5, ok},
			{3, ok},
			{4, ok},
			{2, ok},
			{3, dup},
			{5, dup},
			{6, ok},
		},
		"zero comes late":     {{7, ok}, {0, ok}, {0, dup}, {7, dup}},
		"zero comes last":     {{n - 1, ok}, {0, ok}, {0, dup}},
		"zero comes too late": {{n, ok}, {0, old}, {1, ok}, {1, dup}, {n, dup}},
		"edges of a word": {
			{63, ok},
			{64, ok},
			{63, dup},
			{64, dup},
			{65, ok},
			{62, ok},
			{127, ok},
			{128, ok},
			{127, dup},
			{126, ok},
			{129, ok},
			{128, dup},
		},
		"the oldest that counts": {
			{10 * n, ok},
			{9 * n, old},
			{9*n + 1, ok},
			{9*n + 1, dup},
			{9*n + 2, ok},
			{10*n + 1, ok},
			{9*n + 1, old},
			{9*n + 2, dup},
			{9*n + 3, ok},
		},
		"one step moves a word": {
			{words*wordBits - 1, ok},
			{64, ok},
			{63, old},
			{words * wordBits, ok},
			{64, old},
			{65, ok},
			{words*wordBits - 1, dup},
		},
		"a jump over the ring": {
			{1, ok},
			{2, ok},
			{1 + 5*words*wordBits, ok},
			{2, old},
			{2 + 4*words*wordBits, old},
			{1 + 5*words*wordBits - 64, ok},
			{2 + 5*words*wordBits, ok},
			{1 + 5*words*wordBits, dup},
		},
		"a jump of exactly the ring": {
			{9, ok},
			{9 + words*wordBits, ok},
			{9, old},
			{8 + words*wordBits, ok},
			{9 + words*wordBits, dup},
		},
		"the end of all counters": {
			{math.MaxUint64 - n, ok},
			{math.MaxUint64, ok},
			{math.MaxUint64 - n, old},
			{math.MaxUint64 - n + 1, ok},
			{math.MaxUint64, dup},
			{0, old},
			{math.MaxUint64 - 1, ok},
		},
		"the top bit": {{1 << 63, ok}, {1<<63 - 1, ok}, {1<<63 - n, old}, {1, old}, {1 << 63, dup}},
	} {
		var w window
		for i, s := range steps {
			if got := w.arrive(s.counter); got != s.want {
				t.Errorf("%s: step %d, counter %d: %v, want %v", name, i, s.counter, got, s.want)
			}
		}
	}
}

// TestWindowOrders: a window's worth of frames in any order is accepted once and only once.
func TestWindowOrders(t *testing.T) {
	const n = WindowFrames
	order := rand.New(rand.NewPCG(1, 2)).Perm(n)
	for name, at := range map[string]func(i int) uint64{
		"rising from 0":  func(i int) uint64 { return uint64(i) },
		"rising from 1":  func(i int) uint64 { return uint64(i) + 1 },
		"falling to 0":   func(i int) uint64 { return uint64(n - 1 - i) },
		"falling to 1":   func(i int) uint64 { return uint64(n - i) },
		"high, falling":  func(i int) uint64 { return uint64(1<<40 + n - i) },
		"shuffled":       func(i int) uint64 { return uint64(order[i]) },
		"pairs swapped":  func(i int) uint64 { return uint64(i ^ 1) },
		"words reversed": func(i int) uint64 { return uint64(i ^ 63) },
	} {
		var w window
		for i := range n {
			if r := w.arrive(at(i)); r != OK {
				t.Fatalf("%s: frame %d refused: %v", name, i, r)
			}
		}
		for i := range n {
			if r := w.arrive(at(i)); r != ReasonReplayed {
				t.Fatalf("%s: frame %d again: %v", name, i, r)
			}
		}
	}
}

// TestWindowAgainstModel compares with a set of all counters ever accepted.
func TestWindowAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 0))
		var w window
		seen := map[uint64]bool{}
		top := uint64(0)
		spread := int64(1) << (1 + r.IntN(15))
		for i := range 4000 {
			counter := uint64(max(0, int64(top)+r.Int64N(2*spread)-spread))
			want := OK
			switch {
			case counter <= top && top-counter >= WindowFrames:
				want = ReasonTooOld
			case seen[counter]:
				want = ReasonReplayed
			}
			if got := w.arrive(counter); got != want {
				t.Fatalf("seed %d, frame %d: counter %d, top %d: %v, want %v",
					seed, i, counter, top, got, want)
			}
			seen[counter] = true
			top = max(top, counter)
		}
	}
}
