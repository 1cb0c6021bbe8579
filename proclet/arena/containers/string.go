package containers

import "github.com/dunlin-io/dunlin/proclet/arena"

// String is a string in an arena: bytes that do not change. It is 16 bytes, and may be an element
// or a value of other containers, whose Free does not free it.
type String struct {
	span arena.Span[byte]
}

// NewString copies a string into an arena.
func NewString(h *arena.Heap, s string) (String, error) {
	if s == "" {
		return String{}, nil
	}
	span, err := allocate[byte](h, len(s))
	if err != nil {
		return String{}, err
	}
	copy(span.Mut(h), s)
	return String{span}, nil
}

// Len is how many bytes there are.
func (s String) Len() int { return s.span.Len() }

// View is the bytes, where they lie: for reading, and good until s is freed.
func (s String) View(h *arena.Heap) []byte { return s.span.View(h) }

// Go is a copy on Go's heap.
func (s String) Go(h *arena.Heap) string { return string(s.span.View(h)) }

// Equal compares with a string of Go, without a copy.
func (s String) Equal(h *arena.Heap, to string) bool { return string(s.span.View(h)) == to }

// Free gives the memory back.
func (s *String) Free(h *arena.Heap) {
	if s.span.Len() > 0 {
		must(s.span.Free(h))
	}
	*s = String{}
}
