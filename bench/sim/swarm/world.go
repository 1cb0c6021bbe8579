package swarm

import (
	"fmt"

	"github.com/dunlin-io/dunlin/bench/sim"
	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
)

// world is one run.
type world struct {
	s        *Scenario
	loop     *sim.Loop
	net      *fabric.Network
	hosts    []*host
	ledger   ledger
	shared   *Shared
	bytes    *payload
	out      []byte // a frame on its way out
	acts     int    // of the scenario, done
	written  uint64 // bytes of remote writes that are done
	regions  regions
	rare     Rare
	outcomes Outcomes
	audits   uint64
	healed   bool
	before   uint32                // entries that were begun before it healed
	fresh    [][]uint32            // sessions that succeeded none, by who tells and with whom
	demand   func(w *world) string // of a test; nil: nothing
	fail     *Failure              // the first promise broken
}

// newWorld builds everything at time 0.
func newWorld(s *Scenario, shared *Shared) (*world, error) {
	loop := sim.NewLoop()
	net, err := fabric.Play(loop, s.Script)
	if err != nil {
		return nil, err
	}
	if shared.net != nil {
		net.Inherit(shared.net)
		shared.net = nil
	}
	w := &world{
		s: s, loop: loop, net: net, shared: shared, bytes: &shared.payload,
		out: make([]byte, fabric.MaxFrame), ledger: shared.ledger.reset(),
	}
	w.regions.w = w
	for i := range s.Hosts {
		w.fresh = append(w.fresh, make([]uint32, len(s.Hosts)))
		h := newHost(w, i)
		w.hosts = append(w.hosts, h)
		net.Attach(i, h)
	}
	for _, h := range w.hosts {
		h.begin(0)
	}
	return w, nil
}

// broken notes that a promise is broken. The first one counts.
func (w *world) broken(f *Failure) {
	if w.fail == nil {
		f.Seed, f.At, f.Frames = w.s.Seed, w.loop.Now(), w.net.Counters().Delivered
		w.fail = f
	}
}

// frames is the link events so far.
func (w *world) frames() uint64 { return w.net.Delivered() }

const (
	// auditEvery is how many events lie between two full audits.
	auditEvery = 1024
	// patience bounds the first phase: a network that carries nothing is healed all the same.
	patience      = 600 * core.Second
	eventsAFrame  = 40
	eventsAtLeast = 200_000
)

// trouble is the first phase: until so many frames were delivered. It reports whether they were.
func (w *world) trouble() bool {
	most := eventsAtLeast + eventsAFrame*w.s.Frames
	for w.fail == nil && w.frames() < w.s.Frames {
		if w.loop.Now() > patience || w.loop.Events() > most || w.loop.Next() == core.Never {
			return false
		}
		w.step(w.s.Frames)
	}
	return true
}

// step lets events happen until the next audit, at least one, and stops early at so many frames.
func (w *world) step(frames uint64) {
	until := w.loop.Events() + auditEvery
	for w.fail == nil && w.loop.Events() < until && w.frames() < frames && w.loop.Step() {
		for w.acts < len(w.s.Acts) && w.s.Acts[w.acts].After <= w.frames() {
			w.act(w.s.Acts[w.acts])
			w.acts++
		}
	}
	w.audit()
}

func (w *world) act(a Act) {
	if w.healed {
		return
	}
	h := w.hosts[a.Host]
	switch a.Kind {
	case Pause:
		h.pause(w.loop.Now() + a.For)
	case Restart:
		h.crash(w.loop.Now() + a.For)
	}
}

// Bounds of the second phase, in virtual time after the last deadline.
const (
	// healedDelay is the network's after it is healed.
	healedDelay = 20 * core.Microsecond
	// endsWithin is how long after the last deadline everything has ended: a dead peer is found, a
	// connection tried again with the longest pause between two attempts.
	endsWithin = 30 * core.Second
	// lookEvery is how often it looks whether all has ended, if there are few events.
	lookEvery = core.Second / 4
)

// heal is the second phase: part of the hosts get well, and all that was begun must end.
func (w *world) heal() {
	w.healed, w.before = true, uint32(len(w.ledger.all))
	w.net.EndScript()
	for _, h := range w.hosts {
		h.app.idle = true
	}
	for i, fate := range w.s.Heal.Other {
		w.doom(w.others()[i], fate)
	}
	for _, a := range w.s.Heal.Well {
		w.hosts[a].revive()
		w.net.SetPorts(a, fabric.Port{}, fabric.Port{})
		for _, b := range w.s.Heal.Well {
			if a != b {
				w.cure(a, b)
			}
		}
	}
	for _, a := range w.s.Heal.Well {
		w.hosts[a].app.probe(w.hosts[a], w.s.Heal.Well)
	}
	last := max(w.ledger.last, w.loop.Now()) + endsWithin
	for w.fail == nil && w.loop.Now() < last && !w.ended() {
		w.stepTo(min(last, w.loop.Now()+lookEvery))
	}
	if w.fail == nil && !w.ended() {
		w.stuck()
	}
}

// cure makes a path perfect. What is under way on it still arrives.
func (w *world) cure(from, to int) {
	c := fault.Config{Delay: fault.Delay{Fixed: healedDelay}}
	err := w.net.SetFaults(from, to, c)
	if err == nil {
		err = w.net.Cut(from, to, w.loop.Now())
	}
	if err != nil {
		panic("swarm: a network cannot be healed: " + err.Error())
	}
	w.net.Clog(from, to, w.loop.Now())
	w.net.SetMTU(from, to, 0)
}

// others are the hosts that are not healed, in order.
func (w *world) others() []int {
	var others []int
	for i := range w.hosts {
		if !w.isWell(i) {
			others = append(others, i)
		}
	}
	return others
}

func (w *world) isWell(host int) bool {
	for _, i := range w.s.Heal.Well {
		if i == host {
			return true
		}
	}
	return false
}

// doom settles the fate of a host that is not healed.
func (w *world) doom(host int, fate Fate) {
	if fate == Dead {
		w.hosts[host].crash(core.Never)
		return
	}
	for other := range w.hosts {
		from, to := host, other
		if fate == Deaf {
			from, to = to, from
		}
		if from == to {
			continue
		}
		if err := w.net.Cut(from, to, core.Never); err != nil {
			panic("swarm: a path cannot be cut: " + err.Error())
		}
	}
}

// stepTo lets events happen until the next audit, at most until that time.
func (w *world) stepTo(until core.Time) {
	most := w.loop.Events() + auditEvery
	for w.fail == nil && w.loop.Events() < most && w.loop.Next() <= until {
		w.loop.Run(w.loop.Next())
	}
	if w.loop.Next() > until {
		w.loop.Run(until)
	}
	w.audit()
}

// ended reports whether nothing is under way that must end, and sessions are what they must be.
func (w *world) ended() bool {
	for _, h := range w.hosts {
		if h.up && (h.old() >= 0 || len(h.app.probes.missing) != 0) {
			return false
		}
	}
	return w.disagreement() == ""
}

// old is something of a host that began before the network was healed and has not ended, negative
// if there is nothing. A session that is renewed begins with offers, so that there is always
// something new.
func (h *host) old() int64 {
	for _, n := range h.app.open {
		if n < h.w.before {
			return int64(n)
		}
	}
	return -1
}

// stuck reports the first thing that has not ended.
func (w *world) stuck() {
	for _, h := range w.hosts {
		if !h.up {
			continue
		}
		f := &Failure{Invariant: "everything ends, and who is well is reached"}
		switch {
		case len(h.app.probes.missing) != 0:
			f.Detail = fmt.Sprintf("host %d does not reach %v", h.index, h.app.probes.missing)
		case h.old() >= 0:
			f.Detail = w.ledger.describe(uint32(h.old()))
		default:
			continue
		}
		w.broken(f)
		return
	}
	w.broken(&Failure{Invariant: "both ends agree on their session", Detail: w.disagreement()})
}

// orphan notes that who began an entry has crashed: it has no outcome any more.
func (w *world) orphan(n uint32) {
	w.ledger.all[n].outcome = noOutcome
}

// finish looks at what must be left of everything when all has ended: nothing.
func (w *world) finish() {
	w.audit()
}

// harvest counts the rare states of all hosts that are up.
func (w *world) harvest() {
	for _, h := range w.hosts {
		if h.up {
			h.harvest()
		}
	}
}
