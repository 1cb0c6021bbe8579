package sim

import (
	"math/bits"
	"math/rand/v2"
)

// Source is the randomness of one component. It computes with integers only, so that a seed gives
// the same run on every machine.
type Source struct{ pcg rand.PCG }

// NewSource returns the source of the component of that name and number. Components do not share
// one: what one of them draws does not change what the others see.
func NewSource(seed uint64, name string, number int) *Source {
	h := uint64(fnvOffset)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * fnvPrime
	}
	s := &Source{}
	s.pcg.Seed(seed, h^uint64(number)*0x9e3779b97f4a7c15)
	return s
}

// Below is uniform from 0 to n-1; n is at least 1. Its bias is below n/2^64.
func (s *Source) Below(n int) int {
	hi, _ := bits.Mul64(s.pcg.Uint64(), uint64(n))
	return int(hi)
}

// Exponential is exponentially distributed with that mean, cut down to an integer. The method is
// von Neumann's ("Various techniques used in connection with random digits", 1951), which compares
// uniform numbers and computes no logarithm: the first of a falling run of them is accepted if the
// run is of odd length, and each run refused adds one mean.
func (s *Source) Exponential(mean int64) int64 {
	for whole := int64(0); ; whole++ {
		first := s.pcg.Uint64()
		odd := true
		for last := first; ; odd = !odd {
			next := s.pcg.Uint64()
			if next > last {
				break
			}
			last = next
		}
		if odd {
			part, _ := bits.Mul64(first, uint64(mean))
			return whole*mean + int64(part)
		}
	}
}
