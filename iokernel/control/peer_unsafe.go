package control

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerGroups is SO_PEERGROUPS: the supplementary groups that the peer had when it connected. x/sys
// has no call for a list of numbers.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 64) // most have fewer
	for range 2 {
		size := uint32(len(groups)) * uint32(unsafe.Sizeof(groups[0]))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET,
			unix.SO_PEERGROUPS, uintptr(unsafe.Pointer(&groups[0])),
			uintptr(unsafe.Pointer(&size)), 0)
		count := size / uint32(unsafe.Sizeof(groups[0]))
		switch errno {
		case 0:
			return groups[:count], nil
		case unix.ERANGE: // the kernel said how many there are; they do not change any more
			groups = make([]uint32, count)
		default:
			return nil, errno
		}
	}
	return nil, unix.ERANGE
}
