package mem

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core/dirty"
)

// ErrNotTracked says that a scan was asked for a range that nobody tracks.
var ErrNotTracked = errors.New("the range is not tracked")

// scanRegions is how many runs of pages one call of the kernel can report: 3 KiB of stack. A scan
// that finds more takes more calls.
const scanRegions = 128

// Tracker says which pages of a window changed, by the kernel's account: writes of any kind, also
// the kernel's own on this process's behalf, as in read(2). A first write to a page after a scan
// costs a fault, under 1 us; all others cost nothing. A page that was not there and is read counts
// as written: it became one.
//
// Any number of threads may call it, for ranges that do not overlap. Writers need not stop during a
// scan: what they write while it runs is reported by it or by the next one, so whoever copies pages
// copies them after the scan that named them.
type Tracker struct {
	w *Window

	mu     sync.Mutex
	ledger dirty.Ledger
	ranges atomic.Int64 // ledger.Ranges, so that nobody waits while nothing is tracked
}

// NewTracker returns a tracker of w, or an UnsupportedError. A window has one at most: two would
// take each other's reports.
func NewTracker(w *Window) (*Tracker, error) {
	if w.user.tracking != nil {
		return nil, w.user.tracking
	}
	return &Tracker{w: w}, nil
}

// Track begins with a range: the next scan reports all of it.
func (t *Tracker) Track(off, n int64) error {
	if _, err := t.w.pages("track", off, n); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ledger.Track(off, n)
	t.ranges.Store(int64(t.ledger.Ranges()))
	return nil
}

// Tracked reports whether all of a range is tracked.
func (t *Tracker) Tracked(off, n int64) bool {
	if t.ranges.Load() == 0 {
		return n == 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ledger.Tracked(off, n)
}

// Untrack forgets a range, and disarms it: who has it next pays no faults for what was asked
// before. It costs next to nothing if the range is not tracked.
func (t *Tracker) Untrack(off, n int64) error {
	b, err := t.w.pages("untrack", off, n)
	if err != nil || t.ranges.Load() == 0 {
		return err
	}
	t.mu.Lock()
	had := t.ledger.Untrack(off, n)
	t.ranges.Store(int64(t.ledger.Ranges()))
	t.mu.Unlock()
	if !had {
		return nil
	}
	return failed("disarm", off, n, again(func() error { return disarm(t.w.user.fd, b) }))
}

// Wrote does nothing: the kernel notices.
func (t *Tracker) Wrote(off, n int64) {}

// Settle does nothing.
func (t *Tracker) Settle(off, n int64) {}

// Drop gives pages back to the system, as Window.Drop, and remembers that for the next scan: the
// kernel reports no page that is not there.
func (t *Tracker) Drop(off, n int64) error {
	if err := t.w.Drop(off, n); err != nil || t.ranges.Load() == 0 {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ledger.Drop(off, n)
	return nil
}

// Scan appends what changed in a range since the scan before, in rising order and without overlap,
// and begins anew. After an error everything counts as changed again. It allocates nothing if dst
// has room and nothing was dropped.
func (t *Tracker) Scan(off, n int64, dst []dirty.Change) ([]dirty.Change, error) {
	if _, err := t.w.pages("scan", off, n); err != nil || n == 0 {
		return dst, err
	}
	t.mu.Lock()
	if !t.ledger.Tracked(off, n) {
		t.mu.Unlock()
		return dst, fmt.Errorf("mem: scan %d bytes at %#x: %w", n, off, ErrNotTracked)
	}
	var room [4]dirty.Part // nearly always it is one
	m, parts := t.ledger.Take(off, n, room[:0])
	t.mu.Unlock()

	had := len(dst)
	for _, p := range parts {
		mask := uint64(pageWritten)
		if p.Fresh {
			mask = 0 // present will do: an earlier owner's mark says nothing
		}
		var err error
		if dst, err = t.scanPart(p.Off, p.Len, mask, &m, dst); err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.ledger.Track(off, n)
			return dst[:had], failed("scan", off, n, err)
		}
	}
	return m.End(dst), nil
}

// scanPart reports one part and arms it again.
func (t *Tracker) scanPart(off, n int64, mask uint64, m *dirty.Merger, dst []dirty.Change) (
	[]dirty.Change, error,
) {
	var regions [scanRegions]pageRegion
	b := t.w.bytes[off : off+n]
	base := address(t.w.bytes)
	// Each call comes further by a page at least, so this ends.
	for len(b) > 0 {
		found, done, err := scanPages(t.w.user.scan, b, mask, regions[:])
		if err != nil {
			return dst, err
		}
		for _, r := range regions[:found] {
			dst = m.Written(int64(r.start-base), int64(r.end-r.start), dst)
		}
		if done <= 0 {
			return dst, fmt.Errorf("PAGEMAP_SCAN came no further: %w", os.ErrInvalid)
		}
		b = b[done:]
	}
	return dst, nil
}
