package transport

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/seal"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// HandleFrame takes a frame as the link delivered it, from its Ethernet header on, already steered
// to this endpoint: its addresses are not judged. It decrypts in place and keeps no reference. OK
// says that something in it was taken; anything else was counted.
func (e *Endpoint) HandleFrame(now core.Time, frame []byte) Reason {
	p, bad := wire.Parse(frame, len(frame))
	if bad != wire.OK {
		return e.drop(ReasonNotOurs)
	}
	udp := p.Kind == wire.KindUDP4 || p.Kind == wire.KindUDP6
	if !udp && (p.Kind != wire.KindRaw || p.EtherType != wire.EtherTypeDunlin) {
		return e.drop(ReasonNotOurs)
	}
	payload := frame[p.Payload:p.Len()]
	h, body, reason := parseHeader(payload)
	if s := e.talking(h, reason); s != nil {
		return e.handleData(now, s, h, body) // most frames: nobody asks for the way back
	}
	if udp {
		flow := wire.FlowOf(frame, p)
		e.from = UDPPath(flow.Turned())
	} else {
		h := wire.Ethernet(frame)
		e.from = RawPath(h.Dst(), h.Src())
	}
	return e.handleOther(now, &e.from, h, body, reason)
}

// HandlePacket is HandleFrame for whoever has parsed the packet: payload is what follows the
// Ethernet or UDP header, padding may be at its end, and back is the way of an answer.
func (e *Endpoint) HandlePacket(now core.Time, back *Path, payload []byte) Reason {
	h, body, reason := parseHeader(payload)
	if s := e.talking(h, reason); s != nil {
		return e.handleData(now, s, h, body)
	}
	return e.handleOther(now, back, h, body, reason)
}

// handleOther takes what no session here takes.
func (e *Endpoint) handleOther(now core.Time, back *Path, h Header, body []byte, reason Reason,
) Reason {
	if reason != OK {
		return e.drop(reason)
	}
	switch h.Type() {
	case TypeData:
		e.sayUnknown(now, back, h)
		return e.drop(ReasonSession)
	case TypeHandshake:
		return e.handleHandshake(now, back, h, body)
	case TypeUnknown:
		return e.handleUnknown(now, back, h)
	}
	return e.drop(ReasonType)
}

func (e *Endpoint) drop(r Reason) Reason {
	e.counters.Dropped[r]++
	return r
}

// talking is the session whose data a packet with that header claims to be; nil if it does not, or
// there is none, or it has no keys yet.
func (e *Endpoint) talking(h Header, reason Reason) *session {
	if reason != OK || h.Type() != TypeData {
		return nil
	}
	s := e.lookup(h.Session())
	if s == nil || s.state == sessionConnecting {
		return nil
	}
	return s
}

func (e *Endpoint) handleData(now core.Time, s *session, h Header, body []byte) Reason {
	l := s.lane(h.Lane())
	if l == nil {
		return e.drop(ReasonLane)
	}
	counter := h.Counter()
	plain, sealed := l.rx.Open(now, h.Phase(), counter, body, h.Bound())
	if sealed != seal.OK {
		return e.drop(reasonOf(sealed))
	}
	e.counters.Frames++
	if h.Phase() != l.rx.Phase() {
		e.counters.OldKeys++
	}
	s.heard = now
	if s.state == sessionClosing {
		if len(plain) > 0 && recordKind(plain[0]) == recordClose {
			s.over() // there, too: nobody is left to be told
			return OK
		}
		s.bye = max(s.bye, 1)
		e.urge(l)
		return OK
	}
	if !s.up {
		s.confirm(now)
	}
	reason := l.take(now, h.Route(), counter, plain)
	if reason != OK {
		e.counters.Dropped[reason]++
	}
	l.schedule(now)
	return reason
}

// reasonOf is the reason of the package below.
func reasonOf(r seal.Reason) Reason {
	switch r {
	case seal.ReasonShort:
		return ReasonLength
	case seal.ReasonReplayed:
		return ReasonReplayed
	case seal.ReasonTooOld:
		return ReasonTooOld
	case seal.ReasonForged:
		return ReasonForged
	case seal.ReasonWiped:
		return ReasonSession
	}
	return ReasonPhase
}

// arrival is what the records of one frame add up to.
type arrival struct {
	route   uint64
	wanted  bool // something must be acknowledged
	lazy    bool // nothing but replies must
	at      bool // at once
	refused bool // something could not be kept: the frame counts as lost
}

// take goes through the records of an authentic frame.
func (l *lane) take(now core.Time, route, counter uint64, b []byte) (reason Reason) {
	a := arrival{route: route, lazy: true}
	for count := 0; len(b) > 0; count++ {
		if count == mostRecords {
			return ReasonRecord
		}
		n, r := l.takeOne(now, &a, b)
		if r != OK {
			reason = r
		}
		if n == 0 || l.s.state == sessionOver {
			break
		}
		b = b[n:]
	}
	if a.refused || reason == ReasonRecord {
		return reason
	}
	jump := l.received.any && counter > l.received.largest+1 || counter < l.received.largest
	l.received.note(now, counter)
	if a.wanted {
		hold := ackHold
		if a.lazy {
			hold = replyHold
		}
		l.received.want(now, hold)
		if a.at || jump {
			l.received.due = true
		}
	}
	return reason
}

// takeOne takes one record and returns its length, 0 when the rest cannot be read or need not be.
func (l *lane) takeOne(now core.Time, a *arrival, b []byte) (n int, reason Reason) {
	k := recordKind(b[0])
	if k != recordPad && k != recordAck {
		a.wanted = true
	}
	if k != recordReply && k != recordAck {
		a.lazy = false
	}
	switch k {
	case recordPad:
		return 0, OK
	case recordAck:
		if n = parseAck(b, &l.e.ack); n > 0 {
			return n, l.onAck(now, &l.e.ack)
		}
	case recordPing:
		a.at = true
		return pingBytes, OK
	case recordBlocked:
		a.at = true
		return blockedBytes, OK
	case recordCall, recordReply, recordMessage, recordWrite:
		if n = parseSegment(b, &l.e.segment); n > 0 {
			reason = l.onSegment(now, a, &l.e.segment)
			if reason == ReasonRecord {
				n = 0
			}
			return n, reason
		}
	case recordAbandon:
		if x, ok := parseAbandon(b); ok {
			return abandonBytes, l.onAbandon(now, a, x)
		}
	case recordRefuse:
		if x, ok := parseRefuse(b); ok {
			l.onRefuse(x)
			return refuseBytes, OK
		}
	case recordDrain:
		l.s.onDrain(now)
		return drainBytes, OK
	case recordDone:
		l.s.doneHis = true
		return doneBytes, OK
	case recordClose:
		if len(b) >= closeBytes && b[1] < uint8(causeCount) {
			l.s.onClose(now, Cause(b[1]))
			return closeBytes, OK
		}
	}
	return 0, ReasonRecord
}
