package transport

import "math/bits"

// Sizes of buffers are powers of two, in bytes.
const (
	minBufferShift = 8 // 256: a small call
	maxBufferShift = 23
	bufferClasses  = maxBufferShift - minBufferShift + 1
	// spareBytes is how many bytes of each size are kept for the next time: the collector gets the
	// rest. Enough for all small transfers of a busy lane.
	spareBytes = 1 << 20
	spareLeast = 2 // buffers of any size
)

// memory makes buffers and keeps them for the next time.
type memory struct {
	used  int // bytes in buffers that are out
	limit int
	free  [bufferClasses][][]byte
}

func bufferClass(n int) int { return max(bits.Len(uint(max(n, 1)-1))-minBufferShift, 0) }

// take returns a buffer of n bytes with arbitrary content, or nil when the limit is reached.
func (m *memory) take(n int) []byte {
	c := bufferClass(n)
	size := 1 << (c + minBufferShift)
	if m.used+size > m.limit {
		return nil
	}
	m.used += size
	if last := len(m.free[c]) - 1; last >= 0 {
		b := m.free[c][last]
		m.free[c] = m.free[c][:last]
		return b[:n]
	}
	return make([]byte, n, size)
}

// give takes a buffer back.
func (m *memory) give(b []byte) {
	size := cap(b)
	if size == 0 {
		return
	}
	m.used -= size
	c := bufferClass(size)
	if n := len(m.free[c]); n < spareLeast || n < spareBytes/size {
		m.free[c] = append(m.free[c], b[:0])
	}
}
