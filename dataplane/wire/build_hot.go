package wire

// PutEthernet writes an Ethernet II header into the first EthernetBytes bytes of b.
func PutEthernet(b []byte, dst, src MAC, et EtherType) {
	e := Ethernet((*[EthernetBytes]byte)(b)[:])
	e.SetDst(dst)
	e.SetSrc(src)
	e.SetEtherType(et)
}

// PutUDP4 writes all UDP4Bytes bytes of headers for a payload of the given length over IPv4 and
// returns their Packet. The IP id is 0 with DF set, the UDP checksum 0 (none) until
// UpdateUDPChecksum. It panics when the payload is longer than MaxUDP4Payload.
func PutUDP4(b []byte, f *UDPFlow, payload int) Packet {
	checkPayload(payload, MaxUDP4Payload)
	const l3, l4 = EthernetBytes, EthernetBytes + IPv4Bytes
	w := (*[UDP4Bytes]byte)(b)
	*(*MAC)(w[0:6]) = f.DstMAC
	*(*MAC)(w[6:12]) = f.SrcMAC
	Ethernet(w[:l3]).SetEtherType(EtherTypeIPv4)
	addrs := uint64(f.Src.uint32())<<32 | uint64(f.Dst.uint32())
	putIPv4((*[IPv4Bytes]byte)(w[l3:l4]), ProtocolUDP, IPv4Bytes+UDPBytes+payload, addrs)
	putUDP((*[UDPBytes]byte)(w[l4:]), f, payload)
	return Packet{KindUDP4, EtherTypeIPv4, l3, l4, UDP4Bytes, uint32(payload)}
}

// PutUDP6 writes all UDP6Bytes bytes of headers for a payload of the given length over IPv6 and
// returns their Packet. The UDP checksum is 0, which IPv6 forbids: UpdateUDPChecksum must follow
// once the payload stands. It panics when the payload is longer than MaxUDP6Payload.
func PutUDP6(b []byte, f *UDPFlow, payload int) Packet {
	checkPayload(payload, MaxUDP6Payload)
	const l3, l4 = EthernetBytes, EthernetBytes + IPv6Bytes
	w := (*[UDP6Bytes]byte)(b)
	*(*MAC)(w[0:6]) = f.DstMAC
	*(*MAC)(w[6:12]) = f.SrcMAC
	Ethernet(w[:l3]).SetEtherType(EtherTypeIPv6)
	putIPv6((*[IPv6Bytes]byte)(w[l3:l4]), ProtocolUDP, UDPBytes+payload, &f.Src.Addr, &f.Dst.Addr)
	putUDP((*[UDPBytes]byte)(w[l4:]), f, payload)
	return Packet{KindUDP6, EtherTypeIPv6, l3, l4, UDP6Bytes, uint32(payload)}
}

// PutUDP is PutUDP4 or PutUDP6, whichever the flow's addresses ask for.
func PutUDP(b []byte, f *UDPFlow, payload int) Packet {
	if f.Dst.V6 {
		return PutUDP6(b, f, payload)
	}
	return PutUDP4(b, f, payload)
}

func putUDP(w *[UDPBytes]byte, f *UDPFlow, payload int) {
	u := UDP(w[:])
	u.SetSrcPort(f.Src.Port)
	u.SetDstPort(f.Dst.Port)
	u.SetLen(UDPBytes + payload)
	u.SetChecksum(0)
}

// SetUDPLengths gives a UDP packet another payload length: it writes the IP and UDP lengths and the
// IPv4 header checksum, and clears the UDP checksum, which for IPv6 must be computed again before
// the packet is sent. It returns p with the new length and panics when no UDP packet can be that
// long.
func SetUDPLengths(b []byte, p Packet, payload int) Packet {
	if p.Kind == KindUDP6 {
		checkPayload(payload, MaxUDP6Payload)
		IPv6(b[p.L3:p.L4]).SetPayloadLen(UDPBytes + payload)
	} else {
		checkPayload(payload, MaxUDP4Payload)
		IPv4(b[p.L3:p.L4]).replaceTotalLen(IPv4Bytes + UDPBytes + payload)
	}
	u := UDP(b[p.L4:p.Payload])
	u.SetLen(UDPBytes + payload)
	u.SetChecksum(0)
	p.PayloadLen = uint32(payload)
	return p
}
