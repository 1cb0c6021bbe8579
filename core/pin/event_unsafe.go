package pin

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Event is an eventfd: a doorbell that any thread or process that has it can ring.
type Event struct {
	file *os.File
	fd   int
	one  [8]byte // what Signal writes
	sink [8]byte // what Drain reads; the drainer's
}

// NewEvent makes an event.
func NewEvent() (*Event, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("pin: eventfd: %w", err)
	}
	return OpenEvent(os.NewFile(uintptr(fd), "eventfd")), nil
}

// OpenEvent takes over an eventfd that somebody else made and handed to us.
func OpenEvent(f *os.File) *Event {
	// os.File.Fd sets the descriptor to blocking mode; ours must not block in Signal or Drain.
	e := &Event{file: f, fd: int(f.Fd())}
	_ = unix.SetNonblock(e.fd, true)
	e.one[0] = 1
	return e
}

// Signal rings. It does not block, and many rings before a Drain are one.
func (e *Event) Signal() {
	unix.RawSyscall(unix.SYS_WRITE, uintptr(e.fd), uintptr(unsafe.Pointer(&e.one)), 8)
}

// Drain resets it.
func (e *Event) Drain() {
	unix.RawSyscall(unix.SYS_READ, uintptr(e.fd), uintptr(unsafe.Pointer(&e.sink)), 8)
}

// FD is the descriptor to poll.
func (e *Event) FD() int { return e.fd }

// File is the eventfd, for handing it to another process. It stays the Event's.
func (e *Event) File() *os.File { return e.file }

// Close closes it. Nobody may ring or drain it any more.
func (e *Event) Close() error { return e.file.Close() }
