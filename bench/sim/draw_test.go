package sim

import (
	"math"
	"slices"
	"testing"
)

// TestSourcesAreApart: a component's randomness depends on the seed, its name and its number, and
// on nothing else.
func TestSourcesAreApart(t *testing.T) {
	seen := map[uint64]bool{}
	for _, s := range []*Source{
		NewSource(1, "a", 0), NewSource(2, "a", 0), NewSource(1, "b", 0), NewSource(1, "a", 1),
	} {
		seen[s.pcg.Uint64()] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d different sources of 4", len(seen))
	}
	a, b := NewSource(1, "a", 0), NewSource(1, "a", 0)
	if a.Below(1e9) != b.Below(1e9) {
		t.Error("the same source twice gives two numbers")
	}
}

// TestExponential compares moments and quantiles of many draws with the distribution.
func TestExponential(t *testing.T) {
	const n, mean = 400_000, 1_000_000
	s := NewSource(1, "test", 0)
	draws := make([]int64, n)
	sum, squares := 0.0, 0.0
	for i := range draws {
		draws[i] = s.Exponential(mean)
		x := float64(draws[i]) / mean
		sum += x
		squares += x * x
	}
	// Standard deviations of mean and mean square are 1 and sqrt(20), over sqrt(n).
	if got := sum / n; math.Abs(got-1) > 5/math.Sqrt(n) {
		t.Errorf("mean %v", got)
	}
	if got := squares / n; math.Abs(got-2) > 5*math.Sqrt(20/float64(n)) {
		t.Errorf("mean square %v", got)
	}
	slices.Sort(draws)
	for _, q := range []float64{0.01, 0.1, 0.5, 0.9, 0.99, 0.999} {
		got, want := float64(draws[int(q*n)])/mean, -math.Log(1-q)
		if spread := 5 * math.Sqrt(q/(1-q)/n); math.Abs(got-want) > spread {
			t.Errorf("quantile %v is %v, want %v up to %v", q, got, want, spread)
		}
	}
}

// TestDrawsArePinned: a seed in a bug report must give the same run on any machine.
func TestDrawsArePinned(t *testing.T) {
	s := NewSource(42, "pinned", 3)
	got := []int64{s.Exponential(1000), s.Exponential(1000), s.Exponential(1000), int64(s.Below(1000))}
	if want := []int64{1314, 80, 148, 321}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBelow(t *testing.T) {
	const n, sides = 60_000, 6
	s := NewSource(1, "die", 0)
	var counts [sides]int
	for range n {
		counts[s.Below(sides)]++
	}
	for i, c := range counts {
		if math.Abs(float64(c)-n/sides) > 5*math.Sqrt(n/sides) {
			t.Errorf("%d came %d times", i, c)
		}
	}
}
