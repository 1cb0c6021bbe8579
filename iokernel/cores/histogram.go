package cores

import "github.com/dunlin-io/dunlin/core"

// UpperBound is the least time above those that a bucket counts; core.Never for the last.
func UpperBound(bucket int) core.Time {
	switch {
	case bucket <= 0:
		return 1 << lowestBits
	case bucket >= Buckets-1:
		return core.Never
	}
	n, sub := (bucket-1)>>subBits+lowestBits, (bucket-1)&(1<<subBits-1)
	return core.Time(1<<subBits+sub+1) << (n - subBits)
}

// Quantile is a time that so many millionths of those counted do not exceed, to within an eighth; 0
// if there are none.
func (h *Histogram) Quantile(millionths uint64) core.Time {
	if h.Total == 0 {
		return 0
	}
	rank := (h.Total*millionths + 999_999) / 1_000_000
	seen := uint64(0)
	for i, n := range h.Counts {
		if seen += n; seen >= max(rank, 1) {
			return min(UpperBound(i), 1<<highestBits)
		}
	}
	return 1 << highestBits
}
