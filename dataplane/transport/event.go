package transport

import "github.com/dunlin-io/dunlin/core"

// SessionID names a session of this endpoint. It is never used again while the endpoint lives.
// 0 is none.
type SessionID uint64

// CallID names a call made here, WriteID a remote write, RequestID a call that arrived. 0 is none.
type (
	CallID    uint64
	WriteID   uint64
	RequestID uint64
)

// RegionID is what a peer needs to write into a region. It is valid in the one session it was
// registered for. 0 is none.
type RegionID uint64

// EventKind says what happened.
type EventKind uint8

const (
	EventNone     EventKind = iota
	EventUp                 // the session is open: Session, Peer
	EventDown               // the session is over; every call of it has ended before: Cause
	EventDraining           // the peer accepts no new calls on the session
	EventRequest            // a call arrived: Request, Route, Header, Data, Deadline
	EventMessage            // a one-way message arrived: Route, Header, Data
	EventCanceled           // the caller gave up on Request; Reply is not needed but does no harm
	EventReply              // a call made here ended: Call, Tag, Outcome, Header, Data
	EventWritten            // a remote write ended: Write, Tag, Outcome
	EventSent               // a message ended: Tag, Outcome (Done: the peer has it)
)

// Outcome is how a call, write or message ended.
type Outcome uint8

const (
	// Done: the reply is here, or all bytes of the write are in place, or the peer has the message.
	Done Outcome = iota
	// Failed: never handed to a handler, and it never will be. A write may be in place in part.
	Failed
	// Unknown: handed to a handler at most once, perhaps not at all.
	Unknown
)

// Cause says why something did not succeed.
type Cause uint8

const (
	CauseNone     Cause = iota
	CauseDeadline       // its time was over
	CauseCanceled       // Cancel
	CauseClosed         // Close was called here
	CausePeer           // the peer closed the session
	CauseDead           // the peer did not answer for too long
	CauseReplaced       // the peer opened a new session
	CauseRefused        // the peer does not take it: draining, or the handler refused
	CauseKeys           // no key may seal another frame
	CauseRegion         // the region is gone, too small, or not writable
	CauseConnect        // no session came about
	CauseExpired        // it was not renewed in time: nobody shows a certificate that holds today

	causeCount = iota
)

// Event is one thing that happened. Header and Data are valid until the next call of NextEvent and
// must not be written.
type Event struct {
	Kind    EventKind
	Outcome Outcome
	Cause   Cause
	Lane    uint8
	Session SessionID
	// Replaces is, with EventUp, the session that this one succeeds with fresh keys, 0 if none:
	// what is under way in that one ends there, everything new belongs into this one.
	Replaces SessionID
	Request  RequestID
	Call     CallID
	Write    WriteID
	Route    uint64
	Tag      uint64 // as given to Call, Send or Write
	// Deadline is when the caller gives up, on this host's clock.
	Deadline core.Time
	Header   []byte // of the layer above, at most MaxHeaderBytes
	Data     []byte
}
