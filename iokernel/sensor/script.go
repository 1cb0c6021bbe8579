package sensor

import (
	"cmp"
	"slices"

	"github.com/dunlin-io/dunlin/core"
)

// Reading is what a Script says from a time on.
type Reading struct {
	At    core.Time
	Value uint64
	Err   error
}

// Script is a Memory and a Misses that replays readings, for tests and simulations. It may be used
// by several goroutines.
type Script struct {
	Traffic []Reading         // of memory, in the order of their times
	Missed  map[int][]Reading // by CPU, likewise
}

// BytesPerSecond is part of Memory.
func (s Script) BytesPerSecond(now core.Time) (uint64, error) { return at(s.Traffic, now) }

// PerSecond is part of Misses.
func (s Script) PerSecond(now core.Time, cpu int) (uint64, error) { return at(s.Missed[cpu], now) }

// at is the last reading that is not later than now. Before the first there is none.
func at(list []Reading, now core.Time) (uint64, error) {
	after, found := slices.BinarySearchFunc(list, now, func(r Reading, t core.Time) int {
		return cmp.Compare(r.At, t)
	})
	if found {
		after++
	}
	if after == 0 {
		return 0, ErrNoRate
	}
	return list[after-1].Value, list[after-1].Err
}
