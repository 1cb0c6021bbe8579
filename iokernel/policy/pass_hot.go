package policy

import "github.com/dunlin-io/dunlin/core"

// pass is what one call of Decide works with. Nothing of it outlives the call.
type pass struct {
	now core.Time
	s   *Snapshot
	out []Action

	cores, runtimes int
	wakes           int // left
	reach           int // cores that can be had without taking one from LC
	owed            int // cores reserved for somebody who did not have them before LC was served

	owner [MaxCores]int16
	from  [MaxCores]source // the pool in which a core is, or untakeable
	pool  [sources]set     // cores that may move, by what taking them costs
	over  set              // cores of runtimes that own more than is reserved for them
	slack set              // idle cores of BE
	quiet set              // cores on whose sibling a slow LC request runs: not for BE
	tally [MaxRuntimes]tally
	lc    list // runtimes of each class
	be    list
	queue list // LC runtimes that lack cores, most urgent first
}

// list is some of the runtimes.
type list struct {
	places [MaxRuntimes]int16
	count  int
}

func (l *list) all() []int16 { return l.places[:l.count] }

func (l *list) add(r int16) {
	l.places[l.count] = r
	l.count++
}

// tally is what concerns one runtime.
type tally struct {
	class    Class
	limit    int   // cores it may have
	entitled int   // of these, what nobody else may claim
	wanted   int   // cores that its work could occupy
	only     int16 // the one that is of use, or None
	held     int   // cores it will own
	idle     int   // of these, where its worker has nothing to do
	coming   int   // of these, not taken up yet
	lack     int   // more cores that its work could occupy
	need     int   // of these, what is worth a hand-over
	delay    core.Time
	took     bool // a core of BE in this pass
	queued   bool // it is in pass.queue
	own      set
	fresh    set // cores it had a short while ago
	bar      set // cores it must not get
}

// scan reads the snapshot once.
func (p *Caladan) scan(now core.Time, s *Snapshot, out []Action) {
	v := &p.pass
	v.now, v.s, v.out, v.wakes = now, s, out, s.Wakes
	v.cores, v.runtimes = s.cores(), s.runtimes()
	clear(v.pool[:])
	v.over, v.slack, v.quiet = set{}, set{}, set{}
	v.lc.count, v.be.count = 0, 0
	for r := range v.runtimes {
		v.scanRuntime(int16(r), &s.Runtimes[r])
	}
	for c := range v.cores {
		v.scanCore(c, &s.Cores[c], p.config.Locality)
	}
	v.reach = v.pool[fromNobody].count() + v.pool[fromParked].count()
	v.owed = 0
	for r := range v.runtimes {
		t := &v.tally[r]
		v.reach += t.takeable()
		v.owed += max(0, t.entitled-t.held)
		if t.held > t.entitled {
			v.over.unite(&t.own)
		}
	}
}

// scanRuntime begins the tally of one runtime.
func (v *pass) scanRuntime(r int16, in *Runtime) {
	t := &v.tally[r]
	*t = tally{}
	switch in.Class {
	case LatencyCritical:
		v.lc.add(r)
	case BestEffort:
		v.be.add(r)
	default:
		return
	}
	t.class, t.limit, t.entitled = in.Class, in.limit(), in.entitled()
	t.wanted, t.delay = in.wanted(v.now, v.s.Interval), in.delay()
	if t.only = v.s.only(r); t.only != None {
		t.bar.fill()
		t.bar.drop(int(t.only))
	}
}

// lacking is how many more cores the work of an LC runtime could occupy. An idle worker does not do
// what is another one's.
func (t *tally) lacking() int {
	room, ready := t.limit-t.held, t.idle+t.coming
	if t.only != None {
		ready = 0
	}
	return min(room, t.wanted-ready)
}

// member is the tally of r, or nil if there is no such runtime.
func (v *pass) member(r int16) *tally {
	if r < 0 || int(r) >= v.runtimes {
		return nil
	}
	if t := &v.tally[r]; t.class != Absent {
		return t
	}
	return nil
}

// scanCore files one core.
func (v *pass) scanCore(c int, k *Core, locality core.Time) {
	v.owner[c], v.from[c] = None, untakeable
	if k.State >= Offline {
		return
	}
	if k.Failed != None {
		if t := v.member(k.barred(v.now)); t != nil {
			t.bar.add(c)
		}
	}
	if since(v.now, k.LastAt) < locality {
		if t := v.member(k.Last); t != nil {
			t.fresh.add(c)
		}
	}
	if k.State == Parked {
		v.file(c, fromParked)
		return
	}
	t := v.member(k.Owner)
	if t == nil {
		if k.State != Yielding {
			v.file(c, fromNobody)
		}
		return
	}
	v.owner[c] = k.Owner
	t.held++
	t.own.add(c)
	if int(t.only) == c { // it has that
		t.bar.add(c)
	}
	switch {
	case k.State == Yielding:
		t.coming++
	case t.class == BestEffort:
		v.file(c, fromBE)
		if k.State == Idle {
			t.idle++
			v.slack.add(c)
		}
	case k.State == Idle:
		t.idle++
		if t.wanted == 0 || t.only != None {
			v.file(c, fromSpare)
			return
		}
		v.file(c, fromLC) // about to be used
	default:
		v.file(c, fromLC)
		v.watchSibling(k)
	}
}

// file puts core c into a pool.
func (v *pass) file(c int, from source) {
	v.from[c] = from
	v.pool[from].add(c)
}

// watchSibling keeps BE from the other hyperthread of a core with a slow LC request.
func (v *pass) watchSibling(k *Core) {
	budget := v.s.Runtimes[k.Owner].RequestBudget
	if budget > 0 && k.RequestAge > budget && k.Sibling >= 0 && int(k.Sibling) < v.cores {
		v.quiet.add(int(k.Sibling))
	}
}

// takeable is how many cores can be taken from a BE runtime.
func (t *tally) takeable() int {
	if t.class != BestEffort {
		return 0
	}
	return max(0, min(t.held-t.coming, t.held-t.entitled))
}

// take is a core for r, of the cheapest source up to worst, or -1.
func (v *pass) take(r int16, worst source) int {
	t := &v.tally[r]
	if v.quiet != (set{}) { // half a physical core is better than none, but only than none
		calm := t.bar
		calm.unite(&v.quiet)
		if c := v.takeFrom(r, fromNobody, min(worst, fromBE), &calm); c >= 0 {
			return c
		}
	}
	return v.takeFrom(r, fromNobody, worst, &t.bar)
}

func (v *pass) takeFrom(r int16, best, worst source, bar *set) int {
	be := v.tally[r].class == BestEffort
	for from := best; from <= worst; from++ {
		cores := v.pool[from]
		switch {
		case cores == (set{}), from == fromParked && v.wakes <= 0:
			continue
		case from == fromBE, from == fromLC, from == fromSpare && !be:
			cores = cores.both(&v.over) // BE gives a loan back at once, LC does not
		}
		cores.subtract(bar)
		near := cores.both(&v.tally[r].fresh)
		if c := near.first(); c >= 0 {
			return c
		}
		if c := cores.first(); c >= 0 {
			return c
		}
	}
	return -1
}

// grant gives core c to r.
func (v *pass) grant(c int, r int16, why Reason, input int64) {
	v.say(Action{Grant, why, int16(c), r, v.owner[c], input})
	v.release(c)
	t := &v.tally[r]
	if t.held < t.entitled {
		v.owed--
	}
	v.owner[c] = r
	t.held++
	t.coming++
	t.lack--
	t.need--
	t.own.add(c)
	if t.held == t.entitled+1 {
		v.over.unite(&t.own)
	}
}

// say adds an action. The caller's slice has room for one per core, or grows once.
func (v *pass) say(a Action) {
	if n := len(v.out); n < cap(v.out) {
		v.out = v.out[:n+1]
		v.out[n] = a
		return
	}
	v.out = grown(v.out, a)
}

// recount says anew what runtime r lacks, after it lost a core.
func (v *pass) recount(r int16) {
	t := &v.tally[r]
	t.lack = t.limit - t.held
	if t.class == LatencyCritical {
		t.lack = t.lacking()
		if t.lack > 0 && !t.queued {
			t.queued = true
			v.queue.add(r)
		}
	}
}

// release takes core c out of the pools and from its owner.
func (v *pass) release(c int) {
	from := v.from[c]
	v.pool[from].drop(c)
	v.from[c] = untakeable
	switch from {
	case fromParked:
		v.wakes--
		v.reach--
	case fromNobody:
		v.reach--
	}
	o := v.owner[c]
	v.owner[c] = None
	if o == None {
		return
	}
	t := &v.tally[o]
	before := t.takeable()
	t.held--
	if v.s.Cores[c].State == Idle {
		t.idle--
		v.slack.drop(c)
	}
	t.own.drop(c)
	v.reach += t.takeable() - before
	v.recount(o)
	if t.held == t.entitled {
		v.over.subtract(&t.own)
	}
}
