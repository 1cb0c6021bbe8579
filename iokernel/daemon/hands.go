package daemon

import (
	"log/slog"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/iokernel/cores"
)

// hands are what the scheduler does to workers' threads. They belong to the loop's thread, thread
// apart.
type hands struct {
	page  *baton.Page
	waker *pin.Waker
	log   *slog.Logger
	// threads are by owner, then by core.
	threads [int(baton.MaxOwner) + 1]atomic.Pointer[[]pin.Thread]
}

// know has the threads of an owner's workers.
func (h *hands) know(o baton.Owner, list []pin.Thread) { h.threads[o].Store(&list) }

// close forgets an owner's threads: the kernel may give their numbers to others.
func (h *hands) close(o baton.Owner) { h.threads[o].Store(nil) }

// thread is that of an owner's worker of a core, if it is known.
func (h *hands) thread(core int, o baton.Owner) (pin.Thread, bool) {
	list := h.threads[o].Load()
	if list == nil || core >= len(*list) {
		return pin.Thread{}, false
	}
	return (*list)[core], true
}

// Wake implements cores.Hands.
func (h *hands) Wake(core int, o baton.Owner) (woken int) {
	woken, err := h.waker.Wake(h.page.Cell(core), o)
	h.note(err)
	return woken
}

// Signal implements cores.Hands.
func (h *hands) Signal(core int, o baton.Owner) {
	if t, ok := h.thread(core, o); ok {
		h.note(h.waker.Signal(t))
	}
}

// Demote implements cores.Hands.
func (h *hands) Demote(core int, o baton.Owner) {
	if t, ok := h.thread(core, o); ok {
		h.note(t.Demote())
	}
}

// Promote implements cores.Hands.
func (h *hands) Promote(core int, o baton.Owner) {
	if t, ok := h.thread(core, o); ok {
		h.note(t.Promote())
	}
}

// note logs what failed. A thread may end at any moment, and then its process is about to.
func (h *hands) note(err error) {
	if err != nil {
		h.log.Debug("iokernel: a worker's thread", "err", err)
	}
}

var _ cores.Hands = (*hands)(nil)
