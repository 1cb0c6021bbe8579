package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/bench/load"
	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/core"
)

func benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure dunlin beside the raw socket, the kernel and other allocators",
		Long: `Measure dunlin beside the raw socket, the kernel and others, on this machine.

Each benchmark but alloc makes two network namespaces joined by veth pairs, starts its contestants
there and removes everything afterwards, also when it fails or is interrupted. It touches no other
interface, and needs root. Alloc measures memory, and needs neither.
Rows are interleaved in rounds, so that a machine that changes its speed does so for all of them.`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(benchLatencyCommand(), benchThroughputCommand(), benchRPCCommand(),
		benchCoresCommand(), benchAllocCommand(), benchPeerCommand())
	return c
}

// Shape of a run in numbers that a user may change.
const (
	// benchRounds is enough for a median of p99 that one bad round does not decide.
	benchRounds = 9
	// benchRate is one request each 100 us: below what a blocking server of the kernel can take.
	benchRate = 10_000
	// benchWindow is four bursts of a worker.
	benchWindow = 256

	// A row of a round takes this long; --quick has to fit 9 rounds of 42 rows into 75 s.
	benchDuration = 400 * time.Millisecond
	quickDuration = 100 * time.Millisecond
	// warmupShare of the duration goes before it, to wake what was stopped and fill its caches.
	warmupShare = 10
)

// benchOptions are the flags that all benchmarks have.
type benchOptions struct {
	load.Options
	rows     string
	duration time.Duration
	warmup   time.Duration // 0: a part of duration
	quick    bool
	json     string
	html     string
	hgrm     string
}

func (o *benchOptions) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.IntVar(&o.Rounds, "rounds", benchRounds, "`times` that each row is measured")
	f.DurationVar(&o.duration, "duration", benchDuration, "`time` of a row in a round")
	f.BoolVar(&o.quick, "quick", false, "shorten --duration so that all fits into 90 s")
	f.StringVar(&o.rows, "rows", "", "only rows whose \"name loop bytes\" matches `regexp`")
	f.Uint64Var(&o.Seed, "seed", 0, "of the order of rows in each round; 0: some `number`")
	f.StringVar(&o.json, "json", "", "write the report to this `file`, or to standard output, "+
		"with all that was measured")
	f.Lookup("json").NoOptDefVal = standardOutput
	f.StringVar(&o.html, "html", "", "write a page with the distributions drawn to this `file`")
	c.Args = cobra.MaximumNArgs(1) // --json's
	c.PreRunE = o.jsonFile
}

// standardOutput is what --json means without a file.
const standardOutput = "-"

// jsonFile reads --json, --json FILE and --json=FILE: a flag whose value may be missing leaves what
// follows it to the arguments.
func (o *benchOptions) jsonFile(c *cobra.Command, args []string) error {
	if o.json != standardOutput {
		return usage(c, cobra.NoArgs(c, args))
	}
	if o.json = ""; len(args) == 1 {
		o.json = args[0]
		return nil
	}
	return c.Flag("output").Value.Set("json")
}

const benchEpilogue = `
A row's p50 and max are over all rounds, p90, p99 and p99.9 the median of the rounds'. A ratio is
the median over the rounds of the quotient within a round. Lost or wrong replies are counted and
said.

It needs root and two CPUs. Exit codes: see dunlin --help; 0 also when a goal was missed.`

func benchLatencyCommand() *cobra.Command {
	o := &benchOptions{}
	c := &cobra.Command{
		Use:   "latency",
		Short: "Round-trip times, closed and open loop, beside the floor and the kernel",
		Long: `Measure round-trip times of all contestants in one run.

  floor/raw                 two AF_XDP sockets in ping-pong and nothing else
  dunlin/direct/raw         a runtime that owns a NIC queue
  dunlin/mediated/raw, udp  a runtime behind an iokernel
  dunlin/binary/raw         the same with iokernel and generator in processes of their own, parking
  asavie/raw                github.com/asavie/xdp
  kernel/udp-spin, -block   UDP sockets, both ends polling or blocking
  go/udp                    net.UDPConn
  kernel/*-with-xdp, -beside  what kernel traffic pays on an interface that has the program
` + benchEpilogue,
		Example: `  sudo dunlin bench latency --quick
  sudo dunlin bench latency --json latency.json --html latency.html
  sudo dunlin bench latency --rows '^(floor|dunlin).* closed 64' --rounds 15`,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c, load.Latency) },
	}
	o.addFlags(c)
	c.Flags().Uint64Var(&o.Rate, "rate", benchRate, "`requests` per second of the open loops")
	c.Flags().StringVar(&o.hgrm, "hgrm", "", "write a percentile file for each row into `dir`")
	return c
}

func benchThroughputCommand() *cobra.Command {
	o := &benchOptions{}
	c := &cobra.Command{
		Use:   "throughput",
		Short: "Frames per second that one worker answers",
		Long: `Measure how many frames of 64 B one worker answers per second, with a full window of
requests outstanding.
` + benchEpilogue,
		Example: `  sudo dunlin bench throughput
  sudo dunlin bench throughput --window 64 -o json`,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c, load.Throughput) },
	}
	o.addFlags(c)
	c.Flags().IntVar(&o.Window, "window", benchWindow, "`requests` outstanding")
	return c
}

// benchPeerCommand is what this program calls itself with to be a contestant.
func benchPeerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "peer CONFIG",
		Short:  "Be a contestant of a benchmark that started this process",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(_ *cobra.Command, args []string) error { return load.RunPeer(args[0]) },
	}
}

// self is the program that runs: by its link in /proc, because the users that contestants run as
// may not be able to reach its path.
const self = "/proc/self/exe"

// complete fills in what the flags leave open.
func (o *benchOptions) complete(c *cobra.Command) error {
	if o.rows != "" {
		expression, err := regexp.Compile(o.rows)
		if err != nil {
			return usage(c, fmt.Errorf("--rows: %w", err))
		}
		o.Rows = expression
	}
	if o.quick && !c.Flag("duration").Changed {
		o.duration = quickDuration
	}
	if o.Rounds < 1 || o.duration < time.Millisecond {
		return usage(c, fmt.Errorf("--rounds %d --duration %v: want at least one round of a "+
			"millisecond", o.Rounds, o.duration))
	}
	if o.Seed == 0 {
		o.Seed = uint64(rand.Uint32()) + 1 // short enough to type again
	}
	o.Measure = core.Time(o.duration)
	if o.Warmup = core.Time(o.duration / warmupShare); o.warmup > 0 {
		o.Warmup = core.Time(o.warmup)
	}
	o.Self = []string{self, "bench", "peer"}
	o.Echo = []string{self, "echo"}
	o.Run = []string{self, "run"}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the iokernel beside this program: %w", err)
	}
	o.Iokernel = filepath.Join(filepath.Dir(program), "iokernel")
	if colours(c.ErrOrStderr()) {
		o.Progress = func(format string, arguments ...any) {
			const clearLine = "\r\x1b[K"
			fmt.Fprintf(c.ErrOrStderr(), clearLine+format, arguments...)
		}
	}
	return nil
}

func (o *benchOptions) run(c *cobra.Command,
	measure func(ctx context.Context, o load.Options) (*load.Session, error),
) error {
	if err := o.complete(c); err != nil {
		return err
	}
	files, err := o.create()
	if err != nil {
		return err
	}
	defer files.close()
	session, err := measure(c.Context(), o.Options)
	if o.Progress != nil {
		o.Progress("")
	}
	switch {
	case c.Context().Err() != nil:
		return fmt.Errorf("interrupted, and everything removed (%w)", err)
	case errors.Is(err, load.ErrNoRow):
		return usage(c, err)
	case errors.Is(err, load.ErrFewCPUs):
		return exit.As(exit.Unsupported, err)
	case err != nil:
		return err
	}
	if err := o.publish(c, session.Report, files); err != nil {
		return err
	}
	if o.hgrm != "" {
		return load.WriteHGRM(o.hgrm, session)
	}
	return nil
}

// publish writes a report to standard output and to the files that were asked for.
func (o *benchOptions) publish(c *cobra.Command, r *report.Report, files benchFiles) error {
	write := r.WriteTable
	if wantsJSON(c) {
		write = r.WriteJSON
	}
	if err := write(c.OutOrStdout()); err != nil {
		return err
	}
	if err := files.write(o.json, r.WriteJSON); err != nil {
		return err
	}
	return files.write(o.html, r.WriteHTML)
}

// benchFiles are the files of a report, created before the run: it takes minutes, and must not end
// in a path that cannot be written.
type benchFiles map[string]*os.File

func (o *benchOptions) create() (benchFiles, error) {
	files := benchFiles{}
	for _, path := range []string{o.json, o.html} {
		if path == "" {
			continue
		}
		file, err := os.Create(path)
		if err != nil {
			files.close()
			return nil, err
		}
		files[path] = file
	}
	return files, nil
}

func (f benchFiles) write(path string, write func(io.Writer) error) error {
	file, ok := f[path]
	if !ok {
		return nil
	}
	if err := write(file); err != nil {
		return err
	}
	delete(f, path)
	return file.Close()
}

func (f benchFiles) close() {
	for _, file := range f {
		file.Close()
	}
}
