package wire

// Parse validates the headers of one received packet. first is the packet's first segment and must
// hold all headers; total is the packet's length over all segments, at least len(first). What a
// malformed packet gets is a Reason and a zero Packet; a packet that is sound gets OK, whether or
// not anybody here wants it (KindOther).
//
// It verifies the IPv4 header checksum but not the UDP checksum (see VerifyUDP): that needs the
// whole payload, and packets that never left the machine often come without one. Bytes beyond the
// IP length are Ethernet padding and bytes beyond the UDP length are ignored, as in Linux.
//
// Addresses are not judged: a caller that answers packets from its own Ethernet address or from
// multicast asks the views.
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
		const l3 = EthernetBytes
		return Packet{KindRaw, et, l3, l3, l3, uint32(total - l3)}, OK
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
	const l4 = EthernetBytes + IPv4Bytes
	carried := h.TotalLen() - IPv4Bytes
	if h.Protocol() != ProtocolUDP {
		return Packet{KindOther, EtherTypeIPv4, EthernetBytes, l4, l4, uint32(carried)}, OK
	}
	payload, reason := parseUDP(first, l4, carried)
	if reason != OK {
		return Packet{}, reason
	}
	return Packet{KindUDP4, EtherTypeIPv4, EthernetBytes, l4, l4 + UDPBytes, payload}, OK
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
	const l4 = EthernetBytes + IPv6Bytes
	carried := h.PayloadLen()
	if h.NextHeader() != ProtocolUDP {
		return Packet{KindOther, EtherTypeIPv6, EthernetBytes, l4, l4, uint32(carried)}, OK
	}
	payload, reason := parseUDP(first, l4, carried)
	if reason != OK {
		return Packet{}, reason
	}
	return Packet{KindUDP6, EtherTypeIPv6, EthernetBytes, l4, l4 + UDPBytes, payload}, OK
}

// parseUDP gives the payload length of a UDP datagram whose header is at l4, in an IP packet that
// carries so many bytes.
func parseUDP(first []byte, l4, carried int) (payload uint32, reason Reason) {
	if len(first) < l4+UDPBytes {
		return 0, ReasonShort
	}
	n := UDP(first[l4 : l4+UDPBytes]).Len()
	if n < UDPBytes || n > carried {
		return 0, ReasonBadUDPLength
	}
	return uint32(n - UDPBytes), OK
}
