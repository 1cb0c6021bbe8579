package seal

// Reason says why Open did not accept a frame. The values index counters and are exported as metric
// labels: new ones go to the end.
type Reason uint8

const (
	OK               Reason = iota
	ReasonShort             // shorter than a tag
	ReasonReplayed          // this counter was accepted before
	ReasonTooOld            // counter WindowFrames or more behind the highest
	ReasonForged            // tag does not fit: forged, damaged, or of another key
	ReasonPhase             // no key of that phase exists
	ReasonOldPhase          // of the phase before, after OldFor
	ReasonEarlyPhase        // of the next phase, while the old one is still accepted
	ReasonWiped             // the session is over

	ReasonCount = iota // number of reasons, OK included
)

var reasonText = [ReasonCount]string{
	OK:               "ok",
	ReasonShort:      "short",
	ReasonReplayed:   "replayed",
	ReasonTooOld:     "too old",
	ReasonForged:     "forged",
	ReasonPhase:      "unknown phase",
	ReasonOldPhase:   "old phase",
	ReasonEarlyPhase: "early phase",
	ReasonWiped:      "wiped",
}

func (r Reason) String() string {
	if int(r) < len(reasonText) {
		return reasonText[r]
	}
	return "reason?"
}
