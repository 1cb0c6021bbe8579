package wire

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func withEtherType(b []byte, et EtherType) []byte {
	return edit(b, func(c []byte) { Ethernet(c).SetEtherType(et) })
}

func withUDPLen(b []byte, p Packet, n int) []byte {
	return edit(b, func(c []byte) { UDP(c[p.L4:]).SetLen(n) })
}

// withFlags sets the flags and the fragment offset of an IPv4 packet.
func withFlags(b []byte, v uint16) []byte {
	return edit4(b, func(h IPv4) { binary.BigEndian.PutUint16(h[6:8], v) })
}

func TestParseAccepts(t *testing.T) {
	udp4, p4 := udpPacket(&flow4, pattern(26))
	udp6, p6 := udpPacket(&flow6, pattern(26))
	raw := rawPacket(pattern(46))
	empty4, _ := udpPacket(&flow4, nil)

	raw46 := func(et EtherType) Packet { return Packet{KindRaw, et, 14, 14, 14, 46} }
	other4 := Packet{KindOther, EtherTypeIPv4, 14, 34, 34, 34}
	other6 := Packet{KindOther, EtherTypeIPv6, 14, 54, 54, 34}
	protocol := func(v byte) []byte { return edit4(udp4, func(h IPv4) { h[9] = v }) }
	next := func(v byte) []byte { return edit6(udp6, func(h IPv6) { h[6] = v }) }

	tests := []struct {
		name string
		b    []byte
		want Packet
	}{
		{"udp4", udp4, Packet{KindUDP4, EtherTypeIPv4, 14, 34, 42, 26}},
		{"udp6", udp6, Packet{KindUDP6, EtherTypeIPv6, 14, 54, 62, 26}},
		{
			"padded to the Ethernet minimum", append(empty4, make([]byte, 18)...),
			Packet{KindUDP4, EtherTypeIPv4, 14, 34, 42, 0},
		},
		{"udp6 with a trailer", append(bytes.Clone(udp6), 1, 2, 3), p6},
		{"raw", raw, raw46(EtherTypeDunlin)},
		{"raw without payload", raw[:14], Packet{KindRaw, EtherTypeDunlin, 14, 14, 14, 0}},
		{"arp is raw", withEtherType(raw, EtherTypeARP), raw46(EtherTypeARP)},
		{"smallest EtherType", withEtherType(raw, 0x0600), raw46(0x0600)},
		{"tcp over IPv4", protocol(6), other4},
		{"tcp over IPv6", next(6), other6},
		{"no next header", next(59), other6},
		{
			"icmp without a body", edit4(udp4[:34], func(h IPv4) { h[9] = 1; h.SetTotalLen(20) }),
			Packet{KindOther, EtherTypeIPv4, 14, 34, 34, 0},
		},
		{
			"IPv4 carries more than UDP says", withUDPLen(udp4, p4, 28),
			Packet{KindUDP4, EtherTypeIPv4, 14, 34, 42, 20},
		},
		{
			"IPv6 carries more than UDP says", withUDPLen(udp6, p6, 28),
			Packet{KindUDP6, EtherTypeIPv6, 14, 54, 62, 20},
		},
		{"DF clear", withFlags(udp4, 0), p4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if p, reason := Parse(tt.b, len(tt.b)); p != tt.want || reason != OK {
				t.Fatalf("got %+v, %v\nwant %+v", p, reason, tt.want)
			}
		})
	}
}

func TestParseRejects(t *testing.T) {
	udp4, p4 := udpPacket(&flow4, pattern(26))
	udp6, p6 := udpPacket(&flow6, pattern(26))
	raw := rawPacket(pattern(46))

	firstByte4 := func(v byte) []byte { return edit4(udp4, func(h IPv4) { h[0] = v }) }
	total4 := func(n int) []byte { return edit4(udp4, func(h IPv4) { h.SetTotalLen(n) }) }
	next := func(v byte) []byte { return edit6(udp6, func(h IPv6) { h[6] = v }) }

	tests := []struct {
		name string
		b    []byte
		want Reason
	}{
		{"nothing", nil, ReasonShort},
		{"half an Ethernet header", raw[:13], ReasonShort},
		{"half an IPv4 header", udp4[:33], ReasonShort},
		{"half an IPv6 header", udp6[:53], ReasonShort},
		{"802.3 length", withEtherType(raw, 0x05FF), ReasonLength},
		{"802.1Q", withEtherType(udp4, EtherTypeVLAN), ReasonVLAN},
		{"802.1ad", withEtherType(udp4, EtherTypeQinQ), ReasonVLAN},
		{"IPv4 says version 6", firstByte4(0x65), ReasonBadVersion},
		{"IPv6 says version 4", edit6(udp6, func(h IPv6) { h[0] = 0x40 }), ReasonBadVersion},
		{"IPv4 header of 16 bytes", firstByte4(0x44), ReasonBadIPLength},
		{"IPv4 options", firstByte4(0x46), ReasonOptions},
		{"IPv4 checksum", edit(udp4, func(c []byte) { c[24] ^= 1 }), ReasonBadIPSum},
		{"IPv4 length below its header", total4(19), ReasonBadIPLength},
		{"IPv4 longer than the frame", total4(55), ReasonBadIPLength},
		{
			"IPv6 longer than the frame", edit6(udp6, func(h IPv6) { h.SetPayloadLen(35) }),
			ReasonBadIPLength,
		},
		{"first fragment", withFlags(udp4, 0x2000), ReasonFragment},
		{"last fragment", withFlags(udp4, 0x0001), ReasonFragment},
		{"highest bit of the fragment offset", withFlags(udp4, 0x1000), ReasonFragment},
		{"IPv6 fragment", next(44), ReasonFragment},
		{"UDP length 7", withUDPLen(udp4, p4, 7), ReasonBadUDPLength},
		{"UDP length 0, a jumbogram's", withUDPLen(udp6, p6, 0), ReasonBadUDPLength},
		{"UDP longer than IPv4", withUDPLen(udp4, p4, 35), ReasonBadUDPLength},
		{"UDP longer than IPv6", withUDPLen(udp6, p6, 35), ReasonBadUDPLength},
		{"no room for a UDP header", total4(27), ReasonBadUDPLength},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if p, reason := Parse(tt.b, len(tt.b)); p != (Packet{}) || reason != tt.want {
				t.Fatalf("got %+v, %v; want %v", p, reason, tt.want)
			}
		})
	}
	for _, ext := range []byte{0, 43, 50, 51, 60, 135, 139, 140, 253, 254} {
		if p, reason := Parse(next(ext), len(udp6)); reason != ReasonExtension || p != (Packet{}) {
			t.Errorf("extension header %d: %+v, %v", ext, p, reason)
		}
	}
}

func TestParseSegments(t *testing.T) {
	b, want := udpPacket(&flow4, pattern(9000))
	for _, first := range []int{UDP4Bytes, UDP4Bytes + 1, 3840, len(b)} {
		if p, reason := Parse(b[:first], len(b)); p != want || reason != OK {
			t.Fatalf("first segment of %d: %+v, %v", first, p, reason)
		}
	}
	if _, reason := Parse(b[:UDP4Bytes-1], len(b)); reason != ReasonShort {
		t.Fatalf("headers over two segments: %v", reason)
	}
	if _, reason := Parse(b[:100], 99); reason != ReasonShort {
		t.Fatalf("total below the first segment: %v", reason)
	}
	if _, reason := Parse(b[:100], -1); reason != ReasonShort {
		t.Fatalf("negative total: %v", reason)
	}
	raw := rawPacket(pattern(100))
	if p, reason := Parse(raw, MaxPacketBytes); reason != OK || p.Len() != MaxPacketBytes {
		t.Fatalf("longest packet: %+v, %v", p, reason)
	}
	if _, reason := Parse(raw, MaxPacketBytes+1); reason != ReasonLong {
		t.Fatalf("over the longest packet: %v", reason)
	}
}
