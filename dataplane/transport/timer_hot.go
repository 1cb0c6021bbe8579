package transport

import "github.com/dunlin-io/dunlin/core"

// timer is a deadline of a lane or of a session. It may fire too early, never too late: who moves
// its deadline away leaves it in place, and whoever is woken looks again.
type timer struct {
	at      core.Time
	place   int // in the heap, 0 if it is not there
	lane    *lane
	session *session
}

// timers is a heap of timers, the earliest first, from index 1.
type timers struct{ heap []*timer }

// next is the earliest deadline.
func (t *timers) next() core.Time {
	if len(t.heap) < 2 {
		return core.Never
	}
	return t.heap[1].at
}

// advance makes sure that x fires at the given time or before.
func (t *timers) advance(x *timer, at core.Time) {
	switch {
	case x.place == 0:
		if at == core.Never {
			return
		}
		if len(t.heap) == 0 {
			t.heap = more(t.heap, nil)
		}
		x.at = at
		x.place = len(t.heap)
		t.heap = more(t.heap, x)
		t.up(x.place)
	case at < x.at:
		x.at = at
		t.up(x.place)
	}
}

// stop takes x out.
func (t *timers) stop(x *timer) {
	i := x.place
	if i == 0 {
		return
	}
	x.place = 0
	last := len(t.heap) - 1
	if i != last {
		t.heap[i] = t.heap[last]
		t.heap[i].place = i
	}
	t.heap[last] = nil
	t.heap = t.heap[:last]
	if i != last {
		t.up(i)
		t.down(i)
	}
}

func (t *timers) swap(i, j int) {
	t.heap[i], t.heap[j] = t.heap[j], t.heap[i]
	t.heap[i].place, t.heap[j].place = i, j
}

func (t *timers) up(i int) {
	for i > 1 && t.heap[i].at < t.heap[i/2].at {
		t.swap(i, i/2)
		i /= 2
	}
}

func (t *timers) down(i int) {
	for {
		least := i
		for child := 2 * i; child <= 2*i+1 && child < len(t.heap); child++ {
			if t.heap[child].at < t.heap[least].at {
				least = child
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}
