package pin

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
)

// readable reports whether a poll of fd would return.
func readable(t testing.TB, fd int) bool {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n == 1 && fds[0].Revents&unix.POLLIN != 0
}

// returns fails unless f comes back soon.
func returns(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s blocks", what)
	}
}

// duplicate is what a process that was handed the file has: another descriptor of the same.
func duplicate(t *testing.T, fd int) int {
	t.Helper()
	d, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(d) })
	return d
}

func newEvent(t *testing.T) *Event {
	t.Helper()
	e, err := NewEvent()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func newBell(t *testing.T) *Bell {
	t.Helper()
	b, err := NewBell()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestEventRingsCountAsOne(t *testing.T) {
	e := newEvent(t)
	if readable(t, e.FD()) {
		t.Error("a new event has been rung")
	}
	for range 5 {
		e.Signal()
	}
	if !readable(t, e.FD()) {
		t.Error("rung, and not readable")
	}
	e.Drain()
	if readable(t, e.FD()) {
		t.Error("drained, and readable")
	}
}

// TestDrainNeverBlocks: whoever else has the eventfd may drain it first and make it a blocking one.
func TestDrainNeverBlocks(t *testing.T) {
	e := newEvent(t)
	theirs := duplicate(t, e.FD())
	if err := unix.SetNonblock(theirs, false); err != nil {
		t.Fatal(err)
	}
	e.Signal()
	if _, err := unix.Read(theirs, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	returns(t, "Drain", e.Drain)
}

// TestBellNeverBlocks: neither when nobody drains it, nor when the other side makes its end a blocking
// one, fills what it can, or has closed it.
func TestBellNeverBlocks(t *testing.T) {
	b := newBell(t)
	theirs := duplicate(t, int(b.File().Fd()))
	if err := unix.SetNonblock(theirs, false); err != nil {
		t.Fatal(err)
	}
	returns(t, "Signal", func() {
		for range 10_000 {
			b.Signal()
		}
	})
	if n, err := unix.SendmsgN(theirs, []byte{1}, unix.UnixRights(theirs), nil,
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err == nil {
		t.Errorf("the other side sent us %d bytes and a descriptor", n)
	}
	listener := OpenEvent(b.far)
	if !readable(t, listener.FD()) {
		t.Error("rung, and not readable")
	}
	drains := 0
	for ; readable(t, listener.FD()); drains++ {
		returns(t, "Drain", listener.Drain)
	}
	if drains > 2 {
		t.Errorf("%d drains for a bell that was never drained before", drains)
	}
	returns(t, "Drain of a silent bell", listener.Drain)
	b.Signal()
	if !readable(t, listener.FD()) {
		t.Error("a bell that had been full does not ring")
	}
	b.far.Close()
	unix.Close(theirs)
	returns(t, "Signal without a listener", b.Signal)
}

// TestWhyABell: who shares an eventfd can make the next write to it wait, and a write cannot be told
// not to. Where this fails, the kernel has learned it, and an Event would do for a Bell.
func TestWhyABell(t *testing.T) {
	e := newEvent(t)
	theirs := duplicate(t, e.FD())
	most := []byte{0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF} // native or not, it is huge
	if _, err := unix.Write(theirs, most); err != nil {
		t.Fatal(err)
	}
	fds := []unix.PollFd{{Fd: int32(e.FD()), Events: unix.POLLOUT}}
	if n, err := unix.Poll(fds, 0); err != nil || n != 0 {
		t.Errorf("a write would not wait: poll says %d, %v", n, err)
	}
	e.Drain()
	_, err := unix.Pwritev2(e.FD(), [][]byte{most}, -1, unix.RWF_NOWAIT)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("a write that must not wait: %v", err)
	}
}

// TestBellWakesALoop: the listener's side is an Event like any other.
func TestBellWakesALoop(t *testing.T) {
	b := newBell(t)
	m := newMail(t)
	m.event = OpenEvent(b.File())
	l := running(t, Options{CPU: -1, Host: core.NewHost(m), Waiters: []Waiter{m}})
	for i := range uint64(200) {
		eventually(t, "sleeps", func() bool { return m.asleep.Load() })
		m.posted.Add(1)
		b.Signal()
		eventually(t, "wakes", func() bool { return m.taken.Load() == i+1 })
	}
	if l.Parks() < 200 {
		t.Errorf("%d parks for 200 rings", l.Parks())
	}
}

// TestRingsDoNotWakeGo: neither is with Go's poller, which would wake a thread at each ring.
func TestRingsDoNotWakeGo(t *testing.T) {
	e, b := newEvent(t), newBell(t)
	for name, f := range map[string]interface {
		SetDeadline(time.Time) error
	}{"event": e.file, "bell": b.near, "bell's other end": b.far} {
		if err := f.SetDeadline(time.Time{}); err == nil {
			t.Errorf("the %s is with Go's poller", name)
		}
	}
}

// TestClock: within a microsecond of what the kernel says, and so comparable between processes.
func TestClock(t *testing.T) {
	for range 5 {
		c := NewClock()
		best := core.Never
		for range 1000 {
			before := c.Now()
			var ts unix.Timespec
			if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
				t.Fatal(err)
			}
			after := c.Now()
			off := core.Time(ts.Nano()) - (before+after)/2
			best = min(best, max(off, -off))
			if after < before {
				t.Fatalf("time runs backwards: %d, %d", before, after)
			}
		}
		if best > core.Microsecond {
			t.Errorf("off by %d ns", best)
		}
	}
}

func TestCPUList(t *testing.T) {
	for want, cpus := range map[string][]int{
		"": nil, "3": {3}, "0-3,8": {0, 1, 2, 3, 8}, "1,3,5-6": {6, 5, 3, 1}, "1022-1023": {1022, 1023},
	} {
		var c CPUs
		for _, cpu := range cpus {
			c.set.Set(cpu)
		}
		if c.String() != want || c.Count() != len(cpus) || len(c.List()) != len(cpus) {
			t.Errorf("%v is %q with %d CPUs, want %q", cpus, c, c.Count(), want)
		}
	}
}
