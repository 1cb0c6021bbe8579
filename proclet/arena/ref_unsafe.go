package arena

import (
	"math/bits"
	"reflect"
	"unsafe"

	"github.com/dunlin-io/dunlin/core/invariant"
)

// Ref refers to a T in an arena: how far it is from the slot's start, in units of 8 bytes, and the
// generation of its block. It is a number of 8 bytes and may itself lie in an arena. The zero Ref
// refers to nothing.
//
// A Ref is used with the Heap that it was made in. With another, or after Free, it is refused: Free
// always compares generations, access does under the build tag invariants and otherwise makes sure
// that every byte lies inside the allocated part of this heap.
type Ref[T any] struct {
	_ [0]*T // a Ref of one type does not convert to one of another
	l link
}

// IsNil reports whether r refers to nothing.
func (r Ref[T]) IsNil() bool { return r.l == 0 }

// Offset is where r refers to, in bytes from the slot's start.
func (r Ref[T]) Offset() int64 { return int64(r.l.at()) * unitBytes }

func (Ref[T]) refersTo() reflect.Type { return reflect.TypeFor[T]() }

// New allocates a T, which is zero. The error is a FullError.
//
// Taking the block that was freed last is written out here, where the compiler knows the size: it
// costs a third of Heap.take, which does the rest. While somebody watches there is no such block.
func (t Type[T]) New(h *Heap) (Ref[T], error) {
	units := unitsOf[T]()
	first := uint64(h.part.front[(units-1)&(smallClasses-1)]) // 0 leads to the header's first word
	if *h.word(first)&(liveBit|sizeMask) != units || units > smallClasses || t.units == 0 {
		return t.newSlow(h)
	}
	gen := uint64(h.part.nextGen()) << genShift
	*h.word(first) = gen | units
	if unsafe.Sizeof(*new(T))%unitBytes != 0 {
		*h.word(first + units) = 0
	}
	*(*T)(unsafe.Pointer(h.word(first + 1))) = *new(T)
	return Ref[T]{l: link(gen | first + 1)}, nil
}

//go:noinline
func (t Type[T]) newSlow(h *Heap) (Ref[T], error) {
	if err := t.registered(); err != nil {
		return Ref[T]{}, err
	}
	l, err := h.alloc(t.units, 1)
	return Ref[T]{l: l}, err
}

// registered refuses the zero Type.
func (t Type[T]) registered() error {
	if t.units == 0 {
		return &TypeError{
			Type: reflect.TypeFor[T]().String(), Kind: "type that was not registered",
		}
	}
	return nil
}

// Free gives the T back. A Ref that is nil, stale, freed before or of another heap is a RefError,
// and nothing is changed.
func (r Ref[T]) Free(h *Heap) error {
	units := unitsOf[T]()
	first := uint64(uint32(r.l)) - 1
	live := uint64(r.l)&^sizeMask | units // what stands in front of it, if all is well
	if uint64(h.part.front[(units-1)&(smallClasses-1)]) != first || *h.word(first) != live ||
		live&liveBit == 0 || units > smallClasses {
		return h.release(r.l)
	}
	*h.word(first) = live + liveBit
	return nil
}

// Get is the T, for reading. It panics with a RefError if r may not be used. The pointer is good
// until the T is freed, the arena moves or the handler ends.
func (r Ref[T]) Get(h *Heap) *T {
	p := h.part
	at := uint64(uint32(r.l)) // no calls in here: it must stay small enough to be inlined
	if at <= p.start || at+unitsOf[T]() > p.bump ||
		invariant.Enabled && !h.owns(r.l, unitsOf[T]()) {
		panic(&RefError{Ref: uint64(r.l)})
	}
	return (*T)(unsafe.Add(h.slot, at<<wordShift))
}

// Mut is Get for writing: what is written without it is not noticed by the software tracker.
func (r Ref[T]) Mut(h *Heap) *T {
	p := r.Get(h)
	if h.watch {
		h.noteUnits(r.l.at(), unitsOf[T]())
	}
	return p
}

// Try is Get with an error instead of a panic, for Refs that came from elsewhere.
func (r Ref[T]) Try(h *Heap) (*T, error) {
	if !h.holds(r.l, unitsOf[T]()) {
		return nil, h.refused(r.l)
	}
	return (*T)(unsafe.Pointer(h.word(r.l.at()))), nil
}

func unitsOf[T any]() uint64 { return uint64(unsafe.Sizeof(*new(T))+unitBytes-1) / unitBytes }

// Root is what SetRoot stored: where the owner of a heap finds everything else. A root that is not
// a T's is the caller's mistake and is not noticed, except that every access stays in bounds.
func (t Type[T]) Root(h *Heap) Ref[T] {
	if err := t.registered(); err != nil {
		panic(err)
	}
	return Ref[T]{l: link(h.part.root)}
}

// SetRoot stores r in the header of its heap. A nil Ref stores that there is none.
func (r Ref[T]) SetRoot(h *Heap) {
	h.part.root = uint64(r.l)
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
	if err := t.registered(); err != nil {
		return Span[T]{}, err
	}
	units, err := checkSize(n, uint64(unsafe.Sizeof(*new(T))), align)
	if err != nil {
		return Span[T]{}, err
	}
	l, err := h.alloc(units, uint64(max(align, unitBytes))/unitBytes)
	if err != nil {
		return Span[T]{}, err
	}
	return Span[T]{ref: Ref[T]{l: l}, n: uint64(n)}, nil
}

// Free gives the values back, as Ref.Free does.
func (s Span[T]) Free(h *Heap) error { return s.ref.Free(h) }

// View is the values, for reading; see Ref.Get.
func (s Span[T]) View(h *Heap) []T {
	p := h.part
	at := uint64(uint32(s.ref.l)) // no calls in here: it must stay small enough to be inlined
	end := at<<wordShift + s.n*uint64(unsafe.Sizeof(*new(T)))
	if s.n > maxValues || at <= p.start || end > p.bump<<wordShift ||
		invariant.Enabled && !s.owned(h) {
		return s.none(h)
	}
	return unsafe.Slice((*T)(unsafe.Add(h.slot, at<<wordShift)), s.n)
}

// owned is Heap.owns for all values.
func (s Span[T]) owned(h *Heap) bool {
	units, ok := s.units()
	return ok && h.owns(s.ref.l, units)
}

// Mut is View for writing: all of the values count as written. See MutRange.
func (s Span[T]) Mut(h *Heap) []T {
	v := s.View(h)
	if units, _ := s.units(); h.watch && len(v) > 0 {
		h.noteUnits(s.ref.l.at(), units)
	}
	return v
}

// MutRange is View of the values from i up to j, for writing.
func (s Span[T]) MutRange(h *Heap, i, j int) []T {
	v := s.View(h)[i:j]
	if h.watch && len(v) > 0 {
		size := uint64(unsafe.Sizeof(*new(T)))
		first := uint64(i) * size / unitBytes
		h.noteUnits(s.ref.l.at()+first, (uint64(j)*size+unitBytes-1)/unitBytes-first)
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
func (s Span[T]) none(h *Heap) []T {
	if s.n == 0 {
		return nil
	}
	panic(h.refusal(s.ref.l))
}

// Wrote says that a value is about to be written through a pointer that came from Get, At or View.
// The pointer must be into this heap.
func Wrote[T any](h *Heap, p *T) {
	if h.watch {
		first := uint64(uintptr(unsafe.Pointer(p))-uintptr(h.slot)) / unitBytes
		h.noteUnits(first, unitsOf[T]()+1) // it may begin within a unit
	}
}
