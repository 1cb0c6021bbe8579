package memory

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/page"
	"github.com/dunlin-io/dunlin/core/pin"
)

// change is a kind of change that pages of heaps see.
type change struct {
	name    string
	decoded bool // has a row for decoding as well
	make    func(*rand.Rand, *page.Page)
}

const (
	pageBytes = page.Bytes
	pageWords = page.Bytes / 8
)

// changes are the rows of the codec.
func changes() []change {
	counters := func(r *rand.Rand, p *page.Page) {
		for range 8 {
			p[r.IntN(pageWords)*8]++
		}
	}
	return []change{
		{"same", false, func(*rand.Rand, *page.Page) {}},
		{"words4", true, func(r *rand.Rand, p *page.Page) { setWords(r, p, 4) }},
		{"counters8", false, counters},
		{"words32", true, func(r *rand.Rand, p *page.Page) { setWords(r, p, 32) }},
		{"words128", false, func(r *rand.Rand, p *page.Page) { setWords(r, p, 128) }},
		{"half", false, func(r *rand.Rand, p *page.Page) { writeWords(r, p, pageWords/2) }},
		{"random", true, func(r *rand.Rand, p *page.Page) { writeWords(r, p, pageWords) }},
		{"zero", true, func(_ *rand.Rand, p *page.Page) { *p = page.Page{} }},
	}
}

func setWords(r *rand.Rand, p *page.Page, n int) {
	for range n {
		binary.LittleEndian.PutUint64(p[r.IntN(pageWords)*8:], r.Uint64())
	}
}

func writeWords(r *rand.Rand, p *page.Page, n int) {
	for i := range n {
		binary.LittleEndian.PutUint64(p[i*8:], r.Uint64())
	}
}

// heapPage is a third each of references, small numbers and random words.
func heapPage(r *rand.Rand) (p page.Page) {
	for i := range pageWords {
		word := r.Uint64()
		switch r.IntN(3) {
		case 0:
			word >>= 32
		case 1:
			word >>= 54
		}
		binary.LittleEndian.PutUint64(p[i*8:], word)
	}
	return p
}

// codecPages is 1 MiB of pages and as much of shadows.
const codecPages = 256

// codec encodes pages against their shadows, or applies what was encoded.
type codec struct {
	b              *bench
	pages, shadows []page.Page
	stream, dst    []byte
	memory         []byte
	apply          bool
}

//
//go:noinline
func openCodec(c change, apply bool) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		r := rand.New(rand.NewPCG(1, 2))
		e := &codec{
			b: b, apply: apply,
			pages: make([]page.Page, codecPages), shadows: make([]page.Page, codecPages),
			dst:    make([]byte, 0, codecPages*page.MaxRecordBytes),
			memory: make([]byte, codecPages*page.Bytes),
		}
		for i := range e.pages {
			e.shadows[i] = heapPage(r)
			e.pages[i] = e.shadows[i]
			c.make(r, &e.pages[i])
		}
		e.encode()
		e.stream = append([]byte(nil), e.dst...)
		if !apply {
			b.notes = append(b.notes, fmt.Sprintf("codec/%s: %.1f bytes of a page of %d, with its "+
				"header", c.name, float64(len(e.stream))/codecPages, page.Bytes))
		}
		return e, nil
	}
}

func (e *codec) encode() {
	e.dst = e.dst[:0]
	for i := range e.pages {
		e.dst, _, _ = page.Append(e.dst, uint64(i), &e.pages[i], &e.shadows[i])
	}
}

// run returns one sample: bytes of pages per second, in steps of rateStep, of the middle pass.
func (e *codec) run(warm, measure core.Time) ([]uint32, error) {
	var passes []core.Time
	var err error
	e.b.threads[0].Do(func() {
		clock := pin.NewClock()
		now := clock.Now()
		begin, end := now+warm, now+warm+measure
		for (now < end || len(passes) == 0) && len(passes) < mostSamples {
			start := clock.Now()
			if !e.apply {
				e.encode()
			} else if _, err = page.Apply(e.memory, e.stream); err != nil {
				return
			}
			if now = clock.Now(); start >= begin {
				passes = append(passes, now-start)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(passes)
	middle := float64(passes[len(passes)/2])
	perSecond := codecPages * page.Bytes / middle * float64(core.Second)
	return []uint32{uint32(perSecond / rateStep)}, nil
}

// rateStep is the resolution of rates in bytes per second: a sample has 32 bits.
const rateStep = 1024
