package sim

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// machine is the cores and who runs on them.
//
//	        grant                    take up
//	Idle ──────────────> Yielding ─────────────> Running (BE), Running or Idle (LC)
//	Running (BE) ──────>    ^   HandOver later
//	Running (LC) ───────────┘   when its request is done, and HandOver later
//	Parked ────────────>        Wake later
//
// A core that yields does nothing useful, apart from an LC request in hand. There is nobody on it
// who could do anything else: that time is what a move costs.
type machine struct {
	loop *Loop
	id   ID
	cost Cost
	pick *Source // which of several unused cores takes a frame
	wait func()  // is called when a request finds no core of its runtime unused

	cores    []seat
	runtimes []tenant
	moves    moves
	longest  core.Time // request so far
}

// moves counts what the policy changed.
type moves struct {
	grants uint64    // changes of owner
	wakes  uint64    // of these, to a parked core
	parks  uint64    //
	dead   core.Time // time in which cores changed hands
}

// seat is one core.
type seat struct {
	state   policy.State
	owner   int16 // whom the baton names
	last    int16
	on      int16 // whose worker is on the core
	since   core.Time
	ownedAt core.Time
	idleAt  core.Time
	lastAt  core.Time

	busy    bool // an LC request is in hand
	arrived core.Time
	begun   core.Time
	life    uint32 // of what is planned for the core: events of an older one are void
	place   int    // in the owner's list of unused cores
}

// tenant is one runtime.
type tenant struct {
	config  RuntimeConfig
	queue   queue
	unused  []int // cores of an LC runtime on which it has nothing to do
	onCores int   // cores with its worker on them: the checker compares it with the seats

	served uint64
	busy   core.Time // in finished requests, or for BE in finished stays
	times  *Times    // from arrival until done, of requests that came after since
	since  core.Time // end of the warm-up
}

func (t *tenant) be() bool { return t.config.Class == policy.BestEffort }

// What happens to a machine. Arg is core and life.
const (
	requestDone = iota
	takeUp
)

func newMachine(l *Loop, c *Config) *machine {
	m := &machine{
		loop: l, cost: c.Cost, pick: NewSource(c.Seed, "pick", 0),
		cores: make([]seat, c.Cores), runtimes: make([]tenant, len(c.Runtimes)),
	}
	for i := range m.cores {
		m.cores[i] = seat{owner: policy.None, last: policy.None, on: policy.None}
	}
	for i := range m.runtimes {
		m.runtimes[i] = tenant{config: c.Runtimes[i], times: &Times{}, since: c.Warmup}
	}
	m.id = l.Add(m)
	return m
}

// Handle ends a request or a move.
func (m *machine) Handle(now core.Time, e Event) {
	c := int(e.Arg >> 32)
	if k := &m.cores[c]; uint32(e.Arg) == k.life {
		switch e.Kind {
		case requestDone:
			m.done(now, c)
		case takeUp:
			m.takeUp(now, c)
		}
	}
}

// plan lets something happen to core c unless its life changes before.
func (m *machine) plan(at core.Time, kind uint32, c int) {
	m.loop.Post(at, m.id, kind, uint64(c)<<32|uint64(m.cores[c].life))
}

// arrive brings a request to LC runtime r: to an unused core of its own if it has one.
func (m *machine) arrive(r int16, now, service core.Time) {
	m.longest = max(m.longest, service)
	t := &m.runtimes[r]
	if len(t.unused) == 0 {
		t.queue.push(request{now, service})
		m.wait()
		return
	}
	c := t.unused[m.pick.Below(len(t.unused))]
	m.use(c)
	m.begin(now, c, request{now, service})
}

// begin starts a request on core c.
func (m *machine) begin(now core.Time, c int, q request) {
	k := &m.cores[c]
	k.state, k.busy, k.arrived, k.begun = policy.Running, true, q.arrived, now
	m.plan(now+q.service, requestDone, c)
}

// done ends the request on core c. The worker looks at its baton, then for more work.
func (m *machine) done(now core.Time, c int) {
	k := &m.cores[c]
	t := &m.runtimes[k.on]
	k.busy = false
	t.served++
	t.busy += now - k.begun
	if k.arrived >= t.since {
		t.times.add(now - k.arrived)
	}
	if k.state == policy.Yielding {
		m.leave(now, c, m.cost.HandOver)
		return
	}
	m.work(now, c)
}

// work gives the LC worker on core c the oldest request, or nothing to do.
func (m *machine) work(now core.Time, c int) {
	k := &m.cores[c]
	t := &m.runtimes[k.on]
	if q, ok := t.queue.pop(); ok {
		m.begin(now, c, q)
		return
	}
	k.state, k.idleAt = policy.Idle, now
	k.place = len(t.unused)
	t.unused = append(t.unused, c)
}

// use takes core c from the list of its owner's unused cores.
func (m *machine) use(c int) {
	k := &m.cores[c]
	t := &m.runtimes[k.on]
	last := t.unused[len(t.unused)-1]
	t.unused[k.place], m.cores[last].place = last, k.place
	t.unused = t.unused[:len(t.unused)-1]
}

// give makes r the owner of core c, which is not yielding, and moves it there.
func (m *machine) give(now core.Time, c int, r int16) {
	k := &m.cores[c]
	m.moves.grants++
	delay := m.cost.HandOver
	if k.state == policy.Parked {
		m.moves.wakes++
		delay = m.cost.Wake
	}
	m.disown(now, c)
	k.owner, k.state = r, policy.Yielding
	if !k.busy {
		m.leave(now, c, delay)
	}
}

// disown ends the ownership of core c.
func (m *machine) disown(now core.Time, c int) {
	k := &m.cores[c]
	if k.owner != policy.None {
		k.last, k.lastAt = k.owner, now
		if k.state == policy.Idle && !m.runtimes[k.owner].be() {
			m.use(c)
		}
	}
	k.owner = policy.None
}

// leave ends the stay of whoever is on core c; the owner takes it up after the delay.
func (m *machine) leave(now core.Time, c int, delay core.Time) {
	m.vacate(now, c)
	m.moves.dead += delay
	m.plan(now+delay, takeUp, c)
}

// vacate takes the worker off core c.
func (m *machine) vacate(now core.Time, c int) {
	k := &m.cores[c]
	k.life++
	if k.on == policy.None {
		return
	}
	t := &m.runtimes[k.on]
	t.onCores--
	if t.be() {
		t.busy += now - k.since
	}
	k.on = policy.None
}

// takeUp puts the owner's worker on core c.
func (m *machine) takeUp(now core.Time, c int) {
	k := &m.cores[c]
	t := &m.runtimes[k.owner]
	k.on, k.since, k.ownedAt = k.owner, now, now
	t.onCores++
	if t.be() {
		k.state = policy.Running
		return
	}
	m.work(now, c)
}

// clear takes core c, on which no LC request is in hand, from its owner: nobody is on it.
func (m *machine) clear(now core.Time, c int, to policy.State) {
	k := &m.cores[c]
	m.disown(now, c)
	m.vacate(now, c)
	k.state = to
	if to == policy.Parked {
		m.moves.parks++
	} else {
		k.idleAt = now
	}
}

// used is the time that runtime r's workers spent in requests, or for BE on cores, until now.
func (m *machine) used(now core.Time, r int16) core.Time {
	sum := m.runtimes[r].busy
	for i := range m.cores {
		switch k := &m.cores[i]; {
		case k.on != r:
		case k.busy:
			sum += now - k.begun
		case m.runtimes[r].be():
			sum += now - k.since
		}
	}
	return sum
}
