// Package page encodes what changed in a page of 4 KiB, so that a copy elsewhere can follow it. It
// is pure: bytes in, bytes out, nothing kept between calls.
//
//	page    [........#......##..........]      what it is now
//	shadow  [...........................]      what the other side has
//
//	Zero    nothing                            the page is all zero
//	Words   lines  u64, bit i: line i (64 bytes) differs
//	        masks  a byte for each such line, bit j: word j (8 bytes) of the line differs
//	        words  the new words, in order     always shorter than the page
//	Raw     the page
//
// A stream is records of pages in rising order, each behind a header of 8 bytes:
//
//	index of the page << 16 | kind << 13 | bytes that follow
//
// All numbers are little-endian. The decoder refuses kinds, lengths, bitmaps and orders that no
// encoder makes. It checks all of a page's encoding before it writes the first byte, so a page is
// never half changed, and Apply checks all of a stream. The input must not change while it is read:
// if it does, bytes of the one page may be wrong, or the decoder panics.
//
// The form is the one of word-wise XBZRLE (as in virtual machine migration) with bitmaps instead of
// run lengths: finding and applying changes then needs no decision for each byte.
//
// All functions may be called by any thread; nothing allocates but the errors of streams.
package page

import "errors"

// Sizes. The bitmap of lines is a word and the mask of a line a byte: none of them can be changed
// alone.
const (
	Bytes     = 4096 // of a page
	lineBytes = 64
	wordBytes = 8
	lines     = Bytes / lineBytes

	// HeaderBytes precede each page in a stream.
	HeaderBytes = 8

	// MaxRecordBytes is the most that a page takes in a stream.
	MaxRecordBytes = HeaderBytes + Bytes

	// MaxIndex is the largest index of a page in a stream: 2^48 pages are more than addresses.
	MaxIndex = 1<<48 - 1
)

// A bitmap of lines has 64 bits, and a mask of words 8.
var (
	_ [64 - lines]struct{}
	_ [lines - 64]struct{}
	_ [8 - lineBytes/wordBytes]struct{}
	_ [lineBytes/wordBytes - 8]struct{}
)

// Page is the content of a page.
type Page [Bytes]byte

// Kind says how a page is encoded. It is part of the stream's format.
type Kind uint8

const (
	Same  Kind = iota // as the shadow: nothing to send, and in no stream
	Zero              // no bytes
	Words             // the words that differ from the shadow
	Raw               // all bytes
	kinds
)

// String is the kind's name.
func (k Kind) String() string {
	if k >= kinds {
		return "unknown"
	}
	return [kinds]string{"same", "zero", "words", "raw"}[k]
}

// Errors, to be matched with errors.Is.
var (
	ErrKind   = errors.New("page: unknown kind")
	ErrLength = errors.New("page: length does not fit the kind or the content")
	ErrEmpty  = errors.New("page: a line is said to differ and no word of it is")
	ErrOrder  = errors.New("page: index is not above the one before")
	ErrIndex  = errors.New("page: index is beyond the memory")
	ErrMemory = errors.New("page: memory is not a whole number of pages")
)
