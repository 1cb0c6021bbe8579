package policy

import "github.com/dunlin-io/dunlin/core"

// Standing is what an LC runtime's moves have brought, and so how readily it lends. That moving
// cores can cost more than it brings where tasks take about a microsecond was shown by McClure,
// Ousterhout, Shenker and Ratnasamy, "Efficient Scheduling Policies for Microsecond-Scale Tasks"
// (NSDI 2022). Whether it does is judged here on two counts:
//
//   - Requests, once per millisecond: not too many of them may have waited for cores to be taken
//     back, see tolerated.
//   - Throughput, for every 32 cores taken back: at least half of them must have worked for BE for
//     longer than the two hand-overs of the loan took, or than twice what it takes to wake a
//     worker where BE cannot hand over itself.
//
// If either fails, Hold doubles, and else it shrinks by 3 % per millisecond. The runtime
// lends only as many cores as it had unused in every pass during the last Hold. With a long Hold
// cores stay where they are but for long swings of the load: the policy stands still.
type Standing struct {
	Service core.Time // mean time of a request, 0 if unknown
	Hold    core.Time
	Loans   uint64 // cores taken back from BE
	Lost    uint64 // of these, how many had not paid
}

// Standing returns that of the runtime in place r.
func (p *Caladan) Standing(r int) Standing {
	if r < 0 || r >= len(p.record) {
		return Standing{}
	}
	m := &p.record[r]
	return Standing{m.service, m.hold, m.loans, m.lost}
}

// record is what the policy remembers about an LC runtime.
type record struct {
	id      uint64
	service core.Time // mean time of a request, 0 if unknown
	hold    core.Time // how long it keeps cores that it does not need

	// Since the window began:
	windowAt core.Time
	served   uint64    // the runtime's count then
	busy     core.Time // likewise
	waited   int       // frames that waited while cores were taken back
	recall   core.Time // ... for so long, at most

	// Since loans were judged:
	taken int // cores taken back from BE
	short int // of these, loans that did not pay

	low   [2]int // fewest unused cores in this half of the hold time, and in the one before
	lowAt core.Time

	loans, lost uint64 // taken and short since the runtime came
}

// learn forgets what it knew of runtimes that were replaced, counts each LC runtime's unused cores,
// and judges its moves when a window is over.
func (p *Caladan) learn() {
	v := &p.pass
	for r := range v.runtimes {
		in, m := &v.s.Runtimes[r], &p.record[r]
		if in.ID != m.id {
			*m = record{id: in.ID}
			p.cap[r] = MaxCores
			m.open(v.now, in)
		}
	}
	for _, r := range v.lc.all() {
		in, m := &v.s.Runtimes[r], &p.record[r]
		m.watch(v.now, max(0, v.tally[r].idle-max(in.Waiting, 0)))
		p.judgeLoans(m)
		switch {
		case in.Served < m.served || in.Busy < m.busy: // counters do not run backwards
			m.open(v.now, in)
		case since(v.now, m.windowAt) >= window && in.Served-m.served >= minServed:
			p.judge(m, in)
			m.open(v.now, in)
		}
	}
}

// open begins a window.
func (m *record) open(now core.Time, in *Runtime) {
	m.windowAt, m.served, m.busy = now, in.Served, in.Busy
	m.waited, m.recall = 0, 0
}

// watch keeps the fewest unused cores of the last hold time, to half of it.
func (m *record) watch(now core.Time, unused int) {
	if since(now, m.lowAt) >= m.hold/2 {
		m.low[1] = m.low[0]
		m.low[0], m.lowAt = unused, now
	}
	m.low[0] = min(m.low[0], unused)
}

// judge ends a window.
func (p *Caladan) judge(m *record, in *Runtime) {
	served := in.Served - m.served
	m.service = max(1, core.Time(uint64(in.Busy-m.busy)/served))
	handOver := p.handOver()
	wait := max(handOver, m.recall) + min(max(p.pass.s.Interval, 0), core.Second)/2
	if uint64(m.waited)*million > min(served, 1<<40)*tolerated(wait, m.service) {
		p.stiffen(m)
		return
	}
	if m.hold -= m.hold / shrink; m.hold < handOver {
		m.hold = 0
	}
}

// judgeLoans looks at the loans that came back, once there are enough.
func (p *Caladan) judgeLoans(m *record) {
	if m.taken < judgedLoans {
		return
	}
	if lossShare*m.short > m.taken {
		p.stiffen(m)
	}
	m.taken, m.short = 0, 0
}

// stiffen doubles the hold.
func (p *Caladan) stiffen(m *record) {
	if !p.config.Restless {
		m.hold = min(max(2*m.hold, 2*p.handOver()), p.config.MaxHold)
	}
}

// handOver is what a hand-over takes, by the snapshot, within reason.
func (p *Caladan) handOver() core.Time { return min(max(p.pass.s.HandOver, 0), core.Second) }

// million is the whole, where parts are counted in parts per million.
const million = 1_000_000

// tolerated is which part of the requests, in parts per million, may wait that long for a core.
// With exponential service of mean s, a part f of the requests delayed by d raises the 99.9th
// percentile by a fifth if f = (e^1.38 - 1) e^(-d/s): a delay of one mean does no such harm even to
// all of them, and one of seven means none to 0.3 %.
func tolerated(wait, service core.Time) uint64 {
	const log2e = 1477 // in 1024ths
	halvings := (wait*log2e/service + 1023) / 1024
	return 3 * million >> min(halvings, 22)
}

// surplus is how many of r's unused cores it can do without.
func (p *Caladan) surplus(r int16) int {
	m := &p.record[r]
	if m.hold == 0 {
		return p.pass.tally[r].idle
	}
	return min(m.low[0], m.low[1])
}

// lent notes that so many unused cores are gone.
func (m *record) lent(n int) {
	m.low[0] = max(0, m.low[0]-n)
	m.low[1] = max(0, m.low[1]-n)
}

// recall is what it takes until LC runs again on a core that BE runtime r has, within reason.
func (p *Caladan) recall(r int16) core.Time {
	if t := p.pass.s.Runtimes[r].Recall; t > 0 {
		return min(t, core.Second)
	}
	return p.handOver()
}

// returned notes that a core was taken back that BE has had for so long, which took so long.
func (m *record) returned(loan, recall core.Time) {
	m.taken++
	m.loans++
	if loan/2 < recall {
		m.short++
		m.lost++
	}
}
