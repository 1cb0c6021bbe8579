package pin

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of futex(2). They are not private: the word lies in memory that processes share.
const (
	futexWaitBitset = 9
	futexWakeBitset = 10
)

// waitOn sleeps while the word is seen, until somebody wakes the bit or a signal comes. Go's
// scheduler is told: the thread holds no P while it sleeps.
func waitOn(word *atomic.Uint32, seen, bit uint32) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWaitBitset,
		uintptr(seen), 0, 0, uintptr(bit))
	return errno
}

// wakeOn wakes at most most of those who wait on the word with that bit, and returns how many. Go's
// scheduler is told, because on the core that they share with us they may run at once, in the
// middle of our call, and for long.
func wakeOn(word *atomic.Uint32, most int, bit uint32) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWakeBitset,
		uintptr(most), 0, 0, uintptr(bit))
	return int(n), errno
}

// wakeAcross is the same for waiters on other cores, which do not take ours: Go's scheduler need
// not know.
func wakeAcross(word *atomic.Uint32, most int, bit uint32) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWakeBitset,
		uintptr(most), 0, 0, uintptr(bit))
	return int(n), errno
}
