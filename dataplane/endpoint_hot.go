package dataplane

import "github.com/dunlin-io/dunlin/dataplane/wire"

// find is the index of the first endpoint that serves the packet, -1 if none does.
func (t *endpoints) find(first []byte, p wire.Packet) int {
	key, version := serviceRaw|service(p.EtherType), uint8(0)
	switch p.Kind {
	case wire.KindUDP4:
		key, version = serviceUDP|service(wire.UDP(first[p.L4:p.Payload]).DstPort()), version4
	case wire.KindUDP6:
		key, version = serviceUDP|service(wire.UDP(first[p.L4:p.Payload]).DstPort()), version6
	case wire.KindOther:
		return -1
	}
	for i := range t.list[:t.count] {
		e := &t.list[i]
		if e.service != key || e.versions&version != version {
			continue
		}
		if e.limited && e.addr != destination(first, p) {
			continue
		}
		return i
	}
	return -1
}

// destination is a UDP packet's destination as in wire.UDPAddr.
func destination(first []byte, p wire.Packet) [16]byte {
	if p.Kind == wire.KindUDP6 {
		return wire.IPv6(first[p.L3:p.L4]).Dst()
	}
	return wire.UDPAddr4(wire.IPv4(first[p.L3:p.L4]).Dst(), 0).Addr
}

// admit judges the addresses, which wire.Parse does not: who may have sent the packet, and whether
// it is for this host. A reply turns them around, so neither end may be a group.
func (w *Worker) admit(first []byte, p wire.Packet) Reason {
	e := wire.Ethernet(first)
	switch dst := e.Dst(); {
	case dst.IsMulticast() || e.Src().IsMulticast():
		return ReasonGroupAddress
	case dst != w.only && w.only != wire.MAC{}:
		return ReasonNotOurs
	}
	switch p.Kind {
	case wire.KindUDP4:
		return admit4(wire.IPv4(first[p.L3:p.L4]), wire.UDP(first[p.L4:p.Payload]))
	case wire.KindUDP6:
		return admit6(wire.IPv6(first[p.L3:p.L4]), wire.UDP(first[p.L4:p.Payload]))
	}
	return OK
}

// admit4 refuses groups at either end (224.0.0.0/4 and, with it, the reserved rest), and as a
// source 0.0.0.0/8, 127.0.0.0/8 (RFC 1122, section 3.2.1.3) and the very endpoint that the packet
// goes to, which would make us answer ourselves. Another port of the same address is fine: that is
// how programs of one host speak to each other.
func admit4(h wire.IPv4, u wire.UDP) Reason {
	src, dst := h.Src(), h.Dst()
	switch {
	case src[0] >= 224 || dst[0] >= 224:
		return ReasonGroupAddress
	case src[0] == 0 || src[0] == 127 || src == dst && u.SrcPort() == u.DstPort():
		return ReasonBadSource
	}
	return OK
}

// admit6 does the same for IPv6: ff00::/8 at either end; as a source :: and ::1 (RFC 4291, sections
// 2.5.2 and 2.5.3) and the very endpoint.
func admit6(h wire.IPv6, u wire.UDP) Reason {
	src, dst := h.Src(), h.Dst()
	switch {
	case src[0] == 0xFF || dst[0] == 0xFF:
		return ReasonGroupAddress
	case src == [16]byte{} || src == [16]byte{15: 1} || src == dst && u.SrcPort() == u.DstPort():
		return ReasonBadSource
	}
	return OK
}
