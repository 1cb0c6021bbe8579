// Package memory measures dunlin's memory (arenas, their store, containers, change tracking, the
// page codec) beside what others use: Go's heap, maps and slices, glibc's malloc, mimalloc,
// jemalloc and plain mmap, all in one run.
//
//	row ── open ──> runner: made once, used in every round
//	                  ├─ crew        works of one or two threads, timed a batch at a time
//	                  ├─ codec, tracked, blowup, collections: one thing each
//	                  └─ peer        driver/driver.c in a process of its own, with LD_PRELOAD
//
// What makes the figures comparable. Every pattern is written twice, in Go for what is ours and in
// C for the allocators of C, with the same sizes, the same numbers of live blocks and the same
// generator of random numbers; a block is touched when it is given. Both are pinned to the same
// CPUs and read the same clock, once a batch. Rows of a round run in another order each time, and a
// ratio compares two rows of a round. Go's collector is off but for the rows that measure it.
//
// After each row the store, the arenas and the buffers are audited: every byte is in one place.
//
// It is a door as package load is, and needs neither root nor a network.
package memory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/dunlin-io/dunlin/bench/load"
	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// runner measures one row of one round. What its samples are is the row's.
type runner interface {
	run(warm, measure core.Time) (samples []uint32, err error)
}

// A leftOut error says why a row cannot be measured where others can.
type leftOut struct{ why string }

func (e *leftOut) Error() string { return e.why }

// sizes are what a test has smaller than a run.
type sizes struct {
	entries int   // of the large maps; a power of two
	heap    int64 // of the arenas that live while Go collects
}

// full is what the names of the rows say.
func full() sizes { return sizes{entries: 1 << 20, heap: 1 << 30} }

// Alloc measures all rows that o.Rows matches, by "name batch bytes".
func Alloc(ctx context.Context, o load.Options) (*report.Report, error) {
	return alloc(ctx, o, full())
}

func alloc(ctx context.Context, o load.Options, size sizes) (_ *report.Report, err error) {
	if o.Rounds < 1 || o.Measure < core.Millisecond || o.Warmup < 0 {
		return nil, fmt.Errorf("memory: %d rounds of %d ns after %d: want at least one of at "+
			"least a millisecond", o.Rounds, o.Measure, o.Warmup)
	}
	wanted := slices.DeleteFunc(rows(), func(w row) bool {
		return o.Rows != nil && !o.Rows.MatchString(w.label())
	})
	if len(wanted) == 0 {
		return nil, fmt.Errorf("memory: %w: %v matches none of alloc", load.ErrNoRow, o.Rows)
	}
	start := time.Now()
	r := load.NewReport("alloc", o)
	r.Local = true
	b, err := newBench(size)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	r.Machine.Placement = b.placement()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))

	measured, err := b.open(wanted, o, r)
	if err != nil {
		return nil, err
	}
	if err := b.rounds(ctx, measured, o, r); err != nil {
		return nil, err
	}
	r.Notes = append(r.Notes, b.notes...)
	for _, remark := range b.remarks {
		r.Notes = append(r.Notes, remark())
	}
	var series []*report.Series
	for _, m := range measured {
		series = append(series, m.series)
		r.Rows = append(r.Rows, m.series.Row())
	}
	r.Ratios = compare(series)
	r.Run.DurationNs = int64(time.Since(start))
	return r, nil
}

// measured is a row that can be measured here.
type measured struct {
	row
	runner runner
	series *report.Series
	audits []func() error // of the main store, and of what the row made
}

// open makes the runners. What cannot take part is left out, with a note for each reason.
func (b *bench) open(wanted []row, o load.Options, r *report.Report) ([]measured, error) {
	var all []measured
	var reasons []string
	without := map[string][]string{}
	for _, w := range wanted {
		progress(o, "making %s", w.name)
		before := len(b.audits)
		run, err := w.open(b)
		var out *leftOut
		if errors.As(err, &out) {
			if without[out.why] == nil {
				reasons = append(reasons, out.why)
			}
			without[out.why] = append(without[out.why], w.name)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("memory: make %s: %w", w.name, err)
		}
		audits := append([]func() error{b.window.Store().Audit}, b.audits[before:]...)
		all = append(all, measured{w, run, report.NewSeries(w.key()), audits})
	}
	for _, why := range reasons {
		r.Complete = false
		r.Notes = append(r.Notes, fmt.Sprintf("left out: %s (%s)", list(without[why]), why))
	}
	return all, nil
}

// list is names with commas.
func list(names []string) (text string) {
	for i, name := range names {
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}

// rounds measures every row once in each round, in another order each time.
func (b *bench) rounds(ctx context.Context, all []measured, o load.Options,
	r *report.Report,
) error {
	quiet, err := load.Listen(func() []int { return nil })
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(o.Seed, 0))
	for round := range o.Rounds {
		progress(o, "round %d of %d", round+1, o.Rounds)
		for _, i := range random.Perm(len(all)) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := b.one(&all[i], o); err != nil {
				return fmt.Errorf("memory: %s, round %d: %w", all[i].name, round+1, err)
			}
		}
		runtime.GC()
	}
	return quiet(&r.Run)
}

// one measures one row of one round.
func (b *bench) one(m *measured, o load.Options) error {
	samples, err := m.runner.run(o.Warmup, o.Measure)
	if err != nil {
		return err
	}
	switch m.unit {
	case report.Bytes:
		m.series.AddRate(int64(samples[0])*rateStep, report.Faults{})
	case report.Parts:
		m.series.AddRate(int64(samples[0]), report.Faults{})
	default:
		m.series.AddLatencies(samples, report.Faults{})
	}
	return audit(m.audits)
}

func progress(o load.Options, format string, arguments ...any) {
	if o.Progress != nil {
		o.Progress(format, arguments...)
	}
}
