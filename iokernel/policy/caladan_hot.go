package policy

import "github.com/dunlin-io/dunlin/core"

// Decide appends what to change.
func (p *Caladan) Decide(now core.Time, s *Snapshot, out []Action) []Action {
	p.scan(now, s, out)
	p.learn()
	p.follow()
	p.assess()
	p.reserve()
	p.feed()
	p.serve()
	p.contest()
	p.hush()
	p.throttle()
	p.lend()
	p.reserve() // BE may have more than is reserved for it only now
	p.feed()
	p.rotate()
	p.rest()
	v := &p.pass
	out, v.out, v.s = v.out, nil, nil
	return out
}

// assess says how many cores each runtime lacks, and who is most urgent: who has none, then whose
// work waits longest.
func (p *Caladan) assess() {
	v := &p.pass
	v.queue.count = 0
	for _, r := range v.lc.all() {
		t := &v.tally[r]
		t.lack = t.lacking()
		t.need = t.lack
		if t.lack > 0 {
			t.need -= p.soon(r)
			v.enqueue(r)
		}
	}
	for _, r := range v.be.all() {
		t := &v.tally[r]
		t.limit = max(t.entitled, min(t.limit, p.cap[r]))
		t.lack = t.limit - t.held
	}
}

// soon is how many waiting frames the working cores of r take up before another core could, or
// within a part of a request's time. As long as the oldest frame has waited longer than that, the
// estimate was wrong, and counts for nothing.
func (p *Caladan) soon(r int16) int {
	v, service := &p.pass, p.record[r].service
	t, handOver := &v.tally[r], max(v.s.HandOver, 0)
	working := t.held - t.idle - t.coming
	if p.config.Restless || service <= 0 || working <= 0 ||
		t.delay > handOver+max(v.s.Interval, 0) {
		return 0
	}
	return int(core.Time(working) * min(handOver, service/patience) / service)
}

// enqueue inserts r into the order.
func (v *pass) enqueue(r int16) {
	v.tally[r].queued = true
	v.queue.add(r)
	all := v.queue.all()
	i := len(all) - 1
	for ; i > 0 && v.before(r, all[i-1]); i-- {
		all[i] = all[i-1]
	}
	all[i] = r
}

// before reports whether r is more urgent than q.
func (v *pass) before(r, q int16) bool {
	a, b := &v.tally[r], &v.tally[q]
	if (a.held == 0) != (b.held == 0) {
		return a.held == 0
	}
	return a.delay > b.delay
}

// reserve grants what is reserved: LC in its order, and who has nothing at all first, then BE. If
// every core is there, the order is of no matter.
func (p *Caladan) reserve() {
	v := &p.pass
	for _, r := range v.queue.all() {
		p.reserveFor(r, 1)
	}
	for _, r := range v.queue.all() {
		p.reserveFor(r, MaxCores)
	}
	for _, r := range v.be.all() {
		p.reserveFor(r, MaxCores)
	}
}

// reserveFor brings r to what is reserved for it, or to that many cores.
func (p *Caladan) reserveFor(r int16, enough int) {
	v := &p.pass
	for t := &v.tally[r]; t.lack > 0 && t.held < min(enough, t.entitled); {
		c := v.take(r, fromLC)
		if c < 0 {
			return
		}
		p.move(c, r, ForReserved, int64(t.entitled))
	}
}

// feed grants one core to each LC runtime that has work and none.
func (p *Caladan) feed() {
	v := &p.pass
	for _, r := range v.queue.all() {
		if t := &v.tally[r]; t.held == 0 && t.lack > 0 {
			p.serveOne(r, fromParked)
		}
	}
}

// serve grants cores to LC runtimes with work, in turn, as long as what is reserved for others can
// still be had without taking it from LC.
func (p *Caladan) serve() {
	v := &p.pass
	for granted := true; granted; {
		granted = false
		for _, r := range v.queue.all() {
			if v.tally[r].need > 0 && v.reach > v.owed {
				granted = p.serveOne(r, fromParked) || granted
			}
		}
	}
}

// serveOne grants one core to r if there is one up to the worst source.
func (p *Caladan) serveOne(r int16, worst source) bool {
	v := &p.pass
	c := v.take(r, worst)
	if c < 0 {
		return false
	}
	in := &v.s.Runtimes[r]
	switch {
	case in.Waiting > 0:
		p.move(c, r, ForFrames, int64(in.Waiting))
	case in.TaskDelay > 0:
		p.move(c, r, ForTask, int64(in.TaskDelay))
	default:
		p.move(c, r, ForTimer, int64(since(in.NextTimer, v.now)))
	}
	return true
}

// move grants core c to r and remembers what became of the loan, if it was one.
func (p *Caladan) move(c int, r int16, why Reason, input int64) {
	v := &p.pass
	if t := &v.tally[r]; t.class == LatencyCritical && v.from[c] == fromBE {
		m, recall := &p.record[r], p.recall(v.owner[c])
		m.returned(since(v.now, v.s.Cores[c].OwnedAt), recall)
		m.recall = max(m.recall, recall)
		if !t.took {
			t.took = true
			m.waited += min(v.s.Runtimes[r].Waiting, maxFrames)
		}
	}
	v.grant(c, r, why, input)
}

// contest moves one core to each LC runtime whose work has waited for the threshold: an unused one,
// or one of the runtime with most beyond its reservation.
func (p *Caladan) contest() {
	v := &p.pass
	for _, r := range v.queue.all() {
		t := &v.tally[r]
		if t.need <= 0 || t.delay < p.config.Threshold {
			continue
		}
		c := v.takeFrom(r, fromSpare, fromSpare, &t.bar)
		if c < 0 {
			c = p.rival(r)
		}
		if c >= 0 {
			p.move(c, r, ForDelay, int64(t.delay))
		}
	}
}

// rival is a core for r on which another LC runtime works, or -1.
func (p *Caladan) rival(r int16) int {
	v := &p.pass
	best, most := -1, 0
	for _, q := range v.lc.all() {
		t := &v.tally[q]
		if q == r || t.held-t.entitled <= most || !p.yields(t, &v.tally[r]) {
			continue
		}
		cores := v.pool[fromLC].both(&t.own)
		cores.subtract(&v.tally[r].bar)
		if c := p.sliced(&cores); c >= 0 {
			best, most = c, t.held-t.entitled
		}
	}
	return best
}

// sliced is the first of the cores whose owner has had it for a slice, or -1.
func (p *Caladan) sliced(cores *set) int {
	v := &p.pass
	for c := cores.first(); c >= 0; c = cores.first() {
		if since(v.now, v.s.Cores[c].OwnedAt) >= p.config.Slice {
			return c
		}
		cores.drop(c)
	}
	return -1
}

// yields reports whether q gives way to r: always to a runtime without a core, else if q keeps one
// and either has no delay itself or much more than r has.
func (p *Caladan) yields(q, r *tally) bool {
	if r.held == 0 {
		return true
	}
	burst := q.held - q.entitled
	return q.held > 1 && burst > 1 &&
		(q.delay < p.config.Threshold || burst > r.held-r.entitled+1)
}
