package mem

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserve maps size bytes at an address, or anywhere when that is 0. It costs no memory until it is
// written to.
func reserve(at uintptr, size int) ([]byte, error) {
	flags := unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
	if at != 0 {
		flags |= unix.MAP_FIXED_NOREPLACE
	}
	const access = unix.PROT_READ | unix.PROT_WRITE
	got, _, errno := unix.Syscall6(unix.SYS_MMAP, at, uintptr(size), access, uintptr(flags),
		^uintptr(0), 0)
	if errno != 0 {
		return nil, errno
	}
	// What vet takes for a mistake is the only way to a pointer from an address that is the
	// kernel's choice.
	b := unsafe.Slice(*(**byte)(unsafe.Pointer(&got)), size)
	if at != 0 && got != at { // before Linux 4.17 the flag was a hint
		return nil, unmapThen(b, unix.EEXIST)
	}
	return b, nil
}

func unmapThen(b []byte, why error) error {
	if err := unmap(b); err != nil {
		return err
	}
	return why
}

// unmap gives a reservation back. unix.Munmap knows only what unix.Mmap made.
func unmap(b []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MUNMAP, uintptr(address(b)), uintptr(len(b)), 0)
	return result(errno)
}

// touch makes the pages of b present, by a write that changes nothing.
func touch(b []byte, page int) {
	for i := 0; i < len(b); i += page {
		atomic.AddUint32((*uint32)(unsafe.Pointer(&b[i])), 0)
	}
}

// mincore tells which pages of b are there: bit 0 of an entry for each.
func mincore(b, in []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(address(b)), uintptr(len(b)),
		uintptr(unsafe.Pointer(&in[0])))
	return result(errno)
}
