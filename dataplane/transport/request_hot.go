package transport

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/planted"
)

// Public numbers name a slot of a lane of a session: 14 bits of session, 6 of lane, 15 of slot, 29
// of generation. The last repeat after half a billion transfers of one slot, long after anybody
// should have forgotten the first.
const (
	genBits  = 29
	slotBits = 15
	laneBits = 6

	_ = uint(64 - 14 - laneBits - slotBits - genBits)
)

func (l *lane) public(slot uint16, gen uint64) uint64 {
	v := uint64(l.s.index)<<laneBits | uint64(l.number)
	v = v<<slotBits | uint64(slot)
	return v<<genBits | gen&(1<<genBits-1)
}

// private takes a public number apart; l is nil when there is no such lane.
func (e *Endpoint) private(v uint64) (l *lane, slot int, gen uint64) {
	gen = v & (1<<genBits - 1)
	slot = int(v >> genBits & (1<<slotBits - 1))
	number := uint8(v >> (genBits + slotBits) & (1<<laneBits - 1))
	index := v >> (genBits + slotBits + laneBits)
	if index >= uint64(len(e.sessions)) || e.sessions[index] == nil {
		return nil, 0, 0
	}
	return e.sessions[index].lane(number), slot, gen
}

// newRequest books a call that is handed out; 0 means that it was refused instead.
func (l *lane) newRequest(now core.Time, g *segment, route uint64, deadline core.Time) RequestID {
	n := len(l.reqFree)
	if n == 0 && len(l.requests) == maxRequests {
		l.reclaim(now)
		n = len(l.reqFree)
	}
	if now >= deadline || l.s.drainOwn || n == 0 && len(l.requests) == maxRequests {
		l.respond(now, g.token, g.id, route, replyRefused, nil, nil)
		return 0
	}
	var slot uint16
	if n > 0 {
		slot = l.reqFree[n-1]
		l.reqFree = l.reqFree[:n-1]
	} else {
		slot = uint16(len(l.requests))
		l.requests = more(l.requests, request{gen: l.s.gens})
	}
	r := &l.requests[slot]
	r.open, r.id, r.token, r.route, r.deadline = true, g.id, g.token, route, deadline
	l.s.live++
	return RequestID(l.public(slot, r.gen))
}

// reclaim frees the requests whose callers have given up by now.
func (l *lane) reclaim(now core.Time) {
	for i := range l.requests {
		if r := &l.requests[i]; r.open && now >= r.deadline {
			l.freeRequest(uint16(i))
		}
	}
}

func (l *lane) freeRequest(slot uint16) {
	r := &l.requests[slot]
	*r = request{gen: r.gen + 1}
	l.reqFree = more(l.reqFree, slot)
	l.s.live--
}

// request finds an open request.
func (e *Endpoint) request(id RequestID) (l *lane, slot uint16, r *request) {
	l, n, gen := e.private(uint64(id))
	if l == nil || n >= len(l.requests) {
		return nil, 0, nil
	}
	r = &l.requests[n]
	if !r.open || r.gen&(1<<genBits-1) != gen {
		return nil, 0, nil
	}
	return l, uint16(n), r
}

// cancelRequest tells the handler that its caller has given up, and stops the reply.
func (l *lane) cancelRequest(now core.Time, id uint64) {
	for i := range l.requests {
		r := &l.requests[i]
		if !r.open || r.id != id {
			continue
		}
		var q queued
		q.ev.Kind, q.ev.Session, q.ev.Lane = EventCanceled, l.s.id, l.number
		q.ev.Request, q.ev.Route = RequestID(l.public(uint16(i), r.gen)), r.route
		l.e.events.push(q)
		l.freeRequest(uint16(i))
		return
	}
	for _, o := range l.outs {
		if o.kind == recordReply && o.replyTo == id &&
			(o.state == outQueued || o.state == outSending) {
			l.stop(o)
			return
		}
	}
}

// respond queues a reply.
func (l *lane) respond(now core.Time, token, call, route uint64, flags uint8,
	header, data []byte,
) error {
	o, err := l.issue(recordReply, header, data, true)
	if err != nil {
		return err
	}
	o.token, o.replyTo, o.route, o.flags = token, call, route, flags
	o.deadline = core.Never
	l.enqueue(now, o)
	return nil
}

// issue makes a transfer with a copy of header and data, or with data itself.
func (l *lane) issue(k recordKind, header, data []byte, keep bool) (*outbound, error) {
	total := len(header) + len(data)
	if len(header) > MaxHeaderBytes || total > MaxMessageBytes {
		return nil, ErrTooLong
	}
	if len(l.outFree) == 0 && len(l.outs) >= l.e.outstanding {
		return nil, ErrBusy
	}
	var buf []byte
	if keep {
		if l.s.kept+l.e.out.bytes(total) > l.e.peerBytes {
			return nil, ErrBusy
		}
		if buf = l.e.out.take(total); buf == nil {
			return nil, ErrBusy
		}
		l.s.kept += cap(buf)
		copy(buf, header)
		copy(buf[len(header):], data)
	} else {
		buf = data
	}
	o := l.slot()
	o.kind, o.headerLen, o.total, o.buf, o.owned = k, uint8(len(header)), total, buf, keep
	o.state = outQueued
	l.s.live++
	if k != recordReply {
		l.s.begun++
	}
	return o, nil
}

// enqueue puts a transfer into the queue of its class. A write that is held is in none, so that
// nothing waits behind it.
func (l *lane) enqueue(now core.Time, o *outbound) {
	room := l.s.path.room(l.s.mtu.now) - HeaderBytes - TagBytes - ackBytes - 2*8 - pingBytes
	o.bulk = o.total+segmentHeader(o.kind) > room
	if !o.held {
		l.line(o)
	}
	if o.kind != recordCall || !planted.On(planted.DeadlineForgotten) {
		l.callAt = min(l.callAt, o.deadline)
	}
	l.schedule(now)
}

func (l *lane) line(o *outbound) {
	q := &l.small
	if o.bulk {
		q = &l.waiting
	}
	if q.n >= 2*l.e.outstanding { // as many as live, and as many that have given up
		l.sift(q)
	}
	q.push(o.handle())
}

// sift takes those out of a queue that wait no more.
func (l *lane) sift(q *queue[handle]) {
	for range q.n {
		h := q.pop()
		if o := l.out(h); o != nil && o.state == outQueued {
			q.push(h)
		}
	}
}

// release lets a write go that was held. Its lane may be another than the one that hears something
// now, so NextFrame is to look at it.
func (o *outbound) release() {
	l := o.lane
	l.line(o)
	if o.bulk {
		l.e.bulk.push(l)
	} else {
		l.e.urge(l)
	}
}
