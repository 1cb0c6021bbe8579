package policy

import "github.com/dunlin-io/dunlin/core"

// plan is a snapshot and what was decided about it so far, for policies that can afford to look at
// every core for each grant.
type plan struct {
	now   core.Time
	s     *Snapshot
	out   []Action
	wakes int // left

	owner [MaxCores]int16  // as it will be
	fixed [MaxCores]bool   // has an action, is offline or changes hands
	held  [MaxRuntimes]int // cores it will own
	ready [MaxRuntimes]int // of these, cores that turn to waiting work without our doing
}

// source says what taking a core costs, and whom: the later, the worse.
type source uint8

const (
	fromNobody source = iota // nobody owns it
	fromBE                   // BE owns it
	fromSpare                // LC owns it and has nothing to do
	fromParked               // needs a wake
	fromLC                   // LC works there
	untakeable

	sources = untakeable // how many
)

func (p *plan) begin(now core.Time, s *Snapshot, out []Action) {
	p.now, p.s, p.out, p.wakes = now, s, out, s.Wakes
	clear(p.held[:])
	clear(p.ready[:])
	for c := range s.cores() {
		state := s.Cores[c].State
		o := s.owner(c)
		if state > Yielding {
			o = None
		}
		p.owner[c] = o
		p.fixed[c] = state > Parked || state == Yielding
		if o == None {
			continue
		}
		p.held[o]++
		if state != Running {
			p.ready[o]++
		}
	}
}

// source is where core c would come from.
func (p *plan) source(c int) source {
	o := p.owner[c]
	switch {
	case p.fixed[c]:
		return untakeable
	case p.s.Cores[c].State == Parked:
		return fromParked
	case o == None:
		return fromNobody
	}
	idle := p.s.Cores[c].State == Idle
	r := &p.s.Runtimes[o]
	switch {
	case r.Class == BestEffort:
		return fromBE
	case idle && (r.wanted(p.now, p.s.Interval) == 0 || p.s.only(o) != None):
		return fromSpare
	}
	return fromLC
}

// lacking is for how many cores r has work, beyond those that will turn to it.
func (p *plan) lacking(r int16) int {
	t := &p.s.Runtimes[r]
	room := t.limit() - p.held[r]
	if t.Class == BestEffort {
		return room
	}
	ready := p.ready[r]
	if p.s.only(r) != None { // an idle worker does not do what is another one's
		ready = 0
	}
	return min(room, t.wanted(p.now, p.s.Interval)-ready)
}

// over reports whether r owns more cores than are reserved for it.
func (p *plan) over(r int16) bool { return p.held[r] > p.s.Runtimes[r].entitled() }

// take is the first core that r may have, of the cheapest source up to worst; -1 if there is none.
func (p *plan) take(r int16, worst source) (best int) {
	best, cheapest := -1, worst+1
	for c := range p.s.cores() {
		if from := p.source(c); from < cheapest && p.may(r, c, from) {
			best, cheapest = c, from
		}
	}
	return best
}

// may reports whether r may have core c.
func (p *plan) may(r int16, c int, from source) bool {
	o := p.owner[c]
	if o == r || p.s.Cores[c].barred(p.now) == r {
		return false
	}
	if only := p.s.only(r); only != None && int(only) != c {
		return false
	}
	switch from {
	case fromNobody:
		return true
	case fromParked:
		return p.wakes > 0
	case fromSpare:
		// BE gives it back within a pass, LC only when its request is done.
		return p.s.Runtimes[r].Class == BestEffort || p.over(o)
	}
	return p.over(o)
}

// neediest is the BE runtime with the fewest cores among those that lack one and may have core c;
// of several, the next after the one that has or had it, so that the core goes round.
func (p *plan) neediest(c int) int16 {
	best := None
	for i := range int16(p.s.runtimes()) {
		r := (p.turn(c) + 1 + i) % int16(p.s.runtimes())
		if p.s.Runtimes[r].Class == BestEffort && p.lacking(r) > 0 && p.may(r, c, p.source(c)) &&
			(best == None || p.held[r] < p.held[best]) {
			best = r
		}
	}
	return best
}

// turn is the BE runtime that has core c or had it before LC, or None.
func (p *plan) turn(c int) int16 {
	for _, r := range [...]int16{p.owner[c], p.s.present(p.s.Cores[c].Last)} {
		if r != None && p.s.Runtimes[r].Class == BestEffort {
			return r
		}
	}
	return None
}

// slack reports whether core c is one too many for the BE runtime that owns it.
func (p *plan) slack(c int) bool {
	o := p.owner[c]
	return p.source(c) == fromBE && p.s.Cores[c].State == Idle &&
		p.held[o] > p.s.Runtimes[o].limit()
}

// grant gives core c to r.
func (p *plan) grant(c int, r int16, why Reason, input int64) {
	o := p.owner[c]
	if p.s.Cores[c].State == Parked {
		p.wakes--
	}
	if o != None {
		p.held[o]--
		if p.s.Cores[c].State == Idle {
			p.ready[o]--
		}
	}
	p.owner[c], p.fixed[c] = r, true
	p.held[r]++
	p.ready[r]++
	p.out = append(p.out, Action{Grant, why, int16(c), r, o, input})
}
