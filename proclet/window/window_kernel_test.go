package window

import (
	"bytes"
	"errors"
	"testing"

	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/proclet/arena"
)

const windowBytes = 64 << 20

// without is a kernel that has no tracking, as Probe tells it.
func without() (mem.Features, error) {
	missing := &mem.UnsupportedError{Feature: mem.PageScan, Err: errors.New("not here")}
	return mem.Features{Tracking: missing, Moving: missing}, nil
}

func opened(t *testing.T, probe func() (mem.Features, error)) *Window {
	t.Helper()
	w, err := open(windowBytes, arena.StoreOptions{}, probe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Store().Audit(); err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func tracker(t *testing.T, w *Window) arena.Tracker {
	t.Helper()
	tr, err := w.Tracker()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// The kernel's tracker where there is one, and then the same for all workers; software elsewhere,
// and then one for each.
func TestTrackerIsChosen(t *testing.T) {
	w := opened(t, without)
	if tr, ok := tracker(t, w).(*arena.Software); !ok || w.Software() == nil {
		t.Errorf("without the kernel's tracking: %T, because %v", tr, w.Software())
	}
	if tracker(t, w) == tracker(t, w) {
		t.Error("two workers share a tracker in software")
	}
	can, err := mem.Probe()
	if err != nil {
		t.Fatal(err)
	}
	w = opened(t, mem.Probe)
	_, kernel := tracker(t, w).(*mem.Tracker)
	if kernel != (can.Tracking == nil) || kernel != (w.Software() == nil) {
		t.Errorf("kernel's tracker %v, Probe says %v, the window %v", kernel, can.Tracking,
			w.Software())
	}
	if kernel && tracker(t, w) != tracker(t, w) {
		t.Error("the kernel's tracker is not the same for all workers")
	}
}

// Whichever it is, an image that follows an arena's reports is the arena.
func TestImageFollowsEitherTracker(t *testing.T) {
	for name, probe := range map[string]func() (mem.Features, error){
		"software": without, "this kernel's": mem.Probe,
	} {
		t.Run(name, func(t *testing.T) {
			w := opened(t, probe)
			local, err := w.Store().Local()
			if err != nil {
				t.Fatal(err)
			}
			follow(t, local, tracker(t, w))
		})
	}
}

func follow(t *testing.T, local *arena.Local, tr arena.Tracker) {
	words := arena.MustRegister[uint64]()
	a := new(arena.Arena)
	s, err := local.Open(a, 1<<20, arena.Options{Tracker: tr})
	if err == nil {
		err = tr.Track(s.Off(), s.Cap())
	}
	if err != nil {
		t.Fatal(err)
	}
	image := make([]byte, s.Cap())
	for round := range uint64(8) {
		span, err := words.NewSpan(a.User(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		for i := range span.Mut(a.User()) {
			*span.MutAt(a.User(), i) = round + 1
		}
		if round%3 == 2 {
			if err := span.Free(a.User()); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Trim(); err != nil {
				t.Fatal(err)
			}
		}
		a.Settle()
		changes, err := a.Changes(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			copy(image[c.Off:c.Off+c.Len], s.Bytes()[c.Off:])
		}
		if !bytes.Equal(image, s.Bytes()) {
			t.Fatalf("round %d: the image is not the arena", round)
		}
	}
	if err := errors.Join(tr.Untrack(s.Off(), s.Cap()), local.Shut(a, s)); err != nil {
		t.Error(err)
	}
}

// What is wrong with the machine otherwise is an error, and not a reason for software.
func TestOtherErrorsAreNotHidden(t *testing.T) {
	bad := errors.New("the machine is on fire")
	for name, probe := range map[string]func() (mem.Features, error){
		"no window at all":  func() (mem.Features, error) { return mem.Features{}, bad },
		"tracking is wrong": func() (mem.Features, error) { return mem.Features{Tracking: bad}, nil },
	} {
		if w, err := open(windowBytes, arena.StoreOptions{}, probe); !errors.Is(err, bad) {
			t.Errorf("%s: %v, %v", name, w, err)
		}
	}
	if w, err := Open(1, arena.StoreOptions{}); err == nil {
		t.Errorf("a window of a byte: %v", w)
	}
}
