package wire

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestParseTable(t *testing.T) {
	udp4, p4 := udpPacket(&flow4, pattern(26))
	udp6, p6 := udpPacket(&flow6, pattern(26))
	raw := rawPacket(pattern(46))
	empty4, _ := udpPacket(&flow4, nil)

	other4 := p4
	other4.Kind, other4.Payload, other4.PayloadLen = KindOther, p4.L4, p4.PayloadLen+UDPBytes
	other6 := p6
	other6.Kind, other6.Payload, other6.PayloadLen = KindOther, p6.L4, p6.PayloadLen+UDPBytes
	surplus4, surplus6 := p4, p6
	surplus4.PayloadLen, surplus6.PayloadLen = 20, 20

	etherType := func(b []byte, et EtherType) []byte {
		return edit(b, func(c []byte) { Ethernet(c).SetEtherType(et) })
	}
	udpLen := func(b []byte, l4 uint16, n int) []byte {
		return edit(b, func(c []byte) { UDP(c[l4:]).SetLen(n) })
	}
	flags := func(v uint16) []byte {
		return edit4(udp4, func(h IPv4) { binary.BigEndian.PutUint16(h[6:8], v) })
	}
	next := func(v byte) []byte { return edit6(udp6, func(h IPv6) { h[6] = v }) }

	tests := []struct {
		name   string
		b      []byte
		want   Packet
		reason Reason
	}{
		{"udp4", udp4, p4, OK},
		{"udp6", udp6, p6, OK},
		{"udp4 padded to the Ethernet minimum", append(bytes.Clone(empty4), make([]byte, 18)...),
			Packet{KindUDP4, EtherTypeIPv4, 14, 34, 42, 0}, OK},
		{"udp6 with a trailer", append(bytes.Clone(udp6), 1, 2, 3), p6, OK},
		{"raw", raw, Packet{KindRaw, EtherTypeDunlin, 14, 14, 14, 46}, OK},
		{"raw without payload", raw[:14], Packet{KindRaw, EtherTypeDunlin, 14, 14, 14, 0}, OK},
		{"arp is raw", etherType(raw, EtherTypeARP), Packet{KindRaw, EtherTypeARP, 14, 14, 14, 46}, OK},
		{"smallest EtherType", etherType(raw, 0x0600), Packet{KindRaw, 0x0600, 14, 14, 14, 46}, OK},
		{"tcp over IPv4", edit4(udp4, func(h IPv4) { h[9] = 6 }), other4, OK},
		{"tcp over IPv6", next(6), other6, OK},
		{"no next header", next(59), other6, OK},
		{"icmp without a body", edit4(udp4[:34], func(h IPv4) { h[9] = 1; h.SetTotalLen(20) }),
			Packet{KindOther, EtherTypeIPv4, 14, 34, 34, 0}, OK},
		{"IPv4 carries more than UDP says", udpLen(udp4, p4.L4, 28), surplus4, OK},
		{"IPv6 carries more than UDP says", udpLen(udp6, p6.L4, 28), surplus6, OK},
		{"DF clear", flags(0), p4, OK},

		{"nothing", nil, Packet{}, ReasonShort},
		{"half an Ethernet header", raw[:13], Packet{}, ReasonShort},
		{"half an IPv4 header", udp4[:33], Packet{}, ReasonShort},
		{"half an IPv6 header", udp6[:53], Packet{}, ReasonShort},
		{"802.3 length", etherType(raw, 0x05FF), Packet{}, ReasonLength},
		{"802.1Q", etherType(udp4, EtherTypeVLAN), Packet{}, ReasonVLAN},
		{"802.1ad", etherType(udp4, EtherTypeQinQ), Packet{}, ReasonVLAN},
		{"IPv4 says version 6", edit4(udp4, func(h IPv4) { h[0] = 0x65 }), Packet{}, ReasonBadVersion},
		{"IPv6 says version 4", edit6(udp6, func(h IPv6) { h[0] = 0x40 }), Packet{}, ReasonBadVersion},
		{"IPv4 header of 16 bytes", edit4(udp4, func(h IPv4) { h[0] = 0x44 }), Packet{}, ReasonBadIPLength},
		{"IPv4 options", edit4(udp4, func(h IPv4) { h[0] = 0x46 }), Packet{}, ReasonOptions},
		{"IPv4 checksum", edit(udp4, func(c []byte) { c[24] ^= 1 }), Packet{}, ReasonBadIPSum},
		{"IPv4 length below its header", edit4(udp4, func(h IPv4) { h.SetTotalLen(19) }), Packet{}, ReasonBadIPLength},
		{"IPv4 longer than the frame", edit4(udp4, func(h IPv4) { h.SetTotalLen(55) }), Packet{}, ReasonBadIPLength},
		{"IPv6 longer than the frame", edit6(udp6, func(h IPv6) { h.SetPayloadLen(35) }), Packet{}, ReasonBadIPLength},
		{"first fragment", flags(0x2000), Packet{}, ReasonFragment},
		{"last fragment", flags(0x0001), Packet{}, ReasonFragment},
		{"highest fragment offset", flags(0x1000), Packet{}, ReasonFragment},
		{"IPv6 fragment", next(44), Packet{}, ReasonFragment},
		{"UDP length 7", udpLen(udp4, p4.L4, 7), Packet{}, ReasonBadUDPLength},
		{"UDP length 0, a jumbogram's", udpLen(udp6, p6.L4, 0), Packet{}, ReasonBadUDPLength},
		{"UDP longer than IPv4", udpLen(udp4, p4.L4, 35), Packet{}, ReasonBadUDPLength},
		{"UDP longer than IPv6", udpLen(udp6, p6.L4, 35), Packet{}, ReasonBadUDPLength},
		{"no room for a UDP header", edit4(udp4, func(h IPv4) { h.SetTotalLen(27) }), Packet{}, ReasonBadUDPLength},
	}
	for _, ext := range []byte{0, 43, 50, 51, 60, 135, 139, 140, 253, 254} {
		if p, reason := Parse(next(ext), len(udp6)); reason != ReasonExtension || p != (Packet{}) {
			t.Errorf("extension header %d: %+v, %v", ext, p, reason)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if p, reason := Parse(tt.b, len(tt.b)); p != tt.want || reason != tt.reason {
				t.Fatalf("got %+v, %v\nwant %+v, %v", p, reason, tt.want, tt.reason)
			}
		})
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
