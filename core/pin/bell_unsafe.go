package pin

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bell wakes a process that is not trusted. It is one way: we ring, the other side has File,
// opens it as an Event, polls and drains it.
//
// It is a pair of sockets and not an eventfd, because a write to an eventfd cannot be told not to
// wait: O_NONBLOCK is shared with the other side, which could clear it and fill the counter, and
// our next ring would sleep for ever. A send can, and its receiver holds no lock that a sender
// takes (that of a pipe does). We never receive, so the other side can neither send nor pass us
// anything.
type Bell struct {
	near, far *os.File
	fd        int
	one       [1]byte // what Signal sends
}

// NewBell makes a bell.
func NewBell() (*Bell, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("pin: socketpair: %w", err)
	}
	b := &Bell{
		near: os.NewFile(uintptr(fds[0]), "bell"), far: os.NewFile(uintptr(fds[1]), "bell"),
		fd: fds[0],
	}
	if err := unix.Shutdown(fds[0], unix.SHUT_RD); err != nil {
		return nil, errors.Join(fmt.Errorf("pin: shut down a bell's way back: %w", err), b.Close())
	}
	return b, nil
}

// Signal rings. It does not block, whatever the other side does. Rings that were not drained count
// as one.
func (b *Bell) Signal() {
	unix.RawSyscall6(unix.SYS_SENDTO, uintptr(b.fd), uintptr(unsafe.Pointer(&b.one)), 1,
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
}

// File is the other side's end, for handing it over. It stays the Bell's.
func (b *Bell) File() *os.File { return b.far }

// Close closes both ends. Nobody may ring any more.
func (b *Bell) Close() error { return errors.Join(b.near.Close(), b.far.Close()) }
