package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/bench/load"
	"github.com/dunlin-io/dunlin/bench/load/memory"
	"github.com/dunlin-io/dunlin/cmd/internal/exit"
)

// Shape of a run: some 85 rows have to fit into three minutes, and with --quick into half of one.
const (
	allocRounds        = 9
	allocDuration      = 60 * time.Millisecond
	allocQuickRounds   = 5
	allocQuickDuration = 20 * time.Millisecond
)

// benchAllocCommand measures memory. It needs neither root nor a network.
func benchAllocCommand() *cobra.Command {
	o := &benchOptions{}
	c := &cobra.Command{
		Use:   "alloc",
		Short: "Arenas, their store and containers, beside Go's heap and allocators of C",
		Long: `Measure what memory costs: arenas, the store that they come from, their containers,
change tracking and the page codec, beside Go's heap, maps and slices, glibc's malloc, mimalloc,
jemalloc and mmap.

  .../pair/64          allocate 64 bytes, touch and free them; go-new/64 leaves that to Go
  .../mix              replace one of 1024 blocks of 16 to 1024 bytes by another, at random
  .../threadtest/2     allocate 1000 blocks, then free them (the Hoard paper's, like the next two)
  .../active-false/2   write to a block of 8 bytes a thousand times, beside another thread's
  .../passive-false/2  the same, where the first blocks of both come from one thread
  .../larson/2         replace blocks of 10 to 500 bytes, half of which the other thread allocated
  .../blowup           pages over live bytes, at most: one thread allocates, the other frees
  store/create-...     make and destroy arenas of 64 KiB; with fill, every byte is written
  clear, fill, mmap    what that consists of, and the same from the kernel
  arena-map, -ordered  a map with 1 M entries in an arena, beside Go's; arena-vec beside a slice
  dirty/...            change tracking by the kernel: a first write to a page, scans, arming
  software/...         the tracker that takes the kernel's place where there is none
  codec/...            bytes of pages per second, by kind of change
  gc/...               a collection of Go's heap, beside no arenas and 1 GiB of them

The end /2 is the number of threads; times are those of one operation on one thread. Allocators of
C run in a program that is compiled for this with cc (apt-get install gcc libc6-dev), and are found
as libmimalloc.so and libjemalloc.so.2 (apt-get install libmimalloc2.0 libjemalloc2). What is
missing is left out, and the report says so.

A row's p50 and max are over all rounds, p90, p99 and p99.9 the median of the rounds'. A ratio is
the median over the rounds of the quotient within a round; a row alone is held against its goal.

It needs two CPUs, and no root. Exit codes: see dunlin --help; 0 also when a goal was missed.`,
		Example: `  dunlin bench alloc --quick
  dunlin bench alloc --json alloc.json --html alloc.html
  dunlin bench alloc --rows '/(pair|larson)/' --rounds 15 -o json`,
		RunE: func(c *cobra.Command, _ []string) error { return o.runAlloc(c) },
	}
	o.addFlags(c)
	setDefaults(c, allocRounds, allocDuration)
	c.Flag("quick").Usage = "fewer and shorter rounds, in half a minute"
	return c
}

// runAlloc is run for a suite without contestants of its own.
func (o *benchOptions) runAlloc(c *cobra.Command) error {
	if o.quick && !c.Flag("rounds").Changed {
		o.Rounds = allocQuickRounds
	}
	if o.quick && !c.Flag("duration").Changed {
		o.duration = allocQuickDuration
	}
	o.quick = false
	if err := o.complete(c); err != nil {
		return err
	}
	files, err := o.create()
	if err != nil {
		return err
	}
	defer files.close()
	r, err := memory.Alloc(c.Context(), o.Options)
	if o.Progress != nil {
		o.Progress("")
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted, and everything removed (%w)", err)
	case errors.Is(err, load.ErrNoRow):
		return usage(c, err)
	case errors.Is(err, load.ErrFewCPUs):
		return exit.As(exit.Unsupported, err)
	case err != nil:
		return err
	}
	return o.publish(c, r, files)
}
