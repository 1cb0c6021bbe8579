package arena

import (
	"math/bits"
	"reflect"
	"unsafe"
)

// Ref refers to a T in an arena: how far it is from the slot's start, in units of 8 bytes, and the
// generation of its block. It is a number of 8 bytes and may itself lie in an arena. The zero Ref
// refers to nothing.
//
// A Ref is used with the Heap that it was made in. With another, or after Free, it is refused: Free
// always compares generations, access does under the build tag invariants and otherwise makes sure
// that every byte lies inside the allocated part of this heap.
type Ref[T any] struct {
	_   [0]*T // a Ref of one type does not convert to one of another
	at  uint32
	gen uint32
}

// IsNil reports whether r refers to nothing.
func (r Ref[T]) IsNil() bool { return r.at == 0 }

// Offset is where r refers to, in bytes from the slot's start.
func (r Ref[T]) Offset() int64 { return int64(r.at) * unitBytes }

func (Ref[T]) refersTo() reflect.Type { return reflect.TypeFor[T]() }

// New allocates a T, which is zero. The error is a FullError.
func (t Type[T]) New(h *Heap) (Ref[T], error) {
	if t.units-1 >= smallClasses { // also the zero Type
		return t.newLarge(h)
	}
	at, gen := h.take(t.units)
	if at == 0 {
		return Ref[T]{}, h.full(t.units)
	}
	p := unsafe.Add(h.slot, uint64(at)<<wordShift)
	if unsafe.Sizeof(*new(T))%unitBytes != 0 {
		*h.word(uint64(at) + t.units - 1) = 0
	}
	*(*T)(p) = *new(T)
	return Ref[T]{at: at, gen: gen}, nil
}

func (t Type[T]) newLarge(h *Heap) (Ref[T], error) {
	if t.units == 0 {
		return Ref[T]{}, &TypeError{
			Type: reflect.TypeFor[T]().String(), Kind: "type that was not registered",
		}
	}
	at, gen, err := h.alloc(t.units, 1)
	return Ref[T]{at: at, gen: gen}, err
}

// Free gives the T back. A Ref that is nil, stale, freed before or of another heap is a RefError,
// and nothing is changed.
func (r Ref[T]) Free(h *Heap) error {
	if !h.release(r.at, r.gen) {
		return h.refused(r.at, r.gen)
	}
	return nil
}

// Get is the T, for reading. It panics with a RefError if r may not be used. The pointer is good
// until the T is freed, the arena moves or the handler ends.
func (r Ref[T]) Get(h *Heap) *T {
	if !h.holds(r.at, r.gen, unitsOf[T]()) {
		panic(h.refused(r.at, r.gen))
	}
	return (*T)(unsafe.Add(h.slot, uint64(r.at)<<wordShift))
}

// Mut is Get for writing: what is written without it is not noticed by the software tracker.
func (r Ref[T]) Mut(h *Heap) *T {
	if !h.holds(r.at, r.gen, unitsOf[T]()) {
		panic(h.refused(r.at, r.gen))
	}
	h.note(r.at, unitsOf[T]())
	return (*T)(unsafe.Add(h.slot, uint64(r.at)<<wordShift))
}

// Try is Get with an error instead of a panic, for Refs that came from elsewhere.
func (r Ref[T]) Try(h *Heap) (*T, error) {
	if !h.holds(r.at, r.gen, unitsOf[T]()) {
		return nil, h.refused(r.at, r.gen)
	}
	return (*T)(unsafe.Add(h.slot, uint64(r.at)<<wordShift)), nil
}

func unitsOf[T any]() uint64 { return uint64(unsafe.Sizeof(*new(T))+unitBytes-1) / unitBytes }

// Root is what SetRoot stored: where the owner of a heap finds everything else. A root that is not
// a T's is the caller's mistake and is not noticed, except that every access stays in bounds.
func (t Type[T]) Root(h *Heap) Ref[T] {
	if t.units == 0 {
		panic(&TypeError{
			Type: reflect.TypeFor[T]().String(), Kind: "type that was not registered",
		})
	}
	root := h.part.root
	return Ref[T]{at: uint32(root), gen: uint32(root >> 32)}
}

// SetRoot stores r in the header of its heap. A nil Ref stores that there is none.
func (r Ref[T]) SetRoot(h *Heap) {
	h.part.root = uint64(r.gen)<<32 | uint64(r.at)
	h.noteHeader()
}

// Span refers to n values of T that lie one behind another. The zero Span is empty.
type Span[T any] struct {
	ref Ref[T]
	n   uint64
}

func (s Span[T]) refersTo() reflect.Type { return reflect.TypeFor[T]() }

// Len is how many values there are.
func (s Span[T]) Len() int { return int(s.n) }

// Offset is where the first value lies, in bytes from the slot's start.
func (s Span[T]) Offset() int64 { return s.ref.Offset() }

// NewSpan allocates n values of T, all zero. The errors are ErrSize and FullError.
func (t Type[T]) NewSpan(h *Heap, n int) (Span[T], error) { return t.NewAligned(h, n, unitBytes) }

// NewAligned is NewSpan for values that begin at a multiple of align bytes of the slot: a power of
// two up to a page.
func (t Type[T]) NewAligned(h *Heap, n, align int) (Span[T], error) {
	if t.units == 0 {
		return Span[T]{}, &TypeError{
			Type: reflect.TypeFor[T]().String(), Kind: "type that was not registered",
		}
	}
	units, err := checkSize(n, uint64(unsafe.Sizeof(*new(T))), align)
	if err != nil {
		return Span[T]{}, err
	}
	at, gen, err := h.alloc(units, uint64(max(align, unitBytes))/unitBytes)
	if err != nil {
		return Span[T]{}, err
	}
	return Span[T]{ref: Ref[T]{at: at, gen: gen}, n: uint64(n)}, nil
}

// Free gives the values back, as Ref.Free does.
func (s Span[T]) Free(h *Heap) error { return s.ref.Free(h) }

// View is the values, for reading; see Ref.Get.
func (s Span[T]) View(h *Heap) []T {
	units, ok := s.units()
	if !ok || !h.holds(s.ref.at, s.ref.gen, units) {
		return s.none(h)
	}
	return unsafe.Slice((*T)(unsafe.Add(h.slot, uint64(s.ref.at)<<wordShift)), s.n)
}

// Mut is View for writing: all of the values count as written. See MutRange.
func (s Span[T]) Mut(h *Heap) []T {
	v := s.View(h)
	if units, _ := s.units(); len(v) > 0 {
		h.note(s.ref.at, units)
	}
	return v
}

// MutRange is View of the values from i up to j, for writing.
func (s Span[T]) MutRange(h *Heap, i, j int) []T {
	v := s.View(h)[i:j]
	if h.arena.watch && len(v) > 0 {
		size := uint64(unsafe.Sizeof(*new(T)))
		first := uint64(i) * size / unitBytes
		h.noteUnits(uint64(s.ref.at)+first, (uint64(j)*size+unitBytes-1)/unitBytes-first)
	}
	return v
}

// At is the value number i, for reading.
func (s Span[T]) At(h *Heap, i int) *T { return &s.View(h)[i] }

// MutAt is the value number i, for writing.
func (s Span[T]) MutAt(h *Heap, i int) *T { return &s.MutRange(h, i, i+1)[0] }

// units is how many units the values have; false if that is more than any slot.
func (s Span[T]) units() (uint64, bool) {
	over, n := bits.Mul64(s.n, uint64(unsafe.Sizeof(*new(T))))
	return (n + unitBytes - 1) / unitBytes, over == 0 && n <= MaxCap
}

// none is the view of a Span that cannot be viewed: nothing if it is the empty one.
//
//go:noinline
func (s Span[T]) none(h *Heap) []T {
	if s.n == 0 {
		return nil
	}
	panic(h.refused(s.ref.at, s.ref.gen))
}
