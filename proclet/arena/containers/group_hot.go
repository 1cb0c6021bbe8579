package containers

import "math/bits"

// A group of a Map is eight slots, and a word with a control byte for each: what Abseil's Swiss
// tables are made of (Kulukundis, CppCon 2017), here with the eight bytes compared in one register.
// A control byte is 0 for a slot that was never used since the table was made, so that new memory
// is an empty table; gone for one whose key was deleted; and otherwise has its top bit set, and
// below it seven bits of the key's hash.
const (
	slots    = 8
	gone     = 0x01
	used     = 0x80
	lowBits  = 0x0101_0101_0101_0101
	highBits = 0x8080_8080_8080_8080
)

type slot[K comparable, V any] struct {
	value V // first: a V without bytes behind the key would cost a word
	key   K
}

type group[K comparable, V any] struct {
	control uint64
	slots   [slots]slot[K, V]
}

// split takes a hash apart: where to begin, and the control byte.
func split(hash uint64) (at, control uint64) { return hash >> 7, hash&0x7F | used }

// matches has the top bit set of each byte that equals control; and perhaps, above such a one, of
// bytes that do not: keys are compared anyway.
func matches(word, control uint64) uint64 {
	x := word ^ control*lowBits
	return (x - lowBits) &^ x & highBits
}

// empties has the top bit set of the first byte that is 0, if there is one; perhaps of others.
func empties(word uint64) uint64 { return (word - lowBits) &^ word & highBits }

// free has the top bit set of each slot without a key.
func free(word uint64) uint64 { return ^word & highBits }

// first is the number of the slot that the lowest bit of a match stands for.
func first(match uint64) int { return bits.TrailingZeros64(match) >> 3 }

// groups is a table: a power of two of groups.
type groups[K comparable, V any] []group[K, V]

// vacant is where a key that is not in the table goes: the group and the slot of the first place on
// its way without a key. There is one, because a table is never full.
func (g groups[K, V]) vacant(hash uint64) (at uint64, in int) {
	at, _ = split(hash)
	mask := uint64(len(g) - 1)
	for step := uint64(1); step <= mask+1; step++ {
		at &= mask
		if f := free(g[at].control); f != 0 {
			return at, first(f)
		}
		at += step
	}
	panic("containers: a table without a free slot")
}
