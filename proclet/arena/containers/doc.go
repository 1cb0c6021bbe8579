// Package containers has the collections of proclets. They lie in an arena, their own head
// included, and refer to their elements by Spans and Refs: so they are copied, checkpointed and
// migrated with the arena, and mean the same at any address.
//
//	type State struct {                        // lies in the arena, registered once
//		Names containers.Map[uint64, containers.String]
//		Queue containers.Queue[Job]
//	}
//	s := root.Mut(heap)                        // the handler writes: Mut, not Get
//	err := s.Queue.Push(heap, job)
//
// The zero value of each is empty and ready to use. What grows returns an arena.ErrFull when the
// arena's cap is reached, and then has changed nothing; freeing and reading never fail. Every
// method takes the Heap that the container was first grown with. A container belongs to the thread
// that has the arena; nothing in here waits, reads a clock or allocates on Go's heap, iteration
// apart.
//
// A container is a value of a few words, and copying that value makes two that share elements, like
// a slice: keep one. Elements are values as well; pointers to them are good until the container
// grows. Whoever changes one while iterating over it gets either the old or the new elements if it
// does not grow, and a panic if it does.
package containers

import "github.com/dunlin-io/dunlin/proclet/arena"

// must is for memory that the container itself got: if it cannot be given back, somebody wrote over
// the arena.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// allocate makes a span of n values of T.
func allocate[T any](h *arena.Heap, n int) (arena.Span[T], error) {
	t, err := arena.TypeIn[T](h)
	if err != nil {
		return arena.Span[T]{}, err
	}
	return t.NewSpan(h, n)
}
