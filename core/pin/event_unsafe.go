package pin

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Event is an eventfd: a doorbell that any thread or process that has it can ring. Who cannot trust
// those who ring can still drain it without ever blocking; who cannot trust those who drain rings a
// Bell.
type Event struct {
	file *os.File
	fd   int
	one  [8]byte    // what Signal writes
	sink [512]byte  // what Drain reads: 8 bytes, or a Bell's rings
	read unix.Iovec // of sink
}

// NewEvent makes an event.
func NewEvent() (*Event, error) {
	// Without EFD_NONBLOCK: os.NewFile would give a descriptor that does not block to Go's poller,
	// which would wake up at every ring. Neither Signal nor Drain needs it.
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("pin: eventfd: %w", err)
	}
	return OpenEvent(os.NewFile(uintptr(fd), "eventfd")), nil
}

// OpenEvent takes over an eventfd, or a Bell's end, that somebody else made and handed to us.
func OpenEvent(f *os.File) *Event {
	e := &Event{file: f, fd: int(f.Fd())}
	e.one[0] = 1
	e.read.Base = &e.sink[0]
	e.read.SetLen(len(e.sink))
	return e
}

// Signal rings. Many rings before a Drain are one. It would block only if somebody else who has the
// eventfd filled its counter on purpose.
func (e *Event) Signal() {
	unix.RawSyscall(unix.SYS_WRITE, uintptr(e.fd), uintptr(unsafe.Pointer(&e.one)), 8)
}

// Drain resets it. It does not block, even if somebody else who has it drained it first: O_NONBLOCK
// would be shared with all of them, RWF_NOWAIT is for this call alone (eventfd: Linux 5.8, sockets:
// 6.4). Position -1 is that of a file that has none. An older kernel does not know the flag for a
// Bell's end; nobody but us drains that, and a poll just said that there is something.
func (e *Event) Drain() {
	_, _, err := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(e.fd),
		uintptr(unsafe.Pointer(&e.read)), 1, ^uintptr(0), ^uintptr(0), unix.RWF_NOWAIT)
	if err == unix.EOPNOTSUPP {
		unix.RawSyscall(unix.SYS_READ, uintptr(e.fd), uintptr(unsafe.Pointer(&e.sink)),
			uintptr(len(e.sink)))
	}
}

// FD is the descriptor to poll.
func (e *Event) FD() int { return e.fd }

// File is the eventfd, for handing it to another process. It stays the Event's.
func (e *Event) File() *os.File { return e.file }

// Close closes it. Nobody may ring or drain it any more.
func (e *Event) Close() error { return e.file.Close() }
