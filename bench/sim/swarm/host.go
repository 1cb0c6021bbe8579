package swarm

import (
	"math/rand/v2"

	"github.com/dunlin-io/dunlin/bench/sim"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
)

// host is one runtime: an endpoint of the production transport, a core that is busy while it works,
// a ring of frames that wait for it, a clock of its own, and an application.
//
//	Receive ──> ring ──> core: HandleFrame, HandleTimeout, app, NextEvent, NextFrame ──> network
//	            full: lost     each costs time; a frame leaves when it is made
type host struct {
	w     *world
	id    sim.ID
	index int
	plan  *Plan

	endpoint *transport.Endpoint
	life     uint32 // incarnation: changes with each crash and each begin
	up       bool

	ring     ring
	busy     core.Time // until then the core works
	paused   core.Time // until then it does nothing
	told     core.Time // the local time when the endpoint last could see what is due
	awake    core.Time // what its alarm is set to; core.Never: none is
	spinning int       // wake-ups in a row that were due at once and found nothing to do

	app     app
	closes  int              // sessions that it has closed, in all its lives
	jobs    due              // of handshakes, by when they are done
	sums    []*handshake.Job // those, by number
	seals   seals
	accepts accepts
}

func newHost(w *world, index int) *host {
	h := &host{w: w, index: index, plan: &w.s.Hosts[index], awake: core.Never}
	h.id = w.loop.Add(h)
	slots := &w.shared.rings[index]
	if len(*slots) < h.plan.Ring {
		*slots = append(*slots, make([]waiting, h.plan.Ring-len(*slots))...)
	}
	h.ring.slots = (*slots)[:h.plan.Ring]
	h.app.draws = draws{rand.New(rand.NewPCG(w.s.Seed, streamApp+uint64(index)))}
	return h
}

const million = 1_000_000

// local is what the host's clock shows at a time of the world.
func (h *host) local(t core.Time) core.Time {
	ppm := core.Time(h.plan.DriftPPM)
	if ppm == 0 {
		return h.plan.ClockAt + t
	}
	return h.plan.ClockAt + t + t/million*ppm + t%million*ppm/million
}

// when is the first time at which the host's clock shows at least that.
func (h *host) when(local core.Time) core.Time {
	switch {
	case local == core.Never:
		return core.Never
	case local <= 0: // at once
		return 0
	case h.plan.DriftPPM == 0:
		return local - h.plan.ClockAt
	}
	d, pace := local-h.plan.ClockAt, million+core.Time(h.plan.DriftPPM)
	t := d/pace*million + d%pace*million/pace
	for h.local(t) < local {
		t++
	}
	for h.local(t-1) >= local {
		t--
	}
	return t
}

// begin starts the runtime: a new incarnation.
func (h *host) begin(now core.Time) {
	h.life++
	h.up = true
	h.busy = max(h.busy, now)
	h.endpoint = h.newEndpoint()
	h.seals, h.accepts = seals{}, accepts{}
	h.app.begin(h, now)
	h.wake(now)
}

// crash loses everything that the host knows. It begins again after a while, unless that is
// core.Never.
func (h *host) crash(until core.Time) {
	if h.up {
		h.harvest()
		h.up = false
		h.life++
		h.ring.clear()
		h.jobs, h.sums = h.jobs[:0], nil
		h.app.end(h)
		h.endpoint = nil
	}
	h.sleep(until)
}

// revive ends a crash or a pause at once.
func (h *host) revive() {
	now := h.w.loop.Now()
	h.paused = min(h.paused, now)
	if h.up {
		h.wake(now)
	} else {
		h.begin(now)
	}
}

func (h *host) pause(until core.Time) { h.paused = max(h.paused, until) }

// Receive implements fabric.Receiver.
func (h *host) Receive(now core.Time, _ int, frame []byte) {
	switch {
	case !h.up:
	case h.ring.count > 0 || h.busy > now || h.paused > now:
		h.ring.push(frame)
		h.wake(now)
	default:
		h.busy = now
		h.take(frame)
		h.work(h.plan.Burst - 1)
	}
}

// Handle implements sim.Component: the core looks around.
func (h *host) Handle(now core.Time, _ sim.Event) {
	h.awake = core.Never
	if !h.up {
		h.begin(now)
		return
	}
	if now < h.busy || now < h.paused {
		h.wake(now)
		return
	}
	h.busy = now
	h.work(h.plan.Burst)
}

// wake makes sure that the core looks around at that time, or as soon as it can after that.
func (h *host) wake(at core.Time) {
	if at = h.able(at); at < h.awake {
		h.setAlarm(at)
	}
}

// sleep lets the core look around at that time and not before, unless it is woken.
func (h *host) sleep(until core.Time) {
	if until = h.able(until); until != h.awake {
		h.setAlarm(until)
	}
}

// able is that time, or when the core can do anything after it.
func (h *host) able(at core.Time) core.Time {
	at = max(at, h.w.loop.Now())
	if h.up {
		at = max(at, h.busy, h.paused)
	}
	return at
}

func (h *host) setAlarm(at core.Time) {
	h.awake = at
	h.w.loop.Alarm(h.id, at)
}

// work is one turn of the core: at most so many frames, then all else that is due.
func (h *host) work(frames int) {
	start := h.busy
	for ; frames > 0 && h.ring.count > 0; frames-- {
		h.take(h.ring.pop())
	}
	if h.told = h.local(h.busy); h.told >= h.endpoint.Deadline() {
		h.endpoint.HandleTimeout(h.local(h.busy))
		h.busy += h.plan.EventCost
	}
	for h.jobs.first() <= h.busy {
		h.finishJob(h.jobs.pop())
	}
	h.events()
	h.app.turn(h)
	for sent, fresh := 0, true; sent < h.plan.Burst && h.w.fail == nil; fresh = false {
		h.beginJobs()
		if h.events() == 0 && !fresh {
			break // and send has nothing more
		}
		sent += h.send(h.plan.Burst - sent)
	}
	h.rest(h.busy > start)
}

// rest lets the core sleep until there is something to do.
func (h *host) rest(worked bool) {
	next := min(h.when(h.endpoint.Deadline()), h.jobs.first(), h.app.next())
	if h.ring.count > 0 {
		next = h.busy
	}
	if worked || next > h.busy {
		h.spinning = 0
	} else if h.spinning++; h.spinning > spinsAtMost {
		h.w.broken(&Failure{
			Invariant: "no busy retry",
			Detail:    "the endpoint wants to be called at once, and has nothing to do",
		})
	}
	h.sleep(next)
}

// spinsAtMost is how many times in a row an endpoint may want to be called for nothing. One is the
// race of a deadline with what made it void; the rest is generosity. (guess)
const spinsAtMost = 8

// take hands a frame to the endpoint.
func (h *host) take(frame []byte) {
	if !h.ours(frame) {
		return
	}
	x := h.plan.header(frame)
	to := h.endpoint.Numbered(x.session)
	reason := h.endpoint.HandleFrame(h.local(h.busy), frame)
	h.judge(x, to, reason)
	h.w.loop.Mix(uint64(reason))
	h.busy += h.plan.FrameCost
}

// send puts at most so many frames on the network.
func (h *host) send(most int) (sent int) {
	for sent < most {
		n := h.endpoint.NextFrame(h.local(h.busy), h.w.out)
		if n == 0 {
			break
		}
		sent++
		h.busy += h.plan.FrameCost
		frame := h.w.out[:n]
		h.sealed(frame)
		// A hint may go back to where nobody is: the sender's address was damaged.
		if to := hostOf(frame); to >= 0 && to < len(h.w.hosts) && to != h.index {
			h.w.net.Send(h.busy, h.index, to, frame)
		}
	}
	return sent
}

// events hands what happened to the application.
func (h *host) events() (n int) {
	for h.w.fail == nil {
		e, ok := h.endpoint.NextEvent(h.local(h.busy))
		if !ok {
			break
		}
		n++
		h.busy += h.plan.EventCost
		h.w.loop.Mix(uint64(e.Kind)<<32 | uint64(e.Outcome)<<16 | uint64(e.Cause))
		h.app.event(h, e)
	}
	return n
}
