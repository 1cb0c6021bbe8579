package wire

import (
	"encoding/binary"
	"math/bits"
)

// Sum is the Internet checksum (RFC 1071) in progress. Bytes are added in pieces of any length, odd
// ones included; the zero value is the sum of nothing.
//
// It adds 64-bit words with end-around carry, in little-endian order. Both are sound because 2^16-1
// divides 2^64-1 and because ones' complement addition does not care about byte order as long as
// the result is swapped back (RFC 1071, section 2 B). For the same reason a piece that begins at an
// odd offset needs no byte-wise loop: its sum is rotated by 8 bits.
type Sum struct {
	acc uint64
	odd bool // an odd number of bytes was added so far
}

// Add continues the sum with b.
func (s *Sum) Add(b []byte) {
	part := sum64(b)
	if s.odd {
		part = bits.RotateLeft64(part, 8)
	}
	s.acc = addEndAround(s.acc, part)
	s.odd = s.odd != (len(b)&1 != 0)
}

// AddUint16 continues the sum with the two bytes of v in network order.
func (s *Sum) AddUint16(v uint16) {
	part := uint64(bits.ReverseBytes16(v))
	if s.odd {
		part = bits.RotateLeft64(part, 8)
	}
	s.acc = addEndAround(s.acc, part)
}

// Fold is the 16-bit ones' complement sum, not complemented, in host order. It is 0xFFFF over any
// data with a valid checksum.
func (s Sum) Fold() uint16 { return bits.ReverseBytes16(fold16(s.acc)) }

// Checksum is what goes into the header: the complement of Fold.
func (s Sum) Checksum() uint16 { return ^s.Fold() }

// addEndAround adds and brings the carry back in. That addition cannot carry again: a carry leaves
// a sum of at most 2^64-2. The same holds after a chain of additions that began without a carry, by
// induction over its steps.
func addEndAround(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	return sum + carry
}

// fold16 reduces to 16 bits. Each step adds the halves, which may carry once; the next, narrower
// step absorbs it.
func fold16(v uint64) uint16 {
	v = v>>32 + v&0xFFFFFFFF // at most 33 bits
	v = v>>16 + v&0xFFFF     // at most 18 bits
	v = v>>16 + v&0xFFFF     // at most 17 bits
	v = v>>16 + v&0xFFFF
	return uint16(v)
}

// sum64 is the 64-bit ones' complement sum of b's little-endian words, the last one padded with
// zeros. The loop runs two carry chains side by side, because one alone waits a cycle for each
// addition.
func sum64(b []byte) uint64 {
	all := b
	var sum, other, carry uint64
	for len(b) >= 64 {
		w := (*[64]byte)(b)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[0:8]), 0)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[8:16]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[16:24]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[24:32]), carry)
		sum += carry
		other, carry = bits.Add64(other, binary.LittleEndian.Uint64(w[32:40]), 0)
		other, carry = bits.Add64(other, binary.LittleEndian.Uint64(w[40:48]), carry)
		other, carry = bits.Add64(other, binary.LittleEndian.Uint64(w[48:56]), carry)
		other, carry = bits.Add64(other, binary.LittleEndian.Uint64(w[56:64]), carry)
		other += carry
		b = b[64:]
	}
	sum = addEndAround(sum, other)
	if len(b) >= 32 {
		w := (*[32]byte)(b)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[0:8]), 0)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[8:16]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[16:24]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[24:32]), carry)
		sum += carry
		b = b[32:]
	}
	if len(b) >= 16 {
		w := (*[16]byte)(b)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[0:8]), 0)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[8:16]), carry)
		sum += carry
		b = b[16:]
	}
	if len(b) >= 8 {
		sum = addEndAround(sum, binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	return addEndAround(sum, lastWord(all, len(b)))
}

// lastWord is the last n bytes of b, fewer than 8, padded with zeros to a little-endian word.
func lastWord(b []byte, n int) uint64 {
	if n == 0 {
		return 0
	}
	if len(b) >= 8 { // one load that overlaps what was summed already, which the shift drops
		return binary.LittleEndian.Uint64(b[len(b)-8:]) >> (64 - 8*uint(n))
	}
	var w uint64
	for i := len(b) - 1; i >= 0; i-- {
		w = w<<8 | uint64(b[i])
	}
	return w
}
