package transport

import "math/bits"

// blocks is a set of blocks of a transfer, one bit each, over words that somebody else owns.
type blocks []uint64

// blockWords is the words for a transfer of so many bytes.
func blockWords(total int) int { return (total + 64*blockBytes - 1) / (64 * blockBytes) }

// add marks blocks [from, to) and returns how many were not marked before.
func (s blocks) add(from, to int) (fresh int) {
	for from < to {
		w, mask, next := span(from, to)
		fresh += bits.OnesCount64(mask &^ s[w])
		s[w] |= mask
		from = next
	}
	return fresh
}

// run is the first run of blocks in [from, to) that are not marked; empty when begin == to.
func (s blocks) run(from, to int) (begin, end int) {
	begin = s.skip(from, to, 0)
	return begin, s.skip(begin, to, ^uint64(0))
}

// skip is the first block in [from, to) that is not marked, or, with flip all ones, that is; to if
// there is none.
func (s blocks) skip(from, to int, flip uint64) int {
	for from < to {
		w, mask, next := span(from, to)
		if hit := ^(s[w] ^ flip) & mask; hit != 0 {
			return w*64 + bits.TrailingZeros64(hit)
		}
		from = next
	}
	return to
}

// span is the word that holds block from, the mask of [from, to) in it, and where the next begins.
func span(from, to int) (word int, mask uint64, next int) {
	word = from / 64
	next = min((word+1)*64, to)
	mask = ^uint64(0) << (from % 64)
	if rest := next - word*64; rest < 64 {
		mask &= 1<<rest - 1
	}
	return word, mask, next
}

// blockSpan is the blocks of bytes [offset, offset+n).
func blockSpan(offset, n int) (from, to int) {
	return offset / blockBytes, (offset + n + blockBytes - 1) / blockBytes
}

// idWindow remembers which of the transferWindow numbers from base on are over. All below base are.
type idWindow struct {
	base uint64
	bits [transferWindow / 64]uint64
}

// over reports whether id is over; ahead whether it lies beyond the window.
func (w *idWindow) over(id uint64) bool {
	return id < w.base || id-w.base < transferWindow &&
		w.bits[id/64%uint64(len(w.bits))]>>(id%64)&1 != 0
}

func (w *idWindow) ahead(id uint64) bool { return id >= w.base && id-w.base >= transferWindow }

// finish marks id, which is in the window, and moves the window to the oldest that is not over.
func (w *idWindow) finish(id uint64) {
	n := uint64(len(w.bits))
	w.bits[id/64%n] |= 1 << (id % 64)
	for {
		word := &w.bits[w.base/64%n]
		if w.base%64 == 0 && *word == ^uint64(0) {
			*word = 0
			w.base += 64
			continue
		}
		bit := uint64(1) << (w.base % 64)
		if *word&bit == 0 {
			return
		}
		*word &^= bit
		w.base++
	}
}
