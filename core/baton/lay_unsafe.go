package baton

import (
	"fmt"
	"unsafe"
)

// Other programs lay the same words over the same memory: sizes and offsets are part of the
// version.
var (
	_ [LineBytes - unsafe.Sizeof(header{})]struct{}
	_ [unsafe.Sizeof(header{}) - LineBytes]struct{}
	_ [LineBytes - unsafe.Sizeof(Cell{})]struct{}
	_ [unsafe.Sizeof(Cell{}) - LineBytes]struct{}
	_ [LineBytes - unsafe.Sizeof(Line{})]struct{}
	_ [unsafe.Sizeof(Line{}) - LineBytes]struct{}

	_ [0 - unsafe.Offsetof(Cell{}.word)]struct{}
	_ [8 - unsafe.Offsetof(header{}.version)]struct{}
	_ [unsafe.Offsetof(header{}.version) - 8]struct{}
	_ [12 - unsafe.Offsetof(header{}.lines)]struct{}
	_ [unsafe.Offsetof(header{}.lines) - 12]struct{}

	_ [0 - unsafe.Offsetof(Line{}.oldest)]struct{}
	_ [8 - unsafe.Offsetof(Line{}.began)]struct{}
	_ [unsafe.Offsetof(Line{}.began) - 8]struct{}
	_ [16 - unsafe.Offsetof(Line{}.timer)]struct{}
	_ [unsafe.Offsetof(Line{}.timer) - 16]struct{}
	_ [24 - unsafe.Offsetof(Line{}.queued)]struct{}
	_ [unsafe.Offsetof(Line{}.queued) - 24]struct{}
	_ [28 - unsafe.Offsetof(Line{}.beats)]struct{}
	_ [unsafe.Offsetof(Line{}.beats) - 28]struct{}
	_ [32 - unsafe.Offsetof(Line{}.ack)]struct{}
	_ [unsafe.Offsetof(Line{}.ack) - 32]struct{}
	_ [36 - unsafe.Offsetof(Line{}.state)]struct{}
	_ [unsafe.Offsetof(Line{}.state) - 36]struct{}
)

// head lays a header over the beginning of mem, which is at least that long.
func head(mem []byte) (*header, error) {
	start := unsafe.Pointer(unsafe.SliceData(mem))
	if uintptr(start)%LineBytes != 0 {
		return nil, fmt.Errorf("memory at %p is not aligned to %d bytes", start, LineBytes)
	}
	return (*header)(start), nil
}

// lay finds the lines behind the header of mem, which is checked to be long enough and must stay
// mapped as long as they are used.
func lay[T Cell | Line](mem []byte, n int) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(&mem[LineBytes])), n)
}
