package mem

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/dunlin-io/dunlin/core/dirty"
)

func tracked(t testing.TB) (*Window, *Tracker) {
	t.Helper()
	w := window(t)
	tracker, err := NewTracker(w)
	var u *UnsupportedError
	if errors.As(err, &u) {
		t.Skip("this kernel cannot track writes: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w, tracker
}

// follower is an image that is rebuilt from the reports alone.
type follower struct {
	w       *Window
	tracker *Tracker
	off, n  int64
	image   []byte
	changes []dirty.Change
}

func follow(t failer, w *Window, tracker *Tracker, off, n int64) *follower {
	t.Helper()
	f := &follower{w: w, tracker: tracker, off: off, n: n}
	// A report that forgets a page leaves nonsense.
	f.image = bytes.Repeat([]byte{0xEE}, int(n))
	if err := tracker.Track(off, n); err != nil {
		t.Fatal(err)
	}
	return f
}

type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// scan takes one report into the image.
func (f *follower) scan(t failer) {
	t.Helper()
	var err error
	if f.changes, err = f.tracker.Scan(f.off, f.n, f.changes[:0]); err != nil {
		t.Fatal(err)
	}
	end := f.off
	for _, c := range f.changes {
		if c.Off < end || c.Len <= 0 || c.Len%pageBytes != 0 || c.Off+c.Len > f.off+f.n {
			t.Fatalf("changes %v: out of order, overlapping or outside", f.changes)
		}
		end = c.Off + c.Len
		at := f.image[c.Off-f.off : end-f.off]
		clear(at)
		if !c.Dropped {
			copy(at, f.w.Bytes()[c.Off:end])
		}
	}
}

// equal demands that the image is what the window holds.
func (f *follower) equal(t failer) {
	t.Helper()
	f.scan(t)
	now := f.w.Bytes()[f.off : f.off+f.n]
	if !bytes.Equal(f.image, now) {
		for i := range now {
			if f.image[i] != now[i] {
				t.Fatalf("byte %#x of the image is %#x, the window has %#x; last changes %v",
					i, f.image[i], now[i], f.changes)
			}
		}
	}
}

// TestScan is the contract in small: what is reported, once, and what is not.
func TestScan(t *testing.T) {
	w, tracker := tracked(t)
	const off, n = 1 << 20, 16 * pageBytes
	if _, err := tracker.Scan(off, n, nil); !errors.Is(err, ErrNotTracked) {
		t.Errorf("a scan of what nobody tracks: %v", err)
	}
	if tracker.Tracked(off, n) {
		t.Error("it is tracked, and nobody asked")
	}
	w.Bytes()[off] = 1 // before it is tracked
	steps := []struct {
		name string
		do   func() error
		want []dirty.Change // in pages from off
	}{
		{
			"track", func() error { return tracker.Track(off, n) },
			[]dirty.Change{{Off: 0, Len: 1}, {Off: 1, Len: 15, Dropped: true}},
		},
		{"nothing", func() error { return nil }, nil},
		{
			"write", func() error { w.Bytes()[off+1], w.Bytes()[off+7*pageBytes] = 1, 1; return nil },
			[]dirty.Change{{Off: 0, Len: 1}, {Off: 7, Len: 1}},
		},
		{"nothing again", func() error { return nil }, nil},
		{
			"drop", func() error { return tracker.Drop(off+6*pageBytes, 3*pageBytes) },
			[]dirty.Change{{Off: 6, Len: 3, Dropped: true}},
		},
		{
			"write where it was dropped", func() error {
				err := tracker.Drop(off, 2*pageBytes)
				w.Bytes()[off+pageBytes] = 3
				return err
			},
			[]dirty.Change{{Off: 0, Len: 1, Dropped: true}, {Off: 1, Len: 1}},
		},
		{"populate", func() error { return w.Populate(off+4*pageBytes, 2*pageBytes) }, []dirty.Change{
			{Off: 4, Len: 2},
		}},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatal(err)
		}
		got, err := tracker.Scan(off, n, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i].Off, got[i].Len = (got[i].Off-off)/pageBytes, got[i].Len/pageBytes
		}
		if !slices.Equal(got, s.want) {
			t.Errorf("%s: changes %v, want %v", s.name, got, s.want)
		}
		if !tracker.Tracked(off, n) || tracker.Tracked(off, n+pageBytes) {
			t.Errorf("%s: other ranges are tracked than were asked for", s.name)
		}
	}
	if err := tracker.Untrack(off, n); err != nil || tracker.Tracked(off, n) {
		t.Errorf("untracked, and it still is, %v", err)
	}
}

// TestManyRegions: more runs than one call of the kernel can name.
func TestManyRegions(t *testing.T) {
	w, tracker := tracked(t)
	const pages = 10 * scanRegions
	f := follow(t, w, tracker, 0, pages*pageBytes)
	f.equal(t)
	f.scan(t) // comparing has read pages that were not there
	for page := 0; page < pages; page += 2 {
		w.Bytes()[page*pageBytes+page%pageBytes] = byte(page) | 1
	}
	f.equal(t)
	if len(f.changes) != pages/2 {
		t.Errorf("%d changes, want %d", len(f.changes), pages/2)
	}
}

// TestImage: after random writes, also the kernel's, grows, drops, moves to another slot and back
// without writing, with scans between any two steps, an image that is rebuilt from the reports
// equals the memory.
func TestImage(t *testing.T) {
	w, tracker := tracked(t)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	const pages = 40
	const n = pages * pageBytes
	slots := int64(0)
	rapid.Check(t, func(t *rapid.T) {
		// A slot that an earlier run has used, dropped or not, or one that nobody has.
		off := rapid.Int64Range(0, slots/2).Draw(t, "slot") * n
		slots = min(slots+1, windowBytes/n-2)
		f := follow(t, w, tracker, off, n)
		other := int64(windowBytes - n)
		for step := range rapid.IntRange(1, 25).Draw(t, "steps") {
			page := rapid.Int64Range(0, pages-1).Draw(t, "page")
			count := rapid.Int64Range(1, pages-page).Draw(t, "count")
			at, length := off+page*pageBytes, count*pageBytes
			var err error
			switch rapid.IntRange(0, 7).Draw(t, "op") {
			case 0, 1:
				w.Bytes()[at+rapid.Int64Range(0, length-1).Draw(t, "byte")] = byte(step + 1)
			case 2: // a write by the kernel, across a page's end
				at += min(pageBytes-3, n-page*pageBytes-6)
				if _, err = unix.Write(pipe[1], []byte("kernel")); err == nil {
					_, err = unix.Read(pipe[0], w.Bytes()[at:at+6])
				}
			case 3:
				err = w.Populate(at, length)
			case 4:
				err = tracker.Drop(at, length)
			case 5:
				f.equal(t)
			case 6: // the slot's next owner: with or without a trace of the last
				if err = tracker.Untrack(off, n); err == nil && page%2 == 0 {
					err = w.Drop(off, n)
				}
				f = follow(t, w, tracker, off, n)
			case 7: // away and back
				if err = w.Move(other, off, n); err == nil {
					err = w.Move(off, other, n)
				}
				if err == nil {
					err = tracker.Track(off, n)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		f.equal(t) // which reads all of it, and makes it present
		f.scan(t)
		f.equal(t)
		if len(f.changes) > 0 {
			t.Fatalf("nothing happened, and changes are %v", f.changes)
		}
		if err := tracker.Untrack(off, n); err != nil {
			t.Fatal(err)
		}
	})
}

// TestScanBesideWriter: a thread writes all the time; nothing that it wrote is lost.
func TestScanBesideWriter(t *testing.T) {
	w, tracker := tracked(t)
	const pages, rounds = 256, 400
	const n = pages * pageBytes
	f := follow(t, w, tracker, 0, n)
	var stop atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := uint32(1); !stop.Load(); i++ {
			at := i * 2654435761 % (n / 4)
			store(w.Bytes()[at*4:], i)
		}
	})
	for range rounds {
		var err error
		if f.changes, err = tracker.Scan(0, n, f.changes[:0]); err != nil {
			t.Error(err)
			break
		}
		for _, c := range f.changes {
			clear(f.image[c.Off : c.Off+c.Len])
			if c.Dropped {
				continue
			}
			for i := c.Off; i < c.Off+c.Len; i += 4 {
				store(f.image[i:], load(w.Bytes()[i:]))
			}
		}
	}
	stop.Store(true)
	writer.Wait()
	f.equal(t)
}

// TestScanDoesNotAllocate: when nothing was dropped.
func TestScanDoesNotAllocate(t *testing.T) {
	w, tracker := tracked(t)
	const n = 64 * pageBytes
	f := follow(t, w, tracker, 0, n)
	f.equal(t)
	f.scan(t) // comparing has read pages that were not there
	if got := testing.AllocsPerRun(100, func() {
		w.Bytes()[5*pageBytes]++
		var err error
		if f.changes, err = tracker.Scan(0, n, f.changes[:0]); err != nil || len(f.changes) != 1 {
			t.Errorf("changes %v, %v", f.changes, err)
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// TestDeadWindow: a tracker whose userfaultfd is gone says so and does not report nothing.
func TestDeadWindow(t *testing.T) {
	w, tracker := tracked(t)
	f := follow(t, w, tracker, 0, 4*pageBytes)
	f.equal(t)
	if err := unix.Close(w.user.fd); err != nil {
		t.Fatal(err)
	}
	w.user.fd = -1
	w.Bytes()[0] = 1
	if got, err := tracker.Scan(0, 4*pageBytes, nil); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v, %v, want an error: writes are no longer noticed", got, err)
	}
}

const (
	nobody  = 65534
	roleEnv = "DUNLIN_MEM_ROLE"
)

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) != "" && os.Getuid() != nobody {
		os.Exit(3) // it was to give up its rights
	}
	os.Exit(m.Run())
}

// TestUnprivileged runs the tests of this file as nobody, whom the kernel lets do all of it.
func TestUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("becoming another user takes root; the other tests ran as this one")
	}
	cmd := exec.Command("/proc/self/exe", "-test.v",
		"-test.run=^(TestProbe|TestScan|TestImage|TestMove)$", "-rapid.nofailfile")
	cmd.Env = append(os.Environ(), roleEnv+"=nobody")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as uid %d: %v\n%s", nobody, err, out)
	}
	for _, name := range []string{"TestProbe", "TestScan", "TestImage", "TestMove"} {
		if _, err := NewTracker(window(t)); err == nil &&
			!bytes.Contains(out, []byte("--- PASS: "+name)) {
			t.Errorf("%s did not pass as uid %d:\n%s", name, nobody, out)
		}
	}
}
