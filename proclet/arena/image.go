package arena

import (
	"fmt"
	"io"
	"math/bits"
)

// An image is what an arena is, apart from where it lies: the bytes up to Extent, with zeros where
// nothing is. Two arenas with equal images behave alike. Of a free block it has the two words that
// the allocator needs. Pages of an image are the pages of the slot.

// ImageBytes is the length of the image: Extent, in whole pages.
func (a *Arena) ImageBytes() int64 {
	return (a.Extent() + PageBytes - 1) / PageBytes * PageBytes
}

// Image appends the image to dst.
func (a *Arena) Image(dst []byte) []byte {
	n := len(dst)
	total := int(a.ImageBytes())
	if cap(dst)-n < total {
		grown := make([]byte, n, n+total)
		copy(grown, dst)
		dst = grown
	}
	dst = dst[:n+total]
	image := dst[n:]
	copied := copy(image, a.slot[:a.Extent()])
	clear(image[copied:])
	blank(image, &a.system)
	blank(image, &a.user)
	normal(image)
	return dst
}

// blank clears what is free of a part, in a copy of the slot.
func blank(image []byte, h *Heap) {
	p := h.part
	for at, word := range h.blocks() {
		if word&liveBit == 0 {
			units := word & sizeMask
			clear(image[h.blankFrom(at, units)*unitBytes : (at+units)*unitBytes])
		}
	}
	end := min(p.end*unitBytes, uint64(len(image)))
	clear(image[p.bump*unitBytes : end])
}

// blankFrom is where in a free block the zeros begin: behind its link, if it has one.
func (h *Heap) blankFrom(at, units uint64) uint64 {
	if units <= smallClasses && uint64(h.part.front[units-1]) == at-1 {
		return at
	}
	return at + 1
}

// normal sets what depends on the slot and not on the arena: which pages have been touched.
func normal(image []byte) {
	h, _ := lay(image)
	for _, p := range [...]*part{&h.system, &h.user} {
		p.high, p.ready = p.bump, p.bump
	}
}

// WriteImage writes the image page by page, without making a copy of it as a whole. It returns the
// first error of w.
func (a *Arena) WriteImage(w io.Writer) error {
	return a.pages(func(_ int64, page []byte) error {
		_, err := w.Write(page)
		return err
	})
}

// pages calls use with each page of the image in turn, in a buffer that is used again.
func (a *Arena) pages(use func(off int64, page []byte) error) error {
	var buffer [PageBytes]byte
	page := buffer[:]
	system, user := newCursor(&a.system), newCursor(&a.user)
	total := a.ImageBytes()
	for off := int64(0); off < total; off += PageBytes {
		copy(page, a.slot[off:])
		system.blank(page, uint64(off))
		user.blank(page, uint64(off))
		if off == 0 {
			normal(page)
		}
		if err := use(off, page); err != nil {
			return err
		}
	}
	return nil
}

// cursor goes through the free runs of a part once, in step with pages.
type cursor struct {
	h        *Heap
	at       uint64 // the next block's payload
	from, to uint64 // the free run that is next or under way, in bytes
}

func newCursor(h *Heap) *cursor {
	c := &cursor{h: h, at: h.part.start + 1}
	c.next()
	return c
}

// next finds the next free run. The last is the rest of the part.
func (c *cursor) next() {
	p := c.h.part
	for c.at <= p.bump {
		at, word := c.at, *c.h.word(c.at - 1)
		units := word & sizeMask
		c.at += units + 1
		if word&liveBit == 0 {
			if from := c.h.blankFrom(at, units); from < at+units {
				c.from, c.to = from*unitBytes, (at+units)*unitBytes
				return
			}
		}
	}
	c.from, c.to = p.end*unitBytes, p.end*unitBytes
	if c.at != restDone {
		c.from, c.at = p.bump*unitBytes, restDone
	}
}

const restDone = 1<<64 - 1 // a cursor that has been given the rest

// blank clears the free runs that reach into the page at off.
func (c *cursor) blank(page []byte, off uint64) {
	end := off + PageBytes
	for c.from < end && c.from < c.to {
		clear(page[max(c.from, off)-off : min(c.to, end)-off])
		if c.to > end {
			return
		}
		c.next()
	}
}

// Install makes the arena of an image in a slot, which must be zero and may be larger than the
// arena's was: the cap is the slot's. The image may come from anybody: it is validated, and refused
// with an ErrImage before anything but the slot was written.
func Install(slot, image []byte, o Options) (*Arena, error) {
	if err := checkSlot(slot); err != nil {
		return nil, err
	}
	if len(image) < headerRoom || len(image) > len(slot) {
		return nil, fmt.Errorf("%w: %d bytes for a slot of %d", ErrImage, len(image), len(slot))
	}
	n := copy(slot, image)
	o.Dirty = int64(n)
	a, err := Adopt(slot, o)
	if err != nil {
		clear(slot[:n])
		return nil, err
	}
	if a.user.watch {
		a.tracker.Wrote(a.off, int64(n))
	}
	return a, nil
}

// Adopt makes a handle to the arena whose bytes are in a slot already, as after its pages arrived
// one by one. It validates as Install does; what is refused is left as it is. Options.Dirty says
// how much of the slot was ever written; what lies behind that and the arena's own Dirty must be
// zero.
func Adopt(slot []byte, o Options) (*Arena, error) {
	if err := checkSlot(slot); err != nil {
		return nil, err
	}
	h, _ := lay(slot)
	before := *h
	if h.magic == magic && h.version == version { // the cap is the slot's, whatever it was before
		h.capLog = uint32(bits.Len64(uint64(len(slot))) - 1)
		h.user.end = uint64(len(slot)) / unitBytes
		h.user.ready = min(h.user.ready, h.user.end)
		dirty := uint64(o.Dirty+unitBytes-1) / unitBytes
		h.user.high = min(max(h.user.high, h.user.bump, dirty), h.user.end)
	}
	a := new(Arena)
	a.attach(slot, Options{Memory: o.Memory, Off: o.Off})
	if err := a.Audit(); err != nil {
		*h = before
		return nil, err
	}
	a.attach(slot, o)
	a.user.noteHeader()
	return a, nil
}

// Clone makes a second arena with the same content in another slot, which must be zero.
func (a *Arena) Clone(slot []byte, o Options) (*Arena, error) {
	if err := checkSlot(slot); err != nil {
		return nil, err
	}
	if int64(len(slot)) < a.Extent() {
		return nil, fmt.Errorf("%w: %d bytes for a clone of %d", ErrSlot, len(slot), a.Extent())
	}
	if err := a.pages(func(off int64, page []byte) error {
		copy(slot[off:], page)
		return nil
	}); err != nil {
		return nil, err
	}
	h, _ := lay(slot)
	h.capLog = uint32(bits.Len64(uint64(len(slot))) - 1)
	h.user.end = uint64(len(slot)) / unitBytes
	c := new(Arena)
	c.attach(slot, o)
	if c.user.watch {
		c.tracker.Wrote(c.off, c.ImageBytes())
	}
	return c, nil
}

// check validates a header against the size of the slot it is in.
func (h *header) check(size uint64) error {
	const first = headerRoom / unitBytes
	s, u := &h.system, &h.user
	switch {
	case h.magic != magic:
		return fmt.Errorf("%w: it does not begin as an arena does", ErrImage)
	case h.version != version:
		return fmt.Errorf("%w: version %d, want %d", ErrImage, h.version, version)
	case h.capLog > 63 || uint64(1)<<h.capLog != size:
		return fmt.Errorf("%w: a cap of 2^%d bytes in a slot of %d", ErrImage, h.capLog, size)
	case s.start != first || s.end != u.start || u.start < first ||
		u.start > size/2/unitBytes+pageUnits || u.start%pageUnits != 0 ||
		u.end != size/unitBytes || u.start > u.end:
		return fmt.Errorf("%w: parts [%d, %d) and [%d, %d) of %d units", ErrImage, s.start, s.end,
			u.start, u.end, size/unitBytes)
	}
	for _, p := range [...]*part{s, u} {
		if p.gen&1 == 0 || p.bump < p.start || p.bump > p.high || p.high > p.end ||
			p.ready < p.start || p.ready > p.end {
			return fmt.Errorf("%w: a part [%d, %d) with bump %d, high %d, ready %d", ErrImage,
				p.start, p.end, p.bump, p.high, p.ready)
		}
	}
	return nil
}
