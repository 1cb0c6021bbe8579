package memory

import (
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/proclet/arena"
	"github.com/dunlin-io/dunlin/proclet/window"
)

// A small proclet's arena, and what it writes of it.
const (
	slotBytes = arena.MinCap
	onePage   = arena.PageBytes
	// slotBatch is how many arenas are made and destroyed between two readings of the clock.
	slotBatch = 64
)

// openCreate makes an arena, writes one page and destroys it; its header is the other page that is
// written. With all, it writes every byte that the arena can give it.
//
//go:noinline
func openCreate(workers int, all bool) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		words := arena.MustRegister[uint64]()
		works, _ := each(workers, func(worker int) (work, error) {
			l, a := b.locals[worker], new(arena.Arena)
			return func(n int) {
				for range n {
					s, err := l.Open(a, slotBytes, arena.Options{Seed: 1})
					must(err)
					h := a.User()
					bytes := int(onePage)
					if all {
						bytes = int(h.Room()) / onePage * onePage
					}
					span, err := words.NewSpan(h, bytes/8-1) // a word stands in front
					must(err)
					fill(span.Mut(h))
					must(l.Shut(a, s))
				}
			}, nil
		})
		return b.crew(slotBatch, works...), nil
	}
}

// fill writes words that are not zero.
func fill(words []uint64) {
	for i := range words {
		words[i] = uint64(i) + 1
	}
}

// openClear clears a slot's bytes that were written just before, as a destroyed arena's were.
// openFill writes them.
func openClear(b *bench) (runner, error) {
	s, err := b.newSlot(0, slotBytes)
	if err != nil {
		return nil, err
	}
	return b.crew(slotBatch, func(n int) {
		for range n {
			clear(s.Bytes())
		}
	}), nil
}

func openFill(b *bench) (runner, error) {
	a, err := b.newArena(0, 2*slotBytes)
	if err != nil {
		return nil, err
	}
	span, err := arena.MustRegister[uint64]().NewSpan(a.User(), slotBytes/8)
	if err != nil {
		return nil, err
	}
	return b.crew(slotBatch, func(n int) {
		for range n {
			fill(span.Mut(a.User()))
		}
	}), nil
}

// openMmap is openCreate without a store: a mapping, two pages of it written, and its end.
func openMmap(b *bench) (runner, error) {
	return b.crew(slotBatch, func(n int) {
		for range n {
			m, err := unix.Mmap(-1, 0, int(slotBytes), unix.PROT_READ|unix.PROT_WRITE,
				unix.MAP_ANON|unix.MAP_PRIVATE)
			must(err)
			for at := range 2 * onePage / 8 {
				m[at*8] = 1
			}
			must(unix.Munmap(m))
		}
	}), nil
}

// The producer/consumer pattern: one worker makes arenas and the other destroys them.
const (
	blowupLive  = 512 // arenas of 64 KiB, all of whose pages are written
	blowupBatch = 64  // destroyed, and made again, at a time
)

// openBlowup measures what the pattern takes at most: pages over those of live arenas. Its store is
// its own: slots of other rows would count as well.
func openBlowup(b *bench) (runner, error) {
	w, err := b.newWindow(blowupBytes, arena.StoreOptions{})
	if err != nil {
		return nil, err
	}
	p := &blowup{bench: b, window: w}
	for i := range p.locals {
		if p.locals[i], err = w.Store().Local(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// blowup runs the pattern. What lives at the end of a run is there in the next.
type blowup struct {
	bench  *bench
	window *window.Window
	locals [maxWorkers]*arena.Local
	live   []arena.Slot // the oldest first
}

func (p *blowup) run(warm, measure core.Time) ([]uint32, error) {
	most := 0.0
	clock := pin.NewClock()
	end := clock.Now() + warm + measure
	for {
		var err error
		p.bench.threads[0].Do(func() { err = p.produce() })
		if err != nil {
			return nil, err
		}
		n := p.window.Store().Stats()
		most = max(most, float64(n.Used+n.Spare)/(blowupLive*slotBytes))
		if clock.Now() >= end {
			return []uint32{uint32(most * millionths)}, nil
		}
		p.bench.threads[1].Do(func() { err = p.consume() })
		if err != nil {
			return nil, err
		}
	}
}

// produce fills up with live arenas, every byte written.
func (p *blowup) produce() error {
	for len(p.live) < blowupLive {
		s, err := p.locals[0].Create(slotBytes)
		if err != nil {
			return err
		}
		if s.Populated() < slotBytes { // the store counts what was asked for
			if err := s.Memory().Populate(s.Off(), slotBytes); err != nil {
				return err
			}
		}
		for at := 0; at < int(slotBytes); at += onePage {
			s.Bytes()[at] = 1
		}
		p.live = append(p.live, s)
	}
	return nil
}

// consume destroys the oldest, on another worker.
func (p *blowup) consume() error {
	for _, s := range p.live[:blowupBatch] {
		if err := p.locals[1].Destroy(s, slotBytes, slotBytes); err != nil {
			return err
		}
	}
	p.live = append(p.live[:0], p.live[blowupBatch:]...)
	return nil
}

// millionths is the resolution of ratios.
const millionths = 1_000_000
