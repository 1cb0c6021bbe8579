package wire

import (
	"bytes"
	"testing"
)

// checkParsed asserts everything that callers rely on after Parse, and runs every function that
// trusts a Packet over it: none may panic or write outside of the first segment's headers.
func checkParsed(t testing.TB, first []byte, total int) (Packet, Reason) {
	t.Helper()
	before := bytes.Clone(first)
	p, reason := Parse(first, total)
	if !bytes.Equal(first, before) {
		t.Fatal("Parse wrote")
	}
	if reason >= ReasonCount {
		t.Fatalf("reason %d", reason)
	}
	if reason != OK {
		if p != (Packet{}) {
			t.Fatalf("%v, but packet %+v", reason, p)
		}
		return p, reason
	}
	l3, l4, payload := int(p.L3), int(p.L4), int(p.Payload)
	if l3 != EthernetBytes || l4 < l3 || payload < l4 || payload > len(first) || p.Len() > total {
		t.Fatalf("%+v in a segment of %d bytes, packet of %d", p, len(first), total)
	}
	ipBytes := map[EtherType]int{EtherTypeIPv4: IPv4Bytes, EtherTypeIPv6: IPv6Bytes}[p.EtherType]
	udpBytes := map[Kind]int{KindUDP4: UDPBytes, KindUDP6: UDPBytes}[p.Kind]
	if l4-l3 != ipBytes || payload-l4 != udpBytes || (ipBytes == 0) != (p.Kind == KindRaw) {
		t.Fatalf("%+v: headers have other sizes", p)
	}
	checkTrusting(t, bytes.Clone(first), total, p)
	return p, reason
}

// checkTrusting consumes b.
func checkTrusting(t testing.TB, b []byte, total int, p Packet) {
	t.Helper()
	guarded := append(bytes.Clone(b), 0xA5) // room beyond the segment that nobody may use
	b = guarded[:len(b)]
	FlowHash(b, p)
	rest := make([]byte, total-len(b))
	body := bytes.Clone(b[p.Payload:])
	hash := FlowHash(b, p)
	Turn(b, p)
	if got, reason := Parse(b, max(p.Len(), len(b))); reason != OK || got != p {
		t.Fatalf("turned packet parses to %+v, %v; was %+v", got, reason, p)
	}
	Turn(b, p)
	if FlowHash(b, p) != hash {
		t.Fatal("turned twice, another flow")
	}
	if p.Kind == KindUDP4 || p.Kind == KindUDP6 {
		if f := FlowOf(b, p); f.Src.V6 != (p.Kind == KindUDP6) {
			t.Fatalf("flow %+v of %+v", f, p)
		}
		VerifyUDP(b, p, rest)
		UpdateUDPChecksum(b, p, rest)
		if !VerifyUDP(b, p, rest) {
			t.Fatalf("own checksum does not verify: %+v", p)
		}
		q := SetUDPLengths(b, p, len(body))
		if got, reason := Parse(b, len(b)); reason != OK || got != q {
			t.Fatalf("after SetUDPLengths %+v, %v; want %+v", got, reason, q)
		}
	}
	if !bytes.Equal(b[p.Payload:], body) || guarded[len(b)] != 0xA5 {
		t.Fatal("bytes outside of the headers changed")
	}
}

// samples is one valid packet of each kind.
func samples() map[string][]byte {
	udp4, p4 := udpPacket(&flow4, pattern(30))
	udp6, p6 := udpPacket(&flow6, pattern(30))
	return map[string][]byte{
		"udp4":           udp4,
		"udp6":           udp6,
		"udp4 padded":    append(bytes.Clone(udp4), 0, 0, 0, 0),
		"udp4 surplus":   edit(udp4, func(c []byte) { UDP(c[p4.L4:]).SetLen(20) }),
		"udp6 surplus":   edit(udp6, func(c []byte) { UDP(c[p6.L4:]).SetLen(20) }),
		"udp4 no sum":    edit(udp4, func(c []byte) { UDP(c[p4.L4:]).SetChecksum(0) }),
		"icmp":           edit4(udp4, func(h IPv4) { h[9] = 1 }),
		"icmp6":          edit6(udp6, func(h IPv6) { h[6] = 58 }),
		"raw":            rawPacket(pattern(46)),
		"raw no payload": rawPacket(nil),
	}
}

func TestEveryTruncation(t *testing.T) {
	for name, b := range samples() {
		t.Run(name, func(t *testing.T) {
			whole, _ := checkParsed(t, b, len(b))
			for n := range len(b) {
				// As a short packet: sound only where the cut took padding, or bytes that UDP never
				// counted.
				p, reason := checkParsed(t, b[:n:n], n)
				if reason == OK && p.Kind != KindRaw && p != whole {
					t.Fatalf("cut to %d: %+v, whole %+v", n, p, whole)
				}
				// As a first segment: the rest is in others.
				p, reason = checkParsed(t, b[:n:n], len(b))
				want, wantReason := whole, OK
				if n < int(whole.Payload) {
					want, wantReason = Packet{}, ReasonShort
				}
				if p != want || reason != wantReason {
					t.Fatalf("first segment of %d: %+v, %v", n, p, reason)
				}
			}
		})
	}
}

func TestEverySingleBitFlip(t *testing.T) {
	for name, b := range samples() {
		t.Run(name, func(t *testing.T) {
			_, reason := Parse(b, len(b))
			if reason != OK {
				t.Fatal(reason)
			}
			for bit := range len(b) * 8 {
				flipped := edit(b, func(c []byte) { c[bit/8] ^= 1 << (bit % 8) })
				_, reason := checkParsed(t, flipped, len(b))
				inIPv4 := Ethernet(b).EtherType() == EtherTypeIPv4 && bit/8 >= EthernetBytes &&
					bit/8 < EthernetBytes+IPv4Bytes
				if inIPv4 && reason == OK {
					t.Fatalf("bit %d of an IPv4 header flipped unnoticed", bit-EthernetBytes*8)
				}
			}
		})
	}
}

// repair4 makes the IPv4 header checksum right, if there is such a header.
func repair4(b []byte) {
	if len(b) >= EthernetBytes+IPv4Bytes && Ethernet(b).EtherType() == EtherTypeIPv4 {
		IPv4(b[EthernetBytes:]).UpdateChecksum()
	}
}

// TestEveryByteValue sets every header byte to every value, with the IPv4 checksum made right
// again, so that the checks behind it are reached.
func TestEveryByteValue(t *testing.T) {
	reasons := map[Reason]bool{}
	for _, b := range samples() {
		for at := range min(len(b), UDP6Bytes) {
			for v := range 256 {
				c := edit(b, func(c []byte) {
					c[at] = byte(v)
					repair4(c)
				})
				_, reason := checkParsed(t, c, len(c))
				reasons[reason] = true
			}
		}
	}
	for _, want := range []Reason{
		OK, ReasonBadVersion, ReasonBadIPLength, ReasonOptions, ReasonFragment, ReasonExtension,
		ReasonBadUDPLength,
	} {
		if !reasons[want] {
			t.Errorf("never met: %v", want)
		}
	}
}

func TestZerosOfAllLengths(t *testing.T) {
	for n := range 200 {
		if _, reason := checkParsed(t, make([]byte, n), n); reason == OK {
			t.Fatalf("%d zeros accepted", n)
		}
	}
}
