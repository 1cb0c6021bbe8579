package report

import (
	"math"
	"slices"
)

// Distribution is samples without their order, exact. The zero Distribution is empty.
type Distribution struct {
	bins  []bin // ascending, each value once
	count uint64
}

type bin struct {
	value int64
	count uint64
}

// Sample is what a distribution takes: a generator keeps many, so it may keep them narrow.
type Sample interface{ ~uint32 | ~int64 }

// NewDistribution counts samples, which it sorts in place.
func NewDistribution[T Sample](samples []T) Distribution {
	slices.Sort(samples)
	var d Distribution
	for _, s := range samples {
		d.count++
		if n := len(d.bins); n > 0 && d.bins[n-1].value == int64(s) {
			d.bins[n-1].count++
			continue
		}
		d.bins = append(d.bins, bin{int64(s), 1})
	}
	d.bins = slices.Clip(d.bins)
	return d
}

// Merge returns the samples of all.
func Merge(all ...Distribution) Distribution {
	var bins []bin
	for _, d := range all {
		bins = append(bins, d.bins...)
	}
	slices.SortFunc(bins, func(a, b bin) int { return compare(a.value, b.value) })
	var m Distribution
	for _, b := range bins {
		m.count += b.count
		if n := len(m.bins); n > 0 && m.bins[n-1].value == b.value {
			m.bins[n-1].count += b.count
			continue
		}
		m.bins = append(m.bins, b)
	}
	return m
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Count is the number of samples.
func (d Distribution) Count() uint64 { return d.count }

// Max is the largest sample, 0 without any.
func (d Distribution) Max() int64 { return d.Quantile(1) }

// Quantile is the smallest sample that at least the share q of all samples does not exceed (nearest
// rank, so always one that was measured); 0 without any.
func (d Distribution) Quantile(q float64) int64 {
	// A q like 0.99 is a little more or less than it says; that must not cost a rank.
	const slack = 1e-9
	rank := uint64(math.Ceil(q*float64(d.count) - slack))
	rank = min(max(rank, 1), d.count)
	seen := uint64(0)
	for _, b := range d.bins {
		if seen += b.count; seen >= rank {
			return b.value
		}
	}
	return 0
}

// All yields each value with how often it was measured, ascending.
func (d Distribution) All() func(yield func(value int64, count uint64) bool) {
	return func(yield func(int64, uint64) bool) {
		for _, b := range d.bins {
			if !yield(b.value, b.count) {
				return
			}
		}
	}
}

// Point is a point of a distribution's curve: the share Quantile of the samples is at most Value.
type Point struct {
	Quantile float64
	Value    int64
}

// curveSteps is how many points of a curve fall on each tenfold step towards 1 (0.9, 0.99, ...):
// what a chart some 500 pixels wide can show.
const curveSteps = 12

// Curve is points from the smallest sample to where samples run out: quantiles 1-10^(-i/12), so
// that the tail has as many as the middle.
func (d Distribution) Curve() []Point {
	if d.count == 0 {
		return nil
	}
	points := []Point{{0, d.Quantile(0)}}
	for i := 1; ; i++ {
		rest := math.Pow(10, -float64(i)/curveSteps)
		if rest*float64(d.count) < 1 {
			break
		}
		q := math.Round((1-rest)*1e7) / 1e7
		points = append(points, Point{q, d.Quantile(q)})
	}
	// The largest sample stands where a sample as rare as one in all of them stands.
	last := math.Round((1-1/float64(d.count))*1e7) / 1e7
	return append(points, Point{last, d.Max()})
}

// median is the middle one, or the lower of the middle two; 0 without any.
func median[T int64 | float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
