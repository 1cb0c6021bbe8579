// Package planted is mistakes made on purpose, one at a time, to see how many seeds the simulator
// needs to find each. Code asks On where the mistake would be made:
//
//	if planted.On(planted.CreditLeaked) {
//		return // and the credit of this transfer never comes back
//	}
//
// Without the build tag `planted`, On is the constant false and the compiler removes the question
// and the mistake. With it, Choose makes one mistake the whole process's.
package planted

// Bug is one mistake.
type Bug uint8

const (
	None Bug = iota
	WindowBeforeTag
	ReplayTaken
	RingWrap
	RouteUnbound
	OldPhaseKept
	CounterReused
	CreditLeaked
	WakeUpLost
	DeadlineForgotten
	ReplyMisdirected
	SegmentLate
	CallTwice
	AckShifted
	BufferLeaked
	BoundsOff
	RevokedWritable
	DoneEarly
	WritesOutOfOrder
	CancelSilent
	DownEarly
	RetiredEarly

	Bugs = iota // with None
)

var text = [Bugs][2]string{
	None:              {"none", "no mistake"},
	WindowBeforeTag:   {"window-before-tag", "the replay window moves before the tag was checked"},
	ReplayTaken:       {"replay-taken", "a frame is taken again if it comes again"},
	RingWrap:          {"ring-wrap", "a word of the ring of arrivals is not cleared as it wraps"},
	RouteUnbound:      {"route-unbound", "the route in a header is not authenticated"},
	OldPhaseKept:      {"old-phase-kept", "frames of the old phase are accepted for ever"},
	CounterReused:     {"counter-reused", "a retransmission is sealed under the counter before it"},
	CreditLeaked:      {"credit-leaked", "the credit of an abandoned transfer never comes back"},
	WakeUpLost:        {"wake-up-lost", "bulk that waits for its pace wakes nobody"},
	DeadlineForgotten: {"deadline-forgotten", "a call's deadline has no timer"},
	ReplyMisdirected:  {"reply-misdirected", "a reply goes to whichever call is in its slot"},
	SegmentLate:       {"segment-late", "a segment of a write that is over is applied"},
	CallTwice:         {"call-twice", "a call that was handed over is handed over again"},
	AckShifted:        {"ack-shifted", "an acknowledgement names one frame too many"},
	BufferLeaked:      {"buffer-leaked", "the buffer of an abandoned transfer is not given back"},
	BoundsOff:         {"bounds-off", "a write may reach one byte beyond its region"},
	RevokedWritable:   {"revoked-writable", "a region takes writes after it was deregistered"},
	DoneEarly:         {"done-early", "a write counts as done before all of it has arrived"},
	WritesOutOfOrder:  {"writes-out-of-order", "overlapping writes do not wait for each other"},
	CancelSilent:      {"cancel-silent", "a canceled call has no outcome"},
	DownEarly:         {"down-early", "a session is over before its calls have ended"},
	RetiredEarly:      {"retired-early", "a session that was renewed ends while its peer uses it"},
}

// String is the bug's name, for command lines.
func (b Bug) String() string { return text[b][0] }

// Text says what the mistake is.
func (b Bug) Text() string { return text[b][1] }

// Named is the bug of a name.
func Named(name string) (Bug, bool) {
	for b := range text {
		if text[b][0] == name {
			return Bug(b), true
		}
	}
	return None, false
}
