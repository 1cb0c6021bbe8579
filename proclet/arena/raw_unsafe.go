package arena

import (
	"unsafe"
)

// The header must fit into its room: the parts begin behind it.
var _ [headerRoom - unsafe.Sizeof(header{})]struct{}

// word is a unit of the slot. The caller has checked that it lies inside.
func (h *Heap) word(at uint64) *uint64 {
	return (*uint64)(unsafe.Add(h.slot, at<<wordShift))
}

// units are n units of the slot from at. The caller has checked that they lie inside.
func (h *Heap) units(at, n uint64) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Add(h.slot, at<<wordShift)), n)
}

// lay finds the header at the start of a slot.
func lay(slot []byte) (*header, unsafe.Pointer) {
	base := unsafe.Pointer(unsafe.SliceData(slot))
	return (*header)(base), base
}

// aligned reports whether a slot begins where words may.
func aligned(slot []byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(slot)))%unitBytes == 0
}

// address is where a slot lies in this process, and is never stored in it.
type address = unsafe.Pointer
