package wire

import (
	"bytes"
	"testing"
)

// FuzzParse feeds any bytes as a first segment of a packet that may have more, and runs every
// trusting function over what is accepted.
func FuzzParse(f *testing.F) {
	for _, b := range samples() {
		f.Add(b, uint16(0))
		f.Add(b[:min(len(b), UDP6Bytes)], uint16(100))
	}
	f.Fuzz(func(t *testing.T, first []byte, more uint16) {
		if len(first) > MaxPacketBytes {
			return
		}
		checkParsed(t, first, len(first)+int(more))
	})
}

// FuzzParseRepaired repairs the IPv4 header checksum first, so that the fuzzer gets behind it.
func FuzzParseRepaired(f *testing.F) {
	for _, b := range samples() {
		f.Add(b, uint16(0))
	}
	f.Fuzz(func(t *testing.T, first []byte, more uint16) {
		if len(first) > MaxPacketBytes {
			return
		}
		first = bytes.Clone(first)
		repair4(first)
		checkParsed(t, first, len(first)+int(more))
	})
}

// FuzzSum splits the bytes in three pieces and compares with the naive sum over the whole.
func FuzzSum(f *testing.F) {
	f.Add(pattern(200), uint16(33), uint16(7))
	f.Add(bytes.Repeat([]byte{0xFF}, 129), uint16(65), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, i, j uint16) {
		cut := min(int(i), len(b))
		end := min(cut+int(j), len(b))
		var s Sum
		s.Add(b[:cut])
		s.Add(b[cut:end])
		s.Add(b[end:])
		if s.Fold() != naiveSum(b) {
			t.Fatalf("%#x, want %#x", s.Fold(), naiveSum(b))
		}
	})
}

// FuzzParseMAC checks that whatever is accepted is a way to write what String writes.
func FuzzParseMAC(f *testing.F) {
	f.Add("02:00:00:00:00:01")
	f.Add("FF-ff-00-99-Aa-0f")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMAC(s)
		if err != nil {
			return
		}
		again, err := ParseMAC(m.String())
		if err != nil || again != m || len(s) != len(m.String()) {
			t.Fatalf("%q became %v, then %v, %v", s, m, again, err)
		}
	})
}
