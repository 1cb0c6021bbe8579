package transport

import "github.com/dunlin-io/dunlin/dataplane/wire"

// Path is both ends of the way to a peer, as seen from here: Src is ours. It compares with ==.
type Path struct {
	// UDP says that frames travel in UDP over the IP version of Flow's addresses; else they are
	// raw Ethernet frames of wire.EtherTypeDunlin and only the Ethernet addresses count.
	UDP  bool
	Flow wire.UDPFlow
}

// RawPath is a path over raw Ethernet frames.
func RawPath(local, remote wire.MAC) Path {
	return Path{Flow: wire.UDPFlow{SrcMAC: local, DstMAC: remote}}
}

// UDPPath is a path over UDP.
func UDPPath(f wire.UDPFlow) Path { return Path{UDP: true, Flow: f} }

// headerBytes is what the encapsulation puts before our header.
func (p *Path) headerBytes() int {
	if p.UDP {
		return p.Flow.HeaderBytes()
	}
	return wire.EthernetBytes
}

// room is how many bytes a packet of a link with that MTU holds for us.
func (p *Path) room(mtu int) int { return mtu + wire.EthernetBytes - p.headerBytes() }
