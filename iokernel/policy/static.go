package policy

import "github.com/dunlin-io/dunlin/core"

// Static gives every runtime its part once and then stands still: what is reserved for it, and of
// the rest an equal part for each BE runtime, or for each LC runtime where no BE may have it. It
// looks at no queue, so an LC runtime without reservation may wait while BE runs. For tasks so
// short that moving a core costs more than it brings, and for comparison.
type Static struct {
	plan plan
	part [MaxRuntimes]int // cores that each runtime is to have
}

// NewStatic returns a policy that divides the cores once.
func NewStatic() *Static { return &Static{} }

// Decide appends what to change: only something when runtimes or cores came or went.
func (p *Static) Decide(now core.Time, s *Snapshot, out []Action) []Action {
	l := &p.plan
	l.begin(now, s, out)
	p.divide()
	for c := range s.cores() {
		if from := l.source(c); from == untakeable || from == fromParked && l.wakes <= 0 {
			continue
		}
		if o := l.owner[c]; o != None && s.Cores[c].State != Parked && l.held[o] <= p.part[o] {
			continue
		}
		for r := range int16(s.runtimes()) {
			t := &s.Runtimes[r]
			if l.held[r] < min(p.part[r], t.limit()) && l.owner[c] != r &&
				s.Cores[c].barred(now) != r {
				l.grant(c, r, ForShare, int64(p.part[r]))
				break
			}
		}
	}
	return l.out
}

// divide computes the parts.
func (p *Static) divide() {
	s := p.plan.s
	left := 0
	for c := range s.cores() {
		if s.Cores[c].State < Offline {
			left++
		}
	}
	for r := range s.runtimes() {
		t := &s.Runtimes[r]
		p.part[r] = 0
		if t.present() {
			p.part[r] = min(max(min(t.Reserved, t.Most), 0), left)
			left -= p.part[r]
		}
	}
	for _, class := range [...]Class{BestEffort, LatencyCritical} {
		for dealt := true; dealt && left > 0; {
			dealt = false
			for r := range s.runtimes() {
				if t := &s.Runtimes[r]; left > 0 && t.Class == class && p.part[r] < t.Most {
					p.part[r]++
					left--
					dealt = true
				}
			}
		}
	}
}
