package lab

import (
	"fmt"
	"os/exec"
	"runtime"

	"github.com/vishvananda/netns"
)

// newSpace returns a new network namespace. The caller's thread is back in its own afterwards.
func newSpace() (space netns.NsHandle, err error) {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return netns.None(), err
	}
	defer leave(home, &err)
	return netns.New()
}

// In runs fn in the namespace of side, on the calling goroutine, and returns its error. Sockets,
// /proc/sys/net and /proc/thread-self/net that fn opens are the namespace's. Goroutines that fn
// starts are not in it.
//
// fn may panic or end the goroutine (as testing.T.Fatal does): the thread goes home in any case. If
// it cannot go home, In says so and the goroutine keeps the thread, which ends with it.
func (l *Lab) In(side Side, fn func() error) (err error) {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("lab: own namespace: %w", err)
	}
	if err := netns.Set(l.spaces[side]); err != nil {
		home.Close()
		runtime.UnlockOSThread()
		return fmt.Errorf("lab: enter namespace %s: %w", side, err)
	}
	defer leave(home, &err)
	return fn()
}

// leave returns the locked thread to home and unlocks it. A thread that cannot go home stays
// locked: Go ends it with its goroutine instead of lending it, in a foreign namespace, to another
// one.
func leave(home netns.NsHandle, err *error) {
	defer home.Close()
	if serr := netns.Set(home); serr != nil {
		if *err == nil {
			*err = fmt.Errorf("lab: return to own namespace: %w", serr)
		}
		return
	}
	runtime.UnlockOSThread()
}

// Start starts cmd in the namespace of side. The rest (Wait, Process) is cmd's.
func (l *Lab) Start(side Side, cmd *exec.Cmd) error {
	return l.In(side, cmd.Start)
}
