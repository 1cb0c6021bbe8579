package swarm

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/transport/seal"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// accepts is which frames a host's endpoint has taken as authentic, by session and lane: the dumb
// twin of the replay windows. It remembers every counter. The number in a frame does not name the
// session: it is drawn, and may be drawn again when the session before it is over.
type accepts struct{ all []accepted }

type accepted struct {
	session transport.SessionID
	lane    uint8
	phase   uint8     // newest
	since   core.Time // when its first frame came
	any     bool
	top     uint64
	bits    []uint64
}

// header is what a host reads of a frame before the endpoint has it.
type header struct {
	ok      bool // there is one
	session uint32
	lane    uint8
	phase   uint8
	counter uint64
}

// bodyAt is where what the transport has made begins in a frame.
func (p *Plan) bodyAt() int {
	switch p.UDP {
	case 4:
		return wire.UDP4Bytes
	case 6:
		return wire.UDP6Bytes
	}
	return wire.EthernetBytes
}

func (p *Plan) header(frame []byte) (h header) {
	at := p.bodyAt()
	if len(frame) < at+transport.HeaderBytes {
		return h
	}
	x := transport.Header(frame[at : at+transport.HeaderBytes])
	if x.Type() != transport.TypeData {
		return h
	}
	return header{true, x.Session(), x.Lane(), x.Phase(), x.Counter()}
}

// judge compares what an endpoint said of a frame with what it has taken before in the session that
// the frame went to.
func (h *host) judge(x header, to transport.SessionID, reason transport.Reason) {
	var wrong string
	switch {
	case !x.ok:
	case reason == transport.ReasonReplayed || reason == transport.ReasonTooOld:
		wrong = h.accepts.find(x, to).refuses(x, reason)
	case reason == transport.OK || reason >= transport.ReasonRecord &&
		reason <= transport.ReasonReply:
		wrong = h.accepts.find(x, to).takes(h.busy, x)
	}
	if wrong != "" {
		h.w.broken(&Failure{
			Invariant: wrong,
			Detail: fmt.Sprintf("host %d, session %#x lane %d phase %d counter %d: %v", h.index,
				x.session, x.lane, x.phase, x.counter, reason),
		})
	}
}

func (a *accepts) find(x header, to transport.SessionID) *accepted {
	for i := range a.all {
		if y := &a.all[i]; y.session == to && y.lane == x.lane {
			if i > 0 { // what is used most is found first
				a.all[i], a.all[i-1] = a.all[i-1], a.all[i]
				y = &a.all[i-1]
			}
			return y
		}
	}
	a.all = append(a.all, accepted{session: to, lane: x.lane})
	return &a.all[len(a.all)-1]
}

func (y *accepted) has(counter uint64) bool {
	word := counter / 64
	return word < uint64(len(y.bits)) && y.bits[word]>>(counter%64)&1 != 0
}

// farthest is how far beyond the highest counter an authentic one may be: none is skipped but when
// a frame is lost.
const farthest = 1 << 20

// takes says what is wrong with taking a frame, "" if nothing is.
func (y *accepted) takes(now core.Time, x header) string {
	switch {
	case y.has(x.counter):
		return "no frame is taken twice"
	case x.counter > y.top+farthest:
		return "no frame is taken that nobody sent"
	case x.phase != y.phase && x.phase+1 == y.phase && now-y.since > seal.OldFor+lateBy:
		return "no old key is good for ever"
	case x.phase == y.phase+1:
		y.phase, y.since = x.phase, now
	}
	for x.counter/64 >= uint64(len(y.bits)) {
		y.bits = append(y.bits, 0)
	}
	y.bits[x.counter/64] |= 1 << (x.counter % 64)
	y.top, y.any = max(y.top, x.counter), true
	return ""
}

// refuses says what is wrong with refusing a frame because of its counter.
func (y *accepted) refuses(x header, reason transport.Reason) string {
	switch {
	case reason == transport.ReasonReplayed && !y.has(x.counter):
		return "no frame counts as replayed that was not taken before"
	case reason == transport.ReasonTooOld &&
		(!y.any || x.counter+seal.WindowFrames > y.top):
		return "no frame counts as too old within the window"
	}
	return ""
}
