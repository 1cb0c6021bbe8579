package wire

import "encoding/binary"

// Values of the IPv4 protocol and IPv6 next-header fields (IANA).
const (
	ProtocolUDP        = 17
	nextHeaderFragment = 44
)

// freshTTL is the TTL and hop limit of everything built here: the default RFC 1700 recommends, and
// Linux's.
const freshTTL = 64

const (
	ipv4DF           = 0x4000 // don't fragment
	ipv4MF           = 0x2000 // more fragments
	ipv4FragmentMask = 0x1FFF // fragment offset in units of 8 bytes
)

// IPv4 is a view of at least IPv4Bytes bytes that begin with an IPv4 header. The setters leave the
// checksum stale; UpdateChecksum ends a series of them.
type IPv4 []byte

func (h IPv4) Version() int       { return int(h[0] >> 4) }
func (h IPv4) HeaderLen() int     { return int(h[0]&15) * 4 }
func (h IPv4) TOS() byte          { return h[1] }
func (h IPv4) TotalLen() int      { return int(binary.BigEndian.Uint16(h[2:4])) }
func (h IPv4) ID() uint16         { return binary.BigEndian.Uint16(h[4:6]) }
func (h IPv4) DontFragment() bool { return h.fragment()&ipv4DF != 0 }
func (h IPv4) IsFragment() bool   { return h.fragment()&(ipv4MF|ipv4FragmentMask) != 0 }
func (h IPv4) TTL() byte          { return h[8] }
func (h IPv4) Protocol() byte     { return h[9] }
func (h IPv4) Checksum() uint16   { return binary.BigEndian.Uint16(h[10:12]) }
func (h IPv4) Src() [4]byte       { return [4]byte(h[12:16]) }
func (h IPv4) Dst() [4]byte       { return [4]byte(h[16:20]) }
func (h IPv4) SetTOS(v byte)      { h[1] = v }
func (h IPv4) SetTotalLen(n int)  { binary.BigEndian.PutUint16(h[2:4], uint16(n)) }
func (h IPv4) SetTTL(v byte)      { h[8] = v }
func (h IPv4) SetSrc(a [4]byte)   { *(*[4]byte)(h[12:16]) = a }
func (h IPv4) SetDst(a [4]byte)   { *(*[4]byte)(h[16:20]) = a }

func (h IPv4) setChecksum(v uint16) { binary.BigEndian.PutUint16(h[10:12], v) }
func (h IPv4) fragment() uint16     { return binary.BigEndian.Uint16(h[6:8]) }

// IPv6 is a view of at least IPv6Bytes bytes that begin with an IPv6 header.
type IPv6 []byte

func (h IPv6) Version() int        { return int(h[0] >> 4) }
func (h IPv6) TrafficClass() byte  { return byte(binary.BigEndian.Uint16(h[0:2]) >> 4) }
func (h IPv6) FlowLabel() uint32   { return binary.BigEndian.Uint32(h[0:4]) & 0xFFFFF }
func (h IPv6) PayloadLen() int     { return int(binary.BigEndian.Uint16(h[4:6])) }
func (h IPv6) NextHeader() byte    { return h[6] }
func (h IPv6) HopLimit() byte      { return h[7] }
func (h IPv6) Src() [16]byte       { return [16]byte(h[8:24]) }
func (h IPv6) Dst() [16]byte       { return [16]byte(h[24:40]) }
func (h IPv6) SetPayloadLen(n int) { binary.BigEndian.PutUint16(h[4:6], uint16(n)) }
func (h IPv6) SetHopLimit(v byte)  { h[7] = v }
func (h IPv6) SetSrc(a [16]byte)   { *(*[16]byte)(h[8:24]) = a }
func (h IPv6) SetDst(a [16]byte)   { *(*[16]byte)(h[24:40]) = a }

// isExtension reports whether an IPv6 next-header value names an extension header: IANA's registry
// of "IPv6 Extension Header Types", without 44 (fragment), which has a reason of its own.
func isExtension(next byte) bool {
	switch next {
	case 0, 43, 50, 51, 60, 135, 139, 140, 253, 254:
		return true
	}
	return false
}
