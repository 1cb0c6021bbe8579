package mem

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// preferred is where a window is wanted: Go draws the base of its heap below 2^46, and the race
// detector's shadow and position independent programs lie elsewhere (measured: 0 collisions in 600
// starts; 0x200000000000 had 26 %). It is a preference: nothing that is stored depends on it.
const preferred = 0x4000_0000_0000

// Window is one range of address space, for all arenas of a process. It is readable and writable
// from the start and costs no memory where nobody has written: there is no commit, because each
// island of another protection would be two more mappings, of which a process has 65,530.
//
//	0            Populate        Drop                        Size
//	├──────────────┬───────────────┬───────────────────────────┤
//	│ pages there  │ pages there   │ no pages: reads as zero   │  one mapping, one userfaultfd
//	└──────────────┴───────────────┴───────────────────────────┘
//
// Offsets and lengths are multiples of the page size; anything else, or a range that is not within
// the window, is an error. Calls for ranges that do not overlap may be made by any number of
// threads.
type Window struct {
	bytes []byte
	page  int64
	user  userfault
}

// Reserve makes a window of size bytes, a multiple of the page size. It takes no memory. What
// changes in it can be tracked (NewTracker) where the kernel has what that takes.
func Reserve(size int64) (*Window, error) {
	page := int64(os.Getpagesize())
	if size <= 0 || size%page != 0 {
		return nil, fmt.Errorf("mem: reserve %d bytes: want a positive multiple of the page "+
			"size %d", size, page)
	}
	b, err := reserve(preferred, int(size))
	if err != nil {
		if b, err = reserve(0, int(size)); err != nil {
			return nil, fmt.Errorf("mem: reserve %d bytes of address space (see ulimit -v and "+
				"vm.overcommit_memory): %w", size, err)
		}
	}
	// A huge page that is written to for the first time after it was armed is split, which takes
	// 10 us, and freeing a part of it frees nothing. A kernel without huge pages refuses: EINVAL.
	if err := unix.Madvise(b, unix.MADV_NOHUGEPAGE); err != nil && !errors.Is(err, unix.EINVAL) {
		return nil, errors.Join(fmt.Errorf("mem: forbid huge pages: %w", err), unmap(b))
	}
	w := &Window{bytes: b, page: page}
	w.user = openTracking(b)
	return w, nil
}

// Bytes is the whole window. Nothing keeps anybody from using it after Close: that is a fault.
func (w *Window) Bytes() []byte { return w.bytes }

// Populate makes the pages of a range present, so that using them costs no fault. What is there
// stays.
func (w *Window) Populate(off, n int64) error {
	b, err := w.pages("populate", off, n)
	if err != nil || n == 0 {
		return err
	}
	err = again(func() error { return unix.Madvise(b, unix.MADV_POPULATE_WRITE) })
	if errors.Is(err, unix.EINVAL) { // before Linux 5.14
		touch(b, int(w.page))
		return nil
	}
	return failed("populate", off, n, err)
}

// Drop gives the pages of a range back to the system. It reads as zero then.
func (w *Window) Drop(off, n int64) error {
	b, err := w.pages("drop", off, n)
	if err != nil || n == 0 {
		return err
	}
	err = again(func() error { return unix.Madvise(b, unix.MADV_DONTNEED) })
	return failed("drop", off, n, err)
}

// Resident is how many bytes of a range have pages: for audits, since it asks for each page.
func (w *Window) Resident(off, n int64) (bytes int64, err error) {
	b, err := w.pages("look at", off, n)
	if err != nil {
		return 0, err
	}
	var in [2048]byte // a page each
	for len(b) > 0 {
		part := b[:min(len(b), len(in)*int(w.page))]
		b = b[len(part):]
		pages := in[:len(part)/int(w.page)]
		if err := mincore(part, pages); err != nil {
			return 0, failed("look at", off, n, err)
		}
		for _, page := range pages {
			bytes += int64(page&1) * w.page
		}
	}
	return bytes, nil
}

// Protect makes a range inaccessible (on), so that using it is a fault, or accessible again. Its
// pages and what they hold stay. It is for finding mistakes: each inaccessible island costs two
// mappings and each call some microseconds.
func (w *Window) Protect(off, n int64, on bool) error {
	b, err := w.pages("protect", off, n)
	if err != nil || n == 0 {
		return err
	}
	access := unix.PROT_READ | unix.PROT_WRITE
	if on {
		access = unix.PROT_NONE
	}
	return failed("protect", off, n, unix.Mprotect(b, access))
}

// Move moves what src holds to dst, n bytes each, without a copy where the kernel can, and drops
// src. What dst held is gone, and what src has no page for reads as zero. Whoever tracks dst has to
// take all of it for changed. After an error nothing was moved.
func (w *Window) Move(dst, src, n int64) error {
	to, err := w.pages("move to", dst, n)
	if err != nil {
		return err
	}
	from, err := w.pages("move from", src, n)
	if err != nil {
		return err
	}
	if dst < src+n && src < dst+n {
		return fmt.Errorf("mem: move of %d bytes from %#x to %#x: they overlap", n, src, dst)
	}
	if err := w.Drop(dst, n); err != nil {
		return err
	}
	rest := w.user.move(to, from)
	// Not this kernel's, or a page that is shared or pinned: copy what is left.
	copy(to[rest:], from[rest:])
	if w.Drop(src, n) != nil { // for as long as it cannot be given back, it can be cleared
		clear(from)
	}
	return nil
}

// Close gives the window back. Whoever holds ranges of it must have stopped using them.
func (w *Window) Close() error {
	if w.bytes == nil {
		return nil
	}
	err := errors.Join(w.user.close(), unmap(w.bytes))
	w.bytes = nil
	if err != nil {
		return fmt.Errorf("mem: close window: %w", err)
	}
	return nil
}

// pages is a range of whole pages.
func (w *Window) pages(what string, off, n int64) ([]byte, error) {
	size := int64(len(w.bytes))
	if (off|n)&(w.page-1) != 0 || off < 0 || n < 0 || off > size-n {
		return nil, fmt.Errorf("mem: %s %d bytes at %#x: want whole pages of a window of %#x",
			what, n, off, size)
	}
	return w.bytes[off : off+n : off+n], nil
}

func failed(what string, off, n int64, err error) error {
	if err != nil {
		return fmt.Errorf("mem: %s %d bytes at %#x: %w", what, n, off, err)
	}
	return nil
}

// retries bounds how often a call that the kernel says to repeat is repeated. (guess: a signal or a
// page that is under way comes a few times, not for ever)
const retries = 100

// again repeats a call for as long as the kernel asks for that.
func again(call func() error) (err error) {
	for range retries {
		if err = call(); !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return err
}
