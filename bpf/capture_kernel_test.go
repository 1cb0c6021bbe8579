package bpf

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newCapture(t testing.TB, s *Steer, o CaptureOptions) *Capture {
	t.Helper()
	c, err := OpenCapture(s.Program(), o)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// drain stops the capture and returns what it has seen, with bytes of its own.
func drain(t testing.TB, c *Capture) (events []Event) {
	t.Helper()
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	for {
		var e Event
		err := c.Read(&e, time.Time{})
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		e.Data = bytes.Clone(e.Data)
		events = append(events, e)
	}
}

func TestCaptureRedirected(t *testing.T) {
	b := newBench(t)
	for _, frags := range []bool{false, true} {
		s := newSteer(t, frags)
		c := newCapture(t, s, CaptureOptions{})
		frames := goodFrames(t)
		if frags {
			frames = append(frames, steerCase{"jumbo", udp4Frame(t, 8000), TakenUDP4})
		}
		var taken []steerCase
		for _, f := range frames {
			b.run(t, s.Program(), 0, f.frame)
			if f.want.Redirected() {
				taken = append(taken, f)
			}
		}
		events := drain(t, c)
		if len(events) != len(taken) {
			t.Fatalf("%d events for %d redirected frames", len(events), len(taken))
		}
		// A test run may move from CPU to CPU, and the rings are read one after another.
		for _, e := range events {
			i := slices.IndexFunc(taken, func(c steerCase) bool {
				return bytes.Equal(c.frame, e.Data)
			})
			if i < 0 {
				t.Errorf("captured a frame that was not redirected: %x", e.Data)
				continue
			}
			if e.Queue != 0 || e.Verdict != VerdictRedirect || e.Reason != taken[i].want ||
				int(e.Length) != len(e.Data) {
				t.Errorf("%s: event %+v", taken[i].name, e)
			}
			taken = slices.Delete(taken, i, i+1)
		}
	}
}

func TestCaptureAll(t *testing.T) {
	const snap = 40
	b := newBench(t)
	s := newSteer(t, true)
	c := newCapture(t, s, CaptureOptions{All: true, SnapLen: snap})
	for _, f := range []steerCase{
		{"empty", rawFrame(t, 1)[:14], DroppedEmpty},
		{"tcp", patched(udp4Frame(t, 18), atProto4, 6), PassedProtocol},
		{"jumbo", rawFrame(t, 9000), TakenEtherType},
	} {
		before := time.Now()
		expected := b.run(t, s.Program(), 1, f.frame)
		var e Event
		// The ring is far from full, so the event is seen when the deadline passes.
		if err := c.Read(&e, time.Now().Add(time.Millisecond)); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		data := f.frame[:min(snap, len(f.frame))]
		reason := f.want
		if reason.Redirected() {
			reason = NoSocket // queue 1 has none
		}
		if e.Verdict != expected || e.Reason != reason || e.Queue != 1 ||
			int(e.Length) != len(f.frame) || !bytes.Equal(e.Data, data) {
			t.Errorf("%s: %+v", f.name, e)
		}
		if age := monotonic(t) - e.Time; age < 0 || age > int64(time.Since(before)) {
			t.Errorf("%s: captured %d ns ago, in a test that began %v ago", f.name, age,
				time.Since(before))
		}
		if err := c.Read(&e, time.Now()); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: a second event, or %v", f.name, err)
		}
	}
}

// Each frame is captured or counted as lost.
func TestCaptureLoses(t *testing.T) {
	const frames = 1000
	b := newBench(t)
	s := newSteer(t, false)
	c := newCapture(t, s, CaptureOptions{RingBytes: minRingBytes})
	b.runMany(t, s.Program(), 0, rawFrame(t, 1000), frames)
	events := drain(t, c)
	lost, err := c.Lost()
	if err != nil {
		t.Fatal(err)
	}
	if lost == 0 || len(events) == 0 || uint64(len(events))+lost != frames {
		t.Errorf("%d captured + %d lost of %d", len(events), lost, frames)
	}
}

// A program serves one capture at a time, and the next when that has ended.
func TestCaptureBusy(t *testing.T) {
	b := newBench(t)
	s := newSteer(t, false)
	first := newCapture(t, s, CaptureOptions{})
	if _, err := OpenCapture(s.Program(), CaptureOptions{}); !errors.Is(err, ErrBusy) {
		t.Fatalf("a second capture: %v", err)
	}
	b.run(t, s.Program(), 0, rawFrame(t, 50))
	if n := len(drain(t, first)); n != 1 {
		t.Errorf("the first saw %d frames, not 1", n)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := newCapture(t, s, CaptureOptions{})
	b.run(t, s.Program(), 0, rawFrame(t, 50))
	if n := len(drain(t, second)); n != 1 {
		t.Errorf("the second saw %d frames, not 1", n)
	}
}

// A reader that dies leaves capture switched on and no rings: the next frame switches it off, and
// the next reader counts none of it.
func TestCaptureReaderDies(t *testing.T) {
	b := newBench(t)
	s := newSteer(t, false)
	dying, err := OpenCapture(s.Program(), CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// What the kernel closes when a process dies.
	files := []io.Closer{dying.reader, dying.maps.CaptureRings, dying.maps.CaptureLost}
	for _, file := range append(files, dying.maps.Capture) {
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Close(dying.lock); err != nil {
		t.Fatal(err)
	}
	mode := func() steerCaptureMode {
		var order steerCaptureOrder
		if err := s.objects.Capture.Lookup(uint32(0), &order); err != nil {
			t.Fatal(err)
		}
		return order.Mode
	}
	if mode() != steerCaptureModeCAPTURE_REDIRECTED {
		t.Fatalf("mode %d although nobody switched off", mode())
	}
	if v := b.run(t, s.Program(), 0, rawFrame(t, 50)); v != VerdictRedirect {
		t.Errorf("verdict %d", v)
	}
	if mode() != steerCaptureModeCAPTURE_OFF {
		t.Errorf("mode %d after a frame found no ring", mode())
	}
	next := newCapture(t, s, CaptureOptions{})
	b.run(t, s.Program(), 0, rawFrame(t, 50))
	lost, err := next.Lost()
	if n := len(drain(t, next)); n != 1 || lost != 0 || err != nil {
		t.Errorf("the next reader saw %d frames and lost %d (%v)", n, lost, err)
	}
}

// A waiting Read ends with Stop.
func TestCaptureStop(t *testing.T) {
	newBench(t)
	c := newCapture(t, newSteer(t, false), CaptureOptions{})
	done := make(chan error)
	go func() {
		var e Event
		done <- c.Read(&e, time.Time{})
	}()
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, io.EOF) {
		t.Errorf("read ended with %v", err)
	}
}

func TestCaptureRefuses(t *testing.T) {
	newBench(t)
	s := newSteer(t, false)
	for _, o := range []CaptureOptions{
		{SnapLen: -1},
		{SnapLen: MaxSnapLen + 1},
		{RingBytes: minRingBytes - 1},
		{RingBytes: maxRingBytes + 1},
	} {
		if _, err := OpenCapture(s.Program(), o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	r, err := LoadRedirect(1, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := OpenCapture(r.Program(), CaptureOptions{}); !errors.Is(err, ErrNotSteer) {
		t.Errorf("capture from redirect: %v", err)
	}
}

func monotonic(t testing.TB) int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano()
}
