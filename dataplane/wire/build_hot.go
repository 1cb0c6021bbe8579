package wire

// PutEthernet writes an Ethernet II header into the first EthernetBytes bytes of b.
func PutEthernet(b []byte, dst, src MAC, et EtherType) {
	e := Ethernet((*[EthernetBytes]byte)(b)[:])
	e.SetDst(dst)
	e.SetSrc(src)
	e.SetEtherType(et)
}

// PutUDP4 writes all UDP4Bytes bytes of headers for a payload of the given length over IPv4 and returns their Packet. The
// IP id is 0 with DF set, the UDP checksum 0 (none) until UpdateUDPChecksum. It panics when the payload is longer than
// MaxUDP4Payload.
func PutUDP4(b []byte, f *UDPFlow, payload int) Packet {
	p := Packet{
		Kind: KindUDP4, EtherType: EtherTypeIPv4,
		L3: EthernetBytes, L4: EthernetBytes + IPv4Bytes, Payload: UDP4Bytes,
		PayloadLen: udpPayloadLen(payload, MaxUDP4Payload),
	}
	w := (*[UDP4Bytes]byte)(b)
	PutEthernet(w[:], f.DstMAC, f.SrcMAC, EtherTypeIPv4)
	h := IPv4(w[EthernetBytes : EthernetBytes+IPv4Bytes])
	fresh4(h, ProtocolUDP, ipv4Len(p))
	h.SetSrc(f.Src.As4())
	h.SetDst(f.Dst.As4())
	h.UpdateChecksum()
	putUDP(w[EthernetBytes+IPv4Bytes:], f, payload)
	return p
}

// PutUDP6 writes all UDP6Bytes bytes of headers for a payload of the given length over IPv6 and returns their Packet. The
// UDP checksum is 0, which IPv6 forbids: UpdateUDPChecksum must follow once the payload stands. It panics when the
// payload is longer than MaxUDP6Payload.
func PutUDP6(b []byte, f *UDPFlow, payload int) Packet {
	p := Packet{
		Kind: KindUDP6, EtherType: EtherTypeIPv6,
		L3: EthernetBytes, L4: EthernetBytes + IPv6Bytes, Payload: UDP6Bytes,
		PayloadLen: udpPayloadLen(payload, MaxUDP6Payload),
	}
	w := (*[UDP6Bytes]byte)(b)
	PutEthernet(w[:], f.DstMAC, f.SrcMAC, EtherTypeIPv6)
	h := IPv6(w[EthernetBytes : EthernetBytes+IPv6Bytes])
	fresh6(h, ProtocolUDP, ipv6Len(p))
	h.SetSrc(f.Src.Addr)
	h.SetDst(f.Dst.Addr)
	putUDP(w[EthernetBytes+IPv6Bytes:], f, payload)
	return p
}

// PutUDP is PutUDP4 or PutUDP6, whichever the flow's addresses ask for.
func PutUDP(b []byte, f *UDPFlow, payload int) Packet {
	if f.Dst.V6 {
		return PutUDP6(b, f, payload)
	}
	return PutUDP4(b, f, payload)
}

func putUDP(b []byte, f *UDPFlow, payload int) {
	u := UDP((*[UDPBytes]byte)(b)[:])
	u.SetSrcPort(f.Src.Port)
	u.SetDstPort(f.Dst.Port)
	u.SetLen(UDPBytes + payload)
	u.SetChecksum(0)
}

// SetUDPLengths gives a UDP packet another payload length: it writes the IP and UDP lengths and the IPv4 header checksum,
// and clears the UDP checksum, which for IPv6 must be computed again before the packet is sent. It returns p with the
// new length and panics when no UDP packet can be that long.
func SetUDPLengths(b []byte, p Packet, payload int) Packet {
	if p.Kind == KindUDP6 {
		p.PayloadLen = udpPayloadLen(payload, MaxUDP6Payload)
		IPv6(b[p.L3:p.L4]).SetPayloadLen(ipv6Len(p))
	} else {
		p.PayloadLen = udpPayloadLen(payload, MaxUDP4Payload)
		h := IPv4(b[p.L3:p.L4])
		h.SetTotalLen(ipv4Len(p))
		h.UpdateChecksum()
	}
	u := UDP(b[p.L4:p.Payload])
	u.SetLen(UDPBytes + payload)
	u.SetChecksum(0)
	return p
}
