package wire

import (
	"encoding/binary"
	"math/bits"
)

// Turn makes a reply of a packet, in place: it swaps the Ethernet, IP and UDP source and
// destination, and writes what a host would write into a packet of its own: no traffic class, no
// flow label, a full TTL, IPv4 id 0 with DF (RFC 6864), an IP length that agrees with p, an IPv4
// header checksum. The UDP checksum stays right, because it does not depend on the order of what
// was swapped.
//
// b is the first segment and p what Parse said about it, or what SetUDPLengths returned since.
func Turn(b []byte, p Packet) {
	turnEthernet(b)
	// Not p.Len(): the copy of p that a method takes costs more than the rest of this function.
	end := int(p.Payload) + int(p.PayloadLen)
	switch p.EtherType {
	case EtherTypeIPv4:
		w := (*[IPv4Bytes]byte)(b[p.L3:])
		addrs := binary.BigEndian.Uint64(w[12:20])
		putIPv4(w, w[9], end-int(p.L3), bits.RotateLeft64(addrs, 32))
	case EtherTypeIPv6:
		w := (*[IPv6Bytes]byte)(b[p.L3:])
		src, dst := [16]byte(w[8:24]), [16]byte(w[24:40])
		putIPv6(w, w[6], end-int(p.L4), &dst, &src)
	}
	if p.Kind == KindUDP4 || p.Kind == KindUDP6 {
		w := (*[UDPBytes]byte)(b[p.L4:])
		ports := binary.BigEndian.Uint32(w[0:4])
		binary.BigEndian.PutUint32(w[0:4], bits.RotateLeft32(ports, 16))
	}
}

// turnEthernet swaps the two addresses, which are 12 bytes in a row, in registers.
func turnEthernet(b []byte) {
	w := (*[EthernetBytes]byte)(b)
	const mask48 = 1<<48 - 1
	dst := binary.LittleEndian.Uint64(w[0:8]) & mask48
	src := binary.LittleEndian.Uint64(w[6:14]) & mask48
	binary.LittleEndian.PutUint64(w[0:8], src|dst<<48)
	binary.LittleEndian.PutUint32(w[8:12], uint32(dst>>16))
}

// putIPv4 writes a whole IPv4 header; addrs is the source address above the destination. The
// checksum is summed over the words before they are stored: loading them back would stall on stores
// of another width.
func putIPv4(w *[IPv4Bytes]byte, protocol byte, total int, addrs uint64) {
	w0 := 0x4500<<48 | uint64(uint16(total))<<32 | ipv4DF
	w1 := freshTTL<<56 | uint64(protocol)<<48 | addrs>>32
	sum := w0 + w1 + addrs&0xFFFFFFFF // no carry: the top bytes are 0x45, 0x40 and 0
	w1 |= uint64(^fold16(sum)) << 32
	binary.BigEndian.PutUint64(w[0:8], w0)
	binary.BigEndian.PutUint64(w[8:16], w1)
	binary.BigEndian.PutUint32(w[16:20], uint32(addrs))
}

// putIPv6 writes a whole IPv6 header.
func putIPv6(w *[IPv6Bytes]byte, next byte, payload int, src, dst *[16]byte) {
	binary.BigEndian.PutUint64(w[0:8], 6<<60|uint64(uint16(payload))<<16|uint64(next)<<8|freshTTL)
	*(*[16]byte)(w[8:24]) = *src
	*(*[16]byte)(w[24:40]) = *dst
}
