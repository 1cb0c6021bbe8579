package policy

// lend gives cores that LC has no use for to BE: those that nobody uses, those that LC has not
// needed for its hold time, and parked ones.
func (p *Caladan) lend() {
	v := &p.pass
	if !v.hungry() {
		return
	}
	p.lendFrom(v.pool[fromNobody], ForIdle, MaxCores)
	if v.slack != (set{}) {
		for _, r := range v.be.all() {
			t := &v.tally[r]
			p.lendFrom(v.slack.both(&t.own), ForIdle, t.held-t.limit)
		}
	}
	for _, r := range v.lc.all() {
		if n := p.surplus(r); n > 0 {
			spare := v.pool[fromSpare].both(&v.tally[r].own)
			p.record[r].lent(p.lendFrom(spare, ForLoan, n))
		}
	}
	if v.wakes > 0 {
		p.lendFrom(v.pool[fromParked], ForIdle, v.wakes)
	}
}

// hungry reports whether any BE runtime could use another core.
func (v *pass) hungry() bool {
	for _, r := range v.be.all() {
		if v.tally[r].lack > 0 {
			return true
		}
	}
	return false
}

// lendFrom gives up to n of the cores to BE and returns how many it gave.
func (p *Caladan) lendFrom(cores set, why Reason, n int) (given int) {
	v := &p.pass
	cores.subtract(&v.quiet)
	for given < n {
		c := cores.first()
		if c < 0 {
			break
		}
		cores.drop(c)
		if r := v.neediest(c); r != None {
			idle := since(v.now, v.s.Cores[c].IdleAt)
			if v.s.Cores[c].State == Parked {
				idle = 0
			}
			v.grant(c, r, why, int64(idle))
			given++
		}
	}
	return given
}

// neediest is the BE runtime with the fewest cores among those that lack one and may have core c;
// of several, the next after the one that has or had it, so that the core goes round.
func (v *pass) neediest(c int) int16 {
	best, fewest, turn := None, MaxCores, v.turn(c)
	for _, r := range v.be.all() {
		t := &v.tally[r]
		if t.lack <= 0 || t.held > fewest ||
			best != None && t.held == fewest && (best > turn || r <= turn) {
			continue
		}
		if !t.bar.has(c) && !t.own.has(c) {
			best, fewest = r, t.held
		}
	}
	return best
}

// turn is the BE runtime that has core c or had it before LC, or None.
func (v *pass) turn(c int) int16 {
	if o := v.owner[c]; o != None && v.tally[o].class == BestEffort {
		return o
	}
	last := v.s.Cores[c].Last
	if t := v.member(last); t != nil && t.class == BestEffort {
		return last
	}
	return None
}

// rotate moves one core between BE runtimes: from the one with the most whose quantum there is
// over, to the one with the fewest.
func (p *Caladan) rotate() {
	v := &p.pass
	fewest := MaxCores
	for _, r := range v.be.all() {
		if t := &v.tally[r]; t.lack > 0 {
			fewest = min(fewest, t.held)
		}
	}
	best, to, most := -1, None, fewest
	for _, o := range v.be.all() {
		if v.tally[o].held <= most {
			continue
		}
		if c, r := v.expired(o); c >= 0 {
			best, to, most = c, r, v.tally[o].held
		}
	}
	if best >= 0 {
		v.grant(best, to, ForQuantum, int64(since(v.now, v.s.Cores[best].OwnedAt)))
	}
}

// expired is a core that BE runtime o has had for its quantum, and who gets it because he has
// fewer; or -1.
func (v *pass) expired(o int16) (c int, to int16) {
	quantum := max(v.s.Runtimes[o].Quantum, MinQuantum)
	cores := v.pool[fromBE].both(&v.over)
	cores = cores.both(&v.tally[o].own)
	for c := cores.first(); c >= 0; c = cores.first() {
		cores.drop(c)
		if since(v.now, v.s.Cores[c].OwnedAt) < quantum {
			continue
		}
		if r := v.neediest(c); r != None && v.tally[r].held < v.tally[o].held {
			return c, r
		}
	}
	return -1, None
}

// mayRest reports whether an unused core of o may park: not before a timer that is served there.
func (v *pass) mayRest(o int16) bool {
	switch {
	case o == None:
		return true
	case v.tally[o].class == BestEffort:
		return v.tally[o].held > v.tally[o].limit
	}
	return v.tally[o].only != None || !v.s.Runtimes[o].timerDue(v.now, wakeLead)
}

// rest parks cores that nobody has used for a while, unless their owner has a timer due soon.
func (p *Caladan) rest() {
	v := &p.pass
	unused := v.pool[fromNobody]
	unused.unite(&v.pool[fromSpare])
	unused.unite(&v.slack)
	for c := unused.first(); c >= 0; c = unused.first() {
		unused.drop(c)
		idle := since(v.now, v.s.Cores[c].IdleAt)
		if idle < p.config.Rest || !v.mayRest(v.owner[c]) {
			continue
		}
		v.say(Action{Park, ForRest, int16(c), None, v.owner[c], int64(idle)})
		v.release(c)
	}
}
