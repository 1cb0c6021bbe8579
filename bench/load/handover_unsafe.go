package load

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core/baton"
)

// stamp is when a process ran for a grant. It has a line to itself, written by that process.
type stamp struct {
	at   atomic.Int64  // on the host's clock
	word atomic.Uint32 // the grant; stored last
	_    [baton.LineBytes - 12]byte
}

var (
	_ [baton.LineBytes - unsafe.Sizeof(stamp{})]struct{}
	_ [unsafe.Sizeof(stamp{}) - baton.LineBytes]struct{}
)

// layStamps finds the stamps of all owners in a memory of stampBytes.
func layStamps(memory []byte) []stamp {
	return unsafe.Slice((*stamp)(unsafe.Pointer(&memory[0])), ownerLines)
}

// Operations of futex(2).
const (
	futexWaitBitset = 9
	futexWakeBitset = 10
)

// bareWait and bareWake are the two system calls of a hand-over and nothing else.
func bareWait(word *atomic.Uint32, seen uint32, bit uint32) {
	unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWaitBitset,
		uintptr(seen), 0, 0, uintptr(bit))
}

func bareWake(word *atomic.Uint32, bit uint32) {
	unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWakeBitset,
		uintptr(baton.MaxShared), 0, 0, uintptr(bit))
}
