package transport

import (
	"encoding/binary"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/planted"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// Renewal: a session that has got old is succeeded by one with keys from a fresh handshake.
//
//	begun here: open ──RenewAfter──> handshake beside it ──keys──> retired ──done──> over
//	begun by the peer: open ────── first frame of the next ──────> retired ──done──> over
//	not renewed:       open ──RenewAfter + overdue──> over
//
// Nothing is lost by it: EventUp of the next session says whom it Replaces, that one takes no new
// calls, and what is under way in it ends there. Each end says when nothing that it began there is
// under way any more (recordDone). Who has said so, and heard it, ends the session: silence alone
// does not show that the peer waits for nothing, its frames may be lost.
const (
	// renewAgain is how long after the begin of an attempt that failed the next one begins: a bit
	// more than an attempt may take, or it would be found under way, and waited for once more.
	renewAgain = handshake.GiveUpAfter + core.Millisecond
	// overdue is how long a session that nobody renews goes on. A handshake asks for certificates
	// that hold today, of peers that are believed today: without a limit, whoever does not begin
	// one would need neither. Eight attempts.
	overdue = 8 * renewAgain
	// retiredFor is how long one lasts at most: old keys are to be forgotten. (guess: a long write)
	retiredFor = 30 * core.Second
)

// The opaque bytes of a handshake's parameters: a lane's credit at the start, and the peer's number
// of the session that this one is to succeed, 0 for none.
const (
	opaqueCredit = 0
	opaqueRenews = 8
)

// renewsOf is the number of ours that the peer wants to go on with new keys.
func renewsOf(p *handshake.Params) uint32 {
	return binary.BigEndian.Uint32(p.Opaque[opaqueRenews:])
}

// succeeds notes whom a session succeeds by its peer's word, if that is a session with this peer.
func (s *session) succeeds(number uint32) {
	s.renews = 0
	old := s.e.lookup(number)
	if old != nil && old != s && old.key == s.key && old.state == sessionOpen && old.up {
		s.renews = old.id
	}
}

// renewStep begins a handshake when it is time, or ends a retired session. It returns when to look
// again.
func (s *session) renewStep(now core.Time) (next core.Time) {
	switch {
	case s.retired:
		if now >= s.until {
			s.end(now, CauseReplaced, 1)
			return core.Never
		}
		return s.until
	case now >= s.expires:
		s.fail(now, CauseExpired)
		return core.Never
	case s.drainOwn || s.drainHis || s.e.retiredWith(s.key): // for good, or its end wakes us
		return s.expires
	case now < s.renewAt:
		return min(s.renewAt, s.expires)
	}
	s.renewAt = now + renewAgain
	if s.e.find(s.renewal) == nil {
		s.renewal = 0
		if by, err := s.e.connect(now, Peer{Path: s.path, Key: s.key}, s); err == nil {
			s.renewal = by.id
			s.e.counters.Renewals++
		}
	}
	return min(s.renewAt, s.expires)
}

// retire takes no new calls and lets those under way end.
func (s *session) retire(now core.Time) {
	s.retired, s.until = true, now+retiredFor
	s.e.timers.advance(&s.timer, s.until)
	s.retireStep(now)
}

// retireStep tells the peer of a retired session when nothing that was begun here is under way, and
// ends it when the peer has heard that and said the same.
func (s *session) retireStep(now core.Time) {
	l := s.lanes[0]
	switch {
	case s.state != sessionOpen || s.begun > 0:
	case !s.doneOwn:
		s.doneOwn, l.done = true, true
		s.e.urge(l)
	case l.doneHeard && (s.doneHis || planted.On(planted.RetiredEarly)):
		s.end(now, CauseReplaced, 1)
	}
}

// giveUp ends a session whose peer does not answer any more. If that has nothing more to say in it
// the session was over: all that was lost is the peer's word for it.
func (s *session) giveUp(now core.Time) {
	if s.doneOwn && s.doneHis {
		s.end(now, CauseReplaced, 1)
		return
	}
	s.e.counters.Dead++
	s.fail(now, CauseDead)
}

// retiredWith reports whether there is a retired session with a peer. The next renewal waits for
// its end: what is under way there would be lost.
func (e *Endpoint) retiredWith(key identity.Key) bool {
	for _, s := range e.sessions {
		if s != nil && s.key == key && s.retired && s.state == sessionOpen {
			return true
		}
	}
	return false
}

// renewNow wakes the session with a peer that waits to be renewed.
func (e *Endpoint) renewNow(key identity.Key) {
	for _, s := range e.sessions {
		if s != nil && s.key == key && s.up && !s.retired && s.state == sessionOpen {
			e.timers.advance(&s.timer, s.renewAt)
		}
	}
}

// dropRenewal ends an attempt to renew a session that is over.
func (s *session) dropRenewal(now core.Time) {
	if by := s.e.find(s.renewal); by != nil && by.state == sessionConnecting {
		by.end(now, CauseConnect, 0)
	}
}
