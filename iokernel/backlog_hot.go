package iokernel

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/cores"
)

// lag tells how long frames wait in a port. A ring carries no times: what is known is up to which
// entry frames had come when the port was looked at, and up to which they are taken now.
type lag struct {
	mark uint64    // entries received when it was looked at
	at   core.Time // and when that was; 0: nothing was seen to wait
}

// Backlog is what waits in the runtime's ports. It is for whoever decides about cores, in each of
// his passes: a frame has waited at least since the pass that saw it first.
func (r *Runtime) Backlog(now core.Time) (b cores.Backlog) {
	for _, p := range r.ports {
		waiting := uint64(p.far.Rx.Outstanding())
		taken := p.received - waiting
		b.Taken += taken
		if p.cut || waiting == 0 {
			p.lag.at = 0
			continue
		}
		b.Waiting += int(waiting)
		if p.lag.at == 0 || taken >= p.lag.mark { // those seen then are taken: others wait now
			p.lag.mark, p.lag.at = p.received, now
		}
		b.Delay = max(b.Delay, now-p.lag.at)
	}
	return b
}

// Any reports whether something waits in one of the ports.
func (r *Runtime) Any() bool {
	for _, p := range r.ports {
		if p.received > 0 && p.far.Rx.Outstanding() > 0 && !p.cut {
			return true
		}
	}
	return false
}

var _ cores.Ports = (*Runtime)(nil)
