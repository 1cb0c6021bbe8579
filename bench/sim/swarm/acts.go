package swarm

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// act begins something, drawn by the weights of the scenario; false if there was nothing to do it
// with.
func (a *app) act(h *host) bool {
	work := &h.w.s.Work
	total := 0
	for _, weight := range work.Weights {
		total += weight
	}
	if total == 0 {
		return false
	}
	which := a.draws.IntN(total)
	for what, weight := range work.Weights {
		if which -= weight; which < 0 {
			return a.do(h, action(what))
		}
	}
	return false
}

func (a *app) do(h *host, what action) bool {
	s := a.pick()
	if s == nil {
		return false
	}
	work := &h.w.s.Work
	switch what {
	case doCall:
		a.call(h, s, a.size(work.Sizes), false)
	case doSend:
		a.send(h, s, a.size(work.Sizes))
	case doWrite:
		if len(s.offers) == 0 {
			return false
		}
		a.write(h, s)
	case doCancel:
		a.cancel(h)
	case doRegister:
		if s.up && len(a.regions) < perHost {
			a.register(h, s)
		}
	case doDeregister:
		if len(a.regions) > 0 {
			h.w.regions.revoke(h, a.draws.IntN(len(a.regions)))
		}
	case doConnect:
		a.connect(h, h.busy, s.peer)
	case doDrain:
		s.leaving, s.drained = true, true
		h.must("Drain", h.endpoint.Drain(h.local(h.busy), s.id))
	case doClose:
		if work.Closes != 0 && h.closes >= work.Closes {
			return true
		}
		h.closes++
		s.leaving = true
		h.must("Close", h.endpoint.Close(h.local(h.busy), s.id))
	}
	return true
}

func (a *app) size(s Sizes) uint32 {
	const small = 64 // bytes
	if a.draws.percent(s.Small) {
		return uint32(a.draws.IntN(small + 1))
	}
	return uint32(a.draws.log(int64(max(s.Least, 1)), int64(s.Most)))
}

// order is what calls, messages and writes have in common, and the entry for it.
func (a *app) order(h *host, s *session, k kind, size uint32) (uint32, transport.Order) {
	work := &h.w.s.Work
	lanes := min(h.plan.Lanes, h.w.hosts[s.peer].plan.Lanes)
	e := entry{
		kind: k, from: uint8(h.index), to: uint8(s.peer), life: uint8(h.life), size: size,
		session: s.id, lane: uint8(a.draws.IntN(lanes)), route: a.draws.Uint64N(1 << 40),
		region: -1,
	}
	within := core.Time(a.draws.between(int64(work.Deadline[0]), int64(work.Deadline[1])))
	e.deadline = h.local(h.busy) + within
	n := h.w.ledger.add(e, h.when(e.deadline))
	o := transport.Order{
		Session: s.id, Lane: e.lane, Route: e.route, Tag: uint64(n), Deadline: e.deadline,
	}
	if k != kindWrite {
		o.Header = putHeader(&a.header, k, n, size)
	}
	return n, o
}

// opened books an entry that has begun; with an error it has ended, and nothing of it may ever
// arrive.
func (a *app) opened(h *host, n uint32, err error) bool {
	e := &h.w.ledger.all[n]
	if err != nil {
		e.ended, e.outcome = true, transport.Failed
		h.w.loop.Mix(uint64(n))
		return false
	}
	e.place = uint16(len(a.open))
	a.open = append(a.open, n)
	return true
}

// closed takes an entry off the list of what is under way.
func (a *app) closed(h *host, n uint32) {
	e := &h.w.ledger.all[n]
	last := a.open[len(a.open)-1]
	a.open[e.place] = last
	h.w.ledger.all[last].place = e.place
	a.open = a.open[:len(a.open)-1]
	e.ended = true
}

// lent is bytes that the endpoint must copy: they are spoiled as soon as spoil is called.
func (h *host) lent(b []byte) []byte {
	to := &h.w.shared.lent
	*to = append((*to)[:0], b...)
	return *to
}

// spoil overwrites what was lent, here and there.
func (h *host) spoil() {
	const step = 97
	b := h.w.shared.lent
	for i := 0; i < len(b); i += step {
		b[i] ^= 0xff
	}
	h.app.header = [headerBytes]byte{}
}

func (a *app) call(h *host, s *session, size uint32, probe bool) {
	n, o := a.order(h, s, kindCall, size)
	if probe {
		o.Deadline = h.local(h.busy) + probeDeadline
		e := &h.w.ledger.all[n]
		e.deadline, e.part = o.Deadline, partProbe
	}
	id, err := h.endpoint.Call(h.local(h.busy), o, h.lent(h.w.bytes.sent(n, size)))
	h.spoil()
	if a.opened(h, n, err) {
		h.w.ledger.all[n].handle = uint64(id)
	}
}

func (a *app) send(h *host, s *session, size uint32) {
	n, o := a.order(h, s, kindMessage, size)
	err := h.endpoint.Send(h.local(h.busy), o, h.lent(h.w.bytes.sent(n, size)))
	h.spoil()
	a.opened(h, n, err)
}

// write writes into a region that the peer has offered, or where it must not.
func (a *app) write(h *host, s *session) {
	work := &h.w.s.Work
	to := s.offers[a.draws.IntN(len(s.offers))]
	r := &h.w.regions.all[to.region]
	size := min(a.size(work.Sizes), uint32(r.size))
	at := uint64(a.draws.IntN(r.size - int(size) + 1))
	wild := a.draws.percent(work.Wild)
	switch {
	case wild && len(s.stale) > 0 && a.draws.percent(50):
		// The owner's region may be open still, in the session that this one has succeeded.
		to, at = s.stale[a.draws.IntN(len(s.stale))], 0
		size = min(size, uint32(h.w.regions.all[to.region].size))
	case wild:
		switch a.draws.IntN(3) {
		case 0:
			at = uint64(r.size) - uint64(size) + uint64(a.draws.log(1, 1<<20))
		case 1:
			at = ^uint64(0) - a.draws.Uint64N(64)
		case 2:
			// Not the low bits: they lead to the next region in the same place, which may be there.
			to.id ^= transport.RegionID(1) << (8 + a.draws.IntN(56))
		}
	}
	if !wild && !h.w.regions.mayWrite(to.region) {
		return
	}
	n, o := a.order(h, s, kindWrite, size)
	e := &h.w.ledger.all[n]
	e.region, e.at = int16(to.region), at
	if wild && size > 0 {
		e.part = partForeign
	}
	target := transport.Target{
		Region: to.id, Offset: at, Stable: a.draws.percent(work.Stable),
	}
	data := h.w.bytes.sent(n, size)
	if !target.Stable {
		data = h.lent(data)
	}
	id, err := h.endpoint.Write(h.local(h.busy), o, target, data)
	if !target.Stable {
		h.spoil()
	}
	if a.opened(h, n, err) {
		h.w.ledger.all[n].handle = uint64(id)
		if !wild {
			h.w.regions.begin(to.region, n)
		}
	}
}

// cancel gives up on something that is under way.
func (a *app) cancel(h *host) {
	if len(a.open) == 0 {
		return
	}
	e := &h.w.ledger.all[a.open[a.draws.IntN(len(a.open))]]
	if e.canceled {
		return
	}
	var err error
	switch e.kind {
	case kindCall:
		err = h.endpoint.Cancel(h.local(h.busy), transport.CallID(e.handle))
	case kindWrite:
		err = h.endpoint.CancelWrite(h.local(h.busy), transport.WriteID(e.handle))
	default:
		return
	}
	e.canceled = true
	h.must("Cancel", err)
}

// must is for what cannot fail: the session or entry is there.
func (h *host) must(what string, err error) {
	if err != nil {
		h.w.broken(&Failure{Invariant: what + " of what is there succeeds", Detail: err.Error()})
	}
}
