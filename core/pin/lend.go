package pin

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
)

// Waker wakes threads on other cores, for whoever lends cores, and keeps the account of what that
// costs the caller: the interrupt to the other core is paid here. It belongs to one thread.
type Waker struct {
	clock   Clock
	account WakeAccount
}

// WakeAccount is what a Waker has done.
type WakeAccount struct {
	Wakes   uint64 // calls of Wake
	Woken   uint64 // threads that they have woken
	Signals uint64 // calls of Signal
	Spent   core.Time
	Longest core.Time
}

// NewWaker returns a waker.
func NewWaker() *Waker { return &Waker{clock: NewClock()} }

// Wake wakes an owner's worker that sleeps on its core's word, and returns how many threads it has
// woken: none if it does not sleep, more if owners on the same bit do.
func (w *Waker) Wake(c *baton.Cell, o baton.Owner) (int, error) {
	start := w.clock.Now()
	n, errno := wakeAcross(c.Address(), baton.MaxShared, o.Bit())
	w.spent(start)
	w.account.Wakes++
	if errno != 0 {
		return 0, fmt.Errorf("pin: wake owner %d of a baton at %p: %w", o, c, errno)
	}
	w.account.Woken += uint64(n)
	return n, nil
}

// Signal ends whatever wait a thread is in; see Thread.Signal.
func (w *Waker) Signal(t Thread) error {
	start := w.clock.Now()
	err := t.Signal()
	w.spent(start)
	w.account.Signals++
	return err
}

func (w *Waker) spent(since core.Time) {
	t := w.clock.Now() - since
	w.account.Spent += t
	w.account.Longest = max(w.account.Longest, t)
}

// Account is what was done so far. It is for the waker's own thread.
func (w *Waker) Account() WakeAccount { return w.account }

// Thread is a thread of another process. Its methods want the rights to signal and schedule it: be
// root, or, Promote apart, the same user.
//
// A Thread is two numbers, which the kernel gives away again some time after thread and process
// have ended. Each call checks that the one belongs to the other; whoever keeps a Thread forgets it
// when it learns of the process's end, and can then only have hit another thread of the same
// process.
type Thread struct{ process, id int }

// OpenThread finds a thread of a process; an error if it is not one of its.
func OpenThread(process, id int) (Thread, error) {
	t := Thread{process, id}
	if process <= 0 || id <= 0 {
		return t, fmt.Errorf("pin: thread %d of process %d: %w", id, process, unix.ESRCH)
	}
	return t, t.exists()
}

// ID is the kernel's number of the thread.
func (t Thread) ID() int { return t.id }

func (t Thread) exists() error {
	if errno := threadSignal(t.process, t.id, 0); errno != 0 {
		return fmt.Errorf("pin: thread %d of process %d: %w", t.id, t.process, errno)
	}
	return nil
}

// Signal sends SIGURG, which ends a wait wherever somebody has moved the waiter. To Go programs it
// is harmless, their runtime uses it itself; others must have a handler for it, because the kernel
// ends no wait for a signal that is ignored.
func (t Thread) Signal() error {
	if errno := threadSignal(t.process, t.id, unix.SIGURG); errno != 0 {
		return fmt.Errorf("pin: signal thread %d of process %d: %w", t.id, t.process, errno)
	}
	return nil
}

// Demote has the kernel run the thread only when no other wants its CPU (SCHED_IDLE).
func (t Thread) Demote() error { return t.schedule(unix.SCHED_IDLE) }

// Promote gives the thread back its ordinary priority (SCHED_OTHER, nice 0).
func (t Thread) Promote() error { return t.schedule(unix.SCHED_NORMAL) }

func (t Thread) schedule(policy uint32) error {
	if err := t.exists(); err != nil {
		return err
	}
	a := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy}
	if err := unix.SchedSetAttr(t.id, &a, 0); err != nil {
		return fmt.Errorf("pin: policy %d for thread %d of process %d: %w", policy, t.id, t.process,
			err)
	}
	return nil
}

// State is what the kernel says that the thread does, by its letter: R runs or could, S sleeps, D
// is in a system call that nothing interrupts, T is stopped, Z and X have ended. It opens a file:
// not for a dataplane's core.
func (t Thread) State() (byte, error) {
	path := fmt.Sprintf("/proc/%d/task/%d/stat", t.process, t.id)
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("pin: state of thread %d of process %d: %w", t.id, t.process, err)
	}
	// The name, in brackets, may hold anything; the state is behind it.
	_, rest, ok := bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte(" "))
	if !ok || len(rest) == 0 {
		return 0, fmt.Errorf("pin: %s has no state in it", path)
	}
	return rest[0], nil
}

// threadSignal sends a signal to a thread of a process, or with 0 only finds out whether it is one.
func threadSignal(process, id int, s unix.Signal) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_TGKILL, uintptr(process), uintptr(id), uintptr(s))
	return errno
}
