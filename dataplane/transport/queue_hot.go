package transport

// queue is a first-in first-out queue in a ring that grows, by doubling, to what was needed once.
type queue[T any] struct {
	ring []T // a power of two long
	head int
	n    int
}

func (q *queue[T]) push(v T) {
	if q.n == len(q.ring) {
		q.ring = grown(q.ring, q.head)
		q.head = 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = v
	q.n++
}

// pop takes the oldest, which there must be.
func (q *queue[T]) pop() T {
	v := q.ring[q.head]
	q.head = (q.head + 1) & (len(q.ring) - 1)
	if q.n--; q.n == 0 {
		q.head = 0 // what was used lately is in the cache
	}
	return v
}

// front is the oldest, which there must be.
func (q *queue[T]) front() *T { return &q.ring[q.head] }

func (q *queue[T]) clear() { q.head, q.n = 0, 0 }
