package core

// Host is the pollers that share one core, in the order in which they are polled. The zero Host has
// none. It is used by one thread.
type Host struct {
	pollers []Poller
	last    Time // time of the previous Step
	started bool
	worked  bool // the previous Step did something
	usage   Usage
}

// Usage says where a core's time went since its first Step.
type Usage struct {
	Busy  Time   // between a Step that worked and the next one
	Idle  Time   // between a Step that found nothing and the next one, parked time included
	Steps uint64 // calls of Step
	Work  uint64 // sum of what the pollers returned
}

// NewHost returns a host that polls in the given order.
func NewHost(pollers ...Poller) *Host {
	return &Host{pollers: append([]Poller(nil), pollers...)}
}

// Add appends a poller. It is for wiring, or for the host's own thread between two steps.
func (h *Host) Add(p Poller) { h.pollers = append(h.pollers, p) }

// Remove takes a poller out and reports whether it was there; the same rules as for Add.
func (h *Host) Remove(p Poller) bool {
	for i, q := range h.pollers {
		if q == p {
			h.pollers = append(h.pollers[:i], h.pollers[i+1:]...)
			return true
		}
	}
	return false
}

// Step polls every poller once and returns the sum of their work. The time since the last Step is
// booked as busy when that Step worked and as idle when it did not.
func (h *Host) Step(now Time) (work int) {
	if h.started {
		if h.worked {
			h.usage.Busy += now - h.last
		} else {
			h.usage.Idle += now - h.last
		}
	}
	for _, p := range h.pollers {
		work += p.Poll(now)
	}
	h.started, h.last, h.worked = true, now, work > 0
	h.usage.Steps++
	h.usage.Work += uint64(work)
	return work
}

// Poll is Step: a host can be a poller of another, as when a worker shares the iokernel's core.
func (h *Host) Poll(now Time) (work int) { return h.Step(now) }

// Next is the earliest Next of the pollers; Never without any.
func (h *Host) Next(now Time) Time {
	next := Never
	for _, p := range h.pollers {
		if t := p.Next(now); t < next {
			next = t
		}
	}
	return next
}

// Usage returns the account so far. It is for the host's own thread.
func (h *Host) Usage() Usage { return h.usage }

var _ Poller = (*Host)(nil)
