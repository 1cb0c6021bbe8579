package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/bench/sim/swarm"
)

func simCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sim",
		Short: "Run the transport on simulated hosts and networks, by seeds",
		Long: `Run the transport, as it is in production, on simulated hosts that crash,
pause and have clocks of their own, and networks that lose, copy, damage and
hold frames. A seed names a run: what goes wrong, what the hosts do, and
each byte. It needs no root and no network.`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(simRunCommand(), simSwarmCommand(), simGoodputCommand(), simPlantedCommand())
	return c
}

// errBroken is a promise that a run broke. What it was has been printed.
var errBroken = errors.New("a promise was broken")

// simOptions are the flags of dunlin sim run.
type simOptions struct {
	seed     uint64
	frames   uint64
	scenario string
	write    string
	script   string
	shrink   int
	stack    bool
}

func simRunCommand() *cobra.Command {
	o := &simOptions{}
	c := &cobra.Command{
		Use:   "run",
		Short: "Run one seed or scenario again, and shrink it",
		Long: `Run the scenario of a seed, or one from a file: first with all that goes
wrong in it, until the network has delivered so many frames (in some seeds
three times as many) or nothing is left to do; then it heals
some hosts for good, and everything that was begun must end. It checks after
each step, and all of it each 1,024 steps. The same seed gives the same
hash, on any machine of this kind.

With --shrink it looks for a smaller scenario that breaks the same promise,
in so many runs.`,
		Example: `  dunlin sim run --seed 9
  dunlin sim run --seed 9 --shrink 500 --write seed9.json
  dunlin sim run --scenario seed9.json
  dunlin sim run --seed 9 --script faults.json    for dunlin lab wire --script`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.Uint64Var(&o.seed, "seed", 1, "`number` of the run")
	f.Uint64Var(&o.frames, "frames", swarm.DefaultFrames, "`frames` to deliver before the healing")
	f.StringVar(&o.scenario, "scenario", "", "run the scenario in this `file` instead of a seed's")
	f.StringVar(&o.write, "write", "", "write the scenario, after shrinking, to this `file`")
	f.StringVar(&o.script, "script", "", "write what the network does in it to this `file`")
	f.IntVar(&o.shrink, "shrink", 0, "shrink a failure in so many `runs`")
	f.BoolVar(&o.stack, "stack", false, "show where a panic came from")
	return c
}

func (o *simOptions) run(c *cobra.Command) error {
	s, err := o.read(c)
	if err != nil {
		return err
	}
	runner := swarm.NewRunner()
	start := time.Now()
	result := runner.Run(&s)
	took := time.Since(start)
	if result.Failure != nil && o.shrink > 0 {
		var runs int
		result, runs = swarm.Shrink(runner, result, o.shrink)
		fmt.Fprintf(c.ErrOrStderr(), "shrunk in %d runs\n", runs)
	}
	err = o.save(result.Scenario)
	if wantsJSON(c) {
		err = errors.Join(err, writeJSON(c.OutOrStdout(), result, ""))
	} else {
		err = errors.Join(err, writeRun(c.OutOrStdout(), result, took))
	}
	if result.Failure == nil {
		return err
	}
	if o.stack && result.Stack != "" {
		fmt.Fprintln(c.ErrOrStderr(), result.Stack)
	}
	return errors.Join(err, result.Failure)
}

func (o *simOptions) read(c *cobra.Command) (swarm.Scenario, error) {
	if o.scenario == "" {
		return swarm.Draw(o.seed, o.frames), nil
	}
	text, err := os.ReadFile(o.scenario)
	if err != nil {
		return swarm.Scenario{}, err
	}
	var s swarm.Scenario
	if err := json.Unmarshal(text, &s); err != nil {
		return s, usage(c, fmt.Errorf("%s: %w", o.scenario, err))
	}
	if err := s.Validate(); err != nil {
		return s, usage(c, fmt.Errorf("%s: %w", o.scenario, err))
	}
	return s, nil
}

// save writes what was asked for.
func (o *simOptions) save(s *swarm.Scenario) error {
	var errs []error
	if o.write != "" {
		errs = append(errs, writeFile(o.write, func(w io.Writer) error {
			return writeJSON(w, s, "  ")
		}))
	}
	if o.script != "" {
		errs = append(errs, writeFile(o.script, func(w io.Writer) error {
			return fabric.WriteScript(w, s.Script)
		}))
	}
	return errors.Join(errs...)
}

func writeFile(name string, write func(w io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

func writeRun(w io.Writer, r swarm.Result, took time.Duration) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "seed\t%d\n", r.Scenario.Seed)
	fmt.Fprintf(t, "hosts\t%d\n", len(r.Scenario.Hosts))
	fmt.Fprintf(t, "link events\t%d\n", r.Frames)
	fmt.Fprintf(t, "events\t%d\n", r.Events)
	fmt.Fprintf(t, "virtual time\t%v\n", time.Duration(r.Until))
	fmt.Fprintf(t, "hash\t%016x\n", r.Hash)
	for _, row := range r.Outcomes.Rows() {
		fmt.Fprintf(t, "%ss\t%d done, %d failed, %d unknown\n", row.Kind, row.Done, row.Failed,
			row.Unknown)
	}
	for _, state := range r.Rare.States() {
		fmt.Fprintf(t, "%s\t%d\n", state.Name, state.Count)
	}
	fmt.Fprintf(t, "time\t%v\n", took.Round(time.Millisecond))
	return t.Flush()
}

// Shape of a swarm that runs for some time.
const (
	// fleetFrames is what a seed delivers: more than in tests, so that the arithmetic of handshakes
	// is a tenth of the work instead of a quarter. (measured)
	fleetFrames = 40_000
	// fleetGC is the collector's target in percent: a run's memory is small, its garbage is not.
	fleetGC = 400
)

// fleetOptions are the flags of dunlin sim swarm.
type fleetOptions struct {
	seed    uint64
	seeds   uint64
	frames  uint64
	seconds float64
	workers int
	rare    bool
}

func simSwarmCommand() *cobra.Command {
	o := &fleetOptions{}
	c := &cobra.Command{
		Use:   "swarm",
		Short: "Run fresh seeds for some time",
		Long: `Run seeds one after another on all CPUs, each with faults of its own. A seed
that breaks a promise is printed with the command that runs it again. With
1,000 seeds or more, each of the rare states that are worth reaching must
have been reached, or it fails. The last line is

  seeds=N events=N events_per_s=N failures=N

where an event is a frame that a simulated link handed to a transport, and
the rate is that of all CPUs together.`,
		Example: `  dunlin sim swarm --seconds 60
  dunlin sim swarm --seed 1 --seeds 2000 --workers 1`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.Uint64Var(&o.seed, "seed", 0, "first `number`; 0: one that nobody has used, from the clock")
	f.Uint64Var(&o.seeds, "seeds", 0, "at most so many `seeds`; 0: as many as time allows")
	f.Uint64Var(&o.frames, "frames", fleetFrames, "`frames` to deliver in each")
	f.Float64Var(&o.seconds, "seconds", 0, "stop after so many `seconds`; 0: with --seeds")
	f.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "seeds at a time")
	f.BoolVar(&o.rare, "rare", true, "demand the rare states")
	return c
}

func (o *fleetOptions) run(c *cobra.Command) error {
	if o.seconds <= 0 && o.seeds == 0 {
		return usage(c, errors.New("say --seconds or --seeds"))
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixMilli())
	}
	defer debug.SetGCPercent(debug.SetGCPercent(fleetGC))
	start := time.Now()
	limit := time.Duration(o.seconds * float64(time.Second))
	out := c.OutOrStdout()
	fleet := swarm.Fleet{
		Base: o.seed, Seeds: o.seeds, Frames: o.frames, Workers: o.workers,
		Stop: func() bool {
			return c.Context().Err() != nil || o.seconds > 0 && time.Since(start) >= limit
		},
		Tell: func(r swarm.Result) {
			if r.Failure != nil {
				fmt.Fprintf(out, "%v\n  %s\n", r.Failure, swarm.Replay(r.Scenario))
			}
		},
	}
	fmt.Fprintf(out, "seeds from %d on\n", o.seed)
	sum := fleet.Run()
	took := time.Since(start)
	missing := 0
	for _, state := range sum.Rare.States() {
		fmt.Fprintf(out, "%12d  %s\n", state.Count, state.Name)
		if state.Count == 0 && o.rare && sum.Seeds >= swarm.SeedsForRare {
			missing++
			fmt.Fprintf(out, "%12s  never reached: %s\n", "", state.Name)
		}
	}
	fmt.Fprintf(out, "seeds=%d events=%d events_per_s=%.0f failures=%d\n", sum.Seeds, sum.Frames,
		float64(sum.Frames)/took.Seconds(), sum.Failed)
	switch {
	case sum.Failed > 0:
		return fmt.Errorf("%d of %d seeds: %w", sum.Failed, sum.Seeds, errBroken)
	case missing > 0:
		return fmt.Errorf("%d rare states were never reached", missing)
	}
	return nil
}
