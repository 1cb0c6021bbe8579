package wire

import (
	"bytes"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"
)

// The oracle is gopacket, which shares no code and no author with this package: what it builds we
// must parse to the same fields, what we build it must parse to the same fields, and checksums must
// agree both ways.

func drawMAC(t *rapid.T, label string) MAC {
	return MAC(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, label))
}

func drawFlow(t *rapid.T) UDPFlow {
	f := UDPFlow{SrcMAC: drawMAC(t, "source MAC"), DstMAC: drawMAC(t, "destination MAC")}
	v6 := rapid.Bool().Draw(t, "IPv6")
	end := func(label string) UDPAddr {
		port := rapid.Uint16().Draw(t, label+" port")
		if v6 {
			return UDPAddr6([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label)), port)
		}
		return UDPAddr4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, label)), port)
	}
	f.Src, f.Dst = end("source"), end("destination")
	return f
}

// ip is the address as gopacket wants it: 4 bytes for IPv4.
func (a UDPAddr) ip() net.IP {
	if a.V6 {
		return a.Addr[:]
	}
	return a.Addr[12:]
}

// oracleLayers describes f in gopacket's terms.
func oracleLayers(f UDPFlow) (*layers.Ethernet, gopacket.SerializableLayer, *layers.UDP) {
	eth := &layers.Ethernet{
		SrcMAC: f.SrcMAC[:], DstMAC: f.DstMAC[:], EthernetType: layers.EthernetTypeIPv4,
	}
	udp := &layers.UDP{SrcPort: layers.UDPPort(f.Src.Port), DstPort: layers.UDPPort(f.Dst.Port)}
	if f.Dst.V6 {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip6 := &layers.IPv6{
			Version: 6, NextHeader: layers.IPProtocolUDP, HopLimit: 64,
			SrcIP: f.Src.ip(), DstIP: f.Dst.ip(),
		}
		_ = udp.SetNetworkLayerForChecksum(ip6) // fails only for layers that are not IP
		return eth, ip6, udp
	}
	ip4 := &layers.IPv4{
		Version: 4, IHL: 5, TTL: 64, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolUDP,
		SrcIP: f.Src.ip(), DstIP: f.Dst.ip(),
	}
	_ = udp.SetNetworkLayerForChecksum(ip4)
	return eth, ip4, udp
}

func serialize(t testing.TB, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, options, l...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestOracleBuildersAgree compares whole packets, byte for byte.
func TestOracleBuildersAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := drawFlow(rt)
		payload := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "payload")
		ours, p := udpPacket(&f, payload)
		eth, ip, udp := oracleLayers(f)
		theirs := serialize(t, eth, ip, udp, gopacket.Payload(payload))
		// gopacket sends a UDP sum of zero as zero, which means "none"; RFC 768 wants 0xFFFF.
		if c := UDP(theirs[p.L4:]); c.Checksum() == 0 {
			c.SetChecksum(0xFFFF)
		}
		// gopacket pads to the Ethernet minimum of 60 bytes.
		if len(theirs) < len(ours) || !bytes.Equal(ours, theirs[:len(ours)]) {
			rt.Fatalf("ours\n% x\ntheirs\n% x", ours, theirs)
		}
		got, reason := Parse(theirs, len(theirs))
		if reason != OK || got != p || !VerifyUDP(theirs, got) {
			rt.Fatalf("parsed %+v, %v, want %+v", got, reason, p)
		}
	})
}

// TestOracleParsesOurs decodes what we build and turn, and compares fields.
func TestOracleParsesOurs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := drawFlow(rt)
		payload := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "payload")
		b, p := udpPacket(&f, payload)
		checkOracle(rt, b, f, payload)
		Turn(b, p)
		checkOracle(rt, b, f.Turned(), payload)
	})
}

func checkOracle(t rapid.TB, b []byte, f UDPFlow, payload []byte) {
	t.Helper()
	pkt := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.NoCopy)
	eth, ok := pkt.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	if !ok || MAC(eth.SrcMAC) != f.SrcMAC || MAC(eth.DstMAC) != f.DstMAC {
		t.Fatalf("Ethernet %+v of %+v", eth, f)
	}
	if f.Dst.V6 {
		ip, ok := pkt.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		if !ok || !ip.SrcIP.Equal(f.Src.ip()) || !ip.DstIP.Equal(f.Dst.ip()) || ip.HopLimit != 64 ||
			ip.NextHeader != layers.IPProtocolUDP || int(ip.Length) != UDPBytes+len(payload) {
			t.Fatalf("IPv6 %+v of %+v", ip, f)
		}
	} else {
		ip, ok := pkt.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		if !ok || !ip.SrcIP.Equal(f.Src.ip()) || !ip.DstIP.Equal(f.Dst.ip()) ||
			ip.TTL != 64 || ip.Id != 0 || ip.Flags != layers.IPv4DontFragment ||
			int(ip.Length) != IPv4Bytes+UDPBytes+len(payload) {
			t.Fatalf("IPv4 %+v of %+v", ip, f)
		}
	}
	udp, ok := pkt.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok || uint16(udp.SrcPort) != f.Src.Port || uint16(udp.DstPort) != f.Dst.Port ||
		!bytes.Equal(udp.Payload, payload) {
		t.Fatalf("UDP %+v of %+v", udp, f)
	}
}

// TestOracleOtherProtocols parses what belongs to the kernel's stack: each must get its reason or
// KindOther.
func TestOracleOtherProtocols(t *testing.T) {
	eth4, ip4, udp4 := oracleLayers(flow4)
	eth6, ip6, udp6 := oracleLayers(flow6)
	data := gopacket.Payload(pattern(64))
	v4 := func(change func(*layers.IPv4)) *layers.IPv4 {
		h := *ip4.(*layers.IPv4)
		change(&h)
		return &h
	}
	v6 := func(next layers.IPProtocol) []byte {
		h := *ip6.(*layers.IPv6)
		h.NextHeader = next
		return serialize(t, eth6, &h, udp6, data)
	}
	vlan, arp := *eth4, *eth4
	vlan.EthernetType = layers.EthernetTypeDot1Q
	arp.EthernetType = layers.EthernetTypeARP
	tcp := &layers.TCP{SYN: true}
	if err := tcp.SetNetworkLayerForChecksum(ip4.(*layers.IPv4)); err != nil {
		t.Fatal(err)
	}
	options := v4(func(h *layers.IPv4) {
		alert := layers.IPv4Option{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}
		h.Options = []layers.IPv4Option{alert}
	})
	firstFragment := v4(func(h *layers.IPv4) { h.Flags = layers.IPv4MoreFragments })
	lastFragment := v4(func(h *layers.IPv4) { h.Flags, h.FragOffset = 0, 185 })
	overTCP := v4(func(h *layers.IPv4) { h.Protocol = layers.IPProtocolTCP })
	tag := &layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeIPv4}
	request := &layers.ARP{
		AddrType: layers.LinkTypeEthernet, HwAddressSize: 6, Operation: layers.ARPRequest,
		Protocol: layers.EthernetTypeIPv4, ProtAddressSize: 4,
		SourceHwAddress: macA[:], SourceProtAddress: flow4.Src.ip(),
		DstHwAddress: make([]byte, 6), DstProtAddress: flow4.Dst.ip(),
	}
	tests := []struct {
		name   string
		b      []byte
		kind   Kind
		reason Reason
	}{
		{"options", serialize(t, eth4, options, udp4, data), 0, ReasonOptions},
		{"first fragment", serialize(t, eth4, firstFragment, udp4, data), 0, ReasonFragment},
		{"last fragment", serialize(t, eth4, lastFragment, data), 0, ReasonFragment},
		{"tcp", serialize(t, eth4, overTCP, tcp), KindOther, OK},
		{"vlan", serialize(t, &vlan, tag, ip4, udp4, data), 0, ReasonVLAN},
		{"arp", serialize(t, &arp, request), KindRaw, OK},
		{"IPv6 fragment", v6(layers.IPProtocolIPv6Fragment), 0, ReasonFragment},
		{"IPv6 hop by hop", v6(layers.IPProtocolIPv6HopByHop), 0, ReasonExtension},
		{"IPv6 routing", v6(layers.IPProtocolIPv6Routing), 0, ReasonExtension},
		{"IPv6 destination options", v6(layers.IPProtocolIPv6Destination), 0, ReasonExtension},
		{"ICMPv6", v6(layers.IPProtocolICMPv6), KindOther, OK},
		{"IPv4 in IPv6", v6(layers.IPProtocolIPv4), KindOther, OK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, reason := checkParsed(t, tt.b, len(tt.b))
			if reason != tt.reason || p.Kind != tt.kind {
				t.Fatalf("%+v, %v; want kind %v, %v", p, reason, tt.kind, tt.reason)
			}
		})
	}
}
