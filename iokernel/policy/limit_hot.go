package policy

// hush takes BE from cores on whose sibling a slow LC request runs.
func (p *Caladan) hush() {
	v := &p.pass
	if v.quiet == (set{}) {
		return
	}
	loud := v.quiet.both(&v.pool[fromBE])
	for c := loud.first(); c >= 0; c = loud.first() {
		loud.drop(c)
		if v.over.has(c) {
			sibling := v.s.Cores[c].Sibling
			v.keep(c, ForSibling, v.requestAge(sibling))
		}
	}
}

func (v *pass) requestAge(c int16) int64 {
	if c < 0 || int(c) >= v.cores {
		return 0
	}
	return int64(v.s.Cores[c].RequestAge)
}

// keep takes core c from its owner and leaves it idle.
func (v *pass) keep(c int, why Reason, input int64) {
	v.say(Action{Keep, why, int16(c), None, v.owner[c], input})
	v.release(c)
}

// follow sets the caps of BE runtimes by a new reading of the memory traffic.
func (p *Caladan) follow() {
	v := &p.pass
	m := &v.s.Memory
	traffic := m.BytesPerSecond
	if m.Limit == 0 || !traffic.Valid {
		p.uncap()
		return
	}
	if m.At == p.readAt {
		return
	}
	p.readAt = m.At
	switch calm := m.Limit / 8 * calmEighths; {
	case traffic.Value > m.Limit:
		p.tighten()
	case traffic.Value < calm && since(v.now, p.gaveAt) >= giveBack:
		p.loosen()
	}
}

// throttle takes one core from each BE runtime that has more than its cap.
func (p *Caladan) throttle() {
	v := &p.pass
	if !p.throttled {
		return
	}
	for _, r := range v.be.all() {
		t := &v.tally[r]
		if t.held <= p.cap[r] {
			continue
		}
		cores := v.pool[fromBE].both(&t.own)
		cores = cores.both(&v.over)
		if c := cores.first(); c >= 0 {
			v.keep(c, ForBandwidth, int64(min(v.s.Memory.BytesPerSecond.Value, 1<<62)))
		}
	}
}

// tighten lowers the cap of the BE runtime that is worst for the others: the most LLC misses per
// core, or where no sensor tells them, the most cores.
func (p *Caladan) tighten() {
	v := &p.pass
	worst, misses, cores := None, uint64(0), 0
	for _, r := range v.be.all() {
		t := &v.tally[r]
		if t.held <= t.entitled {
			continue
		}
		var m uint64
		if in := &v.s.Runtimes[r].Misses; in.Valid {
			m = in.Value / uint64(t.held)
		}
		if worst == None || m > misses || m == misses && t.held > cores {
			worst, misses, cores = r, m, t.held
		}
	}
	if worst == None {
		return
	}
	p.cap[worst] = v.tally[worst].held - 1
	p.throttled = true
	p.gaveAt = v.now
}

// loosen raises every cap by one core.
func (p *Caladan) loosen() {
	v := &p.pass
	p.gaveAt = v.now
	capped := false
	for r := range v.runtimes {
		if p.cap[r] < MaxCores {
			p.cap[r]++
			capped = capped || p.cap[r] < v.s.Runtimes[r].limit()
		}
	}
	if !capped {
		p.uncap()
	}
}

// uncap lets BE have what LC leaves.
func (p *Caladan) uncap() {
	if !p.throttled {
		return
	}
	p.throttled = false
	for r := range p.cap {
		p.cap[r] = MaxCores
	}
}
