// Package load measures: it makes a network of its own, starts contestants on it, sends requests to
// each, checks and times the replies, and takes everything down again.
//
//	namespace A               one veth pair per family           namespace B
//	generator, this process   ───────────────────────────────>   server, a process of its own
//	CPU of the generator      <───────────────────────────────   CPU of the servers
//
// What it is made of, from the inside out:
//
//	Transport   frames over a bare AF_XDP socket, UDP over the kernel, package net
//	Generator   closed loop, open loop, full window: one machine for all transports
//	driver      who polls the generator: a bare loop, the iokernel's host, another process
//	entrant     a contestant: its drivers, and the processes that must run for them
//	site        the network, the processes, and their end
//	rounds      one row after the other, in another order each round; bench/report has the figures
//
// What makes the figures comparable. All generators of frames are the same code, so rows differ in
// their servers. Each server is a process of its own, without root and capabilities, confined to
// one CPU. Processes of other rows are stopped while a row runs. Each family has a veth pair to
// itself, because an XDP program on an interface changes how the kernel treats all of its traffic.
// Every reply is checked against its request.
//
// It is a door: it decides which process runs and when, never what a figure means. Latency and
// Throughput belong to one goroutine and block for the whole run; root only.
package load

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// Options of a benchmark.
type Options struct {
	Self     []string // starts this program so that it calls RunPeer with one more argument
	Env      []string // of processes started so, in addition to ours
	Echo     []string // starts `dunlin echo`; without it the rows of dunlin are left out
	Run      []string // starts `dunlin run`; without it the row of an ordinary program is left out
	Iokernel string   // path of the iokernel's binary; without it dunlin/binary is left out

	Rows     *regexp.Regexp // which rows, by "name loop bytes"; nil: all
	Rounds   int
	Measure  core.Time                             // of a row in a round
	Warmup   core.Time                             // before it
	Rate     uint64                                // of open loops, in requests per second
	Window   int                                   // of throughput: requests outstanding
	Seed     uint64                                // of the order of rows in a round
	Progress func(format string, arguments ...any) // nil: none
}

// nobody is the user that servers run as: the traditional one without any rights.
const nobody = 65534

// Bounds of waiting for a contestant's first answer. (guess: a process starts within 50 ms)
const (
	answerPatience = 10 * time.Second
	answerPause    = 10 * time.Millisecond
)

// A leftOut error says why a contestant cannot take part where others can.
type leftOut struct{ why string }

func (e *leftOut) Error() string { return e.why }

// ErrNotRoot is what benchmarks return for users who may not make namespaces.
var ErrNotRoot = fmt.Errorf("needs root (sudo), to make network namespaces and attach XDP "+
	"programs: %w", os.ErrPermission)

// ErrFewCPUs is what benchmarks return on a machine that is too small for them.
var ErrFewCPUs = errors.New("too few CPUs")

// ErrNoRow is what they return when Options.Rows chooses none.
var ErrNoRow = errors.New("no such row")

// Session is a benchmark that has ended.
type Session struct {
	Report *report.Report
	series []*report.Series
}

// Distributions yields the whole distribution of each row of latencies.
func (s *Session) Distributions() func(yield func(report.Key, report.Distribution) bool) {
	return func(yield func(report.Key, report.Distribution) bool) {
		for _, row := range s.series {
			if row.Key.Unit == report.Nanoseconds && !yield(row.Key, row.Distribution()) {
				return
			}
		}
	}
}

func (o *Options) check() error {
	switch {
	case os.Geteuid() != 0:
		return fmt.Errorf("load: %w", ErrNotRoot)
	case o.Rounds < 1 || o.Measure < core.Millisecond || o.Warmup < 0:
		return fmt.Errorf("load: %d rounds of %d ns after %d: want at least one of at least a "+
			"millisecond", o.Rounds, o.Measure, o.Warmup)
	case len(o.Self) == 0:
		return errors.New("load: no command that starts a peer")
	}
	return nil
}

func (o *Options) progress(format string, arguments ...any) {
	if o.Progress != nil {
		o.Progress(format, arguments...)
	}
}

// samples is how many a generator must have room for: a closed loop that takes 1 us, faster than
// the kernel's part of any row.
func (o *Options) samples() int { return int(o.Measure/core.Microsecond) + int(burst) }
