package attach

import (
	"errors"
	"fmt"
	"os"
	"time"

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
	return &pin.Baton{
		Cell: rt.loan.page.Cell(w.core), Line: rt.loan.load.Line(w.number),
		Self: baton.Owner(rt.loan.grant.Owner),
	}
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

// batonWaiter keeps a worker from parking while its port has input. The iokernel knows of that
// input, and grants the core again: nothing else wakes the worker.
type batonWaiter struct{ port *dataplane.Port }

func (w batonWaiter) FD() int       { return -1 }
func (w batonWaiter) Arm(bool)      {}
func (w batonWaiter) Pending() bool { return w.port.Pending() }
func (w batonWaiter) Drain()        {}
