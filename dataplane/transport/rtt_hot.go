package transport

import "github.com/dunlin-io/dunlin/core"

// rtt is the round trip of a lane, after RFC 6298. Each frame has a number of its own, so every
// sample is sound, those of repairs too: Karn's rule has nothing to exclude.
type rtt struct {
	smooth, variation, latest core.Time
	least                     core.Time // of the whole life, for the reordering window
	samples                   uint64
}

func (r *rtt) sample(d core.Time) {
	d = max(d, 1)
	r.latest = d
	if r.samples == 0 {
		r.smooth, r.variation, r.least = d, d/2, d
	} else {
		r.least = min(r.least, d)
		off := r.smooth - d
		if off < 0 {
			off = -off
		}
		r.variation += (off - r.variation) / 4
		r.smooth += (d - r.smooth) / 8
	}
	r.samples++
}

// round is a round trip for timers.
func (r *rtt) round() core.Time {
	if r.samples == 0 {
		return firstRTT
	}
	return r.smooth
}

// probe is when the tail of what was sent is probed: RFC 8985, section 7.2. Held says how long the
// peer may keep the acknowledgement.
func (r *rtt) probe(held core.Time) core.Time { return 2*r.round() + held }

// timeout is the retransmission time-out: RFC 6298, with the floor of our scheduler.
func (r *rtt) timeout(backoff uint) core.Time {
	t := max(r.round()+4*r.variation, rtoFloor)
	return min(t<<min(backoff, 16), rtoCap)
}
