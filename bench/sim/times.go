package sim

import (
	"math/bits"

	"github.com/dunlin-io/dunlin/core"
)

const (
	fineBits = 8 // 256 buckets per power of two: a quantile is at most 0.4 % too low
	fine     = 1 << fineBits
)

// Times is a histogram of durations.
type Times struct {
	counts [(64 - fineBits) * fine]uint32
	count  uint64
	most   core.Time
}

func (h *Times) add(t core.Time) {
	h.counts[bucket(uint64(max(t, 0)))]++
	h.count++
	h.most = max(h.most, t)
}

// bucket is exact below fine, and after that as many buckets to each power of two.
func bucket(v uint64) int {
	if v < fine {
		return int(v)
	}
	shift := bits.Len64(v) - fineBits - 1
	return shift<<fineBits + int(v>>shift)
}

// least is the smallest value of a bucket.
func least(bucket int) uint64 {
	if bucket < 2*fine {
		return uint64(bucket)
	}
	shift := bucket>>fineBits - 1
	return uint64(bucket-shift<<fineBits) << shift
}

// Count is how many there are.
func (h *Times) Count() uint64 { return h.count }

// Most is the longest.
func (h *Times) Most() core.Time { return h.most }

// Quantile is what part in a million of them do not exceed, 0 without any.
func (h *Times) Quantile(perMillion uint64) core.Time {
	rank := (h.count*perMillion + 999_999) / 1_000_000
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += uint64(n); n > 0 && seen >= rank {
			return core.Time(least(i))
		}
	}
	return 0
}
