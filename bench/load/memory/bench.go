package memory

import (
	"errors"
	"fmt"

	"github.com/dunlin-io/dunlin/bench/load"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/proclet/arena"
	"github.com/dunlin-io/dunlin/proclet/window"
)

// maxWorkers is the threads of rows for several: the patterns from the literature need two.
const maxWorkers = 2

// Windows of address space, which take no memory.
const (
	windowBytes = 64 << 30 // of most rows
	blowupBytes = 4 << 30  // of the pattern whose pages are counted
)

// bench is what rows share: threads, and a store with a part for each of them.
type bench struct {
	size    sizes
	cpus    []int
	threads [maxWorkers]*pin.Loop
	window  *window.Window
	locals  [maxWorkers]*arena.Local
	notes   []string
	remarks []func() string // notes that are written at the end

	arenas  []*held // of rows, until the end
	slots   []lent  // of rows, until the end
	buffers []*buffers
	audits  []func() error // of all that was made, the main store's first
	closers []func() error

	maps    *fixtures
	tracked *window.Window // of rows of change tracking
	peers   *peers
}

// held is an arena of a worker.
type held struct {
	arena.Arena
	slot   arena.Slot
	worker int
}

// lent is a slot of a worker, all of it written.
type lent struct {
	slot   arena.Slot
	worker int
}

func newBench(size sizes) (_ *bench, err error) {
	b := &bench{size: size}
	if b.cpus, err = load.CPUs(); err != nil {
		return nil, err
	}
	if len(b.cpus) < maxWorkers {
		return nil, fmt.Errorf("memory: %w: %d is allowed, and rows for two threads need two (see "+
			"taskset, cpuset)", load.ErrFewCPUs, len(b.cpus))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	for i := range b.threads {
		o := pin.Options{Name: fmt.Sprintf("worker %d", i), CPU: b.cpus[i], Host: core.NewHost()}
		t, err := pin.New(o)
		if err != nil {
			return nil, fmt.Errorf("memory: %w", err)
		}
		go t.Run() // its end is Stop's; it cannot fail on a CPU that New has found to be allowed
		b.threads[i] = t
	}
	if b.window, err = b.newWindow(windowBytes, arena.StoreOptions{}); err != nil {
		return nil, err
	}
	for i := range b.locals {
		if b.locals[i], err = b.window.Store().Local(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// newWindow makes a window, which is audited after each row and given back at the end.
func (b *bench) newWindow(bytes int64, o arena.StoreOptions) (*window.Window, error) {
	w, err := window.Open(bytes, o)
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, w.Close)
	b.audits = append(b.audits, w.Store().Audit)
	return w, nil
}

func (b *bench) placement() string {
	return fmt.Sprintf("one thread on CPU %d, a second on CPU %d", b.cpus[0], b.cpus[1])
}

// newArena makes an arena of a worker that stays until the end.
func (b *bench) newArena(worker int, size int64) (*arena.Arena, error) {
	h := &held{worker: worker}
	slot, err := b.locals[worker].Open(&h.Arena, size, arena.Options{})
	if err != nil {
		return nil, err
	}
	h.slot = slot
	b.arenas = append(b.arenas, h)
	b.audits = append(b.audits, h.audit)
	return &h.Arena, nil
}

// audit checks an arena that is not shut yet.
func (h *held) audit() error {
	if !h.slot.Live() {
		return nil
	}
	if err := h.Arena.Audit(); err != nil {
		return fmt.Errorf("memory: arena at %#x: %w", h.slot.Off(), err)
	}
	return nil
}

// newSlot makes a slot of a worker that stays until the end.
func (b *bench) newSlot(worker int, size int64) (arena.Slot, error) {
	s, err := b.locals[worker].Create(size)
	if err == nil {
		b.slots = append(b.slots, lent{s, worker})
	}
	return s, err
}

// audit checks that every byte of windows, arenas and buffers is in exactly one place.
func audit(all []func() error) error {
	for _, check := range all {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// close takes everything down; nothing may be left live.
func (b *bench) close() error {
	all := []error{audit(b.audits)}
	for _, h := range b.arenas {
		all = append(all, b.locals[h.worker].Shut(&h.Arena, h.slot))
	}
	for _, s := range b.buffers {
		b.slots = append(b.slots, s.slots...)
	}
	for _, s := range b.slots {
		all = append(all, b.locals[s.worker].Destroy(s.slot, s.slot.Cap(), s.slot.Cap()))
	}
	if b.window != nil {
		all = append(all, b.window.Store().Audit())
		if n := b.window.Store().Stats(); n.Live > 0 {
			all = append(all, fmt.Errorf("memory: %d slots are still live", n.Live))
		}
	}
	for _, t := range b.threads {
		if t != nil {
			t.Stop()
			all = append(all, t.Close())
		}
	}
	for _, f := range b.closers {
		all = append(all, f())
	}
	return errors.Join(all...)
}
