package handshake

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// Handle takes a message that came along that way. OK says that it leads to something; else it was
// counted and forgotten.
func (m *Machine) Handle(now core.Time, from *Addr, b []byte) Reason {
	if m.closed {
		return m.note(ReasonClosed)
	}
	kind, reason := check(b, m.self.insecure)
	if reason != OK {
		return m.note(reason)
	}
	switch kind {
	case kindInit:
		reason = m.handleInit(now, from, b)
	case kindReply:
		reason = m.handleReply(now, b)
	case kindCookie:
		reason = m.handleCookie(b)
	}
	return m.note(reason)
}

func (m *Machine) handleInit(now core.Time, from *Addr, b []byte) Reason {
	if !m.gate.mac1(b) {
		return ReasonMAC
	}
	if reason := m.admit(now, from, b); reason != OK {
		return reason
	}
	if len(m.in) >= maxIn {
		return ReasonBusy
	}
	a := &attempt{
		id: m.newID(), state: reading, addr: *from, giveUp: now + answerWithin,
		number: binary.BigEndian.Uint32(b[atNumber:]),
	}
	m.in = append(m.in, a)
	j := m.newJob(now, readInit, a)
	j.in = bytes.Clone(b[headBytes : headBytes+noiseInit])
	return OK
}

func (m *Machine) handleReply(now core.Time, b []byte) Reason {
	a := m.waiter(binary.BigEndian.Uint32(b[atNumber:]))
	if a == nil || a.bad >= maxBad {
		return ReasonUnknown
	}
	if !m.gate.mac1(b) {
		return ReasonMAC
	}
	a.state = reading
	j := m.newJob(now, readReply, a)
	j.in = bytes.Clone(b[headBytes : headBytes+noiseReply])
	return OK
}

// waiter is the own attempt whose answers carry that number.
func (m *Machine) waiter(number uint32) *attempt {
	for _, a := range m.out {
		if a.number == number && a.state == waiting {
			return a
		}
	}
	return nil
}

// handleCookie sends message 1 again at once: nobody has looked at it so far, so it is still good.
func (m *Machine) handleCookie(b []byte) Reason {
	a := m.waiter(binary.BigEndian.Uint32(b[atNumber:]))
	if a == nil || a.cookied {
		return ReasonUnknown
	}
	end := len(a.last) - macBytes
	mac1 := [macBytes]byte(a.last[end-macBytes : end])
	if !openCookie(b, &a.peer, &mac1, &a.cookie) {
		return ReasonCookie
	}
	a.cookied = true
	a.last = appendMAC2(a.last[:end], &a.cookie)
	m.send(a.addr, bytes.Clone(a.last))
	return OK
}

// Done takes a job back after its Run.
func (m *Machine) Done(now core.Time, j *Job) {
	switch {
	case m.closed:
		j.Wipe()
	case j.step == writeInit || j.step == readReply:
		m.doneOwn(now, j)
	default:
		m.doneTheirs(now, j)
	}
}

func (m *Machine) doneOwn(now core.Time, j *Job) {
	a := find(m.out, j.attempt)
	if a == nil {
		j.Wipe()
		return
	}
	if j.doubt != identity.OK {
		m.doubts[j.doubt]++
	}
	a.noise = j.noise
	switch {
	case j.step == writeInit && j.reason != OK:
		m.note(j.reason)
		m.fail(a)
	case j.step == writeInit:
		b := begin(make([]byte, 0, InitBytes), kindInit, m.self.insecure, a.number)
		m.sent(now, a, addMACs(append(b, j.out...), &a.peer, &a.cookie))
	case j.reason != OK:
		m.note(j.reason)
		m.falseReply(now, a, j.reason)
	default:
		m.forget(&m.out, a)
		m.overtake(a.id)
		m.events = append(m.events, Event{
			Kind: EventUp, Initiator: true, Attempt: a.id, Addr: a.addr, Key: a.peer,
			Peer: j.who, Params: j.said.params, Keys: j.keys, Again: a.again,
		})
		j.keys.Wipe()
	}
}

// overtake drops a handshake of the peer's that was to take the place of an own one which is up
// now: its initiator, hearing nothing, begins again.
func (m *Machine) overtake(own AttemptID) {
	for _, a := range slices.Clone(m.in) {
		if a.own == own {
			m.note(ReasonCrossed)
			m.forget(&m.in, a)
		}
	}
}

// falseReply waits for the true one, unless Noise has ended with this one: then the peer holds the
// key that we called, but its certificate or payload is none.
func (m *Machine) falseReply(now core.Time, a *attempt, why Reason) {
	a.state = waiting
	a.bad++
	if why == ReasonPayload || why == ReasonCertificate {
		a.bad = maxBad
		a.retry = max(a.retry, now+a.wait)
	}
}

func (m *Machine) doneTheirs(now core.Time, j *Job) {
	a := find(m.in, j.attempt)
	if a == nil {
		j.Wipe()
		return
	}
	if j.doubt != identity.OK {
		m.doubts[j.doubt]++
	}
	reason := j.reason
	switch {
	case reason != OK:
	case j.step == readInit:
		reason = m.doneInit(now, a, j)
	default:
		m.doneReply(a, j)
	}
	if reason != OK {
		m.note(reason)
		j.Wipe()
		m.forget(&m.in, a)
	}
}

// doneInit has a message 1 whose sender is known: may it begin now?
func (m *Machine) doneInit(now core.Time, a *attempt, j *Job) Reason {
	a.peer = j.peer
	if a.peer == m.self.key {
		return ReasonSelf
	}
	if reason := m.rising(now, &a.peer, j.said.stamp); reason != OK {
		return reason
	}
	if ours := m.outTo(&a.peer); ours != nil {
		if bytes.Compare(m.self.key[:], a.peer[:]) < 0 {
			ours.addr = a.addr // it is where the peer is: stamp and certificate are good
			return ReasonCrossed
		}
		a.own = ours.id
		ours.giveUp = max(ours.giveUp, a.giveUp) // it does not fail while this one may succeed
	}
	a.state, a.noise, a.who, a.theirs = asked, j.noise, j.who, j.said.params
	m.events = append(m.events, Event{
		Kind: EventAsked, Attempt: a.id, Own: a.own, Addr: a.addr, Key: a.peer, Peer: a.who,
		Params: a.theirs,
	})
	return OK
}

func (m *Machine) doneReply(a *attempt, j *Job) {
	b := begin(make([]byte, 0, ReplyBytes), kindReply, m.self.insecure, a.number)
	m.send(a.addr, addMACs(append(b, j.out...), &a.peer, &[macBytes]byte{}))
	if ours := find(m.out, a.own); ours != nil {
		m.forget(&m.out, ours)
	} else {
		a.own = 0 // it was cancelled in the meantime
	}
	m.forget(&m.in, a)
	m.events = append(m.events, Event{
		Kind: EventUp, Attempt: a.id, Own: a.own, Addr: a.addr, Key: a.peer, Peer: a.who,
		Params: a.theirs, Keys: j.keys,
	})
	j.keys.Wipe()
}

// seen is what is remembered of a peer.
type seen struct {
	stamp uint64
	at    core.Time
}

// rising demands that a peer's stamps rise and that it does not begin too often.
func (m *Machine) rising(now core.Time, peer *identity.Key, stamp uint64) Reason {
	last, ok := m.peers[*peer]
	switch {
	case ok && stamp <= last.stamp:
		return ReasonReplay
	case ok && now-last.at < minGap:
		return ReasonEarly
	case !ok && len(m.peers) >= maxPeers:
		m.forgetOldest()
	}
	m.peers[*peer] = seen{stamp, now}
	return OK
}

// forgetOldest makes room. A replay of a forgotten peer's message leads to keys that nobody has,
// and so to a session that is never confirmed.
func (m *Machine) forgetOldest() {
	var oldest identity.Key
	at := core.Never
	for key, s := range m.peers {
		if s.at < at || s.at == at && bytes.Compare(key[:], oldest[:]) < 0 {
			oldest, at = key, s.at
		}
	}
	delete(m.peers, oldest)
}
