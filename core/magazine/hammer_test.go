package magazine

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// hammer is a worker that takes and gives at random. Each object's owner is exchanged on give and
// on take, so an object in two hands shows at once.
type hammer struct {
	cache  *Cache[uint32]
	owner  []atomic.Uint32 // 0: nobody
	name   uint32
	random uint32
	hand   []uint32
}

// run does so many things, and then gives back all that it has.
func (h *hammer) run(t *testing.T, turns int) {
	for range turns {
		if text := h.turn(); text != "" {
			t.Error(text)
			return
		}
	}
	h.end()
}

// turn does one thing, and says what is wrong.
func (h *hammer) turn() string {
	h.random = h.random*1664525 + 1013904223 // Knuth's; its high bits are good enough
	switch r := h.random >> 24; {
	case r < 4:
		h.cache.Drain()
	case r < 130:
		o, ok := h.cache.Get()
		if !ok {
			return ""
		}
		if !h.owner[o].CompareAndSwap(0, h.name) {
			return fmt.Sprintf("object %d is %d's and was given to %d", o, h.owner[o].Load(), h.name)
		}
		h.hand = append(h.hand, o)
	case len(h.hand) > 0:
		o := h.hand[len(h.hand)-1]
		h.hand = h.hand[:len(h.hand)-1]
		if !h.owner[o].CompareAndSwap(h.name, 0) {
			return fmt.Sprintf("object %d left %d's hand", o, h.name)
		}
		h.cache.Put(o)
	}
	return ""
}

// end gives everything back.
func (h *hammer) end() {
	for _, o := range h.hand {
		h.owner[o].Store(0)
		h.cache.Put(o)
	}
	h.cache.Drain()
}

// auditAll demands that all objects are in the depot, each once, and all magazines where they
// belong.
func auditAll(t *testing.T, d *Depot[uint32], caches []*Cache[uint32], objects int) {
	t.Helper()
	all := slices.Sorted(d.Objects)
	if len(all) != objects || len(slices.Compact(all)) != objects {
		t.Fatalf("%d objects are stored, %d were put", len(all), objects)
	}
	mags := 0
	for _, s := range []*stack{&d.full, &d.partial, &d.empty, &d.bare} {
		mags += s.settled(d.next, ^uint32(0))
	}
	if mags+2*len(caches) != len(d.mags) {
		t.Errorf("%d magazines in the depot and %d caches of %d", mags, len(caches), len(d.mags))
	}
}

// TestHammer runs workers against one depot, whose magazines may grow or not, and audits it at the
// end.
func TestHammer(t *testing.T) {
	const (
		objects = 300
		workers = 4
		turns   = 20_000
	)
	for _, growTo := range []int{8, 64} {
		d, caches := newFullOf(t, Config{
			Objects: objects, Rounds: 8, GrowTo: growTo, Caches: workers,
		})
		owner := make([]atomic.Uint32, objects)
		var wg sync.WaitGroup
		for w := range uint32(workers) {
			wg.Go(func() {
				h := hammer{cache: caches[w], owner: owner, name: w + 1, random: w + 1}
				h.run(t, turns)
			})
		}
		wg.Wait()
		auditAll(t, d, caches, objects)
	}
}
