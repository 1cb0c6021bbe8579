package swarm

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// event is what the endpoint says has happened.
func (a *app) event(h *host, e *transport.Event) {
	switch e.Kind {
	case transport.EventUp:
		a.rise(h, e)
	case transport.EventDown:
		a.fall(h, e)
	case transport.EventDraining:
		if s := a.session(e.Session); s != nil {
			s.leaving = true
		}
	case transport.EventRequest:
		a.request(h, e)
	case transport.EventMessage:
		a.message(h, e)
	case transport.EventCanceled:
		for i := range a.requests {
			if a.requests[i].id == e.Request {
				a.requests[i].alive = false
			}
		}
	case transport.EventReply:
		a.ended(h, e, kindCall)
	case transport.EventWritten:
		a.ended(h, e, kindWrite)
	case transport.EventSent:
		a.ended(h, e, kindMessage)
	}
}

// rise notes a session that is open, and offers regions on it.
func (a *app) rise(h *host, e *transport.Event) {
	s, peer := a.session(e.Session), h.peerOf(e)
	if s == nil {
		a.sessions = append(a.sessions, session{id: e.Session, peer: peer})
		s = &a.sessions[len(a.sessions)-1]
	}
	if s.up || peer != nobody && s.peer != peer {
		h.w.broken(&Failure{
			Invariant: "a session opens once, with whom it is for",
			Detail:    fmt.Sprintf("session %d of host %d with %d", e.Session, h.index, peer),
		})
		return
	}
	s.up = true
	a.succeeds(h, s, e)
	a.stir(h)
	if peer == nobody {
		s.leaving = true // it is over by now, as the next event will say
		return
	}
	for range h.w.s.Work.Regions {
		a.register(h, s)
	}
}

// fall notes a session that is over.
func (a *app) fall(h *host, e *transport.Event) {
	for _, n := range a.open {
		if h.w.ledger.all[n].session == e.Session {
			h.w.broken(&Failure{
				Invariant: "all ends before its session", Detail: h.w.ledger.describe(n),
			})
			return
		}
	}
	for i := range a.sessions {
		if s := &a.sessions[i]; s.id == e.Session {
			h.w.rare.fall(s, e)
			if s.peer != nobody && (s.ours || a.draws.percent(50)) {
				a.after(h.busy+reconnectAfter, laterConnect, uint64(s.peer))
			}
			h.w.regions.sessionOver(h, s.id)
			a.sessions = append(a.sessions[:i], a.sessions[i+1:]...)
			return
		}
	}
	h.w.broken(&Failure{
		Invariant: "a session ends once",
		Detail:    fmt.Sprintf("host %d, session %d", h.index, e.Session),
	})
}

// received checks what arrived against what was sent: the entry, or nil.
func (a *app) received(h *host, e *transport.Event, k kind) (uint32, *entry) {
	said, n, size, ok := parseHeader(e.Header)
	x := h.w.ledger.get(uint64(n))
	wrong := ""
	switch {
	case !ok || x == nil:
		wrong = "nobody sent its header"
	case x.kind != k || said != k || x.size != size:
		wrong = "it is of another kind or length"
	case int(x.to) != h.index:
		wrong = "it is for another host"
	case x.route != e.Route || x.lane != e.Lane:
		wrong = "it is for another route or lane"
	case !bytes.Equal(e.Data, h.w.bytes.sent(n, size)):
		wrong = "its bytes differ"
	case x.handed != 0:
		wrong = "it is delivered twice"
	case x.ended && x.outcome == transport.Failed:
		wrong = "its sender was told that it never would be delivered"
	}
	if wrong != "" {
		text := fmt.Sprintf("host %d got something wrong: %s", h.index, wrong)
		if x != nil {
			text += ": " + h.w.ledger.describe(n)
		}
		h.w.broken(&Failure{Invariant: "what is delivered was sent, once", Detail: text})
		return 0, nil
	}
	x.handed++
	return n, x
}

// request is a call that arrived.
func (a *app) request(h *host, e *transport.Event) {
	n, x := a.received(h, e, kindCall)
	if x == nil {
		return
	}
	if s := a.session(e.Session); s == nil || !s.up {
		h.w.broken(&Failure{
			Invariant: "calls come on open sessions", Detail: h.w.ledger.describe(n),
		})
		return
	}
	work := &h.w.s.Work
	if x.part != partProbe && a.draws.percent(work.Silent) {
		return
	}
	slot := a.slot()
	a.requests[slot] = request{id: e.Request, entry: n, alive: true}
	if work.Think == 0 || x.part == partProbe || a.draws.percent(50) {
		a.answer(h, slot)
		return
	}
	a.after(h.busy+a.draws.time(1, work.Think), laterAnswer, uint64(slot))
}

// slot is a free place for a request.
func (a *app) slot() int {
	for i := range a.requests {
		if a.requests[i].id == 0 {
			return i
		}
	}
	a.requests = append(a.requests, request{})
	return len(a.requests) - 1
}

// answer replies to a request or refuses it. One that is gone by now is no mistake: its caller has
// given up.
func (a *app) answer(h *host, slot int) {
	r := &a.requests[slot]
	work := &h.w.s.Work
	x := &h.w.ledger.all[r.entry]
	id := r.id
	r.id = 0
	now := h.local(h.busy)
	if x.part != partProbe && a.draws.percent(work.Refuse) {
		x.answer = answerRefused
		if h.endpoint.Refuse(now, id) != nil {
			x.answer = answerNone
		}
		return
	}
	x.reply = a.size(work.Replies)
	x.answer = answerReplied
	header := putHeader(&a.header, kindCall, r.entry, x.reply)
	err := h.endpoint.Reply(now, id, header, h.lent(h.w.bytes.replied(r.entry, x.reply)))
	h.spoil()
	if err == nil {
		return
	}
	x.answer = answerNone
	if errors.Is(err, transport.ErrBusy) && r.alive {
		r.id = id
		a.after(h.busy+tryAgainAfter, laterAnswer, uint64(slot))
	}
}

// tryAgainAfter is how long after ErrBusy a reply is tried again. (guess)
const tryAgainAfter = 100 * core.Microsecond

// message is a one-way message that arrived.
func (a *app) message(h *host, e *transport.Event) {
	if k, _, _, ok := parseHeader(e.Header); ok && k == kindOffer {
		a.offered(h, e)
		return
	}
	a.received(h, e, kindMessage)
}

// ended is the outcome of something that began here.
func (a *app) ended(h *host, e *transport.Event, k kind) {
	n := uint32(e.Tag)
	x := h.w.ledger.get(e.Tag)
	if x == nil || x.kind != k && !(k == kindMessage && x.kind == kindOffer) ||
		int(x.from) != h.index || x.life != uint8(h.life) || x.session != e.Session {
		h.w.broken(&Failure{
			Invariant: "an outcome belongs to something",
			Detail:    fmt.Sprintf("host %d, tag %d, kind %v", h.index, e.Tag, k),
		})
		return
	}
	if x.ended {
		h.w.broken(&Failure{Invariant: "each ends once", Detail: h.w.ledger.describe(n)})
		return
	}
	a.closed(h, n)
	h.w.rare.outcome(x, e)
	a.judgeRenewed(h, n, e)
	x.outcome, x.cause = e.Outcome, e.Cause
	if e.Outcome == transport.Done {
		a.losing = 0
	} else if e.Cause == transport.CauseDeadline {
		a.losing++
	}
	if wrong := a.judge(h, e, n, x); wrong != "" {
		h.w.broken(&Failure{Invariant: wrong, Detail: h.w.ledger.describe(n)})
	}
	h.w.outcomes[k][e.Outcome]++
	a.stir(h)
}

// judge says what is wrong with an outcome, "" if nothing is.
func (a *app) judge(h *host, e *transport.Event, n uint32, x *entry) string {
	if x.kind == kindWrite {
		return h.w.regions.judge(n, x)
	}
	switch e.Outcome {
	case transport.Done:
		if x.handed != 1 {
			return "what is done was delivered"
		}
		if x.kind == kindCall {
			return a.judgeReply(h, e, n, x)
		}
	case transport.Failed:
		if x.handed != 0 && x.answer != answerRefused {
			return "what failed was not delivered"
		}
	case transport.Unknown:
	default:
		return "an outcome is done, failed or unknown"
	}
	if e.Cause == transport.CauseDeadline && h.local(h.busy) < x.deadline {
		return "nothing ends by a deadline before it"
	}
	if e.Cause == transport.CauseCanceled && !x.canceled {
		return "nothing is canceled by itself"
	}
	return ""
}

func (a *app) judgeReply(h *host, e *transport.Event, n uint32, x *entry) string {
	k, number, size, ok := parseHeader(e.Header)
	switch {
	case x.answer != answerReplied:
		return "a reply was given"
	case !ok || k != kindCall || number != n || size != x.reply:
		return "a reply is to its call"
	case !bytes.Equal(e.Data, h.w.bytes.replied(n, x.reply)):
		return "a reply's bytes are right"
	}
	if x.part == partProbe {
		a.probes.answered(int(x.to), x.size)
	}
	return ""
}

// probes are the calls of the second phase: a small one and one of several frames to each host that
// is well must succeed.
type probes struct {
	missing []probe
	tryAt   core.Time
}

type probe struct {
	peer int
	size uint32
}

const (
	probeDeadline = 2 * core.Second        // of one probe
	probeEvery    = 100 * core.Millisecond // between two tries
	smallProbe    = 32                     // bytes
	largeProbe    = 6000                   // fits the smallest credit of a lane
)

// probe begins the second phase on a host that is well.
func (a *app) probe(h *host, well []int) {
	a.probes = probes{tryAt: h.w.loop.Now()}
	for _, peer := range well {
		if peer != h.index {
			a.probes.missing = append(a.probes.missing, probe{peer, smallProbe},
				probe{peer, largeProbe})
		}
	}
	h.wake(a.probes.tryAt)
}

func (p *probes) next() core.Time {
	if len(p.missing) == 0 {
		return core.Never
	}
	return p.tryAt
}

func (p *probes) answered(peer int, size uint32) {
	for i, x := range p.missing {
		if x == (probe{peer, size}) {
			p.missing = append(p.missing[:i], p.missing[i+1:]...)
			return
		}
	}
}

// turn calls everybody who has not answered yet.
func (p *probes) turn(h *host) {
	if len(p.missing) == 0 || h.busy < p.tryAt {
		return
	}
	p.tryAt = h.busy + probeEvery
	for _, x := range p.missing {
		h.app.reconnect(h, x.peer)
		for i := range h.app.sessions {
			if s := &h.app.sessions[i]; s.peer == x.peer && !s.leaving {
				h.app.call(h, s, x.size, true)
				break
			}
		}
	}
}
