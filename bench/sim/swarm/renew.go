package swarm

import (
	"fmt"
	"math/rand/v2"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// Renewals: sessions get old while all else goes on, and have successors. What a renewal promises
// is checked here: no call is lost by it, the old session ends, and in the end both ends of each
// pair have one session, the same.

// renewNever is longer than any run.
const renewNever = 1000 * 3600 * core.Second

func (p *Plan) renewAfter() core.Time {
	if p.RenewAfter == 0 {
		return renewNever
	}
	return p.RenewAfter
}

// Bounds of how often sessions are renewed: so many times while the first phase of a seed is likely
// to last, and no sooner than that. A handshake takes as long as a thousand frames. (guess)
const (
	renewalsMost = 16
	soonest      = 100 * core.Millisecond
)

// drawRenewals gives hosts an age for their sessions, in 30 of 100 seeds. It has draws of its own,
// so that nothing else of a seed depends on it.
func (s *Scenario) drawRenewals() {
	d := draws{rand.New(rand.NewPCG(s.Seed, streamRenew))}
	if d.percent(70) {
		return
	}
	// Each action takes about two frames, and all hosts act at once.
	length := s.Work.Gap * core.Time(s.Frames) / core.Time(2*len(s.Hosts))
	for i := range s.Hosts {
		if d.percent(80) {
			least := max(length/renewalsMost, soonest)
			s.Hosts[i].RenewAfter = d.time(least, max(2*length, 2*least))
		}
	}
}

// renewed is what an app knows of a session that has a successor.
type renewed struct {
	yes   bool
	at    core.Time // on the host's clock
	fresh uint32    // sessions of the pair, until then, that succeeded none
}

// retiredFor is how long a session goes on after it was renewed, at most. (docs/WIRE.md)
const retiredFor = 30 * core.Second

// freshOf is how many sessions of a pair came up that succeeded none, by the word of either end:
// each may end what is under way in the others.
func (w *world) freshOf(a, b int) uint32 {
	if b == nobody {
		return 0
	}
	return w.fresh[a][b] + w.fresh[b][a]
}

// succeeds looks at whom a session replaces that has just come up.
func (a *app) succeeds(h *host, s *session, e *transport.Event) {
	if e.Replaces == 0 {
		if s.peer != nobody {
			h.w.fresh[h.index][s.peer]++
			if a.suspect.peer == s.peer {
				a.suspect = suspect{}
			}
		}
		return
	}
	old := a.session(e.Replaces)
	if old == nil || !old.up || old.renewed.yes || s.peer != nobody && old.peer != s.peer {
		h.w.broken(&Failure{
			Invariant: "a session succeeds an open one of its peer that has no successor",
			Detail:    fmt.Sprintf("host %d: %d after %d", h.index, e.Session, e.Replaces),
		})
		return
	}
	old.leaving = true
	old.renewed = renewed{true, h.local(h.busy), h.w.freshOf(h.index, old.peer)}
	s.ours, s.stale = s.ours || old.ours, old.offers
	h.w.rare[sessionRenewed]++
	for _, n := range a.open {
		if x := &h.w.ledger.all[n]; x.session == old.id && x.kind == kindCall {
			h.w.rare[renewedAmidCalls]++
			break
		}
	}
}

// suspect is an entry that ended because its session was replaced, which had a successor already.
// It is settled when the host has seen all that has happened: perhaps a session came up besides.
type suspect struct {
	yes  bool
	n    uint32
	peer int
}

// judgeRenewed looks at what ends in a session that has a successor.
func (a *app) judgeRenewed(h *host, n uint32, e *transport.Event) {
	s := a.session(e.Session)
	if s == nil || !s.renewed.yes {
		return
	}
	if e.Kind == transport.EventReply && e.Outcome == transport.Done {
		h.w.rare[endedInRenewed]++
	}
	if e.Cause == transport.CauseReplaced && s.renewed.fresh == h.w.freshOf(h.index, s.peer) &&
		h.local(h.busy) < s.renewed.at+retiredFor {
		a.suspect = suspect{true, n, s.peer}
	}
}

// auditRenewals looks whether renewals keep what they promise on a host.
func (h *host) auditRenewals() {
	if x := &h.app.suspect; x.yes {
		h.w.broken(&Failure{
			Invariant: "nothing is lost by a renewal", Detail: h.w.ledger.describe(x.n),
		})
	}
	for i := range h.app.sessions {
		if s := &h.app.sessions[i]; s.renewed.yes && h.told > s.renewed.at+retiredFor+lateBy {
			h.w.broken(&Failure{
				Invariant: "a session that was renewed ends",
				Detail:    fmt.Sprintf("host %d, session %d", h.index, s.id),
			})
		}
	}
}

// disagreement says which of the hosts that are well have more than one session, or not the same;
// "" if all is well.
func (w *world) disagreement() string {
	for _, a := range w.s.Heal.Well {
		for _, b := range w.s.Heal.Well {
			if a == b {
				continue
			}
			s, n := w.hosts[a].with(b)
			if n != 1 {
				return fmt.Sprintf("host %d has %d sessions with host %d", a, n, b)
			}
			if t, _ := w.hosts[b].with(a); !twins(w.hosts[a], w.hosts[b], s, t) {
				return fmt.Sprintf("host %d has session %d with host %d, which has %d", a, s, b, t)
			}
		}
		if len(w.s.Heal.Other) > 0 {
			continue
		}
		peers := len(w.hosts) - 1
		if open, all := w.hosts[a].endpoint.Sessions(); open != peers || all > w.remembered(peers) {
			return fmt.Sprintf("host %d has %d sessions open and remembers %d, with %d peers", a,
				open, all, peers)
		}
	}
	return ""
}

// lingers is how long an endpoint answers for a session that is over. (docs/WIRE.md)
const lingers = 100 * core.Millisecond

// remembered is how many sessions an endpoint may remember that has one with each of its peers:
// with each one more and a handshake, and those that linger.
func (w *world) remembered(peers int) int {
	n := 3
	for i := range w.hosts {
		n += int(lingers / w.hosts[i].plan.renewAfter())
	}
	return n * peers
}

// with is an open session with a peer, and how many there are.
func (h *host) with(peer int) (id transport.SessionID, n int) {
	for i := range h.app.sessions {
		if s := &h.app.sessions[i]; s.peer == peer && s.up {
			id, n = s.id, n+1
		}
	}
	return id, n
}

// twins reports whether two sessions are the two ends of one.
func twins(a, b *host, s, t transport.SessionID) bool {
	ours, theirs, err := a.endpoint.Numbers(s)
	if err != nil {
		return false
	}
	back, forth, err := b.endpoint.Numbers(t)
	return err == nil && ours == forth && theirs == back
}
