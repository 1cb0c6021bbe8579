package daemon

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core/baton"
)

// requeue moves all that wait on the first core's word of a baton page to a word of our own, and
// returns how many did. They are not woken by whoever wakes the core's.
func requeue(page []byte) (moved int) {
	word := unsafe.Pointer(&page[baton.LineBytes])
	var own uint32
	n, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(word), futexCmpRequeue, 0, 1<<30,
		uintptr(unsafe.Pointer(&own)), uintptr(*(*uint32)(word)))
	if errno != 0 { // the word has changed meanwhile
		return 0
	}
	return int(n)
}
