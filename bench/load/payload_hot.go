package load

import "encoding/binary"

// minPayload is the bytes of the sequence number, the least that a request carries.
const minPayload = 8

// Constants of the pattern: the golden ratio's, which spreads neighbouring sequence numbers over
// all bits, and an odd step, so that no two words of a request are equal (Steele et al., SplitMix,
// 2014).
const (
	patternSeed = 0x9E3779B97F4A7C15
	patternStep = 0xBF58476D1CE4E5B9
	pattern2    = patternStep * 2 & (1<<64 - 1) // two words on
	pattern3    = patternStep * 3 & (1<<64 - 1)
	pattern4    = patternStep * 4 & (1<<64 - 1)
)

// putPayload fills b with the request of that number: the number, then words that follow from it
// and from their place. Bytes of another request, at another place, or left over do not fit.
func putPayload(b []byte, seq uint64) {
	binary.LittleEndian.PutUint64(b, seq)
	word := seq * patternSeed
	b = b[minPayload:]
	for len(b) >= 32 {
		w := (*[32]byte)(b)
		binary.LittleEndian.PutUint64(w[0:], word)
		binary.LittleEndian.PutUint64(w[8:], word+patternStep)
		binary.LittleEndian.PutUint64(w[16:], word+pattern2)
		binary.LittleEndian.PutUint64(w[24:], word+pattern3)
		word += pattern4
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, word)
		word += patternStep
		b = b[8:]
	}
	for i := range b {
		b[i] = byte(word >> (8 * i))
	}
}

// checkPayload returns the number of the request that b is, or Damaged.
func checkPayload(b []byte) (seq uint64) {
	if len(b) < minPayload {
		return Damaged
	}
	seq = binary.LittleEndian.Uint64(b)
	word := seq * patternSeed
	wrong := uint64(0) // gathered, so that the loop has one branch
	b = b[minPayload:]
	for len(b) >= 32 {
		w := (*[32]byte)(b)
		wrong |= binary.LittleEndian.Uint64(w[0:]) ^ word
		wrong |= binary.LittleEndian.Uint64(w[8:]) ^ (word + patternStep)
		wrong |= binary.LittleEndian.Uint64(w[16:]) ^ (word + pattern2)
		wrong |= binary.LittleEndian.Uint64(w[24:]) ^ (word + pattern3)
		word += pattern4
		b = b[32:]
	}
	for len(b) >= 8 {
		wrong |= binary.LittleEndian.Uint64(b) ^ word
		word += patternStep
		b = b[8:]
	}
	for i := range b {
		wrong |= uint64(b[i] ^ byte(word>>(8*i)))
	}
	if wrong != 0 {
		return Damaged
	}
	return seq
}
