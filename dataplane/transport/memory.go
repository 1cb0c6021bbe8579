package transport

import "math/bits"

const (
	minBufferShift = 8  // 256 B: a small call; part of the format, as it is what credit counts in
	maxBufferShift = 23 // 8 MiB
	// spareBytes is how much of each size is kept for the next time: the collector gets the rest.
	// Enough for all small transfers of a busy lane.
	spareBytes = 1 << 20
	spareLeast = 2 // buffers of any size
)

// memory makes buffers, whose capacities are powers of two, and keeps them for the next time.
type memory[T any] struct {
	least uint // exponent of the smallest
	width int  // bytes of one T
	used  int  // bytes of buffers that are out
	limit int  // of used
	free  [maxBufferShift + 1][][]T
}

func (m *memory[T]) class(n int) uint {
	return max(uint(bits.Len(uint(max(n, 1)-1))), m.least)
}

// bytes is what a buffer for n of T costs.
func (m *memory[T]) bytes(n int) int { return m.width << m.class(n) }

// take returns a buffer of n with arbitrary content, or nil when the limit is reached.
//
//go:noinline
func (m *memory[T]) take(n int) []T {
	if m.used+m.bytes(n) > m.limit {
		return nil
	}
	return m.takeBeyond(n)
}

// takeBeyond is take for what must not wait behind others, and is bounded by itself.
//
//go:noinline
func (m *memory[T]) takeBeyond(n int) []T {
	c := m.class(n)
	m.used += m.width << c
	if last := len(m.free[c]) - 1; last >= 0 {
		b := m.free[c][last]
		m.free[c] = m.free[c][:last]
		return b[:n]
	}
	return make([]T, n, 1<<c)
}

// give takes a buffer back.
//
//go:noinline
func (m *memory[T]) give(b []T) {
	if cap(b) == 0 {
		return
	}
	c := m.class(cap(b))
	size := m.width << c
	m.used -= size
	if n := len(m.free[c]); n < spareLeast || n < spareBytes/size {
		m.free[c] = append(m.free[c], b[:0])
	}
}
