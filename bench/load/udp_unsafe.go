package load

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of a UDP socket as a program would make them that polls: raw, so that Go's
// scheduler is not told of calls that never block.

// sendNow sends b on a connected socket, or to the address that is at, if it is not nil.
func sendNow(fd int, b []byte, at *unix.RawSockaddrInet4) unix.Errno {
	size := uintptr(0)
	if at != nil {
		size = unsafe.Sizeof(*at)
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(at)), size)
	return errno
}

// recvNow receives into b what is there, and the sender's address into from, if it is not nil.
func recvNow(fd int, b []byte, from *unix.RawSockaddrInet4) (n int, errno unix.Errno) {
	size := uint32(unix.SizeofSockaddrInet4)
	sizeAt := &size
	if from == nil {
		sizeAt = nil
	}
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(from)), uintptr(unsafe.Pointer(sizeAt)))
	return int(r), errno
}

// recvWait receives into b, and waits for it as long as the socket's receive time-out says. Go's
// scheduler is told, because this may take long.
func recvWait(fd int, b []byte, from *unix.RawSockaddrInet4) (n int, errno unix.Errno) {
	size := uint32(unix.SizeofSockaddrInet4)
	sizeAt := &size
	if from == nil {
		sizeAt = nil
	}
	r, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), 0, uintptr(unsafe.Pointer(from)), uintptr(unsafe.Pointer(sizeAt)))
	return int(r), errno
}
