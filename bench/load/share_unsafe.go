package load

import (
	"sync/atomic"
	"unsafe"

	"github.com/dunlin-io/dunlin/core/baton"
)

// share is what a process that computes tells of itself. It has a line to itself, which it alone
// writes.
type share struct {
	useful  atomic.Int64  // time in which it computed
	stalls  atomic.Uint64 // times over stallLimit in which it should have and did not
	stalled atomic.Int64  // time in them
	longest atomic.Int64
	_       [baton.LineBytes - 32]byte
}

var (
	_ [baton.LineBytes - unsafe.Sizeof(share{})]struct{}
	_ [unsafe.Sizeof(share{}) - baton.LineBytes]struct{}
)

// layShare finds it at the beginning of a memory.
func layShare(memory []byte) *share { return (*share)(unsafe.Pointer(&memory[0])) }
