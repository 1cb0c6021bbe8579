package transport

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/planted"
)

// lanes is a queue of lanes, each at most once in it.
type lanes struct {
	head, tail *lane
	bulk       bool // linked by nextBulk
}

func (q *lanes) in(l *lane) *bool {
	if q.bulk {
		return &l.inBulk
	}
	return &l.inUrgent
}

func (q *lanes) next(l *lane) **lane {
	if q.bulk {
		return &l.nextBulk
	}
	return &l.nextUrgent
}

func (q *lanes) push(l *lane) {
	if *q.in(l) {
		return
	}
	*q.in(l) = true
	*q.next(l) = nil
	if q.tail == nil {
		q.head, q.tail = l, l
		return
	}
	*q.next(q.tail) = l
	q.tail = l
}

func (q *lanes) pop() *lane {
	l := q.head
	q.head = *q.next(l)
	if q.head == nil {
		q.tail = nil
	}
	*q.in(l) = false
	*q.next(l) = nil
	return l
}

// urge makes NextFrame look at the lane.
func (e *Endpoint) urge(l *lane) { e.urgent.push(l) }

// schedule lists the lane if it may have a frame to send, and sets its timer. It follows each
// change of the lane but a failed attempt to build a frame.
func (l *lane) schedule(now core.Time) {
	if l.s.state == sessionOver {
		return
	}
	if l.isUrgent(now) {
		l.e.urgent.push(l)
	}
	if l.s.drainOwn {
		l.s.drainStep(now)
	}
	if l.s.retired {
		l.s.retireStep(now)
	}
	if l.hasBulk() && l.congestion.due(now) {
		l.e.bulk.push(l)
	}
	l.arm(now)
}

// isUrgent reports whether there may be anything to send but bulk.
func (l *lane) isUrgent(now core.Time) bool {
	switch {
	case l.s.state == sessionClosing:
		return l.s.bye > 0
	case !l.s.ready:
		return false // not before there are keys, nor before the peer has shown that it has them
	case l.received.ready(now) || l.drain || l.done || l.ping || l.probe > 0 || l.askCredit:
		return true
	case l.ends.n > 0 || l.refused.n > 0 || l.wantsMTU(now):
		return true
	}
	return (l.lost[0].n > 0 || l.small.n > 0 && !l.blocked) && l.smallRoom()
}

// bulkWaits reports whether there is any bulk that the peer has room for.
func (l *lane) bulkWaits() bool {
	return l.s.state == sessionOpen && (l.lost[1].n > 0 || l.active.n > 0 ||
		l.waiting.n > 0 && l.s.ready && !l.blocked)
}

// hasBulk reports whether bulk may go as far as the window is concerned.
func (l *lane) hasBulk() bool {
	if !l.bulkWaits() {
		return false
	}
	if !l.admits() {
		l.congestion.hold()
		return false
	}
	return true
}

// arm sets the lane's timer to the earliest thing that has to be done if nothing arrives. What is
// due now and listed needs no timer.
func (l *lane) arm(now core.Time) {
	if l.s.state == sessionConnecting {
		l.e.timers.advance(&l.timer, l.callAt)
		return
	}
	if l.s.state != sessionOpen {
		return
	}
	at := min(l.lossAt, l.probeAt(), l.timeoutAt(), l.callAt)
	if !l.inUrgent && l.received.waiting > 0 {
		at = min(at, l.received.by)
	}
	if l.blocked {
		if l.creditAt == core.Never {
			l.creditAt = now + l.creditGap
		}
		at = min(at, l.creditAt)
	}
	if !l.inBulk && l.congestion.paceAt > now && l.hasBulk() && !planted.On(planted.WakeUpLost) {
		at = min(at, l.congestion.paceAt)
	}
	if m := &l.s.mtu; l.number == 0 && !l.inUrgent && l.s.ready && !m.probing && m.now < m.most {
		at = min(at, m.at)
	}
	l.e.timers.advance(&l.timer, at)
}

// onTimer does what is due.
func (l *lane) onTimer(now core.Time) {
	if l.s.state == sessionConnecting && now >= l.callAt {
		l.expire(now)
		l.arm(now)
	}
	if l.s.state != sessionOpen {
		return
	}
	l.recover(now)
	if now >= l.callAt {
		l.expire(now)
	}
	if l.blocked && now >= l.creditAt {
		l.askCredit = true
		l.creditGap = min(2*l.creditGap, creditProbeLast)
		l.creditAt = now + l.creditGap
	}
	l.schedule(now)
}

// HandleTimeout does what is due. Call it after the frames that have arrived were handled, when
// now >= Deadline(); calling it more often is harmless.
func (e *Endpoint) HandleTimeout(now core.Time) {
	for e.timers.next() <= now {
		t := e.timers.heap[1]
		e.timers.stop(t)
		switch {
		case t.lane != nil:
			t.lane.onTimer(now)
		case t.session != nil:
			t.session.onTimer(now)
		default:
			e.hs.HandleTimeout(now)
			e.pump(now)
		}
	}
}

// Deadline is when HandleTimeout or NextFrame has something to do if nothing arrives: in the past
// when that is at once, core.Never when only input can wake it. It is pure.
func (e *Endpoint) Deadline() core.Time {
	if e.plain.n > 0 || e.urgent.head != nil || e.bulk.head != nil {
		return 0
	}
	return e.timers.next()
}
