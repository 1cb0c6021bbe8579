package memory

import (
	"slices"

	"github.com/dunlin-io/dunlin/bench/report"
)

// The goals, by what the verdict of a ratio is made.
const (
	// sameSpeed is how far two rows may lie apart that should cost the same: 5 %. (measured: what
	// rows that do the same differ by within a round)
	sameSpeed = 1.05
	// fillPart and fillNs bound an arena that is made, filled and destroyed: so often the time to
	// clear it, the time to fill it, and this besides.
	fillPart = 1.3
	fillNs   = 500
)

// allowance is the name of what fillPart and fillNs make.
const allowance = "1.3*clear+fill+500ns"

// comparison is a ratio of two rows, or one row held against a limit.
type comparison struct {
	numerator, denominator string // no denominator: the row alone, in its unit
	goal                   report.Goal
}

func comparisons() []comparison {
	atMost := func(x float64) report.Goal { return report.Goal{AtMost: x} }
	return []comparison{
		{"arena/pair/64", "mimalloc/pair/64", atMost(0.5)},
		{"arena/pair/64", "jemalloc/pair/64", report.Goal{}},
		{"arena/pair/64", "glibc/pair/64", report.Goal{}},
		{"arena/pair/64", "go-new/64", report.Goal{}},
		{"arena/pair/64/2", "arena/pair/64", atMost(sameSpeed)},
		{"arena/pair/64/2", "mimalloc/pair/64/2", report.Goal{}},
		{"arena/mix", "mimalloc/mix", report.Goal{}},
		{"arena/mix", "jemalloc/mix", report.Goal{}},
		{"arena/mix", "go-new/mix", report.Goal{}},
		{"arena/mix/2", "arena/mix", report.Goal{}},
		{"arena/threadtest/2", "mimalloc/threadtest/2", report.Goal{}},
		{"buffer/threadtest/2", "mimalloc/threadtest/2", report.Goal{}},
		{"buffer/larson/2", "mimalloc/larson/2", atMost(1.1)},
		{"buffer/larson/2", "jemalloc/larson/2", report.Goal{}},
		{"buffer/active-false/2", "mimalloc/active-false/2", report.Goal{}},
		{"buffer/passive-false/2", "mimalloc/passive-false/2", report.Goal{}},
		{"store/blowup", "mimalloc/blowup", report.Goal{}},
		{"store/create-destroy/64KiB", "", atMost(1000)},
		{"store/create-destroy/64KiB", "mmap/create-destroy/64KiB", report.Goal{}},
		{"store/create-fill-destroy/64KiB", allowance, atMost(1)},
		{"arena-map/get/1M", "go-map/get/1M", atMost(1.5)},
		{"arena-map/put/1M", "go-map/put/1M", report.Goal{}},
		{"arena-map/iterate/1M", "go-map/iterate/1M", report.Goal{}},
		{"arena-ordered/get/1M", "go-map/get/1M", report.Goal{}},
		{"arena-vec/append/1024", "go-slice/append/1024", report.Goal{}},
		{"arena-vec/sum/1024", "go-slice/sum/1024", report.Goal{}},
		{"dirty/first-write", "", atMost(1200)},
		{"dirty/first-write", "dirty/untracked-write", report.Goal{}},
		{"dirty/first-write", "dirty/fault", report.Goal{}},
		{"dirty/scan/10MiB-clean", "", atMost(15_000)},
		{"gc/1GiB-of-arenas", "gc/no-arenas", atMost(sameSpeed)},
	}
}

// compare is the ratios whose rows were measured.
func compare(all []*report.Series) []report.Ratio {
	if a := allowed(find(all, "clear/64KiB"), find(all, "fill/64KiB")); a != nil {
		all = append(slices.Clip(all), a)
	}
	ratios := []report.Ratio{}
	for _, c := range comparisons() {
		n, d := find(all, c.numerator), find(all, c.denominator)
		var x report.Ratio
		var ok bool
		switch {
		case n == nil:
		case c.denominator == "":
			x, ok = report.NewLevel(n, report.P50, c.goal)
		case d != nil:
			x, ok = report.NewRatio(n, d, report.P50, c.goal)
		}
		if ok {
			ratios = append(ratios, x)
		}
	}
	return ratios
}

func find(all []*report.Series, name string) *report.Series {
	i := slices.IndexFunc(all, func(x *report.Series) bool { return x.Key.Name == name })
	if i < 0 {
		return nil
	}
	return all[i]
}

// allowed is what an arena may take that is made, filled and destroyed: of each round's own times.
func allowed(cleared, filled *report.Series) *report.Series {
	if cleared == nil || filled == nil {
		return nil
	}
	s := report.NewSeries(report.Key{
		Name: allowance, Loop: report.Batch, Unit: report.Nanoseconds, PerUnit: picos,
		Bytes: cleared.Key.Bytes,
	})
	c, f := cleared.Row().Rounds, filled.Row().Rounds
	for i := range min(len(c), len(f)) {
		ns := fillPart*c[i].P50 + f[i].P50 + fillNs
		s.AddLatencies([]uint32{uint32(ns * picos)}, report.Faults{})
	}
	return s
}
