package attach

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// loan is what a runtime has whose cores come and go.
type loan struct {
	grant control.LoanGrant
	words *mem.Memory // the baton page
	lines *mem.Memory // our load page
	page  *baton.Page
	load  *baton.Load
	team  *dataplane.Team
}

// mapLoan maps the baton page and the load page, if the runtime's cores come and go.
func (rt *Runtime) mapLoan(files map[string]*os.File) error {
	if rt.grant.Loan == nil {
		return nil
	}
	l := &loan{grant: *rt.grant.Loan}
	rt.loan = l
	file, err := take(files, control.FileBaton)
	if err != nil {
		return err
	}
	page := os.Getpagesize()
	l.words, err = mem.MapReadOnly(file, baton.PageBytes(len(l.grant.Cores), page))
	if err != nil {
		return err
	}
	if l.page, err = baton.OpenPage(l.words.Bytes); err != nil {
		return err
	}
	if file, err = take(files, control.FileLoad); err != nil {
		return err
	}
	l.lines, err = mem.Map(file, baton.PageBytes(len(rt.grant.Workers), page))
	if err != nil {
		return err
	}
	if l.load, err = baton.OpenLoad(l.lines.Bytes); err != nil {
		return err
	}
	for _, g := range rt.grant.Workers {
		if g.Core < 0 || g.Core >= l.page.Cores() || g.Worker >= l.load.Workers() {
			return fmt.Errorf("the iokernel grants worker %d core %d; the pages have %d workers "+
				"and %d cores", g.Worker, g.Core, l.load.Workers(), l.page.Cores())
		}
	}
	return nil
}

// baton is what a worker's loop goes by; nil if its CPU is its own.
func (rt *Runtime) baton(w *worker) *pin.Baton {
	if rt.loan == nil {
		return nil
	}
	seat := rt.loan.team.Seat(w.number)
	return &pin.Baton{
		Cell: rt.loan.page.Cell(w.core), Line: rt.loan.load.Line(w.number),
		Self:  baton.Owner(rt.loan.grant.Owner),
		Leave: seat.Leave, Ring: rt.event.Signal,
		Timer: func(now core.Time) core.Time {
			if seat.Pending() {
				return now
			}
			return w.beside.Next(now) // those of companions the team tells
		},
	}
}

// turnBound is the longest that a worker's requests should take together before it looks whether
// the core is still its own. Origin: the delay from which it is worth taking a core from another.
const turnBound = 10 * core.Microsecond

// turn bounds the turns of a worker whose core may be wanted elsewhere.
func (rt *Runtime) turn() core.Time {
	if rt.loan == nil {
		return 0
	}
	return turnBound
}

// share has the workers serve each other's ports, if their cores come and go: of those, any may
// have none when its port has input.
func (rt *Runtime) share() error {
	l := rt.loan
	if l == nil {
		return nil
	}
	workers := make([]*dataplane.Worker, len(rt.workers))
	for i, w := range rt.workers {
		workers[i] = w.loop
	}
	var err error
	l.team, err = dataplane.NewTeam(workers, dataplane.TeamConfig{Turn: turnBound})
	if err != nil {
		return err
	}
	for i, w := range rt.workers {
		seat := l.team.Seat(i)
		seat.Report(l.load.Line(i))
		w.beside = core.NewHost()
		w.host, w.waiter = core.NewHost(seat, w.beside), seatWaiter{seat}
	}
	return nil
}

// waker is what wakes the runtime for what a worker's companions have to do, whichever of its
// threads it is that gets a core. The iokernel is told first: a thread that hears the call before
// that would leave the ask behind, and with it a wake for nothing.
func (l *loan) waker(number int, ring func()) func() {
	line, team := l.load.Line(number), l.team
	return func() {
		line.Ask()
		team.Call(number)
		ring()
	}
}

// Seat is a worker's place among those that serve each other's ports, for pollers that share its
// thread; nil where each worker has a CPU and a port of its own.
func (rt *Runtime) Seat(number int) *dataplane.Seat {
	if rt.loan == nil {
		return nil
	}
	return rt.loan.team.Seat(number)
}

// teller tells the iokernel when a poller beside a seat is busy. Without it the core of one that
// computes, or waits for replies by polling, would be taken for idle.
type teller struct {
	core.Poller
	line *baton.Line
	busy bool
}

// Poll implements core.Poller.
func (t *teller) Poll(now core.Time) int {
	wants := t.Poller.Next(now) <= now
	work := t.Poller.Poll(now)
	switch {
	case wants || work > 0:
		t.busy = true
		t.line.Begin(now)
	case t.busy:
		t.busy = false
		t.line.End()
	}
	return work
}

func (l *loan) close() error {
	if l == nil {
		return nil
	}
	var errs []error
	for _, m := range []*mem.Memory{l.lines, l.words} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// startPatience is how long loops may take to be on their threads. (guess: a thousand times what
// they do)
const startPatience = 2 * time.Second

// tellThreads names the workers' threads to the iokernel, which lends them no core before.
func (rt *Runtime) tellThreads(loops []*pin.Loop) error {
	ids := make([]int, len(loops))
	for start := time.Now(); ; time.Sleep(100 * time.Microsecond) {
		known := 0
		for i, l := range loops {
			if ids[i] = l.Thread(); ids[i] != 0 {
				known++
			}
		}
		if known == len(loops) {
			return rt.door.Threads(ids)
		}
		if time.Since(start) > startPatience {
			return fmt.Errorf("%d of %d workers did not start within %v", len(loops)-known,
				len(loops), startPatience)
		}
	}
}

// seatWaiter keeps a worker from parking while some port of the team is in need. The iokernel knows
// of input that comes later, and grants a core again: nothing else wakes the worker.
type seatWaiter struct{ seat *dataplane.Seat }

func (w seatWaiter) FD() int       { return -1 }
func (w seatWaiter) Arm(bool)      {}
func (w seatWaiter) Pending() bool { return w.seat.Pending() }
func (w seatWaiter) Drain()        {}
