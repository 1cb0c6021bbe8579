package transport

import (
	"math/bits"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/planted"
)

// out finds a transfer by its handle, nil if it is over.
func (l *lane) out(h handle) *outbound {
	if int(h.slot) >= len(l.outs) {
		return nil
	}
	o := l.outs[h.slot]
	if o.gen != h.gen || o.state == outFree {
		return nil
	}
	return o
}

func (o *outbound) handle() handle { return handle{o.slot, o.gen} }

// A token names a call in the reply, and is sent: 16 bits of slot, 48 of generation.
const tokenGen = 1<<48 - 1

func (o *outbound) token64() uint64 { return uint64(o.slot)<<48 | o.gen&tokenGen }

// byToken finds the call that a reply is for.
func (l *lane) byToken(token uint64) *outbound {
	slot := int(token >> 48)
	if slot >= len(l.outs) {
		return nil
	}
	o := l.outs[slot]
	if o.gen&tokenGen != token&tokenGen && !planted.On(planted.ReplyMisdirected) ||
		o.kind != recordCall {
		return nil
	}
	if o.state != outSending && o.state != outWaiting || o.next < o.total {
		return nil // a reply to what was not even sent
	}
	return o
}

// slot takes a free slot for a transfer.
func (l *lane) slot() *outbound {
	if n := len(l.outFree); n > 0 {
		o := l.outs[l.outFree[n-1]]
		l.outFree = l.outFree[:n-1]
		return o
	}
	return l.moreSlots()
}

// free ends a transfer and gives up what it holds.
func (l *lane) free(o *outbound) {
	if o.listed {
		l.s.unlist(o)
	}
	l.giveBuffer(o)
	if o.words != nil {
		l.e.words.give(o.words)
	}
	if o.partial {
		l.partial--
	}
	if !o.opened {
		l.blocked = false // perhaps it was this one that lacked credit
	}
	if o.kind != recordReply {
		l.s.begun--
	}
	slot, gen := o.slot, o.gen+1
	*o = outbound{slot: slot, gen: gen}
	l.outFree = more(l.outFree, slot)
	l.s.live--
}

// giveBuffer gives up the bytes that were kept for sending them again.
func (l *lane) giveBuffer(o *outbound) {
	if o.owned {
		l.s.kept -= cap(o.buf)
		l.e.out.give(o.buf)
	}
	o.buf, o.owned = nil, false
}

// cost is what a transfer takes of the credit: the buffer that it needs at the receiver, a power of
// two.
func cost(k recordKind, total int) uint64 {
	if k == recordWrite {
		return 0 // it needs no memory but its region
	}
	return 1 << max(bits.Len(uint(max(total, 1)-1)), minBufferShift)
}

// mayOpen reports whether the peer has room for another transfer.
func (l *lane) mayOpen(o *outbound) bool {
	if !l.s.ready || l.outOver.ahead(l.nextID) {
		return false
	}
	if l.used+cost(o.kind, o.total) > l.limit {
		l.blocked = true
		return false
	}
	return !o.bulk || l.partial < MaxPartial
}

// open gives a transfer its number.
func (l *lane) open(now core.Time, o *outbound) {
	o.id = l.nextID
	l.nextID++
	l.used += cost(o.kind, o.total)
	o.opened, o.state, o.sentAt = true, outSending, now
	if o.bulk {
		o.partial = true
		l.partial++
	}
	l.blocked = false
}

// creditArrived lets what waited for credit go on.
func (l *lane) creditArrived() {
	l.blocked = false
	l.creditAt, l.creditGap = core.Never, creditProbeFirst
	l.askCredit = false
}

// refArrived is told that what a frame carried has arrived.
func (l *lane) refArrived(now core.Time, r *ref) {
	switch r.kind {
	case refSegment:
		if o := l.out(handle{r.slot, r.gen}); o != nil && o.state == outSending {
			l.segmentArrived(now, o, int(r.from), int(r.n))
		}
	case refAbandon:
		if o := l.out(handle{r.slot, r.gen}); o != nil && o.state == outEnding {
			l.outOver.finish(o.id)
			l.free(o)
		}
	case refRefuse:
		l.refusalHeard(r.gen)
	case refDrain:
		l.drained = true
	case refDone:
		l.doneHeard = true
	}
}

func (l *lane) segmentArrived(now core.Time, o *outbound, from, n int) {
	if o.words != nil {
		a, b := blockSpan(from, n)
		o.left -= o.words.add(a, b)
		if o.left > 0 && !(planted.On(planted.DoneEarly) && o.next >= o.total) {
			return
		}
	} else if n < o.total {
		return
	}
	l.outOver.finish(o.id)
	switch o.kind {
	case recordCall:
		o.state = outWaiting
		if o.partial {
			o.partial = false
			l.partial--
		}
		l.giveBuffer(o)
	case recordReply:
		l.free(o)
	default:
		l.conclude(o, Done, CauseNone)
		l.free(o)
	}
}

// conclude tells how a transfer ended; not of a reply, which nobody asks about.
func (l *lane) conclude(o *outbound, outcome Outcome, cause Cause) {
	var q queued
	switch o.kind {
	case recordCall:
		q.ev.Kind, q.ev.Call = EventReply, CallID(l.public(o.slot, o.gen))
	case recordWrite:
		q.ev.Kind, q.ev.Write = EventWritten, WriteID(l.public(o.slot, o.gen))
	case recordMessage:
		q.ev.Kind = EventSent
	default:
		return
	}
	q.ev.Outcome, q.ev.Cause = outcome, cause
	q.ev.Session, q.ev.Lane, q.ev.Tag, q.ev.Route = l.s.id, l.number, o.tag, o.route
	l.e.events.push(q)
}

// stop ends a transfer before it is done: the peer must hear that no more of it comes, unless it
// never heard of it.
func (l *lane) stop(o *outbound) {
	if !o.opened {
		l.free(o)
		return
	}
	if o.state == outWaiting {
		// It has arrived, so its number is over there; what is left to say is that nobody waits.
		l.giveBuffer(o)
	}
	if !o.owned {
		o.buf = nil // the caller's: not ours any more
	}
	o.state = outEnding
	l.ends.push(o.handle())
}

// expire ends what has passed its deadline.
func (l *lane) expire(now core.Time) {
	l.callAt = core.Never
	for _, o := range l.outs {
		switch {
		case o.state == outFree || o.state == outEnding || o.deadline == core.Never:
		case now < o.deadline:
			l.callAt = min(l.callAt, o.deadline)
		default:
			l.giveUp(o, CauseDeadline)
		}
	}
}

// giveUp concludes a transfer as far as is known, and stops it.
func (l *lane) giveUp(o *outbound, cause Cause) {
	if cause == CauseCanceled && planted.On(planted.CancelSilent) {
		l.stop(o)
		return
	}
	l.conclude(o, o.doubt(), cause)
	l.stop(o)
}

// doubt is how a transfer ended that ends without an answer: Failed if the peer cannot have had all
// of it.
func (o *outbound) doubt() Outcome {
	if !o.opened || o.next < o.total {
		return Failed
	}
	return Unknown
}

// onRefuse takes the peer's word that it will not carry out a write.
func (l *lane) onRefuse(r refusal) {
	for _, o := range l.outs {
		if o.state == outSending && o.id == r.id && o.kind == recordWrite {
			l.outOver.finish(o.id)
			l.conclude(o, Failed, r.cause)
			l.free(o)
			return
		}
	}
}
