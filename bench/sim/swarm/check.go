package swarm

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
)

// Failure is a promise broken.
type Failure struct {
	Seed      uint64
	Frames    uint64    // link events until then
	At        core.Time // of the world
	Invariant string    // which promise
	Detail    string    // by what
}

func (f *Failure) Error() string {
	return fmt.Sprintf("seed %d: after %d frames, at %d ns: %s: %s", f.Seed, f.Frames, f.At,
		f.Invariant, f.Detail)
}

// seals is the counters that a host has sealed frames with, by session and lane. No key seals two
// frames under one counter. Senders count upwards, so the last one is all there is to remember.
// Keys cannot be told apart from outside: where both ends begin a session at once, two handshakes
// may lead to one number, and then a count that begins at 0 is taken for that of the other keys. So
// it is where the peer's numbers come again.
type seals struct{ all []sealed }

type sealed struct {
	to      uint8 // host
	session uint32
	lane    uint8
	counter uint64
}

// keysOfNumber is the most handshakes that lead to one session's number.
const keysOfNumber = 3

// sealed checks the header of a frame that a host sends.
func (h *host) sealed(frame []byte) {
	x := h.plan.header(frame)
	if !x.ok {
		return
	}
	to, keys, best := frame[5], 0, -1
	for i := range h.seals.all {
		last := &h.seals.all[i]
		if last.session != x.session || last.lane != x.lane || last.to != to {
			continue
		}
		if x.counter == last.counter+1 { // none can go on from a higher one
			last.counter = x.counter
			if i > 0 { // what is used most is found first
				h.seals.all[i], h.seals.all[i-1] = h.seals.all[i-1], h.seals.all[i]
			}
			return
		}
		keys++
		// Of two counts that it may go on, it goes on the higher: no other choice fails later.
		if x.counter > last.counter &&
			(best < 0 || last.counter > h.seals.all[best].counter) {
			best = i
		}
	}
	if best >= 0 {
		h.seals.all[best].counter = x.counter
		return
	}
	few := int(to) < len(h.w.hosts) && h.w.hosts[to].plan.FewNumbers
	if keys > 0 && x.counter != 0 || keys == keysOfNumber && !few {
		h.w.broken(&Failure{Invariant: "no counter seals twice", Detail: describeFrame(frame)})
	}
	h.seals.all = append(h.seals.all, sealed{to, x.session, x.lane, x.counter})
}

func describeFrame(frame []byte) string {
	return fmt.Sprintf("%d bytes: % x", len(frame), frame[:min(len(frame), 80)])
}

// audit checks everything that is too much to check after each event.
func (w *world) audit() {
	if w.fail != nil {
		return
	}
	w.audits++
	for i := range w.regions.all {
		w.regions.audit(int32(i))
	}
	w.auditFrames()
	if w.demand != nil {
		if broken := w.demand(w); broken != "" {
			w.broken(&Failure{Invariant: broken})
		}
	}
	for _, h := range w.hosts {
		if h.up && w.fail == nil {
			h.audit()
		}
	}
}

// auditFrames counts all frames of the network.
func (w *world) auditFrames() {
	c := w.net.Counters()
	offered, perfect := uint64(0), c.Judged
	for from := range w.hosts {
		for to := range w.hosts {
			n, _ := w.net.Faults(from, to)
			offered += n.Delivered
			perfect -= n.Offered
		}
	}
	if offered+perfect != c.Delivered+c.InFull+c.Empty+c.Forgotten+c.Flying ||
		c.Sent != c.OutFull+c.TooLong+c.Judged {
		w.broken(&Failure{
			Invariant: "frames of the network are conserved", Detail: fmt.Sprintf("%+v", c),
		})
	}
}

// lateBy is how long after its deadline an outcome may come, by the clock that the endpoint was
// last told: the slack of the transport's timers. What the core itself is late comes on top: a turn
// that is full of frames may take longer than that.
const lateBy = core.Millisecond

// audit checks what one host has under way, and lets the endpoint check itself.
func (h *host) audit() {
	for _, n := range h.app.open {
		x := &h.w.ledger.all[n]
		if h.told > x.deadline+lateBy {
			h.w.broken(&Failure{
				Invariant: "everything ends by its deadline", Detail: h.w.ledger.describe(n),
			})
			return
		}
	}
	h.auditRenewals()
	h.auditEndpoint()
}
