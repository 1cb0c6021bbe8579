package mem

import (
	"errors"
	"fmt"
	"os"

	"github.com/dunlin-io/dunlin/core/dirty"
)

// Features says what a window of this process can do, each nil or an UnsupportedError.
type Features struct {
	Tracking error // Tracker works: first writes are noticed, and reported in one call
	Moving   error // Window.Move moves pages instead of copying them
}

// Probe tries it out on a window of a few pages: that a kernel accepts a call does not mean that
// the call does what it should. The error is for when even that window cannot be made.
func Probe() (Features, error) {
	const pages = 8
	page := int64(os.Getpagesize())
	w, err := Reserve(pages * page)
	if err != nil {
		return Features{}, err
	}
	f := Features{Tracking: w.user.tracking, Moving: w.user.moving}
	if f.Tracking == nil {
		f.Tracking = tryTracking(w, page)
	}
	if f.Moving == nil {
		f.Moving = tryMoving(w, page)
	}
	return f, w.Close()
}

// tryTracking writes before and after a scan.
func tryTracking(w *Window, page int64) error {
	t, err := NewTracker(w)
	if err == nil {
		err = t.Track(0, 2*page)
	}
	if err != nil {
		return err
	}
	w.bytes[0] = 1
	if _, err = t.Scan(0, 2*page, nil); err != nil {
		return unsupported(PageScan, err)
	}
	w.bytes[0], w.bytes[page] = 2, 2
	got, err := t.Scan(0, 2*page, nil)
	if err != nil {
		return unsupported(PageScan, err)
	}
	if len(got) != 1 || got[0] != (dirty.Change{Off: 0, Len: 2 * page}) {
		return unsupported(WriteProtect, fmt.Errorf("%w: %v of two pages", errUnarmed, got))
	}
	return nil
}

// tryMoving moves a page.
func tryMoving(w *Window, page int64) error {
	const dst, src = 4, 5 // pages that tryTracking does not use
	w.bytes[src*page] = 7
	from := w.bytes[src*page : (src+1)*page]
	n, err := movePages(w.user.fd, w.bytes[dst*page:(dst+1)*page], from)
	if err == nil && (int64(n) != page || w.bytes[dst*page] != 7) {
		err = errors.New("the page did not arrive")
	}
	if err != nil {
		return unsupported(PageMove, err)
	}
	return nil
}
