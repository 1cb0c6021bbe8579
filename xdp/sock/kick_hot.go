package sock

import (
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/dataplane"
)

// KickTx has the kernel transmit what was published, on this thread: one system call, which takes
// 32 descriptors at most unless whoever opened the socket raised that. The largest cost of a frame.
func (s *Socket) KickTx() dataplane.Kick {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, s.fd, 0, 0, unix.MSG_DONTWAIT, 0, 0)
	if errno == 0 {
		return dataplane.KickDone
	}
	return outcome(errno)
}

// KickRx tells the kernel of new fill entries, and runs the interface's receive path if the socket
// polls busily. What it cannot do it will not say; an interface that is gone shows at the next
// KickTx.
func (s *Socket) KickRx() {
	unix.RawSyscall6(unix.SYS_RECVFROM, s.fd, 0, 0, unix.MSG_DONTWAIT, 0, 0)
}

// outcome is what an error of sendto on an AF_XDP socket means.
func outcome(errno unix.Errno) dataplane.Kick {
	switch errno {
	case unix.EAGAIN: // its budget for one call is used up, or the completion ring is full
		return dataplane.KickAgain
	case unix.EBUSY, // the interface's queue dropped a frame; those behind it wait
		unix.ENOBUFS, unix.ENOMEM: // no kernel memory for a copy now
		return dataplane.KickBlocked
	}
	return dataplane.KickDown // ENETDOWN: set down; ENXIO: deleted or never bound; EBADF: closed
}
