package iokernel

import "github.com/dunlin-io/dunlin/dataplane/wire"

// find returns the runtime that a packet to this host is for, nil if nobody registered it.
func (t *table) find(b []byte, p wire.Packet) *Runtime {
	switch p.Kind {
	case wire.KindUDP4, wire.KindUDP6:
		flow := wire.FlowOf(b, p)
		if e := t.udp(flow.Dst); e != nil {
			return e.runtime
		}
	case wire.KindRaw:
		if e := t.byType(p.EtherType); e != nil {
			return e.runtime
		}
	}
	return nil
}

// findLocal is find for a packet of a runtime to this host. From the NIC come only packets to one
// of the interface's addresses; here it must be looked at.
func (t *table) findLocal(b []byte, p wire.Packet) *Runtime {
	if p.Kind == wire.KindUDP4 || p.Kind == wire.KindUDP6 {
		if !t.isLocal(wire.FlowOf(b, p).Dst) {
			return nil
		}
	}
	return t.find(b, p)
}

func (t *table) byType(et wire.EtherType) *entry {
	for _, i := range t.raw {
		if e := &t.entries[i]; e.EtherType == et {
			return e
		}
	}
	return nil
}

func (t *table) udp(a wire.UDPAddr) *entry {
	for at := t.ports[a.Port]; at != 0; {
		e := &t.entries[at-1]
		if e.any || e.addr.bytes == a.Addr && e.addr.v6 == a.V6 {
			return e
		}
		at = e.next
	}
	return nil
}

// isLocal reports whether a is one of the interface's addresses.
func (t *table) isLocal(a wire.UDPAddr) bool {
	for i := range t.addrs {
		if t.addrs[i].bytes == a.Addr && t.addrs[i].v6 == a.V6 {
			return true
		}
	}
	return false
}

// maySend reports whether r may send this packet: from the interface's MAC, with an EtherType of
// its own, or from a UDP address of its own. It is the reason it may not, otherwise.
func (d *Dataplane) maySend(r *Runtime, b []byte, p wire.Packet) Drop {
	if wire.Ethernet(b).Src() != d.mac {
		return DropForeignMAC
	}
	switch p.Kind {
	case wire.KindRaw:
		if e := d.table.byType(p.EtherType); e == nil || e.runtime != r {
			return DropForeignSource
		}
	case wire.KindUDP4, wire.KindUDP6:
		flow := wire.FlowOf(b, p)
		if e := d.table.udp(flow.Src); e == nil || e.runtime != r || !d.table.isLocal(flow.Src) {
			return DropForeignSource
		}
	default:
		return DropForeignSource
	}
	return DropNone
}
