// Package window makes the memory of a runtime's arenas on this machine: a window of address space,
// a store of slots in it, and who says what changed there.
//
//	core/mem: Reserve, Probe ──> Window ──> Store: slots for arenas
//	                               │
//	                               └──────> Tracker: the kernel's, one for all workers
//	                                        or, where the kernel has none, software, one for each
//
// It wires and decides one thing only: software takes the kernel's place when Probe says that the
// kernel's tracking is not there or does not do what it should. `dunlin doctor` asks the same
// Probe, so it names the tracker that a runtime on this machine has.
package window

import (
	"errors"
	"fmt"

	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/proclet/arena"
)

// Window is the memory of all arenas of a runtime. Its methods may be called by any thread; what
// they return belongs to one thread at a time, as its own documentation says.
type Window struct {
	pages  *mem.Window
	store  *arena.Store
	kernel *mem.Tracker // nil: software says why
	why    error
}

// Open reserves so many bytes of address space, a multiple of the page size, and takes no memory.
func Open(bytes int64, o arena.StoreOptions) (*Window, error) {
	return open(bytes, o, mem.Probe)
}

// open is Open on a machine that can do what probe says.
func open(bytes int64, o arena.StoreOptions, probe func() (mem.Features, error)) (*Window, error) {
	can, err := probe()
	if err != nil {
		return nil, fmt.Errorf("window: see what the kernel can do: %w", err)
	}
	pages, err := mem.Reserve(bytes)
	if err != nil {
		return nil, fmt.Errorf("window: %w", err)
	}
	w := &Window{pages: pages, why: can.Tracking}
	if w.store, err = arena.NewStore(pages, o); err == nil && w.why == nil {
		w.kernel, w.why = mem.NewTracker(pages)
	}
	if err == nil && w.why != nil && !errors.Is(w.why, errors.ErrUnsupported) {
		err = w.why
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("window: %w", err), pages.Close())
	}
	return w, nil
}

// Pages is the window itself.
func (w *Window) Pages() *mem.Window { return w.pages }

// Store is where arenas come from; all of the window is its.
func (w *Window) Store() *arena.Store { return w.store }

// Tracker is what a worker's arenas tell, and are told by, what changed: for arena.Options. Each
// worker asks for its own: the kernel's is the same for all of them, one in software belongs to one
// thread. An arena that goes to another worker is untracked by the one and tracked by the other.
func (w *Window) Tracker() (arena.Tracker, error) {
	if w.kernel != nil {
		return w.kernel, nil
	}
	t, err := arena.NewSoftware(w.pages)
	if err != nil {
		return nil, fmt.Errorf("window: %w", err)
	}
	return t, nil
}

// Software is nil where the kernel says what changed, else why it does not.
func (w *Window) Software() error { return w.why }

// Close gives the window back. Nobody may use an arena of it any more.
func (w *Window) Close() error {
	if err := w.pages.Close(); err != nil {
		return fmt.Errorf("window: %w", err)
	}
	return nil
}
