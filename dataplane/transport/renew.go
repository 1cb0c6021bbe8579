package transport

import (
	"encoding/binary"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
)

// Renewal: a session that has got old is succeeded by one with keys from a fresh handshake.
//
//	begun here: open ──RenewAfter──> handshake beside it ──keys──> retired ──quiet──> over
//	begun by the peer: open ────── first frame of the next ──────> retired ──quiet──> over
//	not renewed:       open ──RenewAfter + overdue──> over
//
// Nothing is lost by it: EventUp of the next session says whom it Replaces, that one takes no new
// calls, and what is under way in it ends there.
const (
	// renewAgain is how long after the begin of an attempt that failed the next one begins: as long
	// as an attempt may take.
	renewAgain = handshake.GiveUpAfter
	// overdue is how long a session that nobody renews goes on. A handshake asks for certificates
	// that hold today, of peers that are believed today: without a limit, whoever does not begin
	// one would need neither. Eight attempts.
	overdue = 8 * renewAgain
	// retiredQuiet is how long a retired session hears nothing before it ends when nothing of it is
	// under way here: whoever still waits for an acknowledgement sends again within that.
	retiredQuiet = rtoCap
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
		if now >= s.until || now >= s.heard+retiredQuiet && s.idle() {
			s.end(now, CauseReplaced, 1)
			return core.Never
		}
		return max(min(s.until, s.heard+retiredQuiet), now+clockGrain)
	case now >= s.expires:
		s.fail(now, CauseKeys)
		return core.Never
	case s.drainOwn || s.drainHis || now < s.renewAt:
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
	s.e.timers.advance(&s.timer, now+retiredQuiet)
}

// idle reports whether nothing is under way.
func (s *session) idle() bool {
	for _, l := range s.lanes {
		if len(l.partials) > 0 {
			return false
		}
	}
	return s.live == 0
}

// dropRenewal ends an attempt to renew a session that is over.
func (s *session) dropRenewal(now core.Time) {
	if by := s.e.find(s.renewal); by != nil && by.state == sessionConnecting {
		by.end(now, CauseConnect, 0)
	}
}
