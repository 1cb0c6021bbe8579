package arena

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/dunlin-io/dunlin/core/invariant"
)

// Software is a Tracker that is told of each change. It is pure: it runs where the kernel offers
// nothing, and in the simulator. Under the build tag invariants it keeps a checksum of each page
// and panics in Scan if a page changed and nobody said so.
//
// It belongs to one thread, as the arenas of its memory do.
type Software struct {
	memory Memory
	pages  []uint8  // of each page: the flags below
	open   []uint32 // pages with views, each once
	sums   []uint32 // of each page, as it was when last reported; only under invariants
}

const (
	pageTracked = 1 << iota
	pageWritten
	pageDropped // and not written since
	pageOpen    // views of it are out: it stays written until they are settled
	pageSummed  // sums has what it held when it was last reported
)

// maxPages bounds a Software's memory: one byte, under invariants five, for each page.
const maxPages = 1 << 28 // a window of 1 TiB (guess: more than a simulated host)

// NewSoftware returns a tracker for the arenas in a memory.
func NewSoftware(memory Memory) (*Software, error) {
	n := len(memory.Bytes()) / PageBytes
	if n < 1 || n > maxPages {
		return nil, fmt.Errorf("arena: a software tracker for %d pages: want 1 to %d", n, maxPages)
	}
	s := &Software{memory: memory, pages: make([]uint8, n)}
	if invariant.Enabled {
		s.sums = make([]uint32, n)
	}
	return s, nil
}

// Track begins with a range: all of it counts as written.
func (s *Software) Track(off, n int64) error {
	first, end, err := s.bounds("track", off, n)
	for i := first; i < end; i++ {
		s.pages[i] = pageTracked | pageWritten
	}
	return err
}

// Untrack forgets a range.
func (s *Software) Untrack(off, n int64) error {
	first, end, err := s.bounds("untrack", off, n)
	if err == nil {
		s.Settle(off, n)
		clear(s.pages[first:end])
	}
	return err
}

// Wrote remembers that bytes are written, and may be until Settle.
func (s *Software) Wrote(off, n int64) {
	if n <= 0 {
		return
	}
	for i := off / PageBytes; i <= (off+n-1)/PageBytes; i++ {
		flags := s.pages[i]
		if flags&(pageTracked|pageOpen) == pageTracked {
			s.pages[i] = flags&^pageDropped | pageWritten | pageOpen
			s.open = append(s.open, uint32(i))
		}
	}
}

// Settle ends the views into a range.
func (s *Software) Settle(off, n int64) {
	kept := s.open[:0]
	for _, i := range s.open {
		if at := int64(i) * PageBytes; at < off || at-off >= n {
			kept = append(kept, i)
			continue
		}
		if s.pages[i]&pageTracked != 0 {
			s.pages[i] = s.pages[i]&^pageOpen | pageWritten
		}
	}
	s.open = kept
}

// Drop drops pages through the memory.
func (s *Software) Drop(off, n int64) error {
	first, end, err := s.bounds("drop", off, n)
	if err != nil {
		return err
	}
	if err := s.memory.Drop(off, n); err != nil {
		return err
	}
	for i := first; i < end; i++ {
		if flags := s.pages[i]; flags&pageTracked != 0 {
			s.pages[i] = flags&^pageWritten | pageDropped
		}
	}
	return nil
}

// Scan reports the pages that were written or dropped since the last, and those with views.
func (s *Software) Scan(off, n int64, dst []Change) ([]Change, error) {
	first, end, err := s.bounds("scan", off, n)
	if err != nil {
		return dst, err
	}
	mine := len(dst)
	for i := first; i < end; i++ {
		if !invariant.Enabled && i%8 == 0 && end-i >= 8 && s.cleanEight(i) {
			i += 7
			continue
		}
		flags := s.pages[i]
		if flags&pageTracked == 0 {
			return dst, fmt.Errorf("arena: scan: the page at %d is not tracked", i*PageBytes)
		}
		changed := flags&(pageWritten|pageDropped|pageOpen) != 0
		if invariant.Enabled {
			s.compare(i, changed)
		}
		if !changed {
			continue
		}
		s.pages[i] &^= pageWritten | pageDropped
		dropped := flags&pageDropped != 0 && flags&pageOpen == 0
		dst = appendPage(dst, mine, i*PageBytes, dropped)
	}
	return dst, nil
}

// cleanEight reports whether eight pages are tracked and nothing else.
func (s *Software) cleanEight(i int64) bool {
	const clean = pageTracked * 0x0101_0101_0101_0101
	return binary.LittleEndian.Uint64(s.pages[i:]) == clean
}

// appendPage adds a page to the changes from mine on.
func appendPage(dst []Change, mine int, off int64, dropped bool) []Change {
	if n := len(dst); n > mine {
		if c := &dst[n-1]; c.Off+c.Len == off && c.Dropped == dropped {
			c.Len += PageBytes
			return dst
		}
	}
	return append(dst, Change{Off: off, Len: PageBytes, Dropped: dropped})
}

// compare checks a page against what it held when it was last reported.
func (s *Software) compare(i int64, changed bool) {
	page := s.memory.Bytes()[i*PageBytes:][:PageBytes]
	sum := crc32.Checksum(page, castagnoli)
	if !changed && s.pages[i]&pageSummed != 0 {
		invariant.Check(s.sums[i] == sum, "arena: a page changed and nobody said so: checksum",
			uint64(sum), uint64(s.sums[i]))
	}
	s.sums[i] = sum
	s.pages[i] |= pageSummed
}

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bounds turns a range into page numbers.
func (s *Software) bounds(verb string, off, n int64) (first, end int64, err error) {
	size := int64(len(s.pages)) * PageBytes
	if off < 0 || n < 0 || off > size || n > size-off || off%PageBytes != 0 || n%PageBytes != 0 {
		return 0, 0, fmt.Errorf("arena: %s [%d, +%d) of %d bytes: want whole pages inside", verb,
			off, n, size)
	}
	return off / PageBytes, (off + n) / PageBytes, nil
}
