package baton

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// Both kinds of pages begin with a header and go on with lines:
//
//	offset  0   magic     u64   \
//	offset  8   version   u32    } written by the iokernel, before anybody else has the page
//	offset 12   lines     u32   /
//	offset 64   line 0          baton page: the iokernel's; load page: of worker 0
//	offset 128  line 1          ... of worker 1
//
// A baton page has one writer, the iokernel, and as many readers as there are runtimes, which the
// seals of its memory keep from writing. A load page belongs to the iokernel and one runtime. That
// runtime can write all of it, the header too: the iokernel never reads that back.
type header struct {
	magic   uint64
	version uint32
	lines   uint32
	_       [LineBytes - 16]byte
}

// What headers say. The magics are "dunlin" and the kind, in the order of bytes on this machine.
const (
	batonMagic uint64 = 0x4e_4f_54_41_42_4e_55_44 // DUNBATON
	loadMagic  uint64 = 0x44_41_4f_4c_30_4e_55_44 // DUN0LOAD

	// version changes with any change to the layout or meaning of a page, or to the protocol.
	version = 2

	// MaxLines is the most cores of a baton page and workers of a load page. (guess: four times the
	// largest machines)
	MaxLines = 4096
)

// ErrLayout is what pages are refused with that are not what they should be.
var ErrLayout = errors.New("not a page of this version")

// PageBytes is the size of a page with so many lines, rounded up to whole pages of memory.
func PageBytes(lines, memoryPage int) int {
	return ((1+lines)*LineBytes + memoryPage - 1) / memoryPage * memoryPage
}

// Page is the baton page: a word for each core.
type Page struct{ cells []Cell }

// NewPage makes a baton page of mem, with every core nobody's. It is the iokernel's.
func NewPage(mem []byte, cores int) (*Page, error) {
	if err := begin(mem, cores, batonMagic); err != nil {
		return nil, fmt.Errorf("baton: page for %d cores: %w", cores, err)
	}
	return &Page{lay[Cell](mem, cores)}, nil
}

// OpenPage finds the baton page that another process has made of mem.
func OpenPage(mem []byte) (*Page, error) {
	cores, err := check(mem, batonMagic)
	if err != nil {
		return nil, fmt.Errorf("baton: page: %w", err)
	}
	return &Page{lay[Cell](mem, cores)}, nil
}

// Cores is how many cores the page has words for.
func (p *Page) Cores() int { return len(p.cells) }

// Cell is the line of a core below Cores.
func (p *Page) Cell(core int) *Cell { return &p.cells[core] }

// Load is a core's word now.
func (p *Page) Load(core int) Word { return p.cells[core].Load() }

// Grant gives a core to an owner and returns the new word; see Cell.Grant.
func (p *Page) Grant(core int, o Owner) Word { return p.cells[core].Grant(o) }

// Load is a runtime's load page: a line for each of its workers.
type Load struct{ lines []Line }

// NewLoad makes a load page of mem, with every worker absent. It is the iokernel's.
func NewLoad(mem []byte, workers int) (*Load, error) {
	if err := begin(mem, workers, loadMagic); err != nil {
		return nil, fmt.Errorf("baton: load page for %d workers: %w", workers, err)
	}
	return &Load{lay[Line](mem, workers)}, nil
}

// OpenLoad finds the load page that the iokernel has made of mem.
func OpenLoad(mem []byte) (*Load, error) {
	workers, err := check(mem, loadMagic)
	if err != nil {
		return nil, fmt.Errorf("baton: load page: %w", err)
	}
	return &Load{lay[Line](mem, workers)}, nil
}

// Workers is how many lines the page has.
func (l *Load) Workers() int { return len(l.lines) }

// Line is that of a worker below Workers.
func (l *Load) Line(worker int) *Line { return &l.lines[worker] }

// begin writes the header. The version comes last: a page without one is not finished.
func begin(mem []byte, lines int, magic uint64) error {
	if lines < 1 || lines > MaxLines || len(mem) < (1+lines)*LineBytes {
		return fmt.Errorf("%d lines in %d bytes: want 1 to %d lines of %d bytes behind a header",
			lines, len(mem), MaxLines, LineBytes)
	}
	h, err := head(mem)
	if err != nil {
		return err
	}
	h.magic, h.lines = magic, uint32(lines)
	atomic.StoreUint32(&h.version, version)
	return nil
}

// check reads the header once and returns how many lines follow.
func check(mem []byte, magic uint64) (lines int, err error) {
	if len(mem) < LineBytes {
		return 0, fmt.Errorf("%d bytes: %w", len(mem), ErrLayout)
	}
	h, err := head(mem)
	if err != nil {
		return 0, err
	}
	v := atomic.LoadUint32(&h.version)
	m, n := h.magic, int64(h.lines)
	switch {
	case m != magic:
		return 0, fmt.Errorf("magic %#x, want %#x: %w", m, magic, ErrLayout)
	case v != version:
		return 0, fmt.Errorf("version %d, want %d: %w", v, version, ErrLayout)
	case n < 1 || n > MaxLines || int64(len(mem)) < (1+n)*LineBytes:
		return 0, fmt.Errorf("%d lines in %d bytes: %w", n, len(mem), ErrLayout)
	}
	return int(n), nil
}
