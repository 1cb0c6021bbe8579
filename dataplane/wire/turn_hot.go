package wire

import "encoding/binary"

// Turn makes a reply of a packet, in place: it swaps the Ethernet, IP and UDP source and destination, and writes what a
// host would write into a packet of its own: no traffic class, no flow label, a full TTL, IPv4 id 0 with DF
// (RFC 6864), lengths that agree with p, an IPv4 header checksum. The UDP checksum stays right, because it does not
// depend on the order of what was swapped.
//
// b is the first segment and p what Parse said about it, or p with another PayloadLen after SetUDPLengths.
func Turn(b []byte, p Packet) {
	e := (*[EthernetBytes]byte)(b)
	dst, src := MAC(e[0:6]), MAC(e[6:12])
	*(*MAC)(e[0:6]), *(*MAC)(e[6:12]) = src, dst
	switch p.EtherType {
	case EtherTypeIPv4:
		h := IPv4(b[p.L3:p.L4])
		s, d := h.Src(), h.Dst()
		fresh4(h, h.Protocol(), ipv4Len(p))
		h.SetSrc(d)
		h.SetDst(s)
		h.UpdateChecksum()
	case EtherTypeIPv6:
		h := IPv6(b[p.L3:p.L4])
		s, d := h.Src(), h.Dst()
		fresh6(h, h.NextHeader(), ipv6Len(p))
		h.SetSrc(d)
		h.SetDst(s)
	}
	if p.Kind == KindUDP4 || p.Kind == KindUDP6 {
		u := UDP(b[p.L4:p.Payload])
		s, d := u.SrcPort(), u.DstPort()
		u.SetSrcPort(d)
		u.SetDstPort(s)
	}
}

// ipv4Len is the total length of the IPv4 packet that p describes, ipv6Len the payload length of the IPv6 packet.
func ipv4Len(p Packet) int { return p.Len() - int(p.L3) }
func ipv6Len(p Packet) int { return p.Len() - int(p.L4) }

// fresh4 writes the part of an IPv4 header before the addresses, with no checksum yet.
func fresh4(h IPv4, protocol byte, total int) {
	w := (*[IPv4Bytes]byte)(h)
	binary.BigEndian.PutUint64(w[0:8], 0x4500<<48|uint64(uint16(total))<<32|ipv4DF)
	binary.BigEndian.PutUint32(w[8:12], freshTTL<<24|uint32(protocol)<<16)
}

// fresh6 writes the part of an IPv6 header before the addresses.
func fresh6(h IPv6, next byte, payload int) {
	w := (*[IPv6Bytes]byte)(h)
	binary.BigEndian.PutUint64(w[0:8], 6<<60|uint64(uint16(payload))<<16|uint64(next)<<8|freshTTL)
}
