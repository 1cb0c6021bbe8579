package policy

import "math/bits"

// set is a set of cores. Values below MaxCores only.
type set [MaxCores / 64]uint64

func (s *set) add(c int)      { s[uint(c)/64%uint(len(s))] |= 1 << (uint(c) % 64) }
func (s *set) drop(c int)     { s[uint(c)/64%uint(len(s))] &^= 1 << (uint(c) % 64) }
func (s *set) has(c int) bool { return s[uint(c)/64%uint(len(s))]>>(uint(c)%64)&1 != 0 }

// fill adds every core.
func (s *set) fill() {
	for i := range s {
		s[i] = ^uint64(0)
	}
}

// unite adds all of t.
func (s *set) unite(t *set) {
	for i := range s {
		s[i] |= t[i]
	}
}

// subtract drops all of t.
func (s *set) subtract(t *set) {
	for i := range s {
		s[i] &^= t[i]
	}
}

// both is what s and t have in common.
func (s *set) both(t *set) (u set) {
	for i := range s {
		u[i] = s[i] & t[i]
	}
	return u
}

func (s *set) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// first is the lowest core, -1 if there is none.
func (s *set) first() int {
	for i, w := range s {
		if w != 0 {
			return i*64 + bits.TrailingZeros64(w)
		}
	}
	return -1
}
