package cores

import (
	"math/bits"

	"github.com/dunlin-io/dunlin/core"
)

// The buckets of a Histogram: eight to each doubling of the time, so that a quantile is right to an
// eighth; from 64 ns, below which nothing here is told apart, to a second and beyond.
const (
	subBits     = 3
	lowestBits  = 6
	highestBits = 30
	// Buckets is how many there are: one below the lowest doubling, one above the highest.
	Buckets = (highestBits-lowestBits)<<subBits + 2
)

// Histogram counts times by size.
type Histogram struct {
	Counts [Buckets]uint64
	Sum    core.Time
	Total  uint64
}

func (h *Histogram) add(t core.Time) {
	h.Counts[bucketOf(t)]++
	h.Sum += t
	h.Total++
}

func bucketOf(t core.Time) int {
	switch n := bits.Len64(uint64(max(t, 0))) - 1; {
	case n < lowestBits:
		return 0
	case n >= highestBits:
		return Buckets - 1
	default:
		return 1 + (n-lowestBits)<<subBits + int(t>>(n-subBits))&(1<<subBits-1)
	}
}
