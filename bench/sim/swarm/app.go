package swarm

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// app is what a host does with its endpoint: it keeps a session with everybody, calls, sends and
// writes through them, answers what arrives, and keeps book.
type app struct {
	draws    draws
	sessions []session
	open     []uint32 // entries under way that began here
	later    due      // what it does when
	begun    uint32   // items added to later, ever
	actAt    core.Time
	losing   uint    // outcomes in a row that were not in time
	idle     bool    // begins nothing any more, but for sessions and probes
	regions  []int32 // of the world, that this host owns
	requests []request
	header   [headerBytes]byte
	probes   probes
	suspect  suspect
}

// session is one of an app.
type session struct {
	id      transport.SessionID
	peer    int
	up      bool
	ours    bool // we connected
	leaving bool // draining or closing
	drained bool // here
	renewed renewed
	offers  []offer
	stale   []offer // those of the session that it has succeeded
}

// offer is a region that the peer of a session has told of.
type offer struct {
	region int32 // of the world
	id     transport.RegionID
}

// request is a call that waits for its handler.
type request struct {
	id    transport.RequestID
	entry uint32
	alive bool
}

// What an app does later.
const (
	laterConnect = iota // to the peer in arg
	laterAnswer         // the request in arg
)

// begin is what an app does when its host begins.
func (a *app) begin(h *host, now core.Time) {
	a.actAt = now + a.draws.time(1, h.w.s.Work.Gap)
	if h.plan.Passive {
		a.idle, a.actAt = true, core.Never
	}
	for _, peer := range h.plan.Peers {
		a.connect(h, now, peer)
	}
	if len(h.plan.Peers) > 0 || h.plan.Passive {
		return
	}
	for peer := range h.w.hosts {
		if peer != h.index && a.draws.percent(connects(h.index, peer)) {
			a.connect(h, now, peer)
		}
	}
}

// connects is with which probability, in percent, a host begins a session with another: mostly one
// of two does, sometimes both at once.
func connects(host, peer int) int {
	if host < peer {
		return 90
	}
	return 20
}

// end forgets everything: the host has crashed. What it had under way has no outcome any more.
func (a *app) end(h *host) {
	for _, n := range a.open {
		h.w.ledger.all[n].ended = true
		h.w.orphan(n)
	}
	for _, r := range a.regions {
		h.w.regions.lose(r)
	}
	*a = app{draws: a.draws, idle: a.idle, probes: a.probes}
}

// next is when turn has something to do.
func (a *app) next() core.Time {
	return min(a.later.first(), a.actAt, a.probes.next())
}

// maxOpen bounds a scenario's Outstanding. (guess: several windows of a lane)
const maxOpen = 256

// turn does what is due.
func (a *app) turn(h *host) {
	for a.later.first() <= h.busy {
		switch x := a.later.pop(); x.what {
		case laterConnect:
			a.reconnect(h, int(x.arg))
		case laterAnswer:
			a.answer(h, int(x.arg))
		}
		h.busy += h.plan.EventCost
	}
	if a.actAt <= h.busy {
		a.turnToAct(h)
	}
	a.probes.turn(h)
}

// turnToAct begins something, and says when it will again: after a gap, or when an outcome or a
// session comes, if there is too much under way or nobody to talk to.
func (a *app) turnToAct(h *host) {
	work := &h.w.s.Work
	gap := work.Gap << min(a.losing/losingAtOnce, losingMost)
	full := len(a.open) >= work.Outstanding
	switch {
	case a.idle:
		a.actAt = core.Never
		return
	case full && (work.Weights[doCancel] == 0 || a.draws.percent(90)):
		a.actAt = core.Never
	case full:
		a.cancel(h)
		a.actAt = core.Never
	case !a.act(h):
		a.actAt = core.Never
		if len(a.sessions) > 0 {
			a.actAt = h.busy + core.Time(a.draws.ExpFloat64()*float64(max(gap, idleGap))) + 1
		}
	default:
		a.actAt = h.busy + core.Time(a.draws.ExpFloat64()*float64(gap)) + 1
	}
	h.busy += h.plan.EventCost
}

// stir lets an app that waits begin something soon.
func (a *app) stir(h *host) {
	if a.actAt == core.Never && !a.idle {
		gap := h.w.s.Work.Gap << min(a.losing/losingAtOnce, losingMost)
		a.actAt = h.busy + core.Time(a.draws.ExpFloat64()*float64(gap)) + 1
	}
}

// Whom nothing reaches in time slows down, as users would, and so that a cut of a second is not
// filled with attempts: half the pace for each so many outcomes, down to a thousandth.
const (
	losingAtOnce = 8
	losingMost   = 10
)

// idleGap is the least mean time until an app that can do nothing looks again whether it can.
const idleGap = core.Millisecond

// after does something later.
func (a *app) after(at core.Time, what uint32, arg uint64) {
	a.begun++
	a.later.add(dueItem{at, a.begun, what, arg})
}

// session is that of a number, nil if the app has none.
func (a *app) session(id transport.SessionID) *session {
	for i := range a.sessions {
		if a.sessions[i].id == id {
			return &a.sessions[i]
		}
	}
	return nil
}

// earlyCalls is how many of 100 actions may use a session that is not open yet.
const earlyCalls = 5

// pick is one of the sessions that may be used, nil if there is none.
func (a *app) pick() *session {
	if len(a.sessions) == 0 {
		return nil
	}
	first := a.draws.IntN(len(a.sessions))
	early := a.draws.percent(earlyCalls)
	for i := range a.sessions {
		if s := &a.sessions[(first+i)%len(a.sessions)]; !s.leaving && (s.up || early) {
			return s
		}
	}
	return nil
}

// connect begins a session with a peer.
func (a *app) connect(h *host, now core.Time, peer int) {
	id, err := h.endpoint.Connect(h.local(now), h.peer(peer))
	if err != nil {
		a.after(now+reconnectAfter, laterConnect, uint64(peer))
		return
	}
	a.sessions = append(a.sessions, session{id: id, peer: peer, ours: true})
}

// reconnectAfter is how long after the end of a session a new one is begun. (guess)
const reconnectAfter = 200 * core.Microsecond

// reconnect begins a session unless there is one by now.
func (a *app) reconnect(h *host, peer int) {
	for i := range a.sessions {
		if s := &a.sessions[i]; s.peer == peer && !s.leaving {
			return
		}
	}
	a.connect(h, h.busy, peer)
}
