package dataplane

// ledger says which chunks the other side of a port has for one purpose: a bit each. Only a chunk
// that stands in it is believed to come back, so a descriptor that repeats itself or names a chunk
// that was never lent cannot put one chunk into two hands.
type ledger []uint64

// lend enters a chunk and reports whether it was not there before.
func (l ledger) lend(index uint32) bool {
	word, bit := &l[index/64], uint64(1)<<(index%64)
	fresh := *word&bit == 0
	*word |= bit
	return fresh
}

// settle strikes a chunk out and reports whether it was there.
func (l ledger) settle(index uint32) bool {
	word, bit := &l[index/64], uint64(1)<<(index%64)
	there := *word&bit != 0
	*word &^= bit
	return there
}
