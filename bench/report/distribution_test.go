package report

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// oracle is nearest rank by definition: the smallest sample such that at least q*n are at most it.
func oracle(samples []uint32, q float64) int64 {
	sorted := slices.Sorted(slices.Values(samples))
	for _, s := range sorted {
		atMost := 0
		for _, other := range samples {
			if other <= s {
				atMost++
			}
		}
		if float64(atMost) >= q*float64(len(samples))-1e-9 {
			return int64(s)
		}
	}
	return 0
}

func TestQuantilesAgainstSortOracle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 9, 10, 99, 100, 101, 400} {
		samples := make([]uint32, n)
		for i := range samples {
			samples[i] = uint32(random.IntN(50)) // few values: many are equal
		}
		d := NewDistribution(slices.Clone(samples))
		for _, q := range []float64{0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1} {
			if got, want := d.Quantile(q), oracle(samples, q); got != want {
				t.Errorf("quantile %v of %d samples = %d, want %d", q, n, got, want)
			}
		}
		if got, want := d.Max(), int64(slices.Max(samples)); got != want {
			t.Errorf("max of %d samples = %d, want %d", n, got, want)
		}
		if d.Count() != uint64(n) {
			t.Errorf("count = %d, want %d", d.Count(), n)
		}
	}
}

func TestMergeIsAllSamples(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var all []uint32
	var parts []Distribution
	for n := range 9 {
		part := make([]uint32, 50*n) // the first is empty
		for i := range part {
			part[i] = uint32(random.ExpFloat64() * 1000)
		}
		all = append(all, part...)
		parts = append(parts, NewDistribution(part))
	}
	got, want := Merge(parts...), NewDistribution(all)
	if got.count != want.count || !slices.Equal(got.bins, want.bins) {
		t.Errorf("merged %d samples in %d bins, want %d in %d",
			got.count, len(got.bins), want.count, len(want.bins))
	}
}

func TestEmptyDistribution(t *testing.T) {
	d := NewDistribution([]uint32{})
	if d.Quantile(0.5) != 0 || d.Max() != 0 || d.Count() != 0 || d.Curve() != nil {
		t.Errorf("the empty distribution has figures: %v", d)
	}
}

func TestCurveEndsWithTheLargestSample(t *testing.T) {
	samples := make([]uint32, 1000)
	for i := range samples {
		samples[i] = uint32(i + 1)
	}
	curve := NewDistribution(samples).Curve()
	first, last := curve[0], curve[len(curve)-1]
	if first != (Point{0, 1}) {
		t.Errorf("the curve begins at %v, want the smallest sample at 0", first)
	}
	if last != (Point{0.999, 1000}) {
		t.Errorf("the curve ends at %v, want the largest of a thousand samples at 0.999", last)
	}
	for i := 1; i < len(curve); i++ {
		if curve[i].Quantile < curve[i-1].Quantile || curve[i].Value < curve[i-1].Value {
			t.Errorf("the curve falls from %v to %v", curve[i-1], curve[i])
		}
	}
}
