package wire

import (
	"encoding/binary"
	"math/bits"
)

// Sum is the Internet checksum (RFC 1071) in progress. Bytes are added in pieces of any length, odd ones included; the
// zero value is the sum of nothing.
//
// It adds 64-bit words with end-around carry, in little-endian order. Both are sound because 2^16-1 divides 2^64-1 and
// because ones' complement addition does not care about byte order as long as the result is swapped back (RFC 1071,
// section 2 B). For the same reason a piece that begins at an odd offset needs no byte-wise loop: its sum is rotated
// by 8 bits.
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

// Fold is the 16-bit ones' complement sum, not complemented, in host order. It is 0xFFFF over any data with a valid
// checksum.
func (s Sum) Fold() uint16 { return bits.ReverseBytes16(fold16(s.acc)) }

// Checksum is what goes into the header: the complement of Fold.
func (s Sum) Checksum() uint16 { return ^s.Fold() }

func addEndAround(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	return sum + carry // cannot overflow: with a carry the sum is at most 2^64-2
}

// fold16 reduces to 16 bits. Each step adds the halves, which may carry once; the next, narrower step absorbs it.
func fold16(v uint64) uint16 {
	v = v>>32 + v&0xFFFFFFFF // at most 33 bits
	v = v>>16 + v&0xFFFF     // at most 18 bits
	v = v>>16 + v&0xFFFF     // at most 17 bits
	v = v>>16 + v&0xFFFF
	return uint16(v)
}

// sum64 is the 64-bit ones' complement sum of b's little-endian words, the last one padded with zeros.
func sum64(b []byte) uint64 {
	var sum, carry uint64
	for len(b) >= 64 {
		w := (*[64]byte)(b)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[0:8]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[8:16]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[16:24]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[24:32]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[32:40]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[40:48]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[48:56]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[56:64]), carry)
		b = b[64:]
	}
	for len(b) >= 8 {
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b), carry)
		b = b[8:]
	}
	var tail uint64
	shift := uint(0)
	if len(b) >= 4 {
		tail = uint64(binary.LittleEndian.Uint32(b))
		shift = 32
		b = b[4:]
	}
	if len(b) >= 2 {
		tail |= uint64(binary.LittleEndian.Uint16(b)) << shift
		shift += 16
		b = b[2:]
	}
	if len(b) >= 1 {
		tail |= uint64(b[0]) << shift
	}
	sum, carry = bits.Add64(sum, tail, carry)
	return addEndAround(sum, carry)
}
