package page

import (
	"encoding/binary"
	"math/bits"
)

// changes is what differs between a page and its shadow.
type changes struct {
	lines uint64
	count int // of masks
	words int
	masks [lines]uint8
}

// Encode writes how page differs from shadow to dst and returns how, and in how many bytes: at most
// Bytes. If that is more than dst has, nothing was written. Without a shadow (nil) a page is Zero
// or Raw. To bring the shadow up to date, Decode the result onto it, or copy the page.
func Encode(dst []byte, page, shadow *Page) (kind Kind, n int) {
	if IsZero(page) {
		if shadow != nil && IsZero(shadow) {
			return Same, 0
		}
		return Zero, 0
	}
	if shadow != nil {
		var c changes
		c.find(page, shadow)
		if c.lines == 0 {
			return Same, 0
		}
		if n = wordBytes + c.count + c.words*wordBytes; n < Bytes {
			if n <= len(dst) {
				c.write(dst[:n], page)
			}
			return Words, n
		}
	}
	if len(dst) >= Bytes {
		copy(dst, page[:])
	}
	return Raw, Bytes
}

// IsZero reports whether all bytes are zero: the first line is, and each byte is as the one a line
// before. The comparison of overlapping ranges is the runtime's, which has vector instructions.
func IsZero(p *Page) bool {
	return word(p, 0)|word(p, 1)|word(p, 2)|word(p, 3)|
		word(p, 4)|word(p, 5)|word(p, 6)|word(p, 7) == 0 &&
		string(p[:Bytes-lineBytes]) == string(p[lineBytes:])
}

// word is word i of a page.
func word(p *Page, i int) uint64 {
	return binary.LittleEndian.Uint64(p[i*wordBytes : i*wordBytes+wordBytes])
}

// find compares the two, a line at a time.
func (c *changes) find(page, shadow *Page) {
	for i := range lines {
		p := (*[lineBytes]byte)(page[i*lineBytes:])
		s := (*[lineBytes]byte)(shadow[i*lineBytes:])
		x0, x1, x2, x3 := differ(p, s, 0), differ(p, s, 1), differ(p, s, 2), differ(p, s, 3)
		x4, x5, x6, x7 := differ(p, s, 4), differ(p, s, 5), differ(p, s, 6), differ(p, s, 7)
		if x0|x1|x2|x3|x4|x5|x6|x7 == 0 {
			continue
		}
		mask := one(x0) | one(x1)<<1 | one(x2)<<2 | one(x3)<<3 |
			one(x4)<<4 | one(x5)<<5 | one(x6)<<6 | one(x7)<<7
		c.masks[c.count&(lines-1)] = uint8(mask)
		c.lines |= 1 << i
		c.count++
		c.words += bits.OnesCount8(uint8(mask))
	}
}

// differ is not zero where word i of two lines differs.
func differ(p, s *[lineBytes]byte, i int) uint64 {
	return binary.LittleEndian.Uint64(p[i*wordBytes:]) ^
		binary.LittleEndian.Uint64(s[i*wordBytes:])
}

// one is 1 if x is not 0, without a branch: either x or -x has the top bit.
func one(x uint64) uint64 { return (x | -x) >> 63 }

// write writes the encoding, for which dst has exactly the room.
func (c *changes) write(dst []byte, page *Page) {
	binary.LittleEndian.PutUint64(dst, c.lines)
	copy(dst[wordBytes:], c.masks[:c.count])
	dst = dst[wordBytes+c.count:]
	for i, left := 0, c.lines; left != 0; i, left = i+1, left&(left-1) {
		line := (*[lineBytes]byte)(page[bits.TrailingZeros64(left)*lineBytes:])
		mask := c.masks[i&(lines-1)]
		if mask == 0xFF {
			copy(dst[:lineBytes], line[:])
			dst = dst[lineBytes:]
			continue
		}
		for ; mask != 0; mask &= mask - 1 {
			at := bits.TrailingZeros8(mask) & 7 * wordBytes
			copy(dst[:wordBytes], line[at:at+wordBytes])
			dst = dst[wordBytes:]
		}
	}
}
