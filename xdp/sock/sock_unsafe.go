package sock

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// getsockopt reads an option of level SOL_XDP into v and returns how many bytes the kernel knew.
func getsockopt[T any](fd int, option uintptr, v *T) (uintptr, error) {
	n := uint32(unsafe.Sizeof(*v))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, option,
		uintptr(unsafe.Pointer(v)), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return 0, errno
	}
	return uintptr(n), nil
}

// mmapOffsets asks where the words of the rings are. Kernels before 5.4 leave out the flags.
func mmapOffsets(fd int) (o unix.XDPMmapOffsets, err error) {
	n, err := getsockopt(fd, unix.XDP_MMAP_OFFSETS, &o)
	if err == nil && n != unsafe.Sizeof(o) {
		err = fmt.Errorf("%d bytes, want %d: need_wakeup needs Linux 5.4", n, unsafe.Sizeof(o))
	}
	return o, err
}

// statistics reads the socket's counters; those that the kernel does not know stay 0.
func statistics(fd int) (s unix.XDPStatistics, err error) {
	_, err = getsockopt(fd, unix.XDP_STATISTICS, &s)
	return s, err
}

// options reads the socket's XDP_OPTIONS flags.
func options(fd int) (flags uint32, err error) {
	_, err = getsockopt(fd, unix.XDP_OPTIONS, &flags)
	return flags, err
}
