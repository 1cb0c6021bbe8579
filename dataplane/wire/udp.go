package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// UDP is a view of at least UDPBytes bytes that begin with a UDP header. Ports and lengths are in
// host order; Len counts the header.
type UDP []byte

func (h UDP) SrcPort() uint16      { return binary.BigEndian.Uint16(h[0:2]) }
func (h UDP) DstPort() uint16      { return binary.BigEndian.Uint16(h[2:4]) }
func (h UDP) Len() int             { return int(binary.BigEndian.Uint16(h[4:6])) }
func (h UDP) Checksum() uint16     { return binary.BigEndian.Uint16(h[6:8]) }
func (h UDP) SetSrcPort(p uint16)  { binary.BigEndian.PutUint16(h[0:2], p) }
func (h UDP) SetDstPort(p uint16)  { binary.BigEndian.PutUint16(h[2:4], p) }
func (h UDP) SetLen(n int)         { binary.BigEndian.PutUint16(h[4:6], uint16(n)) }
func (h UDP) SetChecksum(v uint16) { binary.BigEndian.PutUint16(h[6:8], v) }

// UDPAddr is one end of a UDP flow: fixed size, comparable, usable as a map key. V6 is kept apart
// from the address because an IPv6 header may carry ::ffff:1.2.3.4, and that is not the IPv4 host
// 1.2.3.4.
type UDPAddr struct {
	Addr [16]byte // IPv6, or IPv4 as ::ffff:a.b.c.d
	Port uint16
	V6   bool
}

// v4MappedFF is bytes 10 and 11 of an IPv4 address inside 16 bytes (RFC 4291, section 2.5.5.2).
const v4MappedFF = 0xFF

// UDPAddr4 is a UDP address over IPv4.
func UDPAddr4(a [4]byte, port uint16) UDPAddr {
	return UDPAddr{
		Addr: [16]byte{10: v4MappedFF, 11: v4MappedFF, 12: a[0], 13: a[1], 14: a[2], 15: a[3]},
		Port: port,
	}
}

// UDPAddr6 is a UDP address over IPv6.
func UDPAddr6(a [16]byte, port uint16) UDPAddr { return UDPAddr{Addr: a, Port: port, V6: true} }

// UDPAddrFrom converts from the standard library's form, for configuration and control planes. IPv4
// mapped into IPv6 becomes IPv4, as in a socket of the kernel; a zone is dropped. The zero AddrPort
// gives the zero UDPAddr.
func UDPAddrFrom(a netip.AddrPort) UDPAddr {
	switch ip := a.Addr().Unmap(); {
	case ip.Is4():
		return UDPAddr4(ip.As4(), a.Port())
	case ip.Is6():
		return UDPAddr6(ip.As16(), a.Port())
	}
	return UDPAddr{}
}

// Is4 reports whether a is an IPv4 address. The zero UDPAddr is neither IPv4 nor IPv6.
func (a UDPAddr) Is4() bool { return !a.V6 && a.Addr[10] == v4MappedFF }

// As4 is the IPv4 address; it means something only if a.V6 is false.
func (a UDPAddr) As4() [4]byte { return [4]byte(a.Addr[12:16]) }

func (a *UDPAddr) uint32() uint32 { return binary.BigEndian.Uint32(a.Addr[12:16]) }

// AddrPort converts to the standard library's form. The zero UDPAddr gives the zero AddrPort.
func (a UDPAddr) AddrPort() netip.AddrPort {
	switch {
	case a.V6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), a.Port)
	case a.Is4():
		return netip.AddrPortFrom(netip.AddrFrom4(a.As4()), a.Port)
	}
	return netip.AddrPort{}
}

// String gives 192.0.2.1:53 or [2001:db8::1]:53.
func (a UDPAddr) String() string { return a.AddrPort().String() }

// UDPFlow is everything that addresses a UDP packet. Both ends are of one IP version.
type UDPFlow struct {
	SrcMAC, DstMAC MAC
	Src, Dst       UDPAddr
}

// HeaderBytes is UDP4Bytes or UDP6Bytes.
func (f *UDPFlow) HeaderBytes() int {
	if f.Dst.V6 {
		return UDP6Bytes
	}
	return UDP4Bytes
}

// Turned is the flow of the reply.
func (f *UDPFlow) Turned() UDPFlow {
	return UDPFlow{SrcMAC: f.DstMAC, DstMAC: f.SrcMAC, Src: f.Dst, Dst: f.Src}
}

// checkPayload panics over a length that no UDP packet can have: a programmer's error.
func checkPayload(payload, limit int) {
	if uint(payload) > uint(limit) {
		panicPayload(payload, limit)
	}
}

//go:noinline
func panicPayload(payload, limit int) {
	panic(fmt.Sprintf("wire: UDP payload of %d bytes, possible are 0 to %d", payload, limit))
}

//go:noinline
func panicMissing(payload uint32, missing int) {
	panic(fmt.Sprintf("wire: UDP payload of %d bytes, segments are %d short", payload, missing))
}
