package mem

import (
	"sync/atomic"
	"unsafe"
)

// store and load are for words that two threads use.
func store(b []byte, v uint32) { atomic.StoreUint32((*uint32)(unsafe.Pointer(&b[0])), v) }

func load(b []byte) uint32 { return atomic.LoadUint32((*uint32)(unsafe.Pointer(&b[0]))) }
