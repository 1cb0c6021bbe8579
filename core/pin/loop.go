// Package pin is the door to CPUs: it gives a core.Host a thread, a CPU and a clock, and turns it.
//
//	Run:  lock thread, pin to CPU
//	      ┌─> now = clock; Host.Step(now) ── work ──┐
//	      │      │ idle for Spin                    │
//	      │      v                                  │
//	      │   arm all waiters, look again, sleep    │
//	      └──────┴──────────────────────────────────┘
//
// A loop parks in one ppoll over the file descriptors of its waiters and an event of its own.
// Arming comes before the last look and the last look before sleeping, so that input which arrives
// in between either is seen or wakes the poll. A parked loop sits in a blocking system call, where
// it holds no P of Go's scheduler, so it never holds up a garbage collection; a spinning loop is
// interrupted by the collector's signal.
//
// A loop may share its CPU with loops of other processes, each running while it holds the CPU's
// baton (Baton). It then sleeps on the baton's word only, in a blocking system call as well. Waker
// and Thread are for whoever lends CPUs to such loops.
//
// Other threads reach a loop with Do (run this between two steps) and Stop; both cost the loop one
// load a turn. Threads that Go starts later do not inherit the affinity of a pinned loop: once
// LockOSThread was called, the Go runtime clones new threads from an unpinned template thread.
package pin

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
)

// Waiter is something whose input can wake a parked loop.
type Waiter interface {
	FD() int       // polled for input; it must stay open while the loop runs
	Arm(on bool)   // ask the other side to wake us, or say that we poll; on the loop's thread
	Pending() bool // input waits: do not sleep; pure
	Drain()        // the poll said that FD has input: reset it if it does not reset itself
}

// Options of a loop.
type Options struct {
	Name    string     // the thread's name in ps -L, at most 15 bytes
	CPU     int        // to run on; -1 for any
	Spin    core.Time  // idle for so long before parking; core.Never: spin for ever
	Host    *core.Host // what to turn
	Waiters []Waiter   // what may wake it, besides time, Do and Stop
	Baton   *Baton     // run while we hold it; nil: the CPU is the loop's own
}

// Loop turns one host on one thread.
type Loop struct {
	o       Options
	clock   Clock
	event   *Event
	park    parking
	sharing *sharing // nil without a baton
	job     atomic.Pointer[job]
	stop    atomic.Bool
	running bool // between Run's begin and end; under mu
	ended   bool
	done    chan struct{} // closed when Run ends
	calls   sync.Mutex    // held over each Do: there is room for one job
	mu      sync.Mutex    // callers of Do and Stop, and Run's begin and end
	thread  atomic.Int32
	parks   atomic.Uint64 // written by the loop only
}

type job struct {
	f    func()
	done chan struct{}
}

// New returns a loop that does not run yet.
func New(o Options) (*Loop, error) {
	if o.Host == nil || o.Spin < 0 || len(o.Name) > 15 {
		return nil, fmt.Errorf("pin: loop %q: want a host, a spin time of at least 0 (is %d) and "+
			"a name of at most 15 bytes", o.Name, o.Spin)
	}
	if o.Baton != nil {
		if err := o.Baton.check(o.CPU); err != nil {
			return nil, fmt.Errorf("pin: loop %q: %w", o.Name, err)
		}
	}
	// Where a CPU is shared, a process's other threads keep off it (KeepOff), and its mask says so:
	// whether the loop may run there is found out when it does.
	if o.CPU >= 0 && o.Baton == nil {
		allowed, err := Allowed()
		if err != nil {
			return nil, err
		}
		if !allowed.IsSet(o.CPU) {
			return nil, fmt.Errorf("pin: loop %q: CPU %d is not among those that this process may "+
				"use (%s)", o.Name, o.CPU, allowed)
		}
	}
	event, err := NewEvent()
	if err != nil {
		return nil, err
	}
	l := &Loop{
		o: o, clock: NewClock(), event: event, sharing: newSharing(o.Baton),
		done: make(chan struct{}),
	}
	l.park.init(event, o.Waiters)
	return l, nil
}

// ErrEnded is what Do and Run return after the loop ended.
var ErrEnded = errors.New("pin: the loop has ended")

// Run turns the loop on the calling goroutine, which it locks to its thread, until Stop. It may be
// called once.
func (l *Loop) Run() error {
	l.mu.Lock()
	if l.running || l.ended {
		l.mu.Unlock()
		return ErrEnded
	}
	l.running = true
	l.mu.Unlock()

	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		return l.run()
	}
	// The main thread's affinity is the process's (Allowed), and Go never ends it. While we are
	// locked to it, another goroutine gets another thread.
	defer runtime.UnlockOSThread()
	ended := make(chan error)
	go func() {
		runtime.LockOSThread()
		ended <- l.run()
	}()
	return <-ended
}

// run turns the loop on the calling thread. The thread is not unlocked: a goroutine that ends
// locked takes its thread, and the thread's affinity and name, with it.
func (l *Loop) run() error {
	err := l.settle()
	if err == nil {
		err = l.turn()
	}
	if l.sharing != nil {
		err = errors.Join(err, l.sharing.end())
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.running, l.ended = false, true
	close(l.done)
	if j := l.job.Swap(nil); j != nil {
		j.f()
		close(j.done)
	}
	l.event.Close()
	return err
}

// timerSlackNs is how late the kernel may end a park that has a deadline, to join it with others.
// Its default is 50 us, more than most deadlines of a dataplane; 1 is the least (prctl(2)).
const timerSlackNs = 1

// settle moves the thread to its CPU.
func (l *Loop) settle() error {
	l.thread.Store(int32(unix.Gettid()))
	if l.sharing != nil {
		l.sharing.Line.Become(baton.Running)
	}
	if l.o.CPU >= 0 {
		var set unix.CPUSet
		set.Set(l.o.CPU)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("pin: loop %q to CPU %d: %w", l.o.Name, l.o.CPU, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlackNs, 0, 0, 0); err != nil {
		return fmt.Errorf("pin: loop %q: timer slack: %w", l.o.Name, err)
	}
	return setThreadName(l.o.Name)
}

// turn is the loop.
func (l *Loop) turn() error {
	host, spin := l.o.Host, l.o.Spin
	now := l.clock.Now()
	worked := now
	for !l.stop.Load() {
		if l.job.Load() != nil {
			l.runJob()
			now = l.clock.Now() // the job may have read the clock: the host's time does not go back
		}
		if l.sharing != nil && !l.sharing.holds(now) {
			if err := l.await(now); err != nil {
				return err
			}
			now = l.clock.Now()
			worked = now
			continue
		}
		if host.Step(now) > 0 {
			now = l.clock.Now()
			worked = now
			continue
		}
		if now-worked >= spin && spin != core.Never {
			parked, err := l.idle(now)
			if err != nil {
				return err
			}
			if parked {
				now = l.clock.Now()
				worked = now
				continue
			}
		}
		now = l.clock.Now()
	}
	return nil
}

// idle parks unless something keeps it from that, and reports whether it did.
func (l *Loop) idle(now core.Time) (parked bool, err error) {
	if l.sharing != nil {
		return l.rest(now)
	}
	return l.sleep(now), nil
}

// sleep parks unless something keeps it from that, and reports whether it did park. It looks before
// it arms, because arming makes the other side ring; and again after, because what came before that
// did not.
func (l *Loop) sleep(now core.Time) bool {
	if l.wanted(now) {
		return false
	}
	l.park.arm(true)
	parked := !l.wanted(now)
	if parked {
		l.park.wait(now, l.o.Host.Next(now))
		l.parks.Store(l.parks.Load() + 1)
	}
	l.park.arm(false)
	return parked
}

// wanted reports whether there is something to do at now.
func (l *Loop) wanted(now core.Time) bool {
	return l.park.pending() || l.job.Load() != nil || l.stop.Load() || l.o.Host.Next(now) <= now
}

func (l *Loop) runJob() {
	if j := l.job.Swap(nil); j != nil {
		j.f()
		close(j.done)
	}
}

// Do runs f on the loop's thread between two steps and returns when it is done. Before Run and
// after the loop's end it runs f on the caller's thread: then nobody else touches what the loop
// owned. It must not be called from the loop itself.
func (l *Loop) Do(f func()) {
	l.calls.Lock()
	defer l.calls.Unlock()
	l.mu.Lock()
	if !l.running {
		defer l.mu.Unlock()
		f()
		return
	}
	j := &job{f: f, done: make(chan struct{})}
	l.job.Store(j)
	l.event.Signal()
	l.mu.Unlock()
	if l.sharing != nil {
		l.sharing.call(j.done)
	}
	<-j.done
}

// AddWaiter adds a waiter; only from Do, or before Run.
func (l *Loop) AddWaiter(w Waiter) { l.park.add(w) }

// RemoveWaiter takes a waiter out; only from Do, or before Run.
func (l *Loop) RemoveWaiter(w Waiter) { l.park.remove(w) }

// Stop ends the loop soon after. It may be called from anywhere, also more than once.
func (l *Loop) Stop() {
	l.stop.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.event.Signal()
	}
	if l.sharing != nil && l.running {
		go l.sharing.call(l.done)
	}
}

// Close frees what a loop that was never run holds. Run does so by itself.
func (l *Loop) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running || l.ended {
		return nil
	}
	l.ended = true
	return l.event.Close()
}

// Thread is the kernel's id of the loop's thread, 0 before it runs.
func (l *Loop) Thread() int { return int(l.thread.Load()) }

// Parks is how often the loop slept.
func (l *Loop) Parks() uint64 { return l.parks.Load() }
