package sim

import (
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"pgregory.net/rapid"
)

// TestQuantile compares with sorting: never above the right value, and at most 1/256 below.
func TestQuantile(t *testing.T) {
	h := &Times{}
	rapid.Check(t, func(t *rapid.T) {
		*h = Times{}
		all := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 300).Draw(t, "times")
		for i, v := range all {
			all[i] = v >> (v % 40) // all orders of magnitude
			h.add(core.Time(all[i]))
		}
		slices.Sort(all)
		part := rapid.Uint64Range(1, 1_000_000).Draw(t, "part")
		rank := (uint64(len(all))*part + 999_999) / 1_000_000
		want, got := core.Time(all[rank-1]), h.Quantile(part)
		if got > want || got < want-want/fine-1 {
			t.Fatalf("%d ppm is %d, want %d", part, got, want)
		}
		if h.Most() != core.Time(all[len(all)-1]) || h.Count() != uint64(len(all)) {
			t.Fatalf("%d times up to %d", h.Count(), h.Most())
		}
	})
	if got := (&Times{}).Quantile(500_000); got != 0 {
		t.Errorf("of nothing %d", got)
	}
}

// TestQuantileRank: a quantile is one of the values, the first that is enough.
func TestQuantileRank(t *testing.T) {
	h := &Times{}
	for v := range core.Time(10) {
		h.add(v + 1)
	}
	for part, want := range map[uint64]core.Time{
		1: 1, 100_000: 1, 100_001: 2, 500_000: 5, 510_000: 6, 1_000_000: 10,
	} {
		if got := h.Quantile(part); got != want {
			t.Errorf("%d ppm is %d, want %d", part, got, want)
		}
	}
}

func TestBuckets(t *testing.T) {
	for _, v := range []uint64{0, 1, fine - 1, fine, 2*fine - 1, 2 * fine, 1 << 20, 1<<63 - 1} {
		b := bucket(v)
		if low := least(b); low > v || bucket(low) != b || low > 0 && bucket(low-1) != b-1 {
			t.Errorf("%d is in bucket %d, which begins with %d", v, b, low)
		}
	}
	if b := bucket(1<<63 - 1); b >= len((&Times{}).counts) {
		t.Errorf("bucket %d of %d", b, len((&Times{}).counts))
	}
}

func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var model []request
		for range rapid.IntRange(0, 400).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "kind") > 0 {
				r := request{arrived: core.Time(len(model)) + rapid.Custom(func(t *rapid.T) core.Time {
					return core.Time(rapid.IntRange(0, 9).Draw(t, "at"))
				}).Draw(t, "request")}
				q.push(r)
				model = append(model, r)
			} else if got, ok := q.pop(); ok != (len(model) > 0) {
				t.Fatalf("pop of %d gives %v", len(model), ok)
			} else if ok {
				if got != model[0] {
					t.Fatalf("%v, want %v", got, model[0])
				}
				model = model[1:]
			}
			if at, ok := q.oldest(); ok != (len(model) > 0) || ok && at != model[0].arrived {
				t.Fatalf("oldest is %v, %v", at, ok)
			}
			if q.count != len(model) {
				t.Fatalf("%d wait, want %d", q.count, len(model))
			}
		}
	})
}
