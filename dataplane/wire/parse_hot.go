package wire

// Parse validates the headers of one received packet. first is the packet's first segment and must hold all headers;
// total is the packet's length over all segments, at least len(first). What a malformed packet gets is a Reason and a
// zero Packet; a packet that is sound gets OK, whether or not anybody here wants it (KindOther).
//
// It verifies the IPv4 header checksum but not the UDP checksum (see VerifyUDP): that needs the whole payload, and
// packets that never left the machine often come without one. Bytes beyond the IP length are Ethernet padding and
// bytes beyond the UDP length are ignored, as in Linux.
//
// Addresses are not judged: a caller that answers packets from its own Ethernet address or from multicast asks the
// views.
func Parse(first []byte, total int) (Packet, Reason) {
	if len(first) < EthernetBytes || total < len(first) {
		return Packet{}, ReasonShort
	}
	if total > MaxPacketBytes {
		return Packet{}, ReasonLong
	}
	switch et := Ethernet(first).EtherType(); {
	case et == EtherTypeIPv4:
		return parse4(first, total)
	case et == EtherTypeIPv6:
		return parse6(first, total)
	case et == EtherTypeVLAN || et == EtherTypeQinQ:
		return Packet{}, ReasonVLAN
	case et < etherTypeMin:
		return Packet{}, ReasonLength
	default:
		return Packet{
			Kind: KindRaw, EtherType: et,
			L3: EthernetBytes, L4: EthernetBytes, Payload: EthernetBytes,
			PayloadLen: uint32(total - EthernetBytes),
		}, OK
	}
}

func parse4(first []byte, total int) (Packet, Reason) {
	if len(first) < EthernetBytes+IPv4Bytes {
		return Packet{}, ReasonShort
	}
	h := IPv4(first[EthernetBytes : EthernetBytes+IPv4Bytes])
	switch {
	case h.Version() != 4:
		return Packet{}, ReasonBadVersion
	case h.HeaderLen() < IPv4Bytes:
		return Packet{}, ReasonBadIPLength
	case h.HeaderLen() > IPv4Bytes:
		return Packet{}, ReasonOptions
	case !h.sumOK():
		return Packet{}, ReasonBadIPSum
	case h.TotalLen() < IPv4Bytes || h.TotalLen() > total-EthernetBytes:
		return Packet{}, ReasonBadIPLength
	case h.IsFragment():
		return Packet{}, ReasonFragment
	}
	p := Packet{
		Kind: KindOther, EtherType: EtherTypeIPv4,
		L3: EthernetBytes, L4: EthernetBytes + IPv4Bytes, Payload: EthernetBytes + IPv4Bytes,
		PayloadLen: uint32(h.TotalLen() - IPv4Bytes),
	}
	if h.Protocol() != ProtocolUDP {
		return p, OK
	}
	return parseUDP(first, p, KindUDP4)
}

func parse6(first []byte, total int) (Packet, Reason) {
	if len(first) < EthernetBytes+IPv6Bytes {
		return Packet{}, ReasonShort
	}
	h := IPv6(first[EthernetBytes : EthernetBytes+IPv6Bytes])
	switch {
	case h.Version() != 6:
		return Packet{}, ReasonBadVersion
	case h.PayloadLen() > total-EthernetBytes-IPv6Bytes:
		return Packet{}, ReasonBadIPLength
	case h.NextHeader() == nextHeaderFragment:
		return Packet{}, ReasonFragment
	case isExtension(h.NextHeader()):
		return Packet{}, ReasonExtension
	}
	p := Packet{
		Kind: KindOther, EtherType: EtherTypeIPv6,
		L3: EthernetBytes, L4: EthernetBytes + IPv6Bytes, Payload: EthernetBytes + IPv6Bytes,
		PayloadLen: uint32(h.PayloadLen()),
	}
	if h.NextHeader() != ProtocolUDP {
		return p, OK
	}
	return parseUDP(first, p, KindUDP6)
}

// parseUDP completes p, which describes an IP packet whose payload is UDP.
func parseUDP(first []byte, p Packet, kind Kind) (Packet, Reason) {
	if p.PayloadLen < UDPBytes {
		return Packet{}, ReasonBadUDPLength
	}
	if len(first) < int(p.L4)+UDPBytes {
		return Packet{}, ReasonShort
	}
	n := UDP(first[p.L4:]).Len()
	if n < UDPBytes || n > int(p.PayloadLen) {
		return Packet{}, ReasonBadUDPLength
	}
	p.Kind = kind
	p.Payload += UDPBytes
	p.PayloadLen = uint32(n - UDPBytes)
	return p, OK
}
