package transport

// firstRing is the first length of a queue's ring.
const firstRing = 16

// grown is a ring of twice the length with the same values, the oldest first.
//
//go:noinline
func grown[T any](ring []T, head int) []T {
	next := make([]T, max(2*len(ring), firstRing))
	n := copy(next, ring[head:])
	copy(next[n:], ring[:head])
	return next
}

// firstFlight is the first length of a flight's ring: what a lane of small calls needs.
const firstFlight = 32

// grow doubles the ring and moves what is in it.
//
//go:noinline
func (f *flight) grow() {
	ring := make([]sent, max(2*len(f.ring), firstFlight))
	for i := range f.ring {
		s := &f.ring[i]
		if f.known(s.counter) {
			ring[s.counter&uint64(len(ring)-1)] = *s
		}
	}
	f.ring = ring
}

// more is append, which allocates when a list becomes longer than it ever was.
//
//go:noinline
func more[T any](list []T, v T) []T { return append(list, v) }
