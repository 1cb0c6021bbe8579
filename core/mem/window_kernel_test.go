package mem

import (
	"bytes"
	"errors"
	"os"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	pageBytes   = 4096
	windowBytes = 64 << 20
)

func window(t testing.TB) *Window {
	t.Helper()
	if os.Getpagesize() != pageBytes {
		t.Skipf("the offsets of this test are for pages of %d bytes", pageBytes)
	}
	w, err := Reserve(windowBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// resident lists which pages of a range are present.
func resident(t testing.TB, w *Window, off, n int64) []bool {
	t.Helper()
	in := make([]byte, n/pageBytes)
	if err := mincore(w.bytes[off:off+n], in); err != nil {
		t.Fatal(err)
	}
	out := make([]bool, len(in))
	for i, b := range in {
		out[i] = b&1 != 0
	}
	return out
}

func count(list []bool) (n int) {
	for _, is := range list {
		if is {
			n++
		}
	}
	return n
}

func TestReserve(t *testing.T) {
	const huge = 16 << 40 // as an application has it
	w, err := Reserve(huge)
	if err != nil {
		t.Fatal(err)
	}
	if got := address(w.bytes); got != preferred {
		t.Errorf("the window is at %#x, and nothing else lies at %#x", got, uint64(preferred))
	}
	other, err := Reserve(huge)
	if err != nil {
		t.Fatalf("a second window, which cannot be where it is wanted: %v", err)
	}
	for _, w := range []*Window{w, other} {
		last := int64(len(w.Bytes())) - 1
		w.Bytes()[0], w.Bytes()[last] = 1, 2
		if n := count(resident(t, w, 0, 1<<20)); n != 1 {
			t.Errorf("%d pages of the first MiB are present, 1 was written", n)
		}
		for range 2 {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	for _, size := range []int64{0, -4096, 4095, 4097, 1 << 62} {
		if w, err := Reserve(size); err == nil {
			w.Close()
			t.Errorf("%d bytes: reserved", size)
		}
	}
}

func TestPopulateAndDrop(t *testing.T) {
	w := window(t)
	const off, n = 1 << 20, 64 * pageBytes
	w.Bytes()[off+5] = 5
	if err := w.Populate(off, n); err != nil {
		t.Fatal(err)
	}
	if got := count(resident(t, w, off, n)); got != 64 {
		t.Errorf("%d pages are present, want 64", got)
	}
	if got, err := w.Resident(0, windowBytes); err != nil || got != n {
		t.Errorf("%d bytes have pages, %v, want %d", got, err, n)
	}
	if w.Bytes()[off+5] != 5 {
		t.Error("populating changed a byte")
	}
	if err := w.Drop(off, n/2); err != nil {
		t.Fatal(err)
	}
	if got := count(resident(t, w, off, n)); got != 32 {
		t.Errorf("%d pages are present after half of 64 were dropped", got)
	}
	if w.Bytes()[off+5] != 0 {
		t.Error("a dropped byte is still there")
	}
}

// TestTouch is what populates on kernels that cannot be asked to.
func TestTouch(t *testing.T) {
	w := window(t)
	w.Bytes()[3*pageBytes] = 9
	touch(w.Bytes()[:8*pageBytes], pageBytes)
	if got := count(resident(t, w, 0, 16*pageBytes)); got != 8 {
		t.Errorf("%d pages are present, want 8", got)
	}
	if w.Bytes()[3*pageBytes] != 9 {
		t.Error("touching changed a byte")
	}
}

func TestRangesAreChecked(t *testing.T) {
	w := window(t)
	tracker, err := NewTracker(w)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(off, n int64) error{
		"populate": w.Populate,
		"drop":     w.Drop,
		"protect":  func(off, n int64) error { return w.Protect(off, n, false) },
		"move to":  func(off, n int64) error { return w.Move(off, 1<<20, n) },
		"move":     func(off, n int64) error { return w.Move(1<<20, off, n) },
		"track":    tracker.Track,
		"untrack":  tracker.Untrack,
		"t.drop":   tracker.Drop,
		"scan":     func(off, n int64) error { _, err := tracker.Scan(off, n, nil); return err },
	}
	for _, r := range [][2]int64{
		{1, 4096},
		{4096, 1},
		{-4096, 4096},
		{0, -4096},
		{windowBytes, 4096},
		{windowBytes - 4096, 8192},
		{0, windowBytes + 4096},
		{1<<63 - 4096, 4096},
		{4096, 1<<63 - 4096},
	} {
		for name, call := range calls {
			if err := call(r[0], r[1]); err == nil {
				t.Errorf("%s of %d bytes at %d: no error", name, r[1], r[0])
			}
		}
	}
	if err := w.Move(0, pageBytes, 2*pageBytes); err == nil {
		t.Error("moved a range over itself")
	}
}

// TestProtect: touching what is inaccessible is a fault, and what was there is there afterwards.
func TestProtect(t *testing.T) {
	w := window(t)
	w.Bytes()[pageBytes] = 3
	if err := w.Protect(pageBytes, pageBytes, true); err != nil {
		t.Fatal(err)
	}
	if !faults(func() { w.Bytes()[pageBytes] = 4 }) {
		t.Error("a protected page was written to")
	}
	if err := w.Protect(pageBytes, pageBytes, false); err != nil {
		t.Fatal(err)
	}
	if w.Bytes()[pageBytes] != 3 {
		t.Errorf("it holds %d, want 3", w.Bytes()[pageBytes])
	}
}

func faults(do func()) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { fault = recover() != nil }()
	do()
	return false
}

// TestMove: by moving pages and by copying them, what was there arrives, what was at the
// destination is gone, and nothing is left behind.
func TestMove(t *testing.T) {
	for name, mayMove := range map[string]bool{"moved": true, "copied": false} {
		t.Run(name, func(t *testing.T) {
			w := window(t)
			if mayMove && w.user.moving != nil {
				t.Skip("this kernel cannot move pages: ", w.user.moving)
			}
			w.user.mayMove = mayMove
			const src, dst, n = 0, 8 << 20, 600 * pageBytes // more than a page table holds
			want := make([]byte, n)
			for page := 0; page < n; page += 3 * pageBytes { // with holes
				for i := range 100 {
					want[page+i] = byte(page>>12 + i + 1)
				}
			}
			for page := 0; page < n; page += 3 * pageBytes {
				copy(w.Bytes()[src+page:], want[page:page+pageBytes])
			}
			copy(w.Bytes()[dst+pageBytes:], "what was there before")
			if err := w.Move(dst, src, n); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(w.Bytes()[dst:dst+n], want) {
				t.Error("other bytes arrived")
			}
			if got := count(resident(t, w, src, n)); got != 0 {
				t.Errorf("%d pages stayed behind", got)
			}
		})
	}
}

// TestMoveOfPinnedPages: a page that the kernel holds for somebody cannot be moved; its bytes can.
func TestMoveOfPartlyMovedPages(t *testing.T) {
	w := window(t)
	if w.user.moving != nil {
		t.Skip("this kernel cannot move pages: ", w.user.moving)
	}
	const src, dst, n = 0, 8 << 20, 8 * pageBytes
	for page := range 8 {
		w.Bytes()[src+page*pageBytes] = byte(page + 1)
	}
	// Somebody reads the destination in between: its page is there, and the move stops at it.
	if w.Bytes()[dst+4*pageBytes] != 0 {
		t.Fatal("the window is not empty")
	}
	moved := w.user.move(w.bytes[dst:dst+n], w.bytes[src:src+n])
	if moved != 4*pageBytes {
		t.Fatalf("moved %d bytes, and the fifth page was in the way", moved)
	}
	if err := w.Move(dst, src, 4*pageBytes); err != nil { // and again, over what is there
		t.Fatal(err)
	}
	if got := count(resident(t, w, dst, n)); got != 1 {
		t.Errorf("%d pages at the destination, want the one that was in the way", got)
	}
}

func TestProbe(t *testing.T) {
	f, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if f.Tracking != nil || f.Moving != nil {
		t.Skipf("this kernel has not all of it: %v, %v", f.Tracking, f.Moving)
	}
}

func TestUnsupported(t *testing.T) {
	for _, c := range []struct {
		err       error
		feature   Feature
		forbidden bool
		says      string
	}{
		{unsupported(WriteProtect, unix.EPERM), WriteProtect, true, "may not use it"},
		{unsupported(PageScan, unix.ENOTTY), PageScan, false, "from 6.7 on"},
		{unsupported(PageMove, errNoMove), PageMove, false, "from 6.8 on"},
	} {
		var u *UnsupportedError
		if !errors.As(c.err, &u) || u.Feature != c.feature || u.Forbidden != c.forbidden {
			t.Errorf("%v: not what was made", c.err)
		}
		if !bytes.Contains([]byte(c.err.Error()), []byte(c.says)) {
			t.Errorf("%v: does not say %q", c.err, c.says)
		}
	}
	w := &Window{user: userfault{tracking: unsupported(WriteProtect, unix.ENOSYS)}}
	if _, err := NewTracker(w); !errors.Is(err, unix.ENOSYS) {
		t.Errorf("a tracker without a kernel for it: %v", err)
	}
}
