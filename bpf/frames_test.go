package bpf

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// The interface that the tests steer for, and what is registered there.
var (
	testMAC   = [6]byte{0x02, 0x10, 0x20, 0x30, 0x40, 0x50}
	otherMAC  = [6]byte{0x02, 0x10, 0x20, 0x30, 0x40, 0x51}
	testType  = uint16(0x88b5)
	testAddr4 = netip.MustParseAddr("10.1.2.3")
	testAddr6 = netip.MustParseAddr("2001:db8::a01:203")
	testPort  = uint16(7777)
)

// registered is what reference consults in place of the program's maps.
type registered struct {
	mac       [6]byte
	types     map[uint16]bool
	endpoints map[netip.AddrPort]bool
}

func testRegistered() registered {
	return registered{
		mac:   testMAC,
		types: map[uint16]bool{testType: true},
		endpoints: map[netip.AddrPort]bool{
			netip.AddrPortFrom(testAddr4, testPort): true,
			netip.AddrPortFrom(testAddr6, testPort): true,
		},
	}
}

// serialize builds a frame with gopacket, which shares no code and no author with the program.
func serialize(t testing.TB, parts ...gopacket.SerializableLayer) []byte {
	t.Helper()
	for i, part := range parts {
		udp, ok := part.(*layers.UDP)
		if !ok {
			continue
		}
		if err := udp.SetNetworkLayerForChecksum(parts[i-1].(gopacket.NetworkLayer)); err != nil {
			t.Fatal(err)
		}
	}
	buffer := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buffer, options, parts...); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func ethernet(etherType uint16) *layers.Ethernet {
	return &layers.Ethernet{
		SrcMAC: net.HardwareAddr(otherMAC[:]), DstMAC: net.HardwareAddr(testMAC[:]),
		EthernetType: layers.EthernetType(etherType),
	}
}

func rawFrame(t testing.TB, payload int) []byte {
	return serialize(t, ethernet(testType), gopacket.Payload(make([]byte, payload)))
}

func ip4(proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, IHL: 5, TTL: 64, Protocol: proto, Flags: layers.IPv4DontFragment,
		SrcIP: net.IPv4(10, 1, 2, 9), DstIP: testAddr4.AsSlice(),
	}
}

func ip6(proto layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{
		Version: 6, HopLimit: 64, NextHeader: proto, TrafficClass: 0xab, FlowLabel: 0xcdef1,
		SrcIP: net.ParseIP("2001:db8::9"), DstIP: testAddr6.AsSlice(),
	}
}

func udpTo(port uint16) *layers.UDP {
	return &layers.UDP{SrcPort: 40000, DstPort: layers.UDPPort(port)}
}

func udp4Frame(t testing.TB, payload int) []byte {
	return serialize(t, ethernet(0x0800), ip4(layers.IPProtocolUDP), udpTo(testPort),
		gopacket.Payload(make([]byte, payload)))
}

func udp6Frame(t testing.TB, payload int) []byte {
	return serialize(t, ethernet(0x86dd), ip6(layers.IPProtocolUDP), udpTo(testPort),
		gopacket.Payload(make([]byte, payload)))
}

// Offsets of fields in the frames above, in bytes.
const (
	atType     = 12
	atIP       = 14
	atTotal4   = atIP + 2
	atFrag4    = atIP + 6
	atProto4   = atIP + 9
	atDst4     = atIP + 16
	atUDP4     = atIP + 20
	atPayload6 = atIP + 4
	atNext6    = atIP + 6
	atDst6     = atIP + 24
	atUDP6     = atIP + 40
)

// patched is a copy of frame with bytes replaced from offset on.
func patched(frame []byte, offset int, replacement ...byte) []byte {
	frame = append([]byte(nil), frame...)
	copy(frame[offset:], replacement)
	return frame
}

func patched16(frame []byte, offset int, value int) []byte {
	return patched(frame, offset, byte(value>>8), byte(value))
}

// reference says where the program should send a frame: the rules of steer.c written a second time,
// by taking the frame apart from the outside in, with slices for bounds.
func reference(frame []byte, r registered) Reason {
	if len(frame) < 14 {
		return BadEthernet
	}
	if [6]byte(frame) != r.mac {
		if frame[0]&1 == 1 {
			return PassedGroup
		}
		return PassedOtherHost
	}
	etherType, rest := binary.BigEndian.Uint16(frame[12:]), frame[14:]
	switch {
	case r.types[etherType] && len(rest) == 0:
		return DroppedEmpty
	case r.types[etherType]:
		return TakenEtherType
	case etherType == 0x8100 || etherType == 0x88a8:
		return PassedVLAN
	case etherType == 0x0800:
		return reference4(rest, r)
	case etherType == 0x86dd:
		return reference6(rest, r)
	}
	return PassedEtherType
}

func reference4(packet []byte, r registered) Reason {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return BadIPv4
	}
	header, total := int(packet[0]&15)*4, int(binary.BigEndian.Uint16(packet[2:]))
	if header < 20 || total < header || total > len(packet) {
		return BadIPv4
	}
	moreFragments, fragmentOffset := packet[6]&0x20 != 0, binary.BigEndian.Uint16(packet[6:])&0x1fff
	switch {
	case header > 20:
		return PassedOptions
	case moreFragments || fragmentOffset != 0:
		return PassedFragment
	case packet[9] != 17:
		return PassedProtocol
	}
	return referenceUDP(packet[20:total], netip.AddrFrom4([4]byte(packet[16:])), r, TakenUDP4)
}

func reference6(packet []byte, r registered) Reason {
	if len(packet) < 40 || packet[0]>>4 != 6 {
		return BadIPv6
	}
	payload := int(binary.BigEndian.Uint16(packet[4:]))
	if payload > len(packet)-40 {
		return BadIPv6
	}
	switch packet[6] {
	case 17:
		addr := netip.AddrFrom16([16]byte(packet[24:]))
		return referenceUDP(packet[40:40+payload], addr, r, TakenUDP6)
	case 44:
		return PassedFragment
	case 0, 43, 50, 51, 60, 135, 139, 140:
		return PassedExtension
	}
	return PassedProtocol
}

func referenceUDP(segment []byte, to netip.Addr, r registered, taken Reason) Reason {
	if len(segment) < 8 {
		return BadUDP
	}
	if !r.endpoints[netip.AddrPortFrom(to, binary.BigEndian.Uint16(segment[2:]))] {
		return PassedPort
	}
	if length := int(binary.BigEndian.Uint16(segment[4:])); length < 8 || length > len(segment) {
		return BadUDP
	}
	return taken
}
