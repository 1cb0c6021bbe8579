package control

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peer is the process at the other end of a connection.
type peer struct {
	Credentials
	// pidfd becomes readable when the process dies, even if somebody else holds the connection
	// open. nil before Linux 5.3, and for a process that we cannot see.
	pidfd *os.File
}

// peerOf asks the kernel who connected. The caller closes the pidfd.
func peerOf(conn *net.UnixConn) (peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return peer{}, fmt.Errorf("control: peer: %w", err)
	}
	var p peer
	var failure error
	err = raw.Control(func(fd uintptr) { p, failure = credentials(int(fd)) })
	if err == nil {
		err = failure
	}
	if err != nil {
		return peer{}, fmt.Errorf("control: peer: %w", err)
	}
	return p, nil
}

func credentials(fd int) (p peer, err error) {
	who, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return p, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	p.PID, p.UID, p.GID = int(who.Pid), who.Uid, who.Gid
	if p.Groups, err = peerGroups(fd); err != nil {
		return p, fmt.Errorf("SO_PEERGROUPS: %w", err)
	}
	pidfd, err := peerPidfd(fd, p.PID)
	if err != nil {
		return p, err
	}
	if pidfd >= 0 {
		p.pidfd = os.NewFile(uintptr(pidfd), "pidfd")
	}
	return p, nil
}

// peerPidfd returns a non-blocking descriptor of the process, -1 if it cannot be had.
func peerPidfd(fd, pid int) (int, error) {
	pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD) // Linux 6.5
	if err == unix.ENOPROTOOPT && pid > 0 {
		// Between connect and here the PID may have been given to somebody else. That costs a
		// detach too many or too late, never a right: those come from SO_PEERCRED.
		pidfd, err = unix.PidfdOpen(pid, 0)
	}
	switch err {
	case nil:
	case unix.ESRCH:
		return -1, fmt.Errorf("process %d is gone", pid)
	default:
		return -1, nil // then the end of the connection has to do
	}
	if err := unix.SetNonblock(pidfd, true); err != nil {
		unix.Close(pidfd)
		return -1, fmt.Errorf("pidfd of process %d: %w", pid, err)
	}
	return pidfd, nil
}

// awaitExit blocks until the process of a pidfd is gone (true) or the pidfd is closed (false).
func awaitExit(pidfd *os.File) bool {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Read(func(fd uintptr) bool {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(ready, 0)
		return err == nil && n > 0
	})
	return err == nil
}
