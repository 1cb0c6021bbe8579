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
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT,
		uintptr(unsafe.Pointer(at)), size)
	return errno
}

// sender is whose packet was received.
type sender struct {
	address unix.RawSockaddrInet4
	bytes   uint32 // of address: room before a call, filled after it
}

// room prepares s for a call and returns what the kernel wants to be told; a nil s wants nothing.
func (s *sender) room() (address, bytes unsafe.Pointer) {
	if s == nil {
		return nil, nil
	}
	s.bytes = unix.SizeofSockaddrInet4
	return unsafe.Pointer(&s.address), unsafe.Pointer(&s.bytes)
}

// recvNow receives into b what is there, and whose it is into from, if that is not nil.
func recvNow(fd int, b []byte, from *sender) (n int, errno unix.Errno) {
	address, bytes := from.room()
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT,
		uintptr(address), uintptr(bytes))
	return int(r), errno
}

// recvWait does the same, and waits as long as the socket's receive time-out says. Go's scheduler
// is told, because this may take long.
func recvWait(fd int, b []byte, from *sender) (n int, errno unix.Errno) {
	address, bytes := from.room()
	r, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, uintptr(address),
		uintptr(bytes))
	return int(r), errno
}
