package wire

import (
	"encoding/binary"
	"math/bits"
)

// Odd 64-bit constants with as many ones as zeros, from wyhash (public domain); any such would do.
const (
	mixA = 0xa0761d6478bd642f
	mixB = 0xe7037ed1a0b428db
	mixC = 0x8ebc6af09c88c6e3
	mixD = 0x589965cc75374cc3
)

// mix multiplies to 128 bits and folds the halves: every bit of either operand reaches the middle
// of the product, and the fold brings it to both ends. One multiplication, about 4 cycles.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func load64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// FlowHash spreads packets over workers so that a flow stays on one: equal for all packets of a
// flow, in one direction (it is not symmetric). UDP: both addresses and both ports. KindOther: both
// addresses. Raw: source MAC and EtherType.
//
// Two multiply-and-fold rounds over the fields XORed with constants; all 32 bits are equally good,
// so a caller may take any of them. It has no key: a sender that knows it can aim all its flows at
// one worker, which costs nobody but the service that worker serves.
func FlowHash(b []byte, p Packet) uint32 {
	var addrs, rest uint64
	switch {
	case p.EtherType == EtherTypeIPv4:
		addrs = load64(b[p.L3+12 : p.L3+20])
	case p.EtherType == EtherTypeIPv6:
		a := (*[32]byte)(b[p.L3+8 : p.L3+40])
		addrs = mix(load64(a[0:8])^mixC, load64(a[8:16])^mixA) ^
			mix(load64(a[16:24])^mixD, load64(a[24:32])^mixB)
	default:
		addrs = load64(b[6:14]) // source MAC and EtherType are neighbours
	}
	if p.Kind == KindUDP4 || p.Kind == KindUDP6 {
		rest = uint64(binary.LittleEndian.Uint32(b[p.L4 : p.L4+4]))
	}
	h := mix(addrs^mixA, rest^mixB)
	h = mix(h^mixC, mixD)
	return uint32(h ^ h>>32)
}

// FlowOf reads the addresses of a UDP packet.
func FlowOf(b []byte, p Packet) UDPFlow {
	e := Ethernet(b)
	u := UDP(b[p.L4:p.Payload])
	f := UDPFlow{SrcMAC: e.Src(), DstMAC: e.Dst()}
	if p.Kind == KindUDP6 {
		h := IPv6(b[p.L3:p.L4])
		f.Src, f.Dst = UDPAddr6(h.Src(), u.SrcPort()), UDPAddr6(h.Dst(), u.DstPort())
	} else {
		h := IPv4(b[p.L3:p.L4])
		f.Src, f.Dst = UDPAddr4(h.Src(), u.SrcPort()), UDPAddr4(h.Dst(), u.DstPort())
	}
	return f
}
