package handshake

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// state is where an attempt stands.
//
//	own:     writing ──> waiting ──> reading ──> up
//	            ^           │ ^         │
//	            └── retry ──┘ └─ false ─┘          gone at giveUp
//	theirs:  reading ──> asked ──> writing ──> up  gone at giveUp
type state uint8

const (
	writing state = iota // a job writes
	waiting              // message 1 is out
	reading              // a job reads
	asked                // whether we want it
)

// attempt is a handshake under way.
type attempt struct {
	id     AttemptID
	state  state
	number uint32       // that answers carry
	peer   identity.Key // of theirs: known from asked on
	addr   Addr
	giveUp core.Time

	// Own.
	params  Params
	noise   *exchange
	retry   core.Time // when message 1 is made again
	wait    core.Time // from one message 1 to the next
	bad     int       // false replies
	again   int       // how often message 1 was made anew
	last    []byte    // message 1, as it was sent
	cookie  [macBytes]byte
	cookied bool // last was sent again with a cookie

	// Theirs.
	own    AttemptID // ours to the same peer, that gives way
	who    identity.Certificate
	theirs Params
}

// ErrSelf and the others are why Start refuses.
var (
	ErrSelf    = errors.New("handshake: that is our own key")
	ErrPending = errors.New("handshake: an attempt to that peer is under way")
	ErrFull    = errors.New("handshake: too many attempts are under way")
	ErrClosed  = errors.New("handshake: closed")
)

// Start begins a handshake with the runtime that holds that key. EventUp or EventFailed ends it.
func (m *Machine) Start(now core.Time, to Addr, peer identity.Key, p Params) (AttemptID, error) {
	switch {
	case m.closed:
		return 0, ErrClosed
	case peer == m.self.key:
		return 0, ErrSelf
	case m.outTo(&peer) != nil:
		return 0, ErrPending
	case len(m.out) >= maxOut:
		return 0, ErrFull
	}
	a := &attempt{
		id: m.newID(), peer: peer, addr: to, params: p, giveUp: now + m.giveUp, wait: firstRetry,
	}
	m.out = append(m.out, a)
	m.writeInit(now, a)
	return a.id, nil
}

// Cancel forgets an own attempt; no event follows.
func (m *Machine) Cancel(id AttemptID) {
	if a := find(m.out, id); a != nil {
		m.forget(&m.out, a)
	}
}

// Accept answers an EventAsked. False: it was too late.
func (m *Machine) Accept(now core.Time, id AttemptID, p Params) bool {
	a := find(m.in, id)
	if a == nil || a.state != asked {
		return false
	}
	a.state = writing
	j := m.newJob(now, writeReply, a)
	j.own = payload{stamp: m.nextStamp(now), params: p, certificate: m.self.certificate}
	return true
}

// Refuse answers an EventAsked with silence.
func (m *Machine) Refuse(id AttemptID) {
	if a := find(m.in, id); a != nil && a.state == asked {
		m.note(ReasonRefused)
		m.forget(&m.in, a)
	}
}

func (m *Machine) newID() AttemptID {
	m.lastID++
	return m.lastID
}

func find(list []*attempt, id AttemptID) *attempt {
	if k := slices.IndexFunc(list, func(a *attempt) bool { return a.id == id }); k >= 0 {
		return list[k]
	}
	return nil
}

func (m *Machine) outTo(peer *identity.Key) *attempt {
	for _, a := range m.out {
		if a.peer == *peer {
			return a
		}
	}
	return nil
}

// forget removes an attempt and its job; one that is under way will find nobody.
func (m *Machine) forget(list *[]*attempt, a *attempt) {
	if a.state == waiting || a.state == asked {
		a.noise.wipe()
	}
	*list = slices.DeleteFunc(*list, func(b *attempt) bool { return a == b })
	m.jobs = slices.DeleteFunc(m.jobs, func(j *Job) bool {
		if j.attempt != a.id {
			return false
		}
		j.Wipe()
		return true
	})
}

// newJob makes a job with what every job needs. While it is under way, the attempt's Noise state is
// the job's.
func (m *Machine) newJob(now core.Time, s step, a *attempt) *Job {
	j := &Job{
		step: s, attempt: a.id, self: m.self, peer: a.peer, trust: m.trust,
		seconds: m.seconds(now), noise: a.noise,
	}
	if s == writeInit || s == writeReply {
		j.random = m.draw32()
	}
	m.jobs = append(m.jobs, j)
	return j
}

// writeInit makes a message 1 that is new in everything.
func (m *Machine) writeInit(now core.Time, a *attempt) {
	a.state = writing
	a.noise.wipe()
	a.noise = nil
	a.number = m.newNumber()
	j := m.newJob(now, writeInit, a)
	j.own = payload{stamp: m.nextStamp(now), params: a.params, certificate: m.self.certificate}
}

// newNumber draws one that no own attempt has.
func (m *Machine) newNumber() uint32 {
	for {
		var b [4]byte
		m.draw(b[:])
		n := binary.BigEndian.Uint32(b[:])
		if n != 0 && !slices.ContainsFunc(m.out, func(a *attempt) bool { return a.number == n }) {
			return n
		}
	}
}

func (m *Machine) send(to Addr, b []byte) { m.messages = append(m.messages, message{to, b}) }

// Deadline is when HandleTimeout has something to do; core.Never if only input can wake it.
func (m *Machine) Deadline() core.Time {
	next := core.Never
	for _, a := range m.out {
		next = min(next, a.giveUp)
		if a.state == waiting {
			next = min(next, a.retry)
		}
	}
	for _, a := range m.in {
		next = min(next, a.giveUp)
	}
	return next
}

// HandleTimeout does what is due.
func (m *Machine) HandleTimeout(now core.Time) {
	for _, a := range slices.Clone(m.out) {
		switch {
		case now >= a.giveUp:
			m.note(ReasonGivenUp)
			m.fail(a)
		case a.state == waiting && now >= a.retry:
			a.again++
			m.writeInit(now, a)
		}
	}
	for _, a := range slices.Clone(m.in) {
		if now >= a.giveUp {
			m.note(ReasonExpired)
			m.forget(&m.in, a)
		}
	}
}

func (m *Machine) fail(a *attempt) {
	m.forget(&m.out, a)
	m.events = append(m.events, Event{
		Kind: EventFailed, Initiator: true, Attempt: a.id, Addr: a.addr, Key: a.peer,
	})
}

// sent notes that message 1 went out, and when the next one will.
func (m *Machine) sent(now core.Time, a *attempt, b []byte) {
	var jitter [1]byte
	m.draw(jitter[:])
	a.state = waiting
	a.retry = now + a.wait + a.wait*core.Time(jitter[0])/1024
	a.wait = min(2*a.wait, maxRetry)
	a.last = b
	a.bad, a.cookied = 0, false
	m.send(a.addr, bytes.Clone(b))
}
