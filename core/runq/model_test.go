package runq

import (
	"fmt"
	"strings"
	"testing"
)

// The model is the queue in steps none of which can be divided: one load, one store, one
// compare-and-swap of shared memory. A test walks every order in which an owner and thieves can take
// these steps. It repeats queue_hot.go line by line, because code cannot be stopped between two
// accesses; TestHammer runs the code itself.

// variant is the protocol, or one of those that come to mind and do not work.
type variant uint8

const (
	protocol  variant = iota
	readAfter         // the entry is read after the head was moved
	tailEarly         // the tail is stored before the entry
	plainPop          // the owner moves the head by a store
	tailFirst         // the tail is read before the head
	narrow            // the indices come back
)

// at is where somebody stands.
type at uint8

const (
	atIdle  at = iota
	atFull     // push: to load the head, because the last look says full
	atTask     // push: to store the task
	atSince    // push: to store since when
	atTail     // push: to store the tail
	atHead     // take: to load the head
	atEnd      // take: to load the tail
	atRead     // take: to load the task
	atAge      // take: to load since when
	atMove     // take: to move the head
)

type entry struct{ task, since uint8 }

type someone struct {
	at         at
	head, tail uint8
	got        entry
	left       uint8 // takes that it may still begin
	moved      bool  // readAfter: the head is moved already
}

const (
	modelSize    = 2
	modelTasks   = 5 // more than twice round
	modelThieves = 2
)

// model is a state; it can be compared, so it is its own key.
type model struct {
	slots            [modelSize]entry
	head, tail, seen uint8
	pushed, taken    uint8 // tasks, from 1 on
	all              [1 + modelThieves]someone
}

type explorer struct {
	variant variant
	seen    map[model]bool
	bad     string
	trail   []event
}

// event is a step of a story. (Text is written when one ends badly: there are many.)
type event struct {
	who  int
	what string // "" if there was nothing to do
}

func (x *explorer) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s after", x.bad)
	for _, e := range x.trail {
		fmt.Fprintf(&b, "\n\t%d %s", e.who, e.what)
	}
	return b.String()
}

// index is what an index becomes.
func (x *explorer) index(v uint8) uint8 {
	if x.variant == narrow {
		return v % (2 * modelSize)
	}
	return v
}

// walk goes through everything that can happen from m on and reports whether all of it is good.
func (x *explorer) walk(m model) bool {
	if x.seen[m] {
		return true
	}
	x.seen[m] = true
	quiet := true
	for who := range m.all {
		for _, pop := range []bool{false, true} {
			n := m
			what := x.step(&n, who, pop)
			if what == "" {
				continue
			}
			quiet = false
			x.trail = append(x.trail, event{who, what})
			if x.bad != "" || !x.walk(n) {
				return false
			}
			x.trail = x.trail[:len(x.trail)-1]
		}
	}
	if left := x.index(m.tail - m.head); quiet && m.taken+left != m.pushed {
		x.bad = fmt.Sprintf("%d pushed, %d taken, %d left", m.pushed, m.taken, left)
		return false
	}
	return true
}

// step has somebody go on and says what it did, "" for nothing. An owner that is idle pushes or
// pops; for whoever has no choice, pop is a second way that there is not.
func (x *explorer) step(m *model, who int, pop bool) string {
	w := &m.all[who]
	if w.at != atIdle {
		if pop {
			return ""
		}
		if w.at < atHead {
			return x.push(m, w)
		}
		return x.take(m, w, who == 0)
	}
	switch {
	case who == 0 && !pop && m.pushed < modelTasks:
		w.at = atTask
		if x.index(m.tail-m.seen) >= modelSize {
			w.at = atFull
		} else if x.variant == tailEarly {
			w.at = atTail
		}
		return "begins to push"
	case (who == 0) == pop && w.left > 0:
		w.left--
		w.at = atHead
		if x.variant == tailFirst {
			w.at = atEnd
		}
		return "begins to take"
	}
	return ""
}

func (x *explorer) push(m *model, w *someone) string {
	slot := &m.slots[m.tail%modelSize]
	task := m.pushed + 1
	switch w.at {
	case atFull:
		m.seen, w.at = m.head, atTask
		if x.index(m.tail-m.seen) >= modelSize {
			w.at = atIdle
			return "finds it full"
		}
		if x.variant == tailEarly {
			w.at = atTail
		}
		return "looks at the head"
	case atTask:
		if x.variant == tailEarly {
			slot = &m.slots[(m.tail-1)%modelSize]
		}
		slot.task, w.at = task, atSince
		return "stores the task"
	case atSince:
		w.at = atTail
		if x.variant == tailEarly {
			slot = &m.slots[(m.tail-1)%modelSize]
			m.pushed++
			w.at = atIdle
		}
		slot.since = task
		return "stores its time"
	default:
		m.tail = x.index(m.tail + 1)
		w.at = atTask
		if x.variant != tailEarly {
			m.pushed++
			w.at = atIdle
		}
		return "stores the tail"
	}
}

func (x *explorer) take(m *model, w *someone, owner bool) string {
	slot := m.slots[w.head%modelSize]
	switch w.at {
	case atHead:
		w.head, w.at = m.head, atEnd
		if x.variant == tailFirst {
			return x.decide(w)
		}
		return "loads the head"
	case atEnd:
		w.tail = m.tail
		if x.variant == tailFirst {
			w.at = atHead
			return "loads the tail"
		}
		return x.decide(w)
	case atRead:
		w.got.task, w.at = slot.task, atAge
		return "loads the task"
	case atAge:
		w.got.since, w.at = slot.since, atMove
		if w.moved {
			x.takes(m, w)
		}
		return "loads its time"
	default:
		plain := x.variant == plainPop && owner
		if m.head != w.head && !plain {
			w.at, w.got = atIdle, entry{}
			return "is too late"
		}
		m.head = x.index(w.head + 1)
		if x.variant == readAfter {
			w.moved, w.at = true, atRead
		} else {
			x.takes(m, w)
		}
		return "moves the head"
	}
}

// decide ends a take that has read both indices, if they are the same.
func (x *explorer) decide(w *someone) string {
	w.at = atRead
	if x.variant == readAfter {
		w.at = atMove
	}
	if w.head == w.tail {
		w.at = atIdle
		return "finds nothing"
	}
	return "finds a task"
}

// takes books what somebody has taken: the heads were moved in this order, so it is the oldest.
func (x *explorer) takes(m *model, w *someone) {
	m.taken++
	if want := (entry{m.taken, m.taken}); w.got != want {
		x.bad = fmt.Sprintf("task %d of time %d is taken as number %d", w.got.task, w.got.since,
			m.taken)
	}
	*w = someone{left: w.left}
}

func explore(v variant) *explorer {
	x := &explorer{variant: v, seen: map[model]bool{}}
	var m model
	m.all[0].left, m.all[1].left, m.all[2].left = 2, 2, 1
	x.walk(m)
	return x
}

func TestNoOrderLosesATask(t *testing.T) {
	x := explore(protocol)
	if x.bad != "" {
		t.Errorf("%s", x.story())
	}
	t.Logf("%d states", len(x.seen))
}

// Protocols that come to mind and do not work: each has a story that ends badly.
func TestSimplerProtocolsFail(t *testing.T) {
	for _, c := range []struct {
		v    variant
		name string
	}{
		{readAfter, "entry read after the head was moved"},
		{tailEarly, "tail stored before the entry"},
		{plainPop, "owner moves the head by a store"},
		{tailFirst, "tail read before the head"},
		{narrow, "indices that come back"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := explore(c.v)
			if x.bad == "" {
				t.Fatalf("no story of %d states ends badly", len(x.seen))
			}
			t.Log(x.story())
		})
	}
}
