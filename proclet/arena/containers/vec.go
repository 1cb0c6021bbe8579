package containers

import (
	"errors"
	"iter"

	"github.com/dunlin-io/dunlin/proclet/arena"
)

// Vec is a growable array.
type Vec[T any] struct {
	span arena.Span[T]
	n    uint64
}

// Bytes is a growable array of bytes.
type Bytes = Vec[byte]

// leastVec is how many elements the first growth makes room for: a cache line of words.
const leastVec = 8

// Len is how many elements there are.
func (v *Vec[T]) Len() int { return int(v.n) }

// Cap is how many elements fit without growing.
func (v *Vec[T]) Cap() int { return v.span.Len() }

// View is all elements, for reading.
func (v *Vec[T]) View(h *arena.Heap) []T { return v.span.View(h)[:v.n] }

// Mut is all elements, for writing.
func (v *Vec[T]) Mut(h *arena.Heap) []T { return v.span.MutRange(h, 0, int(v.n)) }

// At is element i, for reading; it panics if there is none.
func (v *Vec[T]) At(h *arena.Heap, i int) *T { return &v.View(h)[i] }

// MutAt is element i, for writing; it panics if there is none.
func (v *Vec[T]) MutAt(h *arena.Heap, i int) *T {
	_ = v.View(h)[i]
	return v.span.MutAt(h, i)
}

// Append adds an element.
func (v *Vec[T]) Append(h *arena.Heap, x T) error {
	n := int(v.n)
	if n == v.span.Len() {
		if err := v.Reserve(h, 1); err != nil {
			return err
		}
	}
	*v.span.MutAt(h, n) = x
	v.n++
	return nil
}

// AppendAll adds elements; all of them or, with an error, none. They may be v's own.
func (v *Vec[T]) AppendAll(h *arena.Heap, xs []T) error {
	if len(xs) == 0 {
		return nil
	}
	old := v.span
	grows := len(xs) > v.span.Len()-int(v.n)
	if grows {
		if err := v.move(h, len(xs)); err != nil {
			return err
		}
	}
	n := int(v.n)
	copy(v.span.MutRange(h, n, n+len(xs)), xs) // before what they may lie in is freed
	v.n += uint64(len(xs))
	if grows && old.Len() > 0 {
		must(old.Free(h))
	}
	return nil
}

// Pop takes the last element; false if there is none.
func (v *Vec[T]) Pop(h *arena.Heap) (x T, ok bool) {
	if v.n == 0 {
		return x, false
	}
	x = v.View(h)[v.n-1]
	v.n--
	return x, true
}

// Truncate keeps the first n elements, if there are more.
func (v *Vec[T]) Truncate(n int) { v.n = min(v.n, uint64(max(n, 0))) }

// Remove takes element i out; those behind it move up.
func (v *Vec[T]) Remove(h *arena.Heap, i int) {
	_ = v.View(h)[i]
	tail := v.span.MutRange(h, i, int(v.n))
	copy(tail, tail[1:])
	v.n--
}

// Insert puts an element before element i, or behind the last if i is Len.
func (v *Vec[T]) Insert(h *arena.Heap, i int, x T) error {
	_ = v.View(h)[i:]
	if err := v.Append(h, x); err != nil {
		return err
	}
	tail := v.span.MutRange(h, i, int(v.n))
	copy(tail[1:], tail)
	tail[0] = x
	return nil
}

// Reserve makes room for n more elements.
func (v *Vec[T]) Reserve(h *arena.Heap, n int) error {
	if n <= v.span.Len()-int(v.n) {
		return nil
	}
	old := v.span
	if err := v.move(h, n); err != nil {
		return err
	}
	if old.Len() > 0 {
		must(old.Free(h))
	}
	return nil
}

// move copies the elements to a span with room for n more, and leaves the old one to the caller. It
// doubles, so that appending costs the same on average, and takes what it needs if there is no room
// for that.
func (v *Vec[T]) move(h *arena.Heap, n int) error {
	need := int(v.n) + n
	if need < 0 {
		return arena.ErrSize
	}
	span, err := allocate[T](h, max(leastVec, need, 2*v.span.Len()))
	if errors.Is(err, arena.ErrFull) {
		span, err = allocate[T](h, need)
	}
	if err != nil {
		return err
	}
	copy(span.MutRange(h, 0, int(v.n)), v.View(h))
	v.span = span
	return nil
}

// Free gives the memory back. The Vec is empty then, and can be used again.
func (v *Vec[T]) Free(h *arena.Heap) {
	if v.span.Len() > 0 {
		must(v.span.Free(h))
	}
	*v = Vec[T]{}
}

// All are the elements with their numbers, in order.
func (v *Vec[T]) All(h *arena.Heap) iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		span := v.span
		for i := 0; i < int(v.n); i++ {
			unchanged(v.span == span)
			if !yield(i, v.View(h)[i]) {
				return
			}
		}
	}
}

// unchanged panics when a container was given other memory while somebody goes through it.
func unchanged(ok bool) {
	if !ok {
		panic("containers: a container grew while it was iterated over")
	}
}
