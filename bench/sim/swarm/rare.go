package swarm

import (
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
)

// Rare counts the named states that a swarm must reach: those in which mistakes hide. Most are the
// transport's own counters, some are outcomes.
type Rare [rareStates]uint64

// State is one of them.
type State struct {
	Name  string
	Count uint64
}

const (
	probeRepaired = iota
	timedOut
	spurious
	undone
	creditProbed
	blackHole
	rekeyed
	oldKey
	lateSegment
	repeatedSegment
	replayed
	forged
	noMemory
	deadPeer
	hintTaken
	cookieAsked
	crossed
	replacedSession
	keysUsedUp
	regionRevoked
	drained
	canceledLate
	deadlineUnknown
	ringFull
	sessionRenewed
	renewedAmidCalls
	endedInRenewed
	renewalRepeated

	rareStates = iota
)

var rareText = [rareStates]string{
	probeRepaired:   "a probe repaired a lost tail",
	timedOut:        "a retransmission timed out",
	spurious:        "a frame taken as lost arrived after all",
	undone:          "a window was restored after a spurious retransmission",
	creditProbed:    "a lane without credit asked for it",
	blackHole:       "a path that carries less than before was found out",
	rekeyed:         "a lane took its next key",
	oldKey:          "a frame of the old key came after one of the new",
	lateSegment:     "a segment came after its transfer was over",
	repeatedSegment: "a segment came twice",
	replayed:        "a frame came twice",
	forged:          "a damaged frame was refused by its tag",
	noMemory:        "a frame was refused for want of memory",
	deadPeer:        "a peer was given up as dead",
	hintTaken:       "a hint that a session is unknown led to a question",
	cookieAsked:     "a handshake was asked for a cookie",
	crossed:         "both ends began a session at once",
	replacedSession: "a session was replaced by a new one",
	keysUsedUp:      "a session ended because its keys were used up",
	regionRevoked:   "a write met a region that was revoked",
	drained:         "a session was drained to its end",
	canceledLate:    "a call was canceled after it was handed over",
	deadlineUnknown: "a call's deadline passed after it was handed over",
	ringFull:        "a host lost frames because its core was busy",

	sessionRenewed:   "a session was renewed",
	renewedAmidCalls: "a session was renewed with calls under way",
	endedInRenewed:   "a call was done in a session that had been renewed",
	renewalRepeated:  "a renewal's handshake was lost and repeated",
}

// SeedsForRare is how many seeds of DefaultFrames reach every state for all practical purposes.
// (measured; docs/SIMULATION.md)
const SeedsForRare = 1000

// States is all of them in a fixed order.
func (r *Rare) States() []State {
	all := make([]State, rareStates)
	for i := range r {
		all[i] = State{rareText[i], r[i]}
	}
	return all
}

func (r *Rare) add(other *Rare) {
	for i := range r {
		r[i] += other[i]
	}
}

// harvest adds what an endpoint has counted, once in its life.
func (h *host) harvest() {
	c := h.endpoint.Counters()
	r := &h.w.rare
	r[probeRepaired] += c.Repairs
	r[timedOut] += c.Timeouts
	r[spurious] += c.Spurious
	r[undone] += c.Undone
	r[creditProbed] += c.CreditProbes
	r[blackHole] += c.BlackHoles
	r[rekeyed] += c.Rekeys
	r[oldKey] += c.OldKeys
	r[lateSegment] += c.Late
	r[repeatedSegment] += c.Repeated
	r[replayed] += c.Dropped[transport.ReasonReplayed]
	r[forged] += c.Dropped[transport.ReasonForged]
	r[noMemory] += c.Dropped[transport.ReasonNoMemory]
	r[deadPeer] += c.Dead
	r[hintTaken] += c.HintsTaken
	r[cookieAsked] += h.endpoint.HandshakeCount(handshake.ReasonCookieAsked)
	r[crossed] += h.endpoint.HandshakeCount(handshake.ReasonCrossed)
	r[renewalRepeated] += c.RenewalsRepeated
	r[ringFull] += h.ring.full
	h.ring.full = 0
}

// outcome looks at how something ended.
func (r *Rare) outcome(x *entry, e *transport.Event) {
	switch {
	case e.Cause == transport.CauseRegion:
		r[regionRevoked]++
	case x.kind != kindCall || x.handed == 0:
	case e.Cause == transport.CauseCanceled:
		r[canceledLate]++
	case e.Cause == transport.CauseDeadline:
		r[deadlineUnknown]++
	}
}

// fall looks at how a session ended.
func (r *Rare) fall(s *session, e *transport.Event) {
	switch {
	case e.Cause == transport.CauseReplaced:
		r[replacedSession]++
	case e.Cause == transport.CauseKeys:
		r[keysUsedUp]++
	case e.Cause == transport.CauseClosed && s.drained:
		r[drained]++
	}
}
