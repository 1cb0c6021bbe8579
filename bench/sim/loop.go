package sim

import (
	"fmt"
	"math/bits"

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
// generation into Arg and ignore the old one. Whoever does so all the time has an alarm instead,
// one of each component, which is moved and not posted again.
//
// The hash covers every event in the order in which they happened, so two runs with the same hash
// were the same run.
type Loop struct {
	now    core.Time
	queue  heap
	posted uint64
	parts  []Component
	alarms []Event // by component; At is core.Never where none is set
	ring   int     // the alarm that rings first, or any if none is set
	hash   uint64
	events uint64
}

// KindAlarm is the kind of the event that is a component's alarm.
const KindAlarm = ^uint32(0)

// heap has four children per node: half as deep as two, same cache lines.
type heap []Event

// NewLoop returns a loop at time 0 without components.
func NewLoop() *Loop { return &Loop{hash: fnvOffset} }

// Add adds a component. All are added before the first event is posted to them.
func (l *Loop) Add(c Component) ID {
	id := ID(len(l.parts))
	l.parts = append(l.parts, c)
	l.alarms = append(l.alarms, Event{At: core.Never, To: id, Kind: KindAlarm})
	return id
}

// Now is the present.
func (l *Loop) Now() core.Time { return l.now }

// Next is when the next event happens, core.Never if none is posted.
func (l *Loop) Next() core.Time {
	next := core.Never
	if len(l.alarms) > 0 {
		next = l.alarms[l.ring].At
	}
	if len(l.queue) > 0 {
		next = min(next, l.queue[0].At)
	}
	return next
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

// Alarm sets a component's alarm to a time that is not past, whatever it was set to before;
// core.Never turns it off. It rings once, as an event of KindAlarm.
func (l *Loop) Alarm(of ID, at core.Time) {
	if at < l.now {
		panic(fmt.Sprintf("sim: alarm of component %d at %d ns, set at %d ns", of, at, l.now))
	}
	l.posted++
	a := &l.alarms[of]
	later := at >= a.At // at the same time it rings behind what was posted meanwhile
	a.At, a.order = at, l.posted
	switch {
	case int(of) != l.ring:
		if a.before(&l.alarms[l.ring]) != 0 {
			l.ring = int(of)
		}
	case later:
		l.findRing()
	}
}

// findRing looks for the alarm that rings first. Components with alarms are few.
func (l *Loop) findRing() {
	first := 0
	for i := range l.alarms {
		if l.alarms[i].before(&l.alarms[first]) != 0 {
			first = i
		}
	}
	l.ring = first
}

// take takes the event that happens first, if it does until then.
func (l *Loop) take(until core.Time) (e Event, ok bool) {
	if len(l.alarms) == 0 {
		return e, false
	}
	a := &l.alarms[l.ring]
	if len(l.queue) == 0 || a.before(&l.queue[0]) != 0 {
		if a.At > until || a.At == core.Never {
			return e, false
		}
		e = *a
		a.At = core.Never
		l.findRing()
		return e, true
	}
	if l.queue[0].At > until {
		return e, false
	}
	return l.pop(), true
}

// Run lets everything happen that is due until then, that moment included, and makes it the
// present.
func (l *Loop) Run(until core.Time) {
	for e, ok := l.take(until); ok; e, ok = l.take(until) {
		l.happen(e)
	}
	l.now = max(l.now, until)
}

// Step lets the next event happen, and reports whether there was one.
func (l *Loop) Step() bool {
	e, ok := l.take(core.Never)
	if ok {
		l.happen(e)
	}
	return ok
}

func (l *Loop) happen(e Event) {
	l.now = e.At
	l.events++
	l.mix(uint64(e.At))
	l.mix(uint64(e.To)<<32 | uint64(e.Kind))
	l.mix(e.Arg)
	l.parts[e.To].Handle(l.now, e)
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

// before is 1 if e happens before f, else 0: without a branch, as nobody could predict it. No time
// is negative.
func (e *Event) before(f *Event) int {
	_, less := bits.Sub64(e.order, f.order, 0)
	_, less = bits.Sub64(uint64(e.At), uint64(f.At), less)
	return int(less)
}

func (l *Loop) up(i int) {
	e := l.queue[i]
	for i > 0 {
		above := (i - 1) / 4
		if e.before(&l.queue[above]) == 0 {
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
	for 4*i+1 < last {
		least := l.queue.least(4*i + 1)
		if l.queue[least].before(&e) == 0 {
			break
		}
		l.queue[i] = l.queue[least]
		i = least
	}
	l.queue[i] = e
	return top
}

// least is the earliest of up to four nodes from first on, of which there is one.
func (q heap) least(first int) int {
	if first+4 > len(q) {
		least := first
		for c := first + 1; c < len(q); c++ {
			least += (c - least) * q[c].before(&q[least])
		}
		return least
	}
	four := q[first : first+4 : first+4]
	a := four[1].before(&four[0])
	b := 2 + four[3].before(&four[2])
	return first + a + (b-a)*four[b].before(&four[a])
}
