package daemon

import (
	"errors"
	"os"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/iokernel"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/iokernel/cores"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// lending is the part of a daemon that lends cores; nil where none are.
type lending struct {
	cpus      []int // by core
	words     *mem.Memory
	scheduler *cores.Scheduler
	hands     *hands
	senses    *senses
	offline   []bool               // by core, as the scheduler was told
	users     atomic.Int32         // runtimes that are attached
	stuck     chan struct{}        // of size 1: a worker is
	said      map[string]*stuckLog // by runtime; under the daemon's mu
}

// openLending makes the baton page and the scheduler, if CPUs are to be lent. An iokernel inside an
// application lends none: there is nobody else.
func (d *Daemon) openLending() error {
	c := &d.o.Config
	if d.o.Private || !c.Cores.Lend.Any() {
		return nil
	}
	cpus := c.Lent(d.allowed, d.cpu)
	words, err := mem.Publish("dunlin-batons", baton.PageBytes(len(cpus), os.Getpagesize()))
	if err != nil {
		return err
	}
	l := &lending{
		cpus: cpus, words: words, offline: make([]bool, len(cpus)),
		stuck: make(chan struct{}, 1), said: map[string]*stuckLog{},
	}
	d.lending = l
	if l.senses = d.o.senses; l.senses == nil {
		if l.senses, err = openSenses(cpus); err != nil {
			return err
		}
	}
	page, err := baton.NewPage(words.Bytes, len(cpus))
	if err != nil {
		return err
	}
	l.hands = &hands{page: page, waker: pin.NewWaker(), log: d.log}
	l.scheduler, err = cores.New(cores.Config{
		Page: page, Policy: policyOf(c), Interval: c.Cores.Interval, Hands: l.hands,
		Siblings: l.senses.siblings(cpus),
		Deadlines: baton.Deadlines{
			Yield: c.Cores.YieldDeadline, Stuck: c.Cores.StuckDeadline,
		},
		MemoryLimit: uint64(c.Cores.BandwidthLimit) * 1_000_000,
		Notify: func() {
			select {
			case l.stuck <- struct{}{}:
			default:
			}
		},
	})
	return err
}

// Lent is the CPUs that are lent: the process's other threads should not run there (pin.KeepOff).
func (d *Daemon) Lent() []int {
	if d.lending == nil {
		return nil
	}
	return d.lending.cpus
}

// policyOf makes the policy that the configuration names.
func policyOf(c *config.Config) cores.Policy {
	switch c.Cores.Policy {
	case config.PolicyStatic:
		return policy.NewStatic()
	case config.PolicySimple:
		return policy.NewSimple(c.Cores.Threshold)
	}
	return policy.NewCaladan(policy.Config{Threshold: c.Cores.Threshold})
}

func (l *lending) close() error {
	if l == nil {
		return nil
	}
	return errors.Join(l.senses.close(), l.words.Close())
}

// lends reports whether a runtime's cores come and go.
func (d *Daemon) lends(c *config.Runtime) bool {
	return d.lending != nil && c.Class != config.ClassPinned
}

// workers is how many workers a runtime has.
func (d *Daemon) workers(c *config.Runtime) int {
	if d.lends(c) {
		return len(d.lending.cpus)
	}
	return c.Workers
}

// loan is what a runtime is told of its cores; nil if they are its own.
func (d *Daemon) loan(a *attachment) *control.LoanGrant {
	c := a.config
	if !d.lends(c) {
		return nil
	}
	return &control.LoanGrant{
		Class: c.Class.String(), Cores: d.lending.cpus,
		Reserved: c.Reserved, Most: d.lending.most(c),
	}
}

// most is how many cores a runtime may have.
func (l *lending) most(c *config.Runtime) int {
	if c.Most == 0 {
		return len(l.cpus)
	}
	return c.Most
}

// openLoan makes a runtime's load page and adds it to the files; without a runtime's ports it is a
// guest, and has no page. It gets no core before its threads are known.
func (d *Daemon) openLoan(a *attachment, f *files) (err error) {
	l, c := d.lending, a.config
	r := cores.RuntimeConfig{
		Name: c.Name, Class: classOf(c.Class), Reserved: c.Reserved, Most: c.Most,
		Quantum: c.Quantum, Budget: c.RequestBudget,
	}
	if a.runtime != nil {
		n := len(l.cpus)
		a.load, err = mem.Create("dunlin-load-"+c.Name, baton.PageBytes(n, os.Getpagesize()))
		if err != nil {
			return err
		}
		if r.Load, err = baton.NewLoad(a.load.Bytes, n); err != nil {
			return err
		}
		r.Ports = a.runtime
		f.add(control.FileBaton, l.words.File())
		f.add(control.FileLoad, a.load.File())
	}
	d.loop.Do(func() {
		if a.loan, err = l.scheduler.Attach(r); err == nil {
			if a.runtime == nil {
				l.scheduler.Run(d.clock.Now(), a.loan)
			}
		}
	})
	if err == nil {
		l.users.Add(1)
		a.grant.Loan.Owner = uint16(a.loan.Owner())
	}
	return err
}

func classOf(c config.Class) policy.Class {
	if c == config.ClassLC {
		return policy.LatencyCritical
	}
	return policy.BestEffort
}

// openGuest lets an ordinary program run on cores that others leave.
func (d *Daemon) openGuest(a *attachment) (f files, err error) {
	if !d.lends(a.config) {
		return f, errNoCores()
	}
	a.grant.Workers = nil
	return f, d.openLoan(a, &f)
}

// threads takes notice of the threads of an attached runtime's workers, each of which must be one
// of the process that attached.
func (d *Daemon) threads(by owner, ids []int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.attached[by]
	switch {
	case a == nil || a.loan == nil || a.runtime == nil:
		return control.Refuse(control.CodeOrder, "this runtime's workers have their cores for good")
	case a.threads:
		return control.Refuse(control.CodeOrder, "the workers' threads are known already")
	case len(ids) != len(d.lending.cpus):
		return control.Refuse(control.CodeDenied, "%d threads, and the runtime has %d workers",
			len(ids), len(d.lending.cpus))
	case a.peer.PID <= 0:
		return control.Refuse(control.CodeDenied, "the runtime is in another PID namespace, in "+
			"which its threads cannot be named; take its class out of the configuration")
	}
	list := make([]pin.Thread, len(ids))
	seen := map[int]bool{}
	for i, id := range ids {
		t, err := pin.OpenThread(a.peer.PID, id)
		if err != nil || seen[id] {
			return control.Refuse(control.CodeDenied, "thread %d is not a thread of the runtime's "+
				"process %d, or named twice", id, a.peer.PID)
		}
		seen[id], list[i] = true, t
	}
	a.threads = true
	d.loop.Do(func() {
		d.lending.hands.know(a.loan.Owner(), list)
		d.lending.scheduler.Run(d.clock.Now(), a.loan)
	})
	return nil
}

// closeLoan takes a runtime's cores back; on the loop's thread, before its ports go.
func (d *Daemon) closeLoan(a *attachment) {
	if a.loan != nil {
		d.lending.scheduler.Detach(d.clock.Now(), a.loan)
		d.lending.hands.close(a.loan.Owner())
		d.lending.users.Add(-1)
	}
}

// errNoCores is the answer where nothing is lent.
func errNoCores() error {
	return control.Refuse(control.CodeDenied, "no cores are lent: name CPUs in cores.lend of the "+
		"iokernel's configuration")
}

// byBaton is the waker of workers that sleep on their baton: the scheduler wakes those.
type byBaton struct{}

func (byBaton) Signal() {}

var _ iokernel.Waker = byBaton{}
