package seal

// The window is a ring of bits, one a counter, as RFC 6479 has it: it moves by whole words, so that
// moving is clearing words and never shifting.
const (
	wordBits = 64
	words    = 128 // a power of two

	// WindowFrames is how far a counter may lie behind the highest one: one word less than the
	// ring, because the word of the highest counter is only partly filled. Origin: WireGuard's
	// size; at a million frames a second a frame may be 8 ms late.
	WindowFrames = (words - 1) * wordBits
)

// window remembers which counters were seen.
type window struct {
	top  uint64 // highest counter seen
	bits [words]uint64
}

// check says whether counter may still come. It changes nothing.
func (w *window) check(counter uint64) Reason {
	if counter > w.top {
		return OK
	}
	if w.top-counter >= WindowFrames {
		return ReasonTooOld
	}
	if w.bits[counter/wordBits%words]>>(counter%wordBits)&1 != 0 {
		return ReasonReplayed
	}
	return OK
}

// mark remembers counter, for which check has said OK.
func (w *window) mark(counter uint64) {
	if counter > w.top {
		word := w.top / wordBits
		for range min(counter/wordBits-word, words) {
			word++
			w.bits[word%words] = 0
		}
		w.top = counter
	}
	w.bits[counter/wordBits%words] |= 1 << (counter % wordBits)
}
