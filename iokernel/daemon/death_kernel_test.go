package daemon

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

const (
	// randomDeaths is how many there are: some for each step of a hand-over, by either side.
	randomDeaths = 48
	// deathWithin is how long after a grant the signal is sent, at most: in that time a hand-over
	// begins, goes on and ends, and the new owner works.
	deathWithin = 30 * core.Microsecond
	// A machine that has no time for BE gets fewer: as many as come in that time, and each kind.
	deathBudget = 12 * time.Second
	fewDeaths   = 12
)

// pair is an LC runtime and a BE runtime on one lent core, with a client of the first that never
// stops asking: the core moves all the time.
type pair struct {
	t      *testing.T
	d      *Daemon
	random *rand.Rand
	asking *traffic
	lc, be *child
}

func (p *pair) start() {
	p.t.Helper()
	if p.lc == nil {
		p.lc = startChild(p.t, "echo", p.d.Socket(), "echo", modeMediated)
	}
	if p.be == nil {
		p.be = startChild(p.t, "compute", p.d.Socket(), batchName, modeMediated)
	}
	p.answers()
	p.computes()
	await(p.t, "nothing but these two is attached", func() bool { return p.conserved(2) == nil })
}

// moment waits until the core is granted to that owner and a random time longer. Should the core
// stand still, the moment is one of the standing core.
func (p *pair) moment(to baton.Owner) {
	page, clock := p.d.lending.hands.page, p.d.clock
	begun, before := clock.Now(), page.Load(0)
	for w := before; clock.Now()-begun < 10*core.Millisecond; w = page.Load(0) {
		if w != before && w.Owner() == to {
			break
		}
	}
	wait := core.Time(p.random.Int64N(int64(deathWithin)))
	for since := clock.Now(); clock.Now()-since < wait; {
	}
}

// answers waits until LC has answered a few times more.
func (p *pair) answers() {
	p.t.Helper()
	before := p.asking.replies.Load()
	await(p.t, "LC answers", func() bool { return p.asking.replies.Load() >= before+livelyReplies })
}

// computes waits until BE has had the core for a while longer.
func (p *pair) computes() {
	p.t.Helper()
	before := user(coresOf(p.t, p.d), batchName).Time
	awaitIdle(p.t, "BE computes", func() bool {
		return user(coresOf(p.t, p.d), batchName).Time > before+core.Millisecond/2
	})
}

// passes waits until a stopped LC runtime has lost the core to BE.
func (p *pair) passes() {
	p.t.Helper()
	before := user(coresOf(p.t, p.d), batchName).Time
	awaitIdle(p.t, "BE computes", func() bool {
		return user(coresOf(p.t, p.d), batchName).Time > before+core.Millisecond/2
	})
}

// gone ends a process for good and waits until the iokernel has noticed.
func (p *pair) gone(c **child, name string) {
	p.t.Helper()
	(*c).kill()
	*c = nil
	await(p.t, name+" is detached", func() bool { return !user(coresOf(p.t, p.d), name).Attached })
}

// conserved says what is lost or left with so many runtimes attached: the core is nobody's or one
// attached runtime's, by its word, by the reports and by the times, and the threads and pages of
// nobody else are kept.
func (p *pair) conserved(attached int) error {
	r, l := coresOf(p.t, p.d), p.d.lending
	errs := []error{coresAddUp(r)}
	if n := int(l.users.Load()); n != attached {
		errs = append(errs, fmt.Errorf("%d runtimes have cores lent, want %d", n, attached))
	}
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	known := map[baton.Owner]bool{baton.Nobody: true}
	for _, a := range p.d.attached {
		known[a.loan.Owner()] = true
	}
	for o := range l.hands.threads {
		if l.hands.threads[o].Load() != nil && !known[baton.Owner(o)] {
			errs = append(errs, fmt.Errorf("owner %d has gone, and its threads are kept", o))
		}
	}
	p.d.loop.Do(func() {
		if o := l.hands.page.Load(0).Owner(); !known[o] {
			errs = append(errs, fmt.Errorf("the core is owner %d's, who is not attached", o))
		}
	})
	return errors.Join(errs...)
}

// coresAddUp says what does not add up in a report: each core has at most one owner, who is
// attached, no runtime has more cores than it may, and all times of a core are the time that has
// passed.
func coresAddUp(r control.Cores) error {
	var errs []error
	held := 0
	for _, u := range r.Runtimes {
		held += u.Held
		if u.Held > u.Most || !u.Attached && u.Held > 0 {
			errs = append(errs, fmt.Errorf("%s holds %d of at most %d cores, attached: %v",
				u.Runtime, u.Held, u.Most, u.Attached))
		}
	}
	if held > len(r.Cores) {
		errs = append(errs, fmt.Errorf("%d cores are held of %d", held, len(r.Cores)))
	}
	for _, c := range r.Cores {
		sum := core.Time(0)
		for _, o := range c.Times {
			sum += o.Time
		}
		if sum != r.Uptime {
			errs = append(errs, fmt.Errorf("CPU %d: %v add up to %d ns, %d have passed", c.CPU,
				c.Times, sum, r.Uptime))
		}
		if c.Owner != "" && !user(r, c.Owner).Attached {
			errs = append(errs, fmt.Errorf("CPU %d is that of %s, which is not attached", c.CPU,
				c.Owner))
		}
	}
	return errors.Join(errs...)
}

// deaths are what happens, at a moment of a hand-over, to one side or to both.
func (p *pair) deaths() []struct {
	name string
	do   func()
} {
	return []struct {
		name string
		do   func()
	}{
		{"LC is killed", func() {
			p.gone(&p.lc, "echo")
			p.computes()
		}},
		{"BE is killed", func() {
			p.gone(&p.be, batchName)
			p.answers()
		}},
		{"LC is stopped, and goes on", func() {
			p.stop(p.lc)
			p.passes()
			p.cont(p.lc)
			p.answers()
		}},
		{"LC is stopped and then killed", func() {
			p.stop(p.lc)
			p.passes()
			p.gone(&p.lc, "echo")
			p.computes()
		}},
		{"BE is stopped, and goes on", func() {
			p.stop(p.be)
			p.answers()
			p.cont(p.be)
			p.computes()
		}},
		{"both are killed", func() {
			_ = p.be.cmd.Process.Kill()
			p.gone(&p.lc, "echo")
			p.gone(&p.be, batchName)
		}},
	}
}

func (p *pair) stop(c *child) { p.signal(c, syscall.SIGSTOP) }
func (p *pair) cont(c *child) { p.signal(c, syscall.SIGCONT) }

func (p *pair) signal(c *child, s syscall.Signal) {
	p.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// TestDeathsAtEachStep has processes die, or stop for a while, at random moments of hand-overs.
// Whoever is left goes on, the core stays one, and the iokernel keeps nothing of the dead: no file,
// no mapping, no goroutine, no thread's number, no endpoint.
func TestDeathsAtEachStep(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("the moments are of seed %d", seed)
	l := newLab(t, lab.PairOptions{})
	d := startDaemon(t, l, func(o *Options) { lendingOptions(t, o) })
	p := &pair{
		t: t, d: d, random: rand.New(rand.NewPCG(seed, 0)), asking: startTraffic(t, l, echoPort),
	}
	p.start()
	p.gone(&p.lc, "echo")
	p.gone(&p.be, batchName)
	p.start()
	before, endpoints := resourcesNow(t), d.steering.registered() // what is made once is made
	begun := time.Now()
	for i := range randomDeaths {
		if i >= fewDeaths && time.Since(begun) > deathBudget {
			t.Logf("%d deaths of %d: the machine is busy", i, randomDeaths)
			break
		}
		all := p.deaths()
		death, to := all[i%len(all)], baton.Owner(1+p.random.IntN(2))
		p.moment(to)
		death.do()
		left := 0
		for _, c := range []*child{p.lc, p.be} {
			if c != nil {
				left++
			}
		}
		if err := p.conserved(left); err != nil {
			t.Fatalf("death %d, %s: %v", i, death.name, err)
		}
		p.start()
		awaitResources(t, fmt.Sprintf("death %d, %s", i, death.name), before)
		if n := d.steering.registered(); n != endpoints {
			t.Errorf("death %d, %s: the program takes %d endpoints, want %d", i, death.name, n,
				endpoints)
		}
		if t.Failed() {
			return
		}
	}
}
