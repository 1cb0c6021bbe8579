package transport

import "github.com/dunlin-io/dunlin/core"

// Order is what Call, Send and Write have in common.
type Order struct {
	Session  SessionID
	Lane     uint8
	Route    uint64    // proclet or service at the peer, in the clear in the frame's header
	Deadline core.Time // when the outcome is due at the latest; required
	Tag      uint64    // comes back in the event
	Header   []byte    // opaque, for the layer above; at most MaxHeaderBytes; not for writes
}

// Call sends a request; header and data together are at most MaxMessageBytes. EventReply ends it,
// at the latest at its deadline. The error is for what cannot begin; no event follows then.
func (e *Endpoint) Call(now core.Time, o Order, data []byte) (CallID, error) {
	x, l, err := e.order(now, &o, recordCall, data, true)
	if err != nil {
		return 0, err
	}
	l.enqueue(now, x)
	return CallID(l.public(x.slot, x.gen)), nil
}

// Send sends a one-way message. EventSent ends it: Done says that the peer's transport has it.
func (e *Endpoint) Send(now core.Time, o Order, data []byte) error {
	x, l, err := e.order(now, &o, recordMessage, data, true)
	if err != nil {
		return err
	}
	l.enqueue(now, x)
	return nil
}

// Target is where a remote write goes.
type Target struct {
	Region RegionID // as the peer's Register gave it
	Offset uint64
	// Stable promises that the bytes do not change before EventWritten: they are not copied.
	Stable bool
}

// Write puts at most MaxMessageBytes into a region of the peer. EventWritten ends it: Done says
// that all bytes are in place. Writes of a session that overlap are applied in the order in which
// they were issued.
func (e *Endpoint) Write(now core.Time, o Order, t Target, data []byte) (WriteID, error) {
	if len(o.Header) > 0 || t.Offset+uint64(len(data)) < t.Offset {
		return 0, ErrTooLong
	}
	x, l, err := e.order(now, &o, recordWrite, data, !t.Stable)
	if err != nil {
		return 0, err
	}
	x.region, x.at = t.Region, t.Offset
	l.s.list(l, x)
	l.enqueue(now, x)
	return WriteID(l.public(x.slot, x.gen)), nil
}

// order makes the transfer of an order.
func (e *Endpoint) order(now core.Time, o *Order, k recordKind, data []byte, keep bool) (
	*outbound, *lane, error,
) {
	s := e.find(o.Session)
	if s == nil {
		return nil, nil, ErrGone
	}
	l := s.lane(o.Lane)
	switch {
	case l == nil:
		return nil, nil, ErrLane
	case s.drainOwn || s.drainHis || s.retired:
		return nil, nil, ErrDraining
	case s.ready && cost(k, len(o.Header)+len(data)) > s.most:
		return nil, nil, ErrTooLong // the peer never grants so much at once
	case o.Deadline <= now:
		return nil, nil, ErrDeadline
	}
	x, err := l.issue(k, o.Header, data, keep)
	if err != nil {
		return nil, nil, err
	}
	x.route, x.tag, x.deadline = o.Route, o.Tag, o.Deadline
	return x, l, nil
}

// Reply answers a request. A request that is over gets ErrGone. After ErrBusy it can be tried
// again.
func (e *Endpoint) Reply(now core.Time, id RequestID, header, data []byte) error {
	return e.answer(now, id, 0, header, data)
}

// Refuse ends a request that was not acted on: the caller gets Failed.
func (e *Endpoint) Refuse(now core.Time, id RequestID) error {
	return e.answer(now, id, replyRefused, nil, nil)
}

func (e *Endpoint) answer(now core.Time, id RequestID, flags uint8, header, data []byte) error {
	l, slot, r := e.request(id)
	if r == nil {
		return ErrGone
	}
	if err := l.respond(now, r.token, r.id, r.route, flags, header, data); err != nil {
		return err
	}
	l.freeRequest(slot)
	return nil
}

// Cancel gives up on a call; the event follows, with what is known. The handler is told.
func (e *Endpoint) Cancel(now core.Time, id CallID) error {
	return e.cancel(now, uint64(id), recordCall)
}

// CancelWrite gives up on a write: none of it is applied any more once the peer has heard of it.
func (e *Endpoint) CancelWrite(now core.Time, id WriteID) error {
	return e.cancel(now, uint64(id), recordWrite)
}

func (e *Endpoint) cancel(now core.Time, id uint64, k recordKind) error {
	l, slot, gen := e.private(id)
	if l == nil || slot >= len(l.outs) {
		return ErrGone
	}
	o := l.outs[slot]
	if o.gen&(1<<genBits-1) != gen || o.kind != k || o.state == outFree || o.state == outEnding {
		return ErrGone
	}
	l.giveUp(o, CauseCanceled)
	l.schedule(now)
	return nil
}
