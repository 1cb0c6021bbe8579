package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"testing"
)

func TestTurnUDP(t *testing.T) {
	for _, f := range []UDPFlow{flow4, flow6} {
		b, p := udpPacket(&f, pattern(31))
		back := f.Turned()
		want, _ := udpPacket(&back, pattern(31))
		Turn(b, p)
		if !bytes.Equal(b, want) {
			t.Errorf("turned\n% x, want\n% x", b, want)
		}
		if !VerifyUDP(b, p) {
			t.Error("UDP checksum lost")
		}
	}
}

// TestTurnIsFresh shows that nothing but addresses and payload of a request survives in its reply.
func TestTurnIsFresh(t *testing.T) {
	for _, f := range []UDPFlow{flow4, flow6} {
		b, p := udpPacket(&f, pattern(31))
		back := f.Turned()
		want, _ := udpPacket(&back, pattern(31))
		if p.Kind == KindUDP4 {
			b = edit4(b, func(h IPv4) {
				h.SetTOS(0xFF)
				binary.BigEndian.PutUint32(h[4:8], 0xBEEF8000) // an id, the reserved bit, no DF
				h.SetTTL(1)
			})
		} else {
			b = edit6(b, func(h IPv6) {
				binary.BigEndian.PutUint32(h[0:4], 0x6FFABCDE)
				h.SetHopLimit(1)
			})
		}
		if got, reason := Parse(b, len(b)); reason != OK || got != p {
			t.Fatalf("%+v, %v", got, reason)
		}
		Turn(b, p)
		if !bytes.Equal(b, want) {
			t.Errorf("turned\n% x, want\n% x", b, want)
		}
	}
}

// TestTurnCutsSurplus turns a packet whose IP length exceeds what UDP says, cuts it to p.Len(), and
// parses it.
func TestTurnCutsSurplus(t *testing.T) {
	for _, f := range []UDPFlow{flow4, flow6} {
		b, p := udpPacket(&f, pattern(40))
		UDP(b[p.L4:]).SetLen(UDPBytes + 10)
		p, reason := Parse(b, len(b))
		if reason != OK || p.PayloadLen != 10 {
			t.Fatalf("%+v, %v", p, reason)
		}
		Turn(b, p)
		b = b[:p.Len()]
		if got, reason := Parse(b, len(b)); reason != OK || got != p {
			t.Errorf("%+v, %v, want %+v", got, reason, p)
		}
	}
}

func TestTurnOther(t *testing.T) {
	icmp, _ := udpPacket(&flow4, pattern(20))
	icmp = edit4(icmp, func(h IPv4) { h[9] = 1 })
	icmp6, _ := udpPacket(&flow6, pattern(20))
	icmp6 = edit6(icmp6, func(h IPv6) { h[6] = 58 })
	for _, b := range [][]byte{icmp, icmp6, rawPacket(pattern(50))} {
		before := bytes.Clone(b)
		p, reason := Parse(b, len(b))
		if reason != OK {
			t.Fatal(reason)
		}
		Turn(b, p)
		if e := Ethernet(b); e.Src() != macB || e.Dst() != macA || e.EtherType() != p.EtherType {
			t.Errorf("Ethernet % x", b[:EthernetBytes])
		}
		if !bytes.Equal(b[p.L4:], before[p.L4:]) {
			t.Error("bytes above IP changed")
		}
		if got, reason := Parse(b, len(b)); reason != OK || got != p {
			t.Errorf("reply parses to %+v, %v", got, reason)
		}
		Turn(b, p)
		if !bytes.Equal(b, before) {
			t.Errorf("turned twice\n% x, want\n% x", b, before)
		}
	}
}

func TestFlowHashTellsFlowsApart(t *testing.T) {
	hash := func(b []byte) uint32 {
		p, reason := Parse(b, len(b))
		if reason != OK {
			t.Fatal(reason)
		}
		return FlowHash(b, p)
	}
	short4, _ := udpPacket(&flow4, nil)
	long4, p4 := udpPacket(&flow4, pattern(99))
	short6, _ := udpPacket(&flow6, nil)
	long6, p6 := udpPacket(&flow6, pattern(99))
	if hash(short4) != hash(long4) || hash(short6) != hash(long6) {
		t.Fatal("packets of one flow differ")
	}
	raw := rawPacket(pattern(50))
	fields := []struct {
		name       string
		b          []byte
		start, end int
	}{
		{"IPv4 addresses", long4, int(p4.L3) + 12, int(p4.L3) + 20},
		{"ports over IPv4", long4, int(p4.L4), int(p4.L4) + 4},
		{"IPv6 addresses", long6, int(p6.L3) + 8, int(p6.L3) + 40},
		{"ports over IPv6", long6, int(p6.L4), int(p6.L4) + 4},
		{"source MAC", raw, 6, 12},
	}
	for _, f := range fields {
		flips, inputs := 0, 0
		for i := f.start * 8; i < f.end*8; i++ {
			other := edit(f.b, func(c []byte) {
				c[i/8] ^= 1 << (i % 8)
				if len(c) == len(long4) {
					IPv4(c[EthernetBytes:]).UpdateChecksum()
				}
			})
			flips += bits.OnesCount32(hash(f.b) ^ hash(other))
			inputs++
			if hash(f.b) == hash(other) {
				t.Errorf("%s: bit %d does not matter", f.name, i)
			}
		}
		// Avalanche: one flipped input bit flips half of the 32 output bits on average.
		if mean := float64(flips) / float64(inputs); mean < 13 || mean > 19 {
			t.Errorf("%s: a flipped bit changes %.1f of 32 bits, want about 16", f.name, mean)
		}
	}
	dunlin := hash(raw)
	if hash(withEtherType(raw, EtherTypeARP)) == dunlin {
		t.Error("EtherType does not matter")
	}
}

// TestFlowHashSpreads hashes what load generators send, consecutive ports of one client, and asks
// that neither the low nor the high bits put more than a fair share plus noise on any of 8 workers.
func TestFlowHashSpreads(t *testing.T) {
	const flows, workers = 8000, 8
	for _, f := range []UDPFlow{flow4, flow6} {
		var low, high [workers]int
		for port := range uint16(flows) {
			f.Src.Port = 10000 + port
			b, p := udpPacket(&f, nil)
			h := FlowHash(b, p)
			low[h%workers]++
			high[h>>29]++
		}
		for i := range workers { // 1000 expected, standard deviation 30
			if low[i] < 850 || low[i] > 1150 || high[i] < 850 || high[i] > 1150 {
				t.Fatalf("flows per worker: low bits %v, high bits %v", low, high)
			}
		}
	}
}
