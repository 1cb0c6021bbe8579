package iokernel

// Drop is why a packet was not passed on. DropNone is not a drop.
type Drop uint8

const (
	DropNone          Drop = iota
	DropMalformed          // from the NIC: wire.Parse refused it (the XDP program should have)
	DropNoEndpoint         // from the NIC: nobody registered it any more
	DropOwnSource          // from the NIC: it claims to come from this interface
	DropNoFill             // to a runtime: it gave no empty chunk
	DropRxFull             // to a runtime: its receive ring is full
	DropTooLong            // to a runtime: more segments than a packet may have in its chunks
	DropSendMalformed      // from a runtime: not a packet
	DropSendTooLong        // from a runtime: more than the interface's MTU
	DropForeignMAC         // from a runtime: source MAC is not the interface's
	DropForeignSource      // from a runtime: EtherType or UDP source that it was not granted
	DropNoLocal            // from a runtime to this host: nobody registered it
	DropNoQueue            // from a runtime: there is no NIC queue to send on

	DropCount = iota
)

var dropText = [DropCount]string{
	DropNone:          "none",
	DropMalformed:     "malformed",
	DropNoEndpoint:    "no_endpoint",
	DropOwnSource:     "own_source",
	DropNoFill:        "no_fill",
	DropRxFull:        "rx_full",
	DropTooLong:       "too_long",
	DropSendMalformed: "send_malformed",
	DropSendTooLong:   "send_too_long",
	DropForeignMAC:    "foreign_mac",
	DropForeignSource: "foreign_source",
	DropNoLocal:       "no_local",
	DropNoQueue:       "no_queue",
}

// String is the reason's name in metrics.
func (d Drop) String() string {
	if int(d) < len(dropText) {
		return dropText[d]
	}
	return "drop?"
}

// Violation is how a runtime broke the rules of its rings. It costs the runtime its attachment.
type Violation uint8

const (
	ViolationNone      Violation = iota
	ViolationIndex               // published an index that a ring cannot have
	ViolationAddress             // a descriptor outside its frame memory, or across a chunk's end
	ViolationOptions             // a descriptor with unknown options, or of no bytes
	ViolationDuplicate           // handed in a frame that still lies in one of its rings
	ViolationSegments            // a packet of more than MaxSegments frames

	ViolationCount = iota
)

var violationText = [ViolationCount]string{
	ViolationNone:      "none",
	ViolationIndex:     "published a ring index that it cannot have",
	ViolationAddress:   "handed in a descriptor outside its frame memory",
	ViolationOptions:   "handed in a descriptor with unknown options or no bytes",
	ViolationDuplicate: "handed in a frame twice",
	ViolationSegments:  "handed in a packet of too many frames",
}

// String says what the runtime did.
func (v Violation) String() string {
	if int(v) < len(violationText) {
		return violationText[v]
	}
	return "violation?"
}

var violationLabel = [ViolationCount]string{
	ViolationNone:      "none",
	ViolationIndex:     "index",
	ViolationAddress:   "address",
	ViolationOptions:   "options",
	ViolationDuplicate: "duplicate",
	ViolationSegments:  "segments",
}

// Label is the violation's name in metrics.
func (v Violation) Label() string {
	if int(v) < len(violationLabel) {
		return violationLabel[v]
	}
	return "violation?"
}
