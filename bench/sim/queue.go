package sim

import "github.com/dunlin-io/dunlin/core"

// request is one that waits.
type request struct{ arrived, service core.Time }

// queue is first in, first out.
type queue struct {
	ring  []request // length 0 or a power of two
	first int
	count int
}

func (q *queue) push(r request) {
	if q.count == len(q.ring) {
		grown := make([]request, max(64, 2*len(q.ring)))
		for i := range q.count {
			grown[i] = q.ring[(q.first+i)&(len(q.ring)-1)]
		}
		q.ring, q.first = grown, 0
	}
	q.ring[(q.first+q.count)&(len(q.ring)-1)] = r
	q.count++
}

func (q *queue) pop() (r request, ok bool) {
	if q.count == 0 {
		return r, false
	}
	r = q.ring[q.first]
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.count--
	return r, true
}

// oldest is when the first of them arrived.
func (q *queue) oldest() (arrived core.Time, ok bool) {
	if q.count == 0 {
		return 0, false
	}
	return q.ring[q.first].arrived, true
}
