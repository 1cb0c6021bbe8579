package wire

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// naiveSum is RFC 1071 as it is written: 16-bit words in network order, the carry brought around
// each time.
func naiveSum(b []byte) uint16 {
	var sum uint32
	for i, v := range b {
		if i%2 == 0 {
			sum += uint32(v) << 8
		} else {
			sum += uint32(v)
		}
		sum = sum>>16 + sum&0xFFFF
	}
	return uint16(sum)
}

func TestSumExampleOfRFC1071(t *testing.T) {
	var s Sum
	s.Add([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}) // section 3
	if s.Fold() != 0xddf2 || s.Checksum() != 0x220d {
		t.Fatalf("sum %#x, checksum %#x", s.Fold(), s.Checksum())
	}
}

func TestSumEveryLength(t *testing.T) {
	for name, data := range map[string][]byte{
		"pattern": pattern(600),
		"ones":    bytes.Repeat([]byte{0xFF}, 600), // every addition carries
		"zeros":   make([]byte, 600),
	} {
		for n := range data {
			for _, off := range []int{0, 1, 3} { // unaligned loads
				b := data[off:max(n, off)]
				var s Sum
				s.Add(b)
				if s.Fold() != naiveSum(b) {
					t.Fatalf("%s, %d bytes at %d: %#x, want %#x",
						name, len(b), off, s.Fold(), naiveSum(b))
				}
			}
		}
	}
}

// TestSumCarryOut runs the carry chains through words chosen so that each step's sum is as large as
// it can be.
func TestSumCarryOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([][]byte{
			bytes.Repeat([]byte{0xFF}, 8),
			{0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
			{1, 0, 0, 0, 0, 0, 0, 0},
			{0, 0, 0, 0, 0, 0, 0, 0x80},
			make([]byte, 8),
		})
		b := bytes.Join(rapid.SliceOfN(word, 0, 40).Draw(t, "words"), nil)
		var s Sum
		s.Add(b)
		if s.Fold() != naiveSum(b) {
			t.Fatalf("%#x, want %#x", s.Fold(), naiveSum(b))
		}
	})
}

func TestSumChains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 150), 0, 8).Draw(t, "pieces")
		words := rapid.SliceOfN(rapid.Uint16(), 0, 8).Draw(t, "words")
		var s Sum
		var all []byte
		for i, piece := range pieces {
			s.Add(piece)
			all = append(all, piece...)
			if i < len(words) {
				s.AddUint16(words[i])
				all = append(all, byte(words[i]>>8), byte(words[i]))
			}
		}
		if s.Fold() != naiveSum(all) {
			t.Fatalf("%#x, want %#x", s.Fold(), naiveSum(all))
		}
	})
}

func TestIPv4ChecksumAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := IPv4(rapid.SliceOfN(rapid.Byte(), IPv4Bytes, IPv4Bytes).Draw(t, "header"))
		h[0] = 0x45 // no valid header is all zeros, on which ones' complement is ambiguous
		h.UpdateChecksum()
		got := h.Checksum()
		h.setChecksum(0)
		if want := ^naiveSum(h); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
		h.setChecksum(got)
		n := int(rapid.Uint16().Draw(t, "total"))
		h.replaceTotalLen(n)
		if !h.sumOK() || h.TotalLen() != n {
			t.Fatalf("after the length changed to %d: checksum %v", n, h.sumOK())
		}
	})
}

// cut splits b into a first segment that holds the headers and up to four more.
func cut(t *rapid.T, b []byte, headers int) (first []byte, more [][]byte) {
	n := rapid.IntRange(headers, len(b)).Draw(t, "first")
	first, b = b[:n], b[n:]
	for i := 0; i < 3 && len(b) > 0; i++ {
		n := rapid.IntRange(0, len(b)).Draw(t, "segment")
		more, b = append(more, b[:n]), b[n:]
	}
	return first, append(more, b)
}

func TestUDPChecksumOverSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom([]UDPFlow{flow4, flow6}).Draw(t, "flow")
		payload := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload")
		whole, p := udpPacket(&f, payload)
		padding := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "padding")
		padded := append(bytes.Clone(whole), padding...)

		first, more := cut(t, padded, int(p.Payload))
		UDP(first[p.L4:]).SetChecksum(rapid.Uint16().Draw(t, "stale"))
		UpdateUDPChecksum(first, p, more...)
		if got, want := UDP(first[p.L4:]).Checksum(), UDP(whole[p.L4:]).Checksum(); got != want {
			t.Fatalf("checksum over segments %#x, in one piece %#x", got, want)
		}
		if !VerifyUDP(first, p, more...) {
			t.Fatal("does not verify")
		}
		i := rapid.IntRange(int(p.L4), p.Len()-1).Draw(t, "flipped byte")
		padded[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "flipped bit")
		none := p.Kind == KindUDP4 && UDP(first[p.L4:]).Checksum() == 0
		if VerifyUDP(first, p, more...) != none {
			t.Fatalf("a flipped bit in byte %d goes unnoticed", i)
		}
	})
}

func TestVerifyUDPZeroAndShort(t *testing.T) {
	b4, p4 := udpPacket(&flow4, pattern(40))
	b6, p6 := udpPacket(&flow6, pattern(40))
	if VerifyUDP(b4[:p4.Len()-1], p4) || VerifyUDP(b6[:p6.Len()-1], p6) {
		t.Error("verifies without the last byte")
	}
	UDP(b4[p4.L4:]).SetChecksum(0)
	UDP(b6[p6.L4:]).SetChecksum(0)
	if !VerifyUDP(b4, p4) {
		t.Error("IPv4: zero means none")
	}
	if VerifyUDP(b6, p6) {
		t.Error("IPv6: zero is forbidden")
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic over a checksum of half a payload")
		}
	}()
	UpdateUDPChecksum(b4[:p4.Payload+3], p4)
}

// TestUDPChecksumZeroIsSentAsOnes steers the sum to zero through the last two payload bytes.
func TestUDPChecksumZeroIsSentAsOnes(t *testing.T) {
	for _, f := range []UDPFlow{flow4, flow6} {
		b, p := udpPacket(&f, make([]byte, 4))
		sum := UDP(b[p.L4:]).Checksum() // with 0 in those bytes: adding it makes the sum 0xFFFF
		b[p.Payload+2], b[p.Payload+3] = byte(sum>>8), byte(sum)
		UpdateUDPChecksum(b, p)
		if got := UDP(b[p.L4:]).Checksum(); got != 0xFFFF || !VerifyUDP(b, p) {
			t.Errorf("%v: checksum %#x, verifies %v", f.Dst, got, VerifyUDP(b, p))
		}
	}
}
