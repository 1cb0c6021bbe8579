package baton

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
)

// The model is the workers of one core, the iokernel, and what the kernel does about a futex, in
// steps none of which can be divided: one access to shared memory, one atomic part of a system
// call. A test walks every order of these steps. The decisions are Party's and Lender's own.
//
// The scheduler is left out, which makes the model stronger: any worker that can run may run next.

// at is where a worker stands in its loop.
type at uint8

const (
	atLook    at = iota // to load the word and see it
	atTakeUp            // to publish that it took it up
	atWake              // to wake the word's owner
	atMark              // to publish that it waits, or is parked
	atCompare           // in the kernel: to compare the word and go on the queue, or to return
	atQueue             // asleep
	atReturn            // woken: to publish that it runs
	atEnd               // no more: its process was killed
)

type worker struct {
	party  Party
	at     at
	word   Word  // the last one loaded
	state  State // as published, as is ack
	ack    Word
	parks  bool // it goes to sleep on its own core
	queued bool // others find it on the word's queue
	stolen bool // it sleeps on a queue that nobody wakes
	value  uint8
}

const crew = 3

type model struct {
	word    Word
	second  uint8 // variant: a wait word beside the baton
	between bool  // variant: one of both is stored
	workers [crew]worker
	lender  Lender
	now     core.Time
	wakes   Owner // the lender is about to wake somebody
	checks  bool  // the lender is about to look

	grants, parks, spurious, steals, kills int // how many more there may be
}

// variant is the protocol, or one of those that do not work.
type variant uint8

const (
	protocol variant = iota
	onlyHolders
	handsAgain
	blindLender
	secondAfter
	secondBefore
)

// key is a state in 64 bits. Two of a million states share one with a chance of one in ten million;
// then the second is not walked.
func (m *model) key() uint64 {
	h := hash(14695981039346656037)
	for i := range m.workers {
		w := &m.workers[i]
		h.add(uint64(w.party.seen)<<32 | uint64(w.word))
		h.add(uint64(w.ack)<<32 | uint64(w.at)<<24 | uint64(w.state)<<16 | uint64(w.value)<<8 |
			bits(w.parks, w.queued, w.stolen, w.party.holds, w.party.known))
	}
	l := &m.lender
	h.add(uint64(m.word)<<32 | uint64(l.word))
	h.add(uint64(m.second)<<32 | uint64(l.stage)<<24 | uint64(l.names)<<16 | uint64(m.wakes)<<8 |
		bits(m.between, m.checks))
	h.add(uint64(m.grants)<<32 | uint64(m.parks)<<24 | uint64(m.spurious)<<16 |
		uint64(m.steals)<<8 | uint64(m.kills))
	h.add(uint64(m.now)<<32 | uint64(l.since))
	h.add(uint64(l.holder)<<48 | uint64(l.target)<<32)
	for _, o := range l.named {
		h.add(uint64(o))
	}
	h.add(l.demoted[0])
	h.add(l.demoted[1])
	return uint64(h)
}

type hash uint64

func (h *hash) add(v uint64) {
	*h = (*h ^ hash(v)) * 0x9e3779b97f4a7c15
	*h ^= *h >> 29
}

func bits(all ...bool) (b uint64) {
	for i, set := range all {
		if set {
			b |= 1 << i
		}
	}
	return b
}

const deadline = 50 * core.Microsecond

func newModel(owners [crew]Owner, grants int) model {
	m := model{grants: grants}
	m.lender = NewLender(Deadlines{Yield: deadline, Stuck: 10 * deadline}, 0)
	for i, o := range owners {
		m.workers[i] = worker{party: NewParty(o), state: Running}
	}
	return m
}

// begun is a model in which the first owner has the core and the others sleep. The next grant is the
// one after which epochs begin again.
func begun(owners [crew]Owner, grants int) model {
	m := newModel(owners, grants)
	m.word = Word((1<<22 - 2) << ownerBits)
	m.word = m.word.Next(owners[0])
	for i := range m.workers {
		w := &m.workers[i]
		w.party.See(m.word)
		w.word, w.at, w.state, w.queued = m.word, atQueue, Waiting, true
	}
	m.workers[0].at, m.workers[0].state, m.workers[0].queued = atLook, Running, false
	m.workers[0].ack = m.word
	m.lender.Granted(m.now, m.word)
	m.lender.Check(m.now, &m, true)
	return m
}

// State and Ack make a model the crew of its lender.
func (m *model) State(o Owner) State { return m.of(o).state }
func (m *model) Ack(o Owner) Word    { return m.of(o).ack }

func (m *model) of(o Owner) *worker {
	for i := range m.workers {
		if m.workers[i].party.Self() == o {
			return &m.workers[i]
		}
	}
	return &worker{}
}

// wake is the kernel's: all on the queue whose bit is set go on. It reports whether there were any.
func (m *model) wake(bit uint32) (woken bool) {
	for i := range m.workers {
		w := &m.workers[i]
		if w.queued && w.party.Self().Bit()&bit != 0 {
			w.queued, woken = false, true
		}
	}
	return woken
}

// event is a step of a story. (Text is written when one ends badly: there are millions.)
type event struct {
	who  Owner  // a worker; Nobody: the iokernel
	what string // "" if there was nothing to do
	word Word
}

func (e event) String() string {
	if e.who == Nobody {
		return fmt.Sprintf("iokernel %s %v", e.what, e.word)
	}
	return fmt.Sprintf("%d %s %v", e.who, e.what, e.word)
}

// step has worker i go on and returns what it did.
func (x *explorer) step(m *model, i int) event {
	w := &m.workers[i]
	what := x.advance(m, w)
	return event{x.owners[i], what, w.word}
}

func (x *explorer) advance(m *model, w *worker) string {
	switch w.at {
	case atLook:
		w.value = m.second // before the word: a grant in between shows in the comparison
		return x.look(m, w)
	case atTakeUp:
		w.ack, w.at = w.word, atLook
		return "takes up"
	case atWake:
		m.wake(w.word.Owner().Bit())
		w.at = atMark
		return "wakes the owner of"
	case atMark:
		w.state, w.at = Waiting, atCompare
		if w.parks {
			w.state, w.parks = Parked, false
		}
		return "goes to sleep on"
	case atCompare:
		if x.unchanged(m, w) {
			w.queued, w.at = true, atQueue
			return "sleeps on"
		}
		w.at = atReturn
		return "does not sleep on"
	case atQueue:
		if w.queued || w.stolen {
			return ""
		}
		w.at = atReturn
		return "wakes up from"
	case atReturn:
		w.state, w.at = Running, atLook
		return "runs after"
	}
	return ""
}

func (x *explorer) unchanged(m *model, w *worker) bool {
	if x.variant == secondAfter || x.variant == secondBefore {
		return w.value == m.second
	}
	return w.word == m.word
}

func (x *explorer) look(m *model, w *worker) string {
	if w.party.Holds(m.word) {
		return ""
	}
	w.word = m.word
	held := w.party.Holding()
	if x.variant == handsAgain {
		w.party.known = false
	}
	move := w.party.See(m.word)
	switch {
	case move == Work:
		w.at = atTakeUp
	case move == Hand && (held || x.variant != onlyHolders):
		w.at = atWake
	default:
		w.at = atMark
	}
	return "sees"
}

// grant is the iokernel's: it gives the core to o.
func (x *explorer) grant(m *model, o Owner) {
	m.grants--
	switch {
	case x.variant == secondBefore:
		m.second++
		m.between, m.wakes = true, o // kept there until the word is stored
		return
	case x.variant == secondAfter:
		m.between = true
	}
	m.word = m.word.Next(o)
	m.lender.Granted(m.now, m.word)
	m.checks = true
}

// lend is the iokernel's next step.
func (x *explorer) lend(m *model) event {
	what := x.lender(m)
	return event{Nobody, what, m.word}
}

func (x *explorer) lender(m *model) string {
	switch {
	case m.between && x.variant == secondBefore:
		m.word = m.word.Next(m.wakes)
		m.between, m.wakes = false, Nobody
		m.lender.Granted(m.now, m.word)
		m.checks = true
		return "stores"
	case m.between:
		m.second++
		m.between = false
		return "stores the wait word for"
	case m.wakes != Nobody:
		m.wake(m.wakes.Bit())
		m.wakes = Nobody
		return "wakes the owner of"
	case m.checks:
		m.checks = false
		return x.measures(m, m.lender.Check(m.now, m, true))
	}
	return ""
}

// measures carries out what the lender wants. What a demoted thread does is not changed by it here.
func (x *explorer) measures(m *model, what Measure) string {
	owner := m.of(m.word.Owner())
	switch {
	case x.variant == blindLender:
	case what&Crossing == WakeOwner:
		m.wakes = m.word.Owner()
	case what&SignalOwner != 0 && !(what&WakeOwner != 0 && m.wake(owner.party.Self().Bit())):
		owner.queued, owner.stolen = false, false
	}
	if what == 0 {
		return "sees no need to act for"
	}
	return "takes measures for"
}
