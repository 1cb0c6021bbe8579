package daemon

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core/baton"
)

// requeue moves all that wait on the first core's word of a baton page to a word of our own.
func requeue(page []byte) {
	word := unsafe.Pointer(&page[baton.LineBytes])
	var own uint32
	unix.Syscall6(unix.SYS_FUTEX, uintptr(word), futexCmpRequeue, 0, 1<<30,
		uintptr(unsafe.Pointer(&own)), uintptr(*(*uint32)(word)))
}
