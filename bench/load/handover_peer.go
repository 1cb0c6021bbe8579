package load

import (
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
)

// Files that a process inherits which hands its core over.
const (
	fileWords = 3 + iota
	fileLoad
	fileStamps
)

// handoverEnd is what such a process has mapped.
type handoverEnd struct {
	self  baton.Owner
	clock pin.Clock
	cell  *baton.Cell
	line  *baton.Line
	stamp *stamp
	last  baton.Word // poller only: seen at the last turn
}

// openHandover maps the pages. The word's can only be read, as in a runtime.
func (p *peer) openHandover() (*handoverEnd, error) {
	words, err := mem.MapReadOnly(os.NewFile(fileWords, "words"), wordBytes())
	if err != nil {
		return nil, err
	}
	page, err := baton.OpenPage(words.Bytes)
	if err != nil {
		return nil, err
	}
	loads, err := mem.Map(os.NewFile(fileLoad, "load"), loadBytes())
	if err != nil {
		return nil, err
	}
	load, err := baton.OpenLoad(loads.Bytes)
	if err != nil {
		return nil, err
	}
	stamps, err := mem.Map(os.NewFile(fileStamps, "stamps"), stampBytes())
	if err != nil {
		return nil, err
	}
	// A collection that comes at its own time would be another thread on this CPU.
	debug.SetGCPercent(-1)
	return &handoverEnd{
		self: p.Owner, clock: pin.NewClock(), cell: page.Cell(handoverCore),
		line: load.Line(int(p.Owner)), stamp: &layStamps(stamps.Bytes)[p.Owner],
	}, nil
}

// handover is a worker: a loop with a baton.
func (p *peer) handover() error {
	e, err := p.openHandover()
	if err != nil {
		return err
	}
	loop, err := pin.New(pin.Options{
		Name: "worker", CPU: p.CPU, Spin: core.Never,
		Host: core.NewHost(e), Baton: &pin.Baton{Cell: e.cell, Line: e.line, Self: e.self},
	})
	if err != nil {
		return err
	}
	pin.Procs(1)
	return loop.Run()
}

// Poll stamps a grant when it first runs for it. Its work is grants.
func (e *handoverEnd) Poll(core.Time) int {
	w := e.cell.Load()
	if w == e.last {
		return 0
	}
	e.last = w
	if w.Owner() == e.self {
		e.ran(w)
	}
	return 1
}

// Next implements core.Poller.
func (e *handoverEnd) Next(core.Time) core.Time { return core.Never }

func (e *handoverEnd) ran(w baton.Word) {
	e.stamp.at.Store(int64(e.clock.Now()))
	e.stamp.word.Store(uint32(w))
}

// openBare is openHandover for a thread with nothing around it: the calling one, on the core.
func (p *peer) openBare() (*handoverEnd, error) {
	e, err := p.openHandover()
	if err != nil {
		return nil, err
	}
	return e, p.confine()
}

// confine keeps the calling thread on the core.
func (p *peer) confine() error {
	spinOn("worker")
	var only unix.CPUSet
	only.Set(p.CPU)
	return unix.SchedSetaffinity(0, &only)
}

// wakeFloor sleeps until somebody on another CPU wakes it for a grant. It returns on errors only.
func (p *peer) wakeFloor() error {
	e, err := p.openBare()
	if err != nil {
		return err
	}
	word, bit := e.cell.Address(), e.self.Bit()
	for seen := e.cell.Load(); ; {
		bareWait(word, uint32(seen), bit)
		if w := e.cell.Load(); w != seen {
			e.ran(w)
			seen = w
		}
	}
}

// idle is a program under `dunlin run --be`, as the kernel sees it. It returns on errors only.
func (p *peer) idle() error {
	if err := p.confine(); err != nil {
		return err
	}
	at := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
	if err := unix.SchedSetAttr(0, &at, 0); err != nil {
		return err
	}
	for {
		runtime.Gosched()
	}
}

// handoverFloor does the same as handover with nothing around it. It returns on errors only.
func (p *peer) handoverFloor() error {
	e, err := p.openBare()
	if err != nil {
		return err
	}
	word, bit := e.cell.Address(), e.self.Bit()
	for seen := e.cell.Load(); ; {
		w := e.cell.Load()
		switch {
		case w.Owner() == e.self && w != seen:
			e.ran(w)
		case w.Owner() == e.self:
			continue
		case w.Owner() != baton.Nobody && w != seen:
			bareWake(word, w.Owner().Bit())
		}
		if seen = w; w.Owner() != e.self {
			bareWait(word, uint32(w), bit)
		}
	}
}
