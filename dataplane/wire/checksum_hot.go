package wire

import (
	"encoding/binary"
	"math/bits"
)

// sum is the ones' complement sum of the fixed IPv4 header, in three loads.
func (h IPv4) sum() uint64 {
	w := (*[IPv4Bytes]byte)(h)
	s, c := bits.Add64(binary.LittleEndian.Uint64(w[0:8]), binary.LittleEndian.Uint64(w[8:16]), 0)
	s, c = bits.Add64(s, uint64(binary.LittleEndian.Uint32(w[16:20])), c)
	return addEndAround(s, c)
}

func (h IPv4) sumOK() bool { return fold16(h.sum()) == 0xFFFF }

// UpdateChecksum writes the checksum of a header without options, whatever was in the field before:
// it subtracts the old value from the sum, because clearing the field first would stall the loads
// that follow. No header sums to zero, so the two zeros of ones' complement cannot be confused.
func (h IPv4) UpdateChecksum() {
	sum := uint64(bits.ReverseBytes16(fold16(h.sum()))) + uint64(^h.Checksum())
	h.setChecksum(^fold16(sum))
}

// replaceTotalLen changes the length and, if the checksum was right, keeps it so (RFC 1624,
// equation 3).
func (h IPv4) replaceTotalLen(n int) {
	sum := uint64(^h.Checksum()) + uint64(^uint16(h.TotalLen())) + uint64(uint16(n))
	h.SetTotalLen(n)
	h.setChecksum(^fold16(sum))
}

// udpSum sums pseudo header (RFC 768; RFC 8200, section 8.1), UDP header with its checksum field as
// it stands, and payload. missing is how many payload bytes the segments fall short; bytes beyond
// the payload are left out.
func udpSum(first []byte, p Packet, more [][]byte) (s Sum, missing int) {
	if p.Kind == KindUDP6 {
		s.Add(first[p.L3+8 : p.L3+40])
	} else {
		s.Add(first[p.L3+12 : p.L3+20])
	}
	s.AddUint16(ProtocolUDP)
	s.AddUint16(uint16(p.PayloadLen + UDPBytes))

	left := int(p.PayloadLen)
	n := min(left, len(first)-int(p.Payload))
	s.Add(first[p.L4 : int(p.Payload)+n])
	left -= n
	for _, b := range more {
		n := min(left, len(b))
		s.Add(b[:n])
		left -= n
	}
	return s, left
}

// UpdateUDPChecksum writes the UDP checksum of a packet that Parse accepted or PutUDP built,
// whatever was in the field before. more holds the packet's further segments, in order. A sum of
// zero is sent as 0xFFFF, because zero means "none". It panics when the segments hold less than the
// payload.
func UpdateUDPChecksum(first []byte, p Packet, more ...[]byte) {
	s, missing := udpSum(first, p, more)
	if missing != 0 {
		panicMissing(p.PayloadLen, missing)
	}
	h := UDP(first[p.L4:p.Payload])
	sum := ^fold16(uint64(s.Fold()) + uint64(^h.Checksum())) // as in IPv4.UpdateChecksum
	if sum == 0 {
		sum = 0xFFFF
	}
	h.SetChecksum(sum)
}

// VerifyUDP reports whether the checksum of a UDP packet holds. more holds the packet's further
// segments, in order. Zero means that the sender computed none: right for IPv4 (RFC 768), wrong for
// IPv6 (RFC 8200, section 8.1). Segments that hold less than the payload are wrong too.
func VerifyUDP(first []byte, p Packet, more ...[]byte) bool {
	if UDP(first[p.L4:p.Payload]).Checksum() == 0 {
		return p.Kind == KindUDP4
	}
	s, missing := udpSum(first, p, more)
	return missing == 0 && s.Fold() == 0xFFFF
}
