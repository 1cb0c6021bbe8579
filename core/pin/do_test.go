package pin

import (
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
)

// started runs a loop without a CPU of its own until the test ends.
func started(t *testing.T) *Loop {
	t.Helper()
	l, err := New(Options{Name: "test", CPU: -1, Host: core.NewHost()})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	t.Cleanup(func() {
		l.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l
}

// TestDoFromManyGoroutines has callers overtake each other: each function runs once, whoever else
// calls.
func TestDoFromManyGoroutines(t *testing.T) {
	l := started(t)
	const callers, calls = 8, 500
	ran := 0 // the loop's
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range calls {
				l.Do(func() { ran++ })
			}
		})
	}
	wg.Wait()
	l.Do(func() {
		if ran != callers*calls {
			t.Errorf("%d of %d functions ran", ran, callers*calls)
		}
	})
}

// TestDoAcrossTheEnd has Do meet the loop's end: the function runs, on the loop or on the caller.
func TestDoAcrossTheEnd(t *testing.T) {
	for range 200 {
		l, err := New(Options{CPU: -1, Host: core.NewHost()})
		if err != nil {
			t.Fatal(err)
		}
		var ran atomic.Int32
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := l.Run(); err != nil {
				t.Error(err)
			}
		})
		for range 3 {
			wg.Go(func() { l.Do(func() { ran.Add(1) }) })
		}
		l.Stop()
		wg.Wait()
		if ran.Load() != 3 {
			t.Fatalf("%d of 3 functions ran", ran.Load())
		}
	}
}

// TestLoopsLeaveTheMainThreadAlone runs pinned loops, of which Go starts some on the main thread,
// and looks whether the process may still use all its CPUs.
func TestLoopsLeaveTheMainThreadAlone(t *testing.T) {
	before, err := Allowed()
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		l, err := New(Options{CPU: before.List()[0], Host: core.NewHost()})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- l.Run() }()
		l.Do(func() {})
		for l.Thread() == 0 {
			l.Do(func() {})
		}
		if l.Thread() == unix.Getpid() {
			t.Error("a loop runs on the main thread")
		}
		l.Stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if after, err := Allowed(); err != nil || after != before {
		t.Errorf("the process may use CPUs %v, before the loops %v (%v)", after, before, err)
	}
}

// witness knows a time, and counts how often it is polled with an earlier one.
type witness struct {
	told core.Time
	back int
}

func (w *witness) Poll(now core.Time) int {
	if now < w.told {
		w.back++
	}
	return 1
}

func (w *witness) Next(now core.Time) core.Time { return now }

// TestTimeDoesNotGoBackBehindDo: a function that reads the clock may tell a poller, which is not
// polled with an earlier time afterwards.
func TestTimeDoesNotGoBackBehindDo(t *testing.T) {
	w := &witness{}
	l, err := New(Options{CPU: -1, Spin: core.Never, Host: core.NewHost(w)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	clock := NewClock()
	for range 1000 {
		l.Do(func() { w.told = clock.Now() })
	}
	l.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if w.back > 0 {
		t.Errorf("%d of 1000 functions were followed by a poll with an earlier time", w.back)
	}
}
