package sim

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
)

// ID names a component of a Loop.
type ID uint32

// Event is something that happens to one component at one time. What Kind and Arg mean is the
// component's own affair.
type Event struct {
	At   core.Time
	To   ID
	Kind uint32
	Arg  uint64

	order uint64 // of posting: what happens at the same time happens in this order
}

// Component is what events happen to. It posts new ones to its loop and calls other components only
// as functions, never from another goroutine.
type Component interface {
	Handle(now core.Time, e Event)
}

// Loop is virtual time: it takes the earliest event, makes it the present, hands it to its
// component, and so on. An event cannot be taken back; components that change their mind put a
// generation into Arg and ignore the old one.
//
// The hash covers every event in the order in which they happened, so two runs with the same hash
// were the same run.
type Loop struct {
	now    core.Time
	queue  []Event // heap of four children per node: half as deep as two, same cache lines
	posted uint64
	parts  []Component
	hash   uint64
	events uint64
}

// NewLoop returns a loop at time 0 without components.
func NewLoop() *Loop { return &Loop{hash: fnvOffset} }

// Add adds a component. All are added before the first event is posted to them.
func (l *Loop) Add(c Component) ID {
	l.parts = append(l.parts, c)
	return ID(len(l.parts) - 1)
}

// Now is the present.
func (l *Loop) Now() core.Time { return l.now }

// Next is when the next event happens, core.Never if none is posted.
func (l *Loop) Next() core.Time {
	if len(l.queue) == 0 {
		return core.Never
	}
	return l.queue[0].At
}

// Hash is that of all events so far.
func (l *Loop) Hash() uint64 { return l.hash }

// Events is how many there were so far.
func (l *Loop) Events() uint64 { return l.events }

// Post lets an event happen at a time that is not past.
func (l *Loop) Post(at core.Time, to ID, kind uint32, arg uint64) {
	if at < l.now || int(to) >= len(l.parts) {
		panic(fmt.Sprintf("sim: event %d at %d ns to component %d of %d, posted at %d ns",
			kind, at, to, len(l.parts), l.now))
	}
	l.posted++
	l.queue = append(l.queue, Event{at, to, kind, arg, l.posted})
	l.up(len(l.queue) - 1)
}

// Run lets everything happen that is due until then, that moment included, and makes it the
// present.
func (l *Loop) Run(until core.Time) {
	for len(l.queue) > 0 && l.queue[0].At <= until {
		e := l.pop()
		l.now = e.At
		l.events++
		l.mix(uint64(e.At))
		l.mix(uint64(e.To)<<32 | uint64(e.Kind))
		l.mix(e.Arg)
		l.parts[e.To].Handle(l.now, e)
	}
	l.now = max(l.now, until)
}

// The constants of FNV-1a for 64 bits. Its bytes are words here: a fingerprint for equality, with
// nobody who would forge one.
const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)

// Mix takes something into the hash that its events do not show, such as the bytes of a frame.
func (l *Loop) Mix(v uint64) { l.mix(v) }

func (l *Loop) mix(v uint64) {
	h := (l.hash ^ v) * fnvPrime
	l.hash = h ^ h>>32 // a product moves bits up only
}

func (e *Event) before(f *Event) bool {
	return e.At < f.At || e.At == f.At && e.order < f.order
}

func (l *Loop) up(i int) {
	e := l.queue[i]
	for i > 0 {
		above := (i - 1) / 4
		if !e.before(&l.queue[above]) {
			break
		}
		l.queue[i] = l.queue[above]
		i = above
	}
	l.queue[i] = e
}

func (l *Loop) pop() Event {
	top := l.queue[0]
	last := len(l.queue) - 1
	e := l.queue[last]
	l.queue = l.queue[:last]
	if last == 0 {
		return top
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= last {
			break
		}
		for c := least + 1; c < min(4*i+5, last); c++ {
			if l.queue[c].before(&l.queue[least]) {
				least = c
			}
		}
		if !l.queue[least].before(&e) {
			break
		}
		l.queue[i] = l.queue[least]
		i = least
	}
	l.queue[i] = e
	return top
}
