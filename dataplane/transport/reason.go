package transport

// Reason says why a frame was dropped, or a part of it ignored. The values index counters and are
// exported as metric labels: new ones go to the end.
type Reason uint8

const (
	OK              Reason = iota
	ReasonShort            // shorter than a header
	ReasonVersion          // of another version of the format
	ReasonReserved         // a field that must be zero is not
	ReasonLength           // longer than the packet it came in
	ReasonType             // no such frame type
	ReasonSession          // no such session here
	ReasonLane             // the session has no such lane
	ReasonReplayed         // counter accepted before
	ReasonTooOld           // counter below the replay window
	ReasonForged           // tag does not fit
	ReasonPhase            // sealed with a key that is not, or no longer, accepted
	ReasonRecord           // authentic, but what is inside makes no sense
	ReasonNoMemory         // authentic, but a limit of memory is reached: sent again later
	ReasonAck              // acknowledges what was never sent
	ReasonRegion           // write to a region that was not given, or is gone
	ReasonBounds           // write beyond its region, or without the right
	ReasonLate             // segment of a transfer that is over
	ReasonDuplicate        // segment that was there already
	ReasonReply            // reply to no call that waits
	ReasonHint             // hint that echoes nothing outstanding, or too many of them
	ReasonHandshake        // message that the handshake did not accept
	ReasonSelf             // from ourselves
	ReasonNotOurs          // neither our EtherType nor UDP

	ReasonCount = iota // number of reasons, OK included
)

var reasonText = [ReasonCount]string{
	OK:              "ok",
	ReasonShort:     "short",
	ReasonVersion:   "version",
	ReasonReserved:  "reserved field",
	ReasonLength:    "bad length",
	ReasonType:      "unknown type",
	ReasonSession:   "unknown session",
	ReasonLane:      "unknown lane",
	ReasonReplayed:  "replayed",
	ReasonTooOld:    "too old",
	ReasonForged:    "forged",
	ReasonPhase:     "bad phase",
	ReasonRecord:    "bad record",
	ReasonNoMemory:  "no memory",
	ReasonAck:       "bad acknowledgement",
	ReasonRegion:    "unknown region",
	ReasonBounds:    "outside region",
	ReasonLate:      "late segment",
	ReasonDuplicate: "duplicate segment",
	ReasonReply:     "reply to nothing",
	ReasonHint:      "bad hint",
	ReasonHandshake: "bad handshake",
	ReasonSelf:      "own frame",
	ReasonNotOurs:   "not ours",
}

func (r Reason) String() string {
	if int(r) < len(reasonText) {
		return reasonText[r]
	}
	return "reason?"
}
