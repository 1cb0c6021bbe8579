package dataplane

import "github.com/dunlin-io/dunlin/core"

// pace bounds how much one turn takes on, so that it takes no longer than a given time. It learns
// what one piece costs from when a turn began and when the next one did.
//
// A dearer turn is believed at once and a cheaper one by a quarter: what comes next is as likely
// dear as cheap, and too little in a turn costs less than a turn that is too long. A cost is known
// only once it was paid, so a jump from cheap to dear overshoots in one turn.
type pace struct {
	turn  core.Time // the longest; 0: no bound
	cost  core.Time // of one piece; 0: not known yet
	began core.Time // the last turn
	count int       // pieces of it; 0: it tells nothing
}

// learn is told that the next turn begins.
func (p *pace) learn(now core.Time) {
	if p.count > 0 {
		p.believe(each(now-p.began, p.count))
		p.count = 0
	}
}

// each is what one of n pieces cost that took so long together, at least 1.
func each(took core.Time, n int) core.Time {
	return max((took+core.Time(n)-1)/core.Time(n), 1)
}

// believe is told what a piece cost in some turn.
func (p *pace) believe(cost core.Time) {
	if cost < p.cost {
		cost = p.cost - max((p.cost-cost)/4, 1)
	}
	p.cost = cost
}

// spend is told what the turn that began at now takes on.
func (p *pace) spend(now core.Time, pieces int) {
	if p.turn > 0 {
		p.began, p.count = now, pieces
	}
}

// forget returns how many pieces the turn in hand took on, and learns nothing from them: what comes
// until the next turn is not theirs.
func (p *pace) forget() (pieces int) {
	pieces = p.count
	p.count = 0
	return pieces
}

// bound is how many of n pieces fit into a turn, at least 1.
func (p *pace) bound(n int) int {
	if p.turn == 0 || p.cost == 0 {
		return n
	}
	return int(min(core.Time(n), max(p.turn/p.cost, 1)))
}
