package containers

import (
	"iter"

	"github.com/dunlin-io/dunlin/proclet/arena"
)

// Queue is a ring of elements, first in, first out. It keeps the room that it once needed.
type Queue[T any] struct {
	span  arena.Span[T] // a power of two of elements
	first uint64        // where the oldest lies
	n     uint64
}

// leastQueue is how many elements the first growth makes room for.
const leastQueue = 8

// Len is how many elements wait.
func (q *Queue[T]) Len() int { return int(q.n) }

// Push adds an element behind the last.
func (q *Queue[T]) Push(h *arena.Heap, x T) error {
	if int(q.n) == q.span.Len() {
		if err := q.grow(h); err != nil {
			return err
		}
	}
	*q.span.MutAt(h, q.place(q.n)) = x
	q.n++
	return nil
}

// Pop takes the oldest element; false if there is none.
func (q *Queue[T]) Pop(h *arena.Heap) (x T, ok bool) {
	if q.n == 0 {
		return x, false
	}
	x = *q.span.At(h, q.place(0))
	q.first = (q.first + 1) & uint64(q.span.Len()-1)
	q.n--
	return x, true
}

// Front is the oldest element, for reading; nil if there is none.
func (q *Queue[T]) Front(h *arena.Heap) *T {
	if q.n == 0 {
		return nil
	}
	return q.span.At(h, q.place(0))
}

// place is where the element number i, counted from the oldest, lies.
func (q *Queue[T]) place(i uint64) int { return int((q.first + i) & uint64(q.span.Len()-1)) }

// grow doubles the ring and puts the oldest at its start.
func (q *Queue[T]) grow(h *arena.Heap) error {
	span, err := allocate[T](h, max(leastQueue, 2*q.span.Len()))
	if err != nil {
		return err
	}
	old := q.span.View(h)
	if len(old) > 0 {
		into := span.MutRange(h, 0, len(old))
		copied := copy(into, old[q.first:])
		copy(into[copied:], old[:q.first])
		must(q.span.Free(h))
	}
	q.span, q.first = span, 0
	return nil
}

// Clear drops all elements and keeps the room.
func (q *Queue[T]) Clear() { q.first, q.n = 0, 0 }

// Free gives the memory back. The Queue is empty then, and can be used again.
func (q *Queue[T]) Free(h *arena.Heap) {
	if q.span.Len() > 0 {
		must(q.span.Free(h))
	}
	*q = Queue[T]{}
}

// All are the elements from the oldest on; they stay in the queue.
func (q *Queue[T]) All(h *arena.Heap) iter.Seq[T] {
	return func(yield func(T) bool) {
		span := q.span
		for i := uint64(0); i < q.n; i++ {
			unchanged(q.span == span)
			if !yield(*q.span.At(h, q.place(i))) {
				return
			}
		}
	}
}
