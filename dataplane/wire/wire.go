// Package wire reads and writes packet headers: Ethernet II, IPv4, IPv6 and UDP, as views over
// bytes that somebody else owns.
//
// A packet is validated once, at the edge, by [Parse]. The [Packet] it returns holds offsets and
// nothing else; everything behind that edge (Turn, FlowHash, the checksum functions, the accessors
// of the views) trusts it and checks nothing again.
//
//	0            14 (L3)              34 or 54 (L4)   42 or 62 (Payload)
//	| Ethernet   | IPv4 or IPv6       | UDP           | PayloadLen bytes ...  | padding |
//	|<------------------ first segment ------------------------>|<- further segments ->|
//
// What it is not: no reassembly, no VLAN tags, no IP options, no IPv6 extension headers, no TCP.
// Packets that need those belong to the kernel's stack, and Parse names the [Reason].
//
// Threads: the package has no state; any thread may call anything. Bytes stay the caller's: a view
// aliases them and nothing here keeps one after returning. The hot functions neither allocate nor
// call through an interface. Types of net/netip appear only in the conversions of [UDPAddr], at the
// edge.
package wire

// Header sizes in bytes: IEEE 802.3, RFC 791 (without options), RFC 8200, RFC 768.
const (
	EthernetBytes = 14
	IPv4Bytes     = 20
	IPv6Bytes     = 40
	UDPBytes      = 8

	UDP4Bytes = EthernetBytes + IPv4Bytes + UDPBytes // all headers of a UDP packet over IPv4: 42
	UDP6Bytes = EthernetBytes + IPv6Bytes + UDPBytes // all headers of a UDP packet over IPv6: 62
)

// Limits in bytes. They follow from the 16-bit length fields of IPv4 (which counts its header) and
// IPv6 (which does not).
const (
	MaxUDP4Payload = 1<<16 - 1 - IPv4Bytes - UDPBytes
	MaxUDP6Payload = 1<<16 - 1 - UDPBytes

	// MaxPacketBytes is the longest packet that Parse accepts, padding included: a full IPv6 packet
	// in its frame.
	MaxPacketBytes = EthernetBytes + IPv6Bytes + 1<<16 - 1
)

// Kind says how far Parse understood a packet.
type Kind uint8

const (
	KindRaw   Kind = iota // Ethernet whose EtherType is not IP
	KindUDP4              // UDP over IPv4
	KindUDP6              // UDP over IPv6
	KindOther             // IPv4 or IPv6 (Packet.EtherType tells) that does not carry UDP
)

func (k Kind) String() string {
	switch k {
	case KindRaw:
		return "raw"
	case KindUDP4:
		return "udp4"
	case KindUDP6:
		return "udp6"
	case KindOther:
		return "other"
	}
	return "kind?"
}

// Packet is what Parse learned: offsets from the frame's first byte, all inside the first segment.
// It holds no pointer and may be kept as long as the bytes are.
type Packet struct {
	Kind      Kind
	EtherType EtherType
	L3        uint16 // IP header; for KindRaw the payload
	L4        uint16 // UDP header; for KindOther and KindRaw the payload
	Payload   uint16 // first byte after the headers

	// PayloadLen counts the payload over all segments, without Ethernet padding. For UDP it is what
	// the UDP length says, which may be less than what IP carries.
	PayloadLen uint32
}

// Len is the packet's length in bytes, headers included, padding excluded.
func (p Packet) Len() int { return int(p.Payload) + int(p.PayloadLen) }
