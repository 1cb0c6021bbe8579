package arena

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	"github.com/klauspost/compress/zstd"
)

// A checkpoint is a head, and behind it one zstd stream of records: of each page of the image that
// is not all zeros its number, its CRC32C and its bytes, in rising order; then one that says how
// many pages the image has, with the CRC32C over all the others' checksums. Numbers are
// little-endian.
//
//	head   magic, version
//	record page uint32, crc32c uint32, 4096 bytes      repeated
//	record end = 2^32-1, crc32c uint32, pages uint32
//
// Nothing that a checkpoint says about sizes is believed: a page is read into a buffer of one page,
// and has to lie in the slot that the reader has made.
const (
	checkpointMagic   = 0x74706b63_6e6c7564 // "dulnckpt", as little-endian bytes
	checkpointVersion = 1
	checkpointHead    = 12        // bytes
	checkpointEnd     = 1<<32 - 1 // a page number that no image has
	recordHead        = 8         // bytes
	maxWindow         = 8 << 20   // bytes of history that a reader keeps: what the writer may use
	zstdLevel         = 1         // "fastest": the others gain little (guess)
	imageMaxPages     = MaxCap / PageBytes
)

// Checkpoint writes the arena as it is. It ends with the first error of w. The arena must not be
// used by its proclet meanwhile; nothing of it changes.
func (a *Arena) Checkpoint(w io.Writer) error {
	var head [checkpointHead]byte
	binary.LittleEndian.PutUint64(head[0:], checkpointMagic)
	binary.LittleEndian.PutUint32(head[8:], checkpointVersion)
	if _, err := w.Write(head[:]); err != nil {
		return fmt.Errorf("arena: checkpoint: %w", err)
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow),
		zstd.WithEncoderLevel(zstdLevel), zstd.WithEncoderCRC(false)) // we have sums of our own
	if err != nil {
		return fmt.Errorf("arena: checkpoint: %w", err)
	}
	if err := a.records(z); err != nil {
		return fmt.Errorf("arena: checkpoint: %w", errors.Join(err, z.Close()))
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("arena: checkpoint: %w", err)
	}
	return nil
}

func (a *Arena) records(w io.Writer) error {
	var head [recordHead + 4]byte
	all := uint32(0)
	err := a.pages(func(off int64, page []byte) error {
		if isZero(page) {
			return nil
		}
		sum := crc32.Checksum(page, castagnoli)
		binary.LittleEndian.PutUint32(head[0:], uint32(off/PageBytes))
		binary.LittleEndian.PutUint32(head[4:], sum)
		all = crc32.Update(all, castagnoli, head[:recordHead])
		if _, err := w.Write(head[:recordHead]); err != nil {
			return err
		}
		_, err := w.Write(page)
		return err
	})
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(head[0:], checkpointEnd)
	binary.LittleEndian.PutUint32(head[8:], uint32(a.ImageBytes()/PageBytes))
	all = crc32.Update(all, castagnoli, head[8:])
	binary.LittleEndian.PutUint32(head[4:], all)
	_, err = w.Write(head[:])
	return err
}

func isZero(page []byte) bool {
	for ; len(page) >= 8; page = page[8:] {
		if binary.LittleEndian.Uint64(page) != 0 {
			return false
		}
	}
	return true
}

// Restore makes the arena of a checkpoint in a slot, which must be zero and may be larger than the
// arena's was. What is read is validated like an image from anybody; after an error, an ErrImage or
// one of r, the slot is zero again as far as it was written.
func Restore(slot []byte, r io.Reader, o Options) (*Arena, error) {
	if err := checkSlot(slot); err != nil {
		return nil, err
	}
	p := restorer{slot: slot, written: make([]uint64, (len(slot)/PageBytes+63)/64)}
	a, err := p.restore(r, o)
	if err != nil {
		p.wipe()
		return nil, fmt.Errorf("arena: restore: %w", err)
	}
	return a, nil
}

// restorer is a Restore under way.
type restorer struct {
	slot    []byte
	written []uint64 // a bit for each page of the slot
	next    uint32   // the least page that may come
	sums    uint32   // CRC32C over the records' heads
}

func (p *restorer) restore(r io.Reader, o Options) (*Arena, error) {
	if err := p.pages(r); err != nil {
		return nil, err
	}
	o.Dirty = int64(p.next) * PageBytes
	a, err := Adopt(p.slot, o)
	if err != nil {
		return nil, err
	}
	if a.ImageBytes() < o.Dirty {
		return nil, fmt.Errorf("%w: page %d is behind the arena's last", ErrImage, p.next-1)
	}
	if a.user.watch {
		a.tracker.Wrote(a.off, o.Dirty)
	}
	return a, nil
}

// wipe clears the pages that were written, and touches no others.
func (p *restorer) wipe() {
	for i, word := range p.written {
		for ; word != 0; word &= word - 1 {
			clear(p.slot[(i*64+bits.TrailingZeros64(word))*PageBytes:][:PageBytes])
		}
	}
}

// pages reads a checkpoint into the slot.
func (p *restorer) pages(r io.Reader) error {
	var head [checkpointHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("%w: its head: %w", ErrImage, err)
	}
	if binary.LittleEndian.Uint64(head[0:]) != checkpointMagic {
		return fmt.Errorf("%w: it does not begin as a checkpoint does", ErrImage)
	}
	if v := binary.LittleEndian.Uint32(head[8:]); v != checkpointVersion {
		return fmt.Errorf("%w: checkpoint version %d, want %d", ErrImage, v, checkpointVersion)
	}
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer z.Close()
	for {
		if _, err := io.ReadFull(z, head[:recordHead]); err != nil {
			return fmt.Errorf("%w: it ends before page %d: %w", ErrImage, p.next, err)
		}
		page := binary.LittleEndian.Uint32(head[0:])
		sum := binary.LittleEndian.Uint32(head[4:])
		if page == checkpointEnd {
			return p.end(z, sum)
		}
		if err := p.page(z, page, sum); err != nil {
			return err
		}
		p.sums = crc32.Update(p.sums, castagnoli, head[:recordHead])
		p.next = page + 1
	}
}

func (p *restorer) page(r io.Reader, page, sum uint32) error {
	if page < p.next || uint64(page) >= uint64(len(p.slot))/PageBytes {
		return fmt.Errorf("%w: page %d, but page %d or a later one of %d has to come", ErrImage,
			page, p.next, len(p.slot)/PageBytes)
	}
	into := p.slot[int64(page)*PageBytes:][:PageBytes]
	set(p.written, int64(page), int64(page)+1)
	if _, err := io.ReadFull(r, into); err != nil {
		return fmt.Errorf("%w: it ends in page %d: %w", ErrImage, page, err)
	}
	if got := crc32.Checksum(into, castagnoli); got != sum {
		return fmt.Errorf("%w: page %d has the checksum %#x, want %#x", ErrImage, page, got, sum)
	}
	return nil
}

// end checks the last record, and that it is the last.
func (p *restorer) end(r io.Reader, sum uint32) error {
	var last [5]byte
	if n, err := io.ReadFull(r, last[:]); n != 4 || !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %d bytes where the last 4 should be: %w", ErrImage, n, err)
	}
	if got := crc32.Update(p.sums, castagnoli, last[:4]); got != sum {
		return fmt.Errorf("%w: the pages have the checksum %#x, want %#x", ErrImage, got, sum)
	}
	if pages := binary.LittleEndian.Uint32(last[:]); pages < p.next || pages > imageMaxPages {
		return fmt.Errorf("%w: %d pages, with one of number %d", ErrImage, pages, p.next-1)
	}
	return nil
}
