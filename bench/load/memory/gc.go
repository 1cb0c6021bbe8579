package memory

import (
	"math"
	"runtime"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/proclet/arena"
)

// gcArena is the size of an arena that lives while Go collects.
const gcArena = 16 << 20

// collections times whole collections of Go's heap.
type collections struct {
	b     *bench
	bytes int64 // of live arenas meanwhile
	local *arena.Local
}

//
//go:noinline
func openGC(live bool) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		if !live {
			return collections{b: b}, nil
		}
		// The store keeps the pages between two rounds: 1 GiB of page faults takes seconds where
		// the host makes them slow.
		w, err := b.newWindow(4*b.size.heap, arena.StoreOptions{
			Warm: gcArena, Slack: 2 * b.size.heap,
		})
		if err != nil {
			return nil, err
		}
		local, err := w.Store().Local()
		return collections{b, b.size.heap, local}, err
	}
}

func (c collections) run(warm, measure core.Time) (samples []uint32, err error) {
	arenas, err := c.fill()
	if err != nil {
		return nil, err
	}
	c.b.threads[0].Do(func() {
		clock := pin.NewClock()
		runtime.GC() // ends the one before, and its sweep
		now := clock.Now()
		begin, end := now+warm, now+warm+measure
		for now < end || len(samples) == 0 {
			start := now
			runtime.GC()
			if now = clock.Now(); start >= begin {
				samples = append(samples, uint32(min(now-start, math.MaxUint32)))
			}
		}
	})
	for i := range arenas {
		if err := c.local.Shut(&arenas[i].arena, arenas[i].slot); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

type filled struct {
	arena arena.Arena
	slot  arena.Slot
}

// fill makes the arenas, every page of them in use.
func (c collections) fill() ([]filled, error) {
	all := make([]filled, c.bytes/gcArena)
	words := arena.MustRegister[uint64]()
	for i := range all {
		f := &all[i]
		var err error
		if f.slot, err = c.local.Open(&f.arena, gcArena, arena.Options{}); err != nil {
			return nil, err
		}
		h := f.arena.User()
		span, err := words.NewSpan(h, gcArena/8-2*onePage/8)
		if err != nil {
			return nil, err
		}
		for view, at := span.Mut(h), 0; at < len(view); at += onePage / 8 {
			view[at] = 1
		}
	}
	return all, nil
}
