package transport

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/planted"
)

// onSegment takes a part of a transfer.
func (l *lane) onSegment(now core.Time, a *arrival, g *segment) Reason {
	switch {
	case l.inOver.over(g.id) && !g.appliedLate():
		return l.again(now, a, g)
	case l.inOver.ahead(g.id):
		return ReasonRecord // no honest sender goes so far ahead
	}
	in := l.find(g.id)
	if in == nil && g.whole() {
		return l.onWhole(now, a, g)
	}
	if in == nil {
		var reason Reason
		if in, reason = l.begin(now, a, g); in == nil {
			return reason
		}
	}
	if !in.matches(g, a.route) {
		return ReasonRecord
	}
	return l.onPart(now, a, in, g)
}

// appliedLate is whether a mistake is to be made with a segment of a transfer that is over.
func (g *segment) appliedLate() bool {
	return g.kind == recordWrite && planted.On(planted.SegmentLate) ||
		g.kind == recordCall && planted.On(planted.CallTwice)
}

// again counts a segment of a transfer that is over.
func (l *lane) again(now core.Time, a *arrival, g *segment) Reason {
	l.e.counters.Late++
	switch g.kind {
	case recordCall:
		l.pokeReply(now, g.id)
	case recordWrite:
		for _, x := range l.refusals {
			if x.id == g.id { // acknowledged, it would count as done; the refusal is on its way
				a.refused = true
				return ReasonLate
			}
		}
	}
	return OK
}

// find is the transfer of that number among those under way.
func (l *lane) find(id uint64) *inbound {
	for _, in := range l.partials {
		if in.id == id {
			return in
		}
	}
	return nil
}

func (in *inbound) matches(g *segment, route uint64) bool {
	return in.kind == g.kind && in.total == int(g.total) && in.headerLen == g.headerLen &&
		in.token == g.token && in.region == g.region && in.at == g.at && in.route == route &&
		in.flags == g.flags
}

// charge books a new transfer on the credit that the peer was given.
func (l *lane) charge(k recordKind, total int) bool {
	c := cost(k, total)
	if l.charged+c > l.granted {
		return false
	}
	l.charged += c
	return true
}

// uncharge takes that back: the transfer was not accepted after all.
func (l *lane) uncharge(k recordKind, total int) { l.charged -= cost(k, total) }

// regrant gives the credit of a transfer back to the peer, who hears of it with the next
// acknowledgement, or with one of its own when a quarter of all has come together.
func (l *lane) regrant(now core.Time, n uint64) {
	if n == 0 {
		return
	}
	l.granted += n
	if l.granted-l.told >= l.e.laneCredit/4 && l.received.any {
		l.received.due = true
		l.schedule(now)
	}
}

// onWhole takes a transfer that is one segment.
func (l *lane) onWhole(now core.Time, a *arrival, g *segment) Reason {
	if g.kind == recordWrite {
		if reason := l.e.admits(l.s, g); reason != OK {
			return l.refuse(a, g, reason)
		}
		copy(l.e.memoryOf(g.region)[g.at:], g.data)
		l.inOver.finish(g.id)
		return OK
	}
	if !l.charge(g.kind, int(g.total)) {
		return ReasonRecord
	}
	if g.kind == recordReply && l.byToken(g.token) == nil {
		l.inOver.finish(g.id)
		l.regrant(now, cost(g.kind, int(g.total)))
		return ReasonReply
	}
	buf := l.hold(int(g.total))
	if buf == nil {
		l.uncharge(g.kind, int(g.total))
		a.refused = true
		return ReasonNoMemory
	}
	copy(buf, g.data)
	l.inOver.finish(g.id)
	l.deliver(now, g, a.route, now+core.Time(g.remaining)*core.Microsecond, buf)
	return OK
}

// hold takes a buffer for n bytes from the peer, nil when a limit is reached.
func (l *lane) hold(n int) []byte {
	m := &l.e.in
	if l.s.held+m.bytes(n) > l.e.peerBytes {
		return nil
	}
	b := m.take(n)
	if b != nil {
		l.s.held += cap(b)
	}
	return b
}

// letGo gives it back.
func (l *lane) letGo(b []byte) {
	l.s.held -= cap(b)
	l.e.in.give(b)
}

// begin makes room for a transfer of several segments.
func (l *lane) begin(now core.Time, a *arrival, g *segment) (*inbound, Reason) {
	if g.kind == recordReply && l.byToken(g.token) == nil {
		return nil, l.unwanted(now, g)
	}
	if g.kind == recordWrite {
		if reason := l.e.admits(l.s, g); reason != OK {
			return nil, l.refuse(a, g, reason)
		}
	}
	words := blockWords(int(g.total))
	if len(l.partials) == MaxPartial {
		a.refused = true
		return nil, ReasonNoMemory
	}
	if !l.charge(g.kind, int(g.total)) {
		return nil, ReasonRecord
	}
	in := l.spareInbound()
	if in.words = l.e.words.take(words); in.words == nil {
		l.spare = more(l.spare, in)
		l.uncharge(g.kind, int(g.total))
		a.refused = true
		return nil, ReasonNoMemory
	}
	if g.kind != recordWrite {
		if in.buf = l.hold(int(g.total)); in.buf == nil {
			l.e.words.give(in.words)
			in.words = nil
			l.spare = more(l.spare, in)
			l.uncharge(g.kind, int(g.total))
			a.refused = true
			return nil, ReasonNoMemory
		}
	}
	clear(in.words)
	in.kind, in.headerLen, in.flags = g.kind, g.headerLen, g.flags
	in.id, in.route, in.token, in.region, in.at = g.id, a.route, g.token, g.region, g.at
	in.total, in.deadline = int(g.total), now+core.Time(g.remaining)*core.Microsecond
	_, in.left = blockSpan(0, in.total)
	l.partials = more(l.partials, in)
	return in, OK
}

// unwanted ends a reply that nobody waits for.
func (l *lane) unwanted(now core.Time, g *segment) Reason {
	if !l.charge(g.kind, int(g.total)) {
		return ReasonRecord
	}
	l.inOver.finish(g.id)
	l.regrant(now, cost(g.kind, int(g.total)))
	return ReasonReply
}

// onPart takes a segment of a transfer under way: what of it was not there before is put in place.
func (l *lane) onPart(now core.Time, a *arrival, in *inbound, g *segment) Reason {
	if in.kind == recordWrite {
		if reason := l.e.admits(l.s, g); reason != OK {
			if reason = l.refuse(a, g, reason); reason != ReasonNoMemory {
				l.removePartial(in)
			}
			return reason
		}
	}
	from, to := blockSpan(int(g.offset), len(g.data))
	fresh := false
	for from < to {
		begin, end := in.words.run(from, to)
		if begin == end {
			break
		}
		fresh = true
		i, j := begin*blockBytes, min(end*blockBytes, in.total)
		part := g.data[i-int(g.offset) : j-int(g.offset)]
		if in.kind == recordWrite {
			copy(l.e.memoryOf(in.region)[in.at+uint64(i):], part)
		} else {
			copy(in.buf[i:], part)
		}
		in.left -= in.words.add(begin, end)
		from = end
	}
	if !fresh {
		l.e.counters.Repeated++
	}
	if in.left == 0 {
		l.complete(now, in)
	}
	return OK
}

// complete delivers a transfer all of which is here.
func (l *lane) complete(now core.Time, in *inbound) {
	l.inOver.finish(in.id)
	buf := in.buf
	in.buf = nil
	g := &l.e.segment
	*g = segment{
		kind: in.kind, headerLen: in.headerLen, flags: in.flags, id: in.id,
		total: uint32(in.total), token: in.token,
	}
	route, deadline := in.route, in.deadline
	l.removePartial(in)
	if g.kind != recordWrite {
		l.deliver(now, g, route, deadline, buf)
	}
}

// removePartial forgets a transfer under way.
func (l *lane) removePartial(in *inbound) {
	for i, x := range l.partials {
		if x == in {
			last := len(l.partials) - 1
			l.partials[i] = l.partials[last]
			l.partials = l.partials[:last]
			break
		}
	}
	l.e.words.give(in.words)
	if in.buf != nil {
		l.letGo(in.buf)
	}
	*in = inbound{}
	l.spare = more(l.spare, in)
}

// dropPartial ends a transfer that will not be completed, and gives its credit back.
func (l *lane) dropPartial(now core.Time, in *inbound) {
	c := cost(in.kind, in.total)
	l.inOver.finish(in.id)
	if planted.On(planted.BufferLeaked) {
		in.buf = nil
	}
	l.removePartial(in)
	if !planted.On(planted.CreditLeaked) {
		l.regrant(now, c)
	}
}

// onAbandon takes the peer's word that it sends no more of a transfer.
func (l *lane) onAbandon(now core.Time, a *arrival, x abandon) Reason {
	switch {
	case l.inOver.ahead(x.id):
		return ReasonRecord
	case l.inOver.over(x.id):
		if x.of == recordCall {
			l.cancelRequest(now, x.id)
		}
		return OK
	}
	if in := l.find(x.id); in != nil {
		l.dropPartial(now, in)
		return OK
	}
	if !l.charge(x.of, int(x.total)) {
		return ReasonRecord
	}
	l.inOver.finish(x.id)
	l.regrant(now, cost(x.of, int(x.total)))
	return OK
}

// deliver hands a complete transfer to the layer above. It owns buf.
func (l *lane) deliver(now core.Time, g *segment, route uint64, deadline core.Time, buf []byte) {
	var q queued
	q.ev.Session, q.ev.Lane, q.ev.Route = l.s.id, l.number, route
	q.ev.Header, q.ev.Data = buf[:g.headerLen], buf[g.headerLen:]
	q.buf, q.lane, q.cost = buf, l, cost(g.kind, int(g.total))
	switch g.kind {
	case recordMessage:
		q.ev.Kind = EventMessage
	case recordCall:
		r := l.newRequest(now, g, route, deadline)
		if r == 0 {
			l.letGo(buf)
			l.regrant(now, q.cost)
			return
		}
		q.ev.Kind, q.ev.Request, q.ev.Deadline = EventRequest, r, deadline
	case recordReply:
		o := l.byToken(g.token)
		if o == nil { // it has given up meanwhile
			l.letGo(buf)
			l.regrant(now, q.cost)
			l.e.counters.Dropped[ReasonReply]++
			return
		}
		l.answered(o, g, &q)
	}
	l.e.events.push(q)
}

// answered ends a call with its reply.
func (l *lane) answered(o *outbound, g *segment, q *queued) {
	q.ev.Kind, q.ev.Call, q.ev.Tag = EventReply, CallID(l.public(o.slot, o.gen)), o.tag
	q.ev.Route = o.route
	if g.flags&replyRefused != 0 {
		q.ev.Outcome, q.ev.Cause = Failed, CauseRefused
	}
	if o.state == outSending {
		l.outOver.finish(o.id) // who replies has all of the call
	}
	l.free(o)
}

// refuse ends a write that is not allowed, and tells the peer. The frame is not acknowledged: that
// would say that the bytes are in place.
func (l *lane) refuse(a *arrival, g *segment, reason Reason) Reason {
	a.refused = true
	if len(l.refusals) == maxRefusals {
		return ReasonNoMemory // it comes again
	}
	x := refusal{CauseRegion, g.id}
	l.inOver.finish(g.id)
	l.refusals = more(l.refusals, x)
	l.refused.push(x)
	return reason
}

// refusalHeard forgets a refusal that the peer has heard.
func (l *lane) refusalHeard(id uint64) {
	for i := range l.refusals {
		if l.refusals[i].id == id {
			last := len(l.refusals) - 1
			l.refusals[i] = l.refusals[last]
			l.refusals = l.refusals[:last]
			return
		}
	}
}
