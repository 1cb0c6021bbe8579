package wire

import (
	"encoding/binary"
	"fmt"
)

// EtherType names the protocol inside an Ethernet II frame, in host order.
type EtherType uint16

const (
	EtherTypeIPv4   EtherType = 0x0800
	EtherTypeARP    EtherType = 0x0806
	EtherTypeVLAN   EtherType = 0x8100 // IEEE 802.1Q
	EtherTypeIPv6   EtherType = 0x86DD
	EtherTypeQinQ   EtherType = 0x88A8 // IEEE 802.1ad
	EtherTypeDunlin EtherType = 0x88B5 // IEEE 802 local experimental 1: free for private use

	etherTypeMin EtherType = 0x0600 // below: a length in bytes, IEEE 802.3 clause 3.2.6
)

func (t EtherType) String() string { return fmt.Sprintf("0x%04x", uint16(t)) }

// MAC is an Ethernet address. It compares with ==.
type MAC [6]byte

// IsMulticast reports whether m is a group address, broadcast included. No frame may carry one as
// its source.
func (m MAC) IsMulticast() bool { return m[0]&1 != 0 }

// String gives the form 02:00:00:00:00:01.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// ParseMAC reads six two-digit hexadecimal numbers, all separated by ':' or all by '-'.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	if len(s) != 3*len(m)-1 {
		return MAC{}, fmt.Errorf("wire: MAC address %q: want the form 02:00:00:00:00:01", s)
	}
	for i := range m {
		hi, lo := nibble(s[3*i]), nibble(s[3*i+1])
		if hi > 15 || lo > 15 {
			return MAC{}, fmt.Errorf("wire: MAC address %q: pair %d is not hexadecimal", s, i+1)
		}
		m[i] = hi<<4 | lo
		if i == len(m)-1 {
			break
		}
		if sep := s[3*i+2]; sep != s[2] || sep != ':' && sep != '-' {
			return MAC{}, fmt.Errorf("wire: MAC address %q: pairs must be separated by ':'", s)
		}
	}
	return m, nil
}

// nibble is the value of one hexadecimal digit, or 255.
func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// Ethernet is a view of at least EthernetBytes bytes that begin with an Ethernet II header.
type Ethernet []byte

func (e Ethernet) Dst() MAC                 { return MAC(e[0:6]) }
func (e Ethernet) Src() MAC                 { return MAC(e[6:12]) }
func (e Ethernet) EtherType() EtherType     { return EtherType(binary.BigEndian.Uint16(e[12:14])) }
func (e Ethernet) SetDst(m MAC)             { *(*MAC)(e[0:6]) = m }
func (e Ethernet) SetSrc(m MAC)             { *(*MAC)(e[6:12]) = m }
func (e Ethernet) SetEtherType(t EtherType) { binary.BigEndian.PutUint16(e[12:14], uint16(t)) }
