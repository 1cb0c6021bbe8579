package wire

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"reflect"
	"testing"
)

var (
	macA = MAC{0x02, 0, 0, 0, 0, 0x0A}
	macB = MAC{0x02, 0, 0, 0, 0, 0x0B}

	flow4 = UDPFlow{
		SrcMAC: macA, DstMAC: macB,
		Src: UDPAddrFrom(netip.MustParseAddrPort("192.0.2.1:4660")),
		Dst: UDPAddrFrom(netip.MustParseAddrPort("198.51.100.7:7")),
	}
	flow6 = UDPFlow{
		SrcMAC: macA, DstMAC: macB,
		Src: UDPAddrFrom(netip.MustParseAddrPort("[2001:db8::1]:4660")),
		Dst: UDPAddrFrom(netip.MustParseAddrPort("[2001:db8:ffff::7]:7")),
	}
)

// udpPacket builds a complete packet with the given payload, checksum included.
func udpPacket(f *UDPFlow, payload []byte) ([]byte, Packet) {
	b := make([]byte, f.HeaderBytes()+len(payload))
	p := PutUDP(b, f, len(payload))
	copy(b[p.Payload:], payload)
	UpdateUDPChecksum(b, p)
	return b, p
}

func rawPacket(payload []byte) []byte {
	b := make([]byte, EthernetBytes+len(payload))
	PutEthernet(b, macB, macA, EtherTypeDunlin)
	copy(b[EthernetBytes:], payload)
	return b
}

// pattern is n bytes that differ from their neighbours.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + 3)
	}
	return b
}

// edit returns a changed copy of b.
func edit(b []byte, change func([]byte)) []byte {
	c := bytes.Clone(b)
	change(c)
	return c
}

// edit4 changes the IPv4 header in a copy of b and makes its checksum right again.
func edit4(b []byte, change func(IPv4)) []byte {
	return edit(b, func(c []byte) {
		h := IPv4(c[EthernetBytes : EthernetBytes+IPv4Bytes])
		change(h)
		h.UpdateChecksum()
	})
}

func edit6(b []byte, change func(IPv6)) []byte {
	return edit(b, func(c []byte) { change(IPv6(c[EthernetBytes:])) })
}

func TestBuildersRoundTrip(t *testing.T) {
	for _, f := range []UDPFlow{flow4, flow6} {
		for _, n := range []int{0, 1, 17, 18, 1400} {
			b, built := udpPacket(&f, pattern(n))
			p, reason := Parse(b, len(b))
			if reason != OK || p != built {
				t.Fatalf("payload %d: parsed %+v, %v; built %+v", n, p, reason, built)
			}
			if got := FlowOf(b, p); got != f {
				t.Fatalf("payload %d: flow %+v, want %+v", n, got, f)
			}
			if p.Len() != len(b) || !VerifyUDP(b, p) {
				t.Fatalf("payload %d: length %d of %d, or a bad checksum", n, p.Len(), len(b))
			}
		}
	}
}

func TestIPv4HeaderFields(t *testing.T) {
	b, _ := udpPacket(&flow4, pattern(10))
	h := IPv4(b[EthernetBytes:])
	if h.Version() != 4 || h.HeaderLen() != 20 || h.TOS() != 0 || h.TotalLen() != 38 ||
		h.ID() != 0 || !h.DontFragment() || h.IsFragment() ||
		h.TTL() != 64 || h.Protocol() != ProtocolUDP ||
		h.Src() != [4]byte{192, 0, 2, 1} || h.Dst() != [4]byte{198, 51, 100, 7} {
		t.Fatalf("header % x", b[EthernetBytes:EthernetBytes+IPv4Bytes])
	}
}

func TestIPv6HeaderFields(t *testing.T) {
	b, _ := udpPacket(&flow6, pattern(10))
	h := IPv6(b[EthernetBytes:])
	if h.Version() != 6 || h.TrafficClass() != 0 || h.FlowLabel() != 0 || h.PayloadLen() != 18 ||
		h.NextHeader() != ProtocolUDP || h.HopLimit() != 64 ||
		h.Src() != flow6.Src.Addr || h.Dst() != flow6.Dst.Addr {
		t.Fatalf("header % x", b[EthernetBytes:EthernetBytes+IPv6Bytes])
	}
	binary.BigEndian.PutUint32(h[0:4], 0x6ABCDEF1)
	if h.TrafficClass() != 0xAB || h.FlowLabel() != 0xCDEF1 {
		t.Fatalf("traffic class %#x, flow label %#x", h.TrafficClass(), h.FlowLabel())
	}
}

func TestSetUDPLengths(t *testing.T) {
	for _, f := range []UDPFlow{flow4, flow6} {
		b, p := udpPacket(&f, pattern(100))
		p = SetUDPLengths(b, p, 33)
		if p.PayloadLen != 33 {
			t.Fatalf("payload length %d", p.PayloadLen)
		}
		if UDP(b[p.L4:]).Checksum() != 0 {
			t.Fatal("a stale UDP checksum is left")
		}
		UpdateUDPChecksum(b, p)
		want, wantPacket := udpPacket(&f, pattern(33))
		if p != wantPacket || !bytes.Equal(b[:p.Len()], want) {
			t.Fatalf("shortened\n% x, want\n% x", b[:p.Len()], want)
		}
	}
}

func TestImpossiblePayloadPanics(t *testing.T) {
	b := make([]byte, UDP6Bytes)
	p4, p6 := PutUDP4(b, &flow4, 0), PutUDP6(make([]byte, UDP6Bytes), &flow6, 0)
	calls := map[string]func(){
		"negative":    func() { PutUDP4(b, &flow4, -1) },
		"IPv4":        func() { PutUDP4(b, &flow4, MaxUDP4Payload+1) },
		"IPv6":        func() { PutUDP6(b, &flow6, MaxUDP6Payload+1) },
		"lengthen 4":  func() { SetUDPLengths(b, p4, MaxUDP4Payload+1) },
		"lengthen 6":  func() { SetUDPLengths(b, p6, MaxUDP6Payload+1) },
		"short slice": func() { PutUDP4(b[:UDP4Bytes-1:UDP4Bytes-1], &flow4, 0) },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("no panic")
				}
			}()
			call()
		})
	}
}

func TestPacketIsSmall(t *testing.T) {
	if size := reflect.TypeFor[Packet]().Size(); size != 16 {
		t.Fatalf("Packet has %d bytes, want 16: it travels by value with every packet", size)
	}
}

func TestMAC(t *testing.T) {
	for _, s := range []string{"02:00:5e:10:00:ff", "02-00-5E-10-00-FF"} {
		m, err := ParseMAC(s)
		if err != nil || m.String() != "02:00:5e:10:00:ff" {
			t.Fatalf("%s: %v, %v", s, m, err)
		}
	}
	for _, s := range []string{
		"", "02:00:5e:10:00", "02:00:5e:10:00:ff:", "02:00:5e-10:00:ff", "0g:00:5e:10:00:ff",
		"02:00:5e:10:00:f", "02.00.5e.10.00.ff", "+2:00:5e:10:00:ff",
	} {
		if m, err := ParseMAC(s); err == nil || m != (MAC{}) {
			t.Errorf("%q accepted as %v", s, m)
		}
	}
	if !(MAC{1}).IsMulticast() || !(MAC{0: 255, 5: 255}).IsMulticast() || macA.IsMulticast() {
		t.Fatal("IsMulticast")
	}
}

func TestUDPAddr(t *testing.T) {
	for _, s := range []string{"192.0.2.1:53", "[2001:db8::1]:53", "0.0.0.0:0", "[::]:1"} {
		ap := netip.MustParseAddrPort(s)
		a := UDPAddrFrom(ap)
		if a.AddrPort() != ap || a.String() != s || a.Is4() != ap.Addr().Is4() {
			t.Errorf("%s became %+v", s, a)
		}
	}
	mapped := UDPAddrFrom(netip.MustParseAddrPort("[::ffff:192.0.2.1]:53"))
	if mapped != UDPAddr4([4]byte{192, 0, 2, 1}, 53) {
		t.Errorf("mapped address became %+v", mapped)
	}
	onWire := UDPAddr6(mapped.Addr, 53)
	if onWire == mapped || onWire.Is4() || onWire.AddrPort().Addr().Is4() {
		t.Errorf("an IPv6 header with a mapped address passes for IPv4: %v", onWire)
	}
	var zero UDPAddr
	if zero.Is4() || zero.AddrPort().IsValid() || UDPAddrFrom(netip.AddrPort{}) != zero {
		t.Error("zero address")
	}
	if z := UDPAddrFrom(netip.MustParseAddrPort("[fe80::1%eth0]:1")); z.String() != "[fe80::1]:1" {
		t.Errorf("zone kept: %v", z)
	}
}

func TestTexts(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reason(ReasonCount) {
		if s := r.String(); s == "" || seen[s] {
			t.Errorf("reason %d has text %q", r, s)
		} else {
			seen[s] = true
		}
	}
	if Reason(ReasonCount).String() != "reason?" || Kind(200).String() != "kind?" {
		t.Error("values out of range")
	}
	if EtherTypeDunlin.String() != "0x88b5" || KindUDP6.String() != "udp6" {
		t.Error("texts")
	}
}

// TestSettersReadBack sets each field in a header of ones and of zeros and reads it and its
// neighbours.
func TestSettersReadBack(t *testing.T) {
	for _, fill := range []byte{0, 0xFF} {
		h4 := IPv4(bytes.Repeat([]byte{fill}, IPv4Bytes))
		h4.SetTOS(1)
		h4.SetTotalLen(0x0203)
		h4.SetTTL(4)
		h4.SetSrc([4]byte{5, 6, 7, 8})
		h4.SetDst([4]byte{9, 10, 11, 12})
		want4 := IPv4{fill, 1, 2, 3, fill, fill, fill, fill, 4, fill, fill, fill}
		want4 = append(want4, 5, 6, 7, 8, 9, 10, 11, 12)
		if !bytes.Equal(h4, want4) || h4.TOS() != 1 || h4.TotalLen() != 0x0203 || h4.TTL() != 4 ||
			h4.Src() != [4]byte{5, 6, 7, 8} || h4.Dst() != [4]byte{9, 10, 11, 12} {
			t.Errorf("IPv4 % x", []byte(h4))
		}
		h6 := IPv6(bytes.Repeat([]byte{fill}, IPv6Bytes))
		h6.SetPayloadLen(0x0102)
		h6.SetHopLimit(3)
		h6.SetSrc(flow6.Src.Addr)
		h6.SetDst(flow6.Dst.Addr)
		want6 := append(IPv6{fill, fill, fill, fill, 1, 2, fill, 3}, flow6.Src.Addr[:]...)
		want6 = append(want6, flow6.Dst.Addr[:]...)
		if !bytes.Equal(h6, want6) || h6.PayloadLen() != 0x0102 || h6.HopLimit() != 3 ||
			h6.Src() != flow6.Src.Addr || h6.Dst() != flow6.Dst.Addr {
			t.Errorf("IPv6 % x", []byte(h6))
		}
	}
}
