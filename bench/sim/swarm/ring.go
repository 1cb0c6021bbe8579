package swarm

import "github.com/dunlin-io/dunlin/core"

// ring is the frames that wait for a host's core.
type ring struct {
	slots []waiting
	first int
	count int
	full  uint64 // frames lost because it was
}

type waiting struct{ b []byte }

func (r *ring) push(frame []byte) {
	if r.count == len(r.slots) {
		r.full++
		return
	}
	s := &r.slots[(r.first+r.count)%len(r.slots)]
	s.b = append(s.b[:0], frame...)
	r.count++
}

// pop is the oldest frame; it is the caller's until the next push.
func (r *ring) pop() []byte {
	b := r.slots[r.first].b
	r.first = (r.first + 1) % len(r.slots)
	if r.count--; r.count == 0 {
		r.first = 0 // what was used lately is in the cache
	}
	return b
}

func (r *ring) clear() { r.first, r.count = 0, 0 }

// due is what happens to a host at a time: a heap, the earliest first, and of those the one that
// was added first.
type due []dueItem

type dueItem struct {
	at    core.Time
	order uint32
	what  uint32
	arg   uint64
}

func (a *dueItem) before(b *dueItem) bool {
	return a.at < b.at || a.at == b.at && a.order < b.order
}

// first is when the first is due, core.Never if nothing is.
func (d due) first() core.Time {
	if len(d) == 0 {
		return core.Never
	}
	return d[0].at
}

func (d *due) add(x dueItem) {
	*d = append(*d, x)
	q := *d
	for i := len(q) - 1; i > 0; {
		above := (i - 1) / 2
		if !q[i].before(&q[above]) {
			break
		}
		q[i], q[above] = q[above], q[i]
		i = above
	}
}

func (d *due) pop() dueItem {
	q := *d
	top := q[0]
	last := len(q) - 1
	q[0] = q[last]
	q = q[:last]
	*d = q
	for i := 0; ; {
		least := 2*i + 1
		if least >= last {
			break
		}
		if least+1 < last && q[least+1].before(&q[least]) {
			least++
		}
		if !q[least].before(&q[i]) {
			break
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
	return top
}
