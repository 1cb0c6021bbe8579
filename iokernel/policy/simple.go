package policy

import "github.com/dunlin-io/dunlin/core"

// Simple is the oracle: it keeps the promises of this package and nothing else. It remembers
// nothing, moves cores as often as a snapshot allows, and its time grows with the square of the
// number of cores.
type Simple struct {
	threshold core.Time
	plan      plan
}

// NewSimple returns the oracle with a threshold between LC runtimes, 0 for [DefaultThreshold].
func NewSimple(threshold core.Time) *Simple {
	if threshold <= 0 {
		threshold = DefaultThreshold
	}
	return &Simple{threshold: threshold}
}

// Decide appends what to change.
func (p *Simple) Decide(now core.Time, s *Snapshot, out []Action) []Action {
	p.plan.begin(now, s, out)
	for p.reserve() {
	}
	for p.serve(true) {
	}
	for p.serve(false) {
	}
	for p.contest() {
	}
	for p.lend() {
	}
	for p.reserve() || p.serve(true) { // BE may have more than is reserved for it only now
	}
	p.rotate()
	return p.plan.out
}

// reserve grants one core to a runtime that lacks one of those reserved for it: LC before BE, then
// who has the fewest.
func (p *Simple) reserve() bool {
	l := &p.plan
	best, core := None, -1
	for r := range int16(l.s.runtimes()) {
		t := &l.s.Runtimes[r]
		if l.lacking(r) <= 0 || l.held[r] >= t.entitled() || best != None &&
			(t.Class > l.s.Runtimes[best].Class ||
				t.Class == l.s.Runtimes[best].Class && l.held[r] >= l.held[best]) {
			continue
		}
		if c := l.take(r, fromLC); c >= 0 {
			best, core = r, c
		}
	}
	if best == None {
		return false
	}
	l.grant(core, best, ForReserved, int64(l.s.Runtimes[best].Reserved))
	return true
}

// serve grants one core to the LC runtime whose work waits longest, unless that takes one from LC:
// to runtimes without any core, or to all as long as what is reserved for others stays in reach.
func (p *Simple) serve(starved bool) bool {
	l := &p.plan
	if !starved && l.reach() <= l.owed() {
		return false
	}
	best, core := None, -1
	for r := range int16(l.s.runtimes()) {
		t := &l.s.Runtimes[r]
		if t.Class != LatencyCritical || l.lacking(r) <= 0 || starved && l.held[r] > 0 ||
			best != None && t.delay() <= l.s.Runtimes[best].delay() {
			continue
		}
		if c := l.take(r, fromParked); c >= 0 {
			best, core = r, c
		}
	}
	if best == None {
		return false
	}
	l.grant(core, best, ForFrames, int64(l.s.Runtimes[best].Waiting))
	return true
}

// reach is how many cores can be had without taking one from LC.
func (l *plan) reach() (n int) {
	var spoken [MaxRuntimes]int // cores of a BE runtime counted so far
	for c := range l.s.cores() {
		switch o := l.owner[c]; l.source(c) {
		case fromNobody, fromParked:
			n++
		case fromBE:
			if spoken[o] < l.held[o]-l.s.Runtimes[o].entitled() {
				spoken[o]++
				n++
			}
		}
	}
	return n
}

// owed is how many cores are reserved for somebody who does not have them.
func (l *plan) owed() (n int) {
	for r := range l.s.runtimes() {
		n += max(0, l.s.Runtimes[r].entitled()-l.held[r])
	}
	return n
}

// contest moves one core between LC runtimes: to the one whose work has waited longest, if that is
// for the threshold.
func (p *Simple) contest() bool {
	l := &p.plan
	best, core := None, -1
	for r := range int16(l.s.runtimes()) {
		t := &l.s.Runtimes[r]
		if t.Class != LatencyCritical || l.lacking(r) <= 0 || t.delay() < p.threshold ||
			best != None && t.delay() <= l.s.Runtimes[best].delay() {
			continue
		}
		if c := p.rival(r); c >= 0 {
			best, core = r, c
		}
	}
	if best == None {
		return false
	}
	l.grant(core, best, ForDelay, int64(l.s.Runtimes[best].delay()))
	return true
}

// rival is a core that another LC runtime does not use, else one of the runtime with most beyond
// its reservation, or -1.
func (p *Simple) rival(r int16) int {
	l := &p.plan
	best := -1
	for c := range l.s.cores() {
		switch from := l.source(c); {
		case from == fromSpare && l.may(r, c, from):
			return c
		case from == fromLC && l.may(r, c, from) && p.yields(l.owner[c], r) &&
			(best < 0 || l.burst(l.owner[c]) > l.burst(l.owner[best])):
			best = c
		}
	}
	return best
}

// burst is how many cores r has beyond its reservation.
func (l *plan) burst(r int16) int { return l.held[r] - l.s.Runtimes[r].entitled() }

// yields reports whether q gives way to r: always to a runtime without a core, else if q keeps one
// and either has no delay itself or much more than r has.
func (p *Simple) yields(q, r int16) bool {
	l := &p.plan
	if l.held[r] == 0 {
		return true
	}
	return l.held[q] > 1 && l.burst(q) > 1 &&
		(l.s.Runtimes[q].delay() < p.threshold || l.burst(q) > l.burst(r)+1)
}

// lend grants a core that LC has no work for to the BE runtime with the fewest.
func (p *Simple) lend() bool {
	l := &p.plan
	for c := range l.s.cores() {
		if from := l.source(c); from >= fromLC || from == fromBE && !l.slack(c) {
			continue
		}
		if r := l.neediest(c); r != None {
			l.grant(c, r, ForIdle, int64(since(l.now, l.s.Cores[c].IdleAt)))
			return true
		}
	}
	return false
}

// rotate moves one core between BE runtimes: from one whose quantum there is over, to one that has
// fewer and wants more.
func (p *Simple) rotate() {
	l := &p.plan
	for c := range l.s.cores() {
		if l.source(c) != fromBE {
			continue
		}
		o, had := l.owner[c], since(l.now, l.s.Cores[c].OwnedAt)
		r := l.neediest(c)
		if r != None && l.held[r] < l.held[o] && had >= max(l.s.Runtimes[o].Quantum, MinQuantum) {
			l.grant(c, r, ForQuantum, int64(had))
			return
		}
	}
}
