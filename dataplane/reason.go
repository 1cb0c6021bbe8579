package dataplane

import "github.com/dunlin-io/dunlin/dataplane/wire"

// Reason says why a worker dropped a packet or refused to send one. Values below firstReason are
// those of wire.Reason. The values index counters and their texts are metric labels: new ones go to
// the end.
type Reason uint8

// firstReason leaves room for wire to learn more reasons without moving ours. (guess: it has 12)
const firstReason = 32

// OK is no reason: the packet was accepted.
const OK = Reason(wire.OK)

// The reasons of this package.
const (
	ReasonEmptySegment Reason = firstReason + iota // a frame of no bytes inside a packet
	ReasonGroupAddress                             // Ethernet or IP multicast or broadcast address
	ReasonNotOurs                                  // to another host's Ethernet address
	ReasonBadSource                                // from an IP address that no host may send from
	ReasonNoEndpoint                               // nobody here serves that EtherType or port
	ReasonBadChecksum                              // UDP checksum, where it is verified
	ReasonDeclined                                 // the handler said so
	ReasonNoFrame                                  // the pool had none for the reply
	ReasonReplyTooLong                             // longer than MaxReply
	ReasonNoReturn                                 // UDP source port 0: nobody waits for a reply
	ReasonQueueFull                                // sends beyond what one turn can hold
	ReasonBadFlow                                  // SendUDP, SendRaw: addresses that cannot be

	ReasonCount = iota + firstReason // size of an array indexed by Reason
)

// wire's reasons must stay below ours.
var _ [firstReason - wire.ReasonCount]struct{}

var reasonText = [ReasonCount - firstReason]string{
	ReasonEmptySegment - firstReason: "empty segment",
	ReasonGroupAddress - firstReason: "group address",
	ReasonNotOurs - firstReason:      "not ours",
	ReasonBadSource - firstReason:    "bad source address",
	ReasonNoEndpoint - firstReason:   "no endpoint",
	ReasonBadChecksum - firstReason:  "bad udp checksum",
	ReasonDeclined - firstReason:     "declined",
	ReasonNoFrame - firstReason:      "no frame",
	ReasonReplyTooLong - firstReason: "reply too long",
	ReasonNoReturn - firstReason:     "no return address",
	ReasonQueueFull - firstReason:    "queue full",
	ReasonBadFlow - firstReason:      "bad flow",
}

func (r Reason) String() string {
	switch {
	case r < firstReason:
		return wire.Reason(r).String()
	case r < ReasonCount:
		return reasonText[r-firstReason]
	}
	return "reason?"
}

// Known reports whether r is a value with a meaning: an array indexed by Reason has gaps.
func (r Reason) Known() bool {
	return r < Reason(wire.ReasonCount) || r >= firstReason && r < ReasonCount
}
