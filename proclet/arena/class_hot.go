package arena

import "math/bits"

// classOf is the class in which a free block of that many units lies: the largest class whose size
// it has. Units is at least 1 and below 2^32.
func classOf(units uint64) uint32 {
	if units <= smallClasses {
		return uint32(units) - 1
	}
	log := uint32(bits.Len64(units)) - 1
	step := uint32(units>>(log-stepLog)) & (1<<stepLog - 1)
	return smallClasses + (log-smallLog)<<stepLog + step
}

// classFor is the smallest class all of whose blocks have at least that many units; classes if
// there is none.
func classFor(units uint64) uint32 {
	c := classOf(units)
	if sizeOf(c) < units {
		c++
	}
	return c
}

// sizeOf is the least number of units that a block of a class has.
func sizeOf(c uint32) uint64 {
	if c <= smallClasses { // the first of the others has no block of smallClasses units: see above
		return uint64(c) + 1
	}
	c -= smallClasses
	log := c>>stepLog + smallLog
	return uint64(1<<stepLog+c&(1<<stepLog-1)) << (log - stepLog)
}
