package pin

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core/baton"
)

// scratch is what a test and one worker process tell each other.
type scratch struct {
	// The worker's.
	at       atomic.Int64  // when it ran first after its last grant, on the host's clock
	word     atomic.Uint32 // that grant
	grants   atomic.Uint32 // how many it has run for
	polls    atomic.Uint64
	collects atomic.Uint64 // collections that have ended
	moved    atomic.Uint32 // waiters that it has moved away
	inHand   atomic.Uint32 // it is in a request that does not end
	_        [64 - 40]byte

	// The test's.
	busy    atomic.Uint32 // a request in hand does not end
	idle    atomic.Uint32 // there is nothing to do
	collect atomic.Uint64 // collections that it should have run
	crime   atomic.Uint32 // of a hostile one
	_       [64 - 24]byte
}

// scratches are laid over mem, one for each owner.
func scratches(mem []byte) []scratch {
	return unsafe.Slice((*scratch)(unsafe.Pointer(&mem[0])), len(mem)/int(unsafe.Sizeof(scratch{})))
}

// requeue moves all who wait on a word that is w to another word, as whoever can read both can do.
func requeue(from, to *atomic.Uint32, w baton.Word) (int, unix.Errno) {
	const futexCmpRequeue, most = 4, 1000
	n, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(from)), futexCmpRequeue, 0,
		most, uintptr(unsafe.Pointer(to)), uintptr(w))
	return int(n), errno
}
