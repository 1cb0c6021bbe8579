package ring

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// The entries are the kernel's; a size that differs would read its neighbours.
var (
	_ [DescBytes - unsafe.Sizeof(Desc{})]struct{}
	_ [unsafe.Sizeof(Desc{}) - DescBytes]struct{}
)

// lay finds a ring's words in mem, which must stay mapped as long as an end uses them.
func lay[T Entry](mem []byte, o Offsets, n uint32) (words[T], error) {
	var zero T
	size := uint64(unsafe.Sizeof(zero))
	if err := o.check(uint64(len(mem)), n, size); err != nil {
		return words[T]{}, err
	}
	base := unsafe.Pointer(unsafe.SliceData(mem))
	if uintptr(base)%8 != 0 {
		return words[T]{}, fmt.Errorf("ring: memory at %p is not aligned to 8 bytes", base)
	}
	return words[T]{
		producer: (*atomic.Uint32)(unsafe.Add(base, o.Producer)),
		consumer: (*atomic.Uint32)(unsafe.Add(base, o.Consumer)),
		flags:    (*atomic.Uint32)(unsafe.Add(base, o.Flags)),
		entries:  unsafe.Slice((*T)(unsafe.Add(base, o.Entries)), n),
		mask:     n - 1,
	}, nil
}
