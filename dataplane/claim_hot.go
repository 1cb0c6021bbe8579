package dataplane

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/invariant"
)

// word is what stands in a member's claim: who has it, or what its last turn left behind.
//
// Nobody waits for a claim, so a thread that is about to sleep passes over a port that another has,
// and input that comes while the other is past its last look would be nobody's, unless:
//
//   - whoever releases a claim looks at that port again before it sleeps. Release is a store and
//     the look a load, and sync/atomic lets no load overtake a store: so if a sleeper saw the
//     claim, the release comes after that, and the look after the input that the sleeper passed
//     over.
//   - what a turn leaves behind besides input (output that the link did not take) is in the word
//     that releases, so who sees the port free sees that too. When the companions want their next
//     turn is stored before it.
//   - a call of the companions is input like that of the port: it is noted before whoever called
//     looks for somebody to hear it, and taken back before they look what it was for.
//
// A thread whose core is taken away between release and look cannot look. Then whoever lends cores
// sees the input in the same ring, the call, or the time (Telltale), and gives one of the team's
// threads a core: any, since each of them serves every port.
type word uint32

const (
	wordDue   word = 1 << iota // free: a turn has something to do without input
	wordDeaf                   // free: the link does not believe its input
	wordTaken                  // claimed, by the seat whose number stands above seatShift
)

const seatShift = 8

// noted is the word that releases a claim. The look at unread input must have come before the one
// at pending: then input that is unread and not pending is such as the link does not believe.
func noted(unread, pending bool) word {
	switch {
	case unread && !pending:
		return wordDeaf
	case pending && !unread:
		return wordDue
	}
	return 0
}

func takenBy(seat uint32) word { return wordTaken | word(seat)<<seatShift }

// free reports whether nobody has the claim.
func (w word) free() bool { return w&wordTaken == 0 }

// wants reports whether the port needs somebody, given whether it has unread input.
func (w word) wants(unread bool) bool {
	return w.free() && (w&wordDue != 0 || unread && w&wordDeaf == 0)
}

// look reads the word.
func (m *member) look() word { return word(m.claim.Load()) }

// wants reports whether the port, whose word is w, needs somebody, or its companions do.
func (m *member) wants(w word, now core.Time) bool {
	return w.free() && (w&wordDue != 0 || m.called.Load() != 0 ||
		core.Time(m.due.Load()) <= now || w.wants(m.inbox.Unread()))
}

// take claims the member for a seat if its word is still w.
func (m *member) take(w word, seat uint32) bool {
	return m.claim.CompareAndSwap(uint32(w), uint32(takenBy(seat)))
}

// release ends a claim, after telling how many tasks are queued and when the companions are due.
func (m *member) release(seat uint32) {
	m.tell()
	unread := m.inbox.Unread()
	pending := m.worker.Next(0) == 0
	invariant.Check(m.look() == takenBy(seat), "release of a claim that is not ours",
		uint64(m.claim.Load()), uint64(takenBy(seat)))
	m.claim.Store(uint32(noted(unread, pending)))
}

// tell tells what waits for any thread if that has changed. It needs the claim: several threads may
// empty a queue whose own thread is away, and its line must not go on saying that tasks wait.
func (m *member) tell() {
	if m.telltale == nil {
		return
	}
	due := core.Time(m.due.Load())
	if oldest, n := m.queue.Oldest(); m.differs(oldest, n) || due != m.said {
		m.oldest.Store(int64(oldest))
		m.told.Store(uint32(n))
		m.said = due
		m.telltale.Queue(n, oldest, due)
	}
}

// misled reports whether what was told last is not so.
func (m *member) misled() bool {
	if m.telltale == nil {
		return false
	}
	return m.differs(m.queue.Oldest())
}

func (m *member) differs(oldest core.Time, n int) bool {
	return n != int(m.told.Load()) || oldest != core.Time(m.oldest.Load())
}

// attend polls the companions, and notes when they want to be polled again. A call is taken back
// before they are polled: what they were called for was there before it.
func (m *member) attend(now core.Time) (work int) {
	if m.called.Load() != 0 {
		m.called.Store(0)
		if m.telltale != nil {
			m.telltale.Heard()
		}
	}
	for _, p := range m.companions {
		work += p.Poll(now)
	}
	due := core.Never
	for _, p := range m.companions {
		due = min(due, max(p.Next(now), now)) // at once, from this turn on: they had one
	}
	if int64(due) != m.due.Load() {
		m.due.Store(int64(due))
	}
	return work
}

// serve claims m, whose word was w, and lets its worker do one turn, and its companions one each.
func (s *Seat) serve(now core.Time, m *member, w word) (work int, ok bool) {
	if !m.take(w, s.number) {
		s.counts.Missed++
		return 0, false
	}
	if m.cost.Load() != 0 {
		m.worker.pace.believe(core.Time(m.cost.Swap(0)))
	}
	m.worker.seat = s
	work = m.worker.Poll(now)
	s.bill.member, s.bill.frames = m, m.worker.pace.forget()
	s.frames = work
	work += m.attend(now)
	m.release(s.number)
	return work, true
}

// bill is what a port's turn cost, to be paid when the seat's next turn begins: the time is not
// known before, and then somebody else may have the claim.
type bill struct {
	member *member
	frames int // 0: there is nothing to learn
}

func (b *bill) pay(took core.Time) {
	if b.frames > 0 {
		b.member.cost.Store(int64(each(max(took, 0), b.frames)))
		b.frames = 0
	}
}

// settle tells what is queued at m, unless somebody has the claim.
func (s *Seat) settle(m *member) {
	if w := m.look(); w.free() && m.take(w, s.number) {
		m.release(s.number)
	}
}

// Borrow claims a worker to send with, for a task or a poller on the seat's thread, between two
// turns; its own if that is free. It is nil while others have all of them. What is queued leaves in
// the worker's next turn. Return it soon: its port waits. A handler uses Request.Worker.
func (s *Seat) Borrow() *Worker {
	invariant.Check(s.borrowed == nil, "second worker borrowed by seat", uint64(s.number), 0)
	members := s.team.members
	for i := range members {
		k := int(s.number) + i
		if k >= len(members) {
			k -= len(members)
		}
		m := &members[k]
		if w := m.look(); w.free() && m.take(w, s.number) {
			m.worker.seat = s
			s.borrowed = m
			return m.worker
		}
	}
	return nil
}

// Return ends the claim of a borrowed worker.
func (s *Seat) Return() {
	invariant.Check(s.borrowed != nil, "nothing borrowed by seat", uint64(s.number), 0)
	m := s.borrowed
	s.borrowed = nil
	m.release(s.number)
}
