package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/bench/load"
	"github.com/dunlin-io/dunlin/bench/sim"
)

// Shape of a run: p99 is the median over this many windows of this length, each after a time in
// which the policy gets to know the load.
const (
	coresRounds      = 41
	coresQuickRounds = 9
	coresDuration    = 50 * time.Millisecond
	coresWarmup      = 20 * time.Millisecond
)

// benchCoresCommand measures what moving cores costs and brings, and simulates the policies for it.
func benchCoresCommand() *cobra.Command {
	o := &benchOptions{warmup: coresWarmup}
	var simulate bool
	c := &cobra.Command{
		Use:   "cores",
		Short: "What lending a core costs and brings; policies on a simulated machine",
		Long: `Measure how long a core takes from one process to another, by a word in shared memory
that names its owner, and what a service has to pay for lending its core to others.

  handover           two of dunlin's loops, each with an empty host: from the store that grants the
                     core, on another CPU, until the other process runs
  floor/handover     the same exchange of futex calls, and nothing else
  floor/wake         a wake from the other CPU, beside a program of the lowest priority
  decide/16x64       one decision of the policy about 16 runtimes on 64 cores
  lc-alone/20        a service of 10 us a request, at 20 % of the core's time; requests come at
                     random (Poisson), and count from when they were due
  lc-with-be/20      the same beside a best-effort runtime that takes all that is left
  be-share/20        the part of what the service leaves that the other one received
  lc-with-run-be/20  the service beside an ordinary program under dunlin run --be
  linux/20           the same service on a kernel socket beside that program, without dunlin
  interval/5us ...   the service beside the best-effort runtime, at bursts between 2 and 16 %,
                     by how often the policy looks; it does not look earlier when a request waits
  reference/stalls   the part of the time in which a thread on that CPU that does nothing but look
                     at the clock could not, for over 1 ms

The ends /50, /25us and /echo are other loads and services; an echo's load is a tenth of what it
says. The difference of lc-with-be/2 and lc-alone/2 is what it takes to detect a request and to hand
the core over. In a closed loop of the first two each grant waits until the one before is taken up;
in the open loop they come every 5 us whether or not.

With --simulate it needs neither root nor time: the policies run in virtual time on a machine of 64
cores and on one core.
` + benchEpilogue,
		Example: `  sudo dunlin bench cores --html cores.html
  sudo dunlin bench cores --rows 'lc-.*/20 '
  dunlin bench cores --simulate`,
		RunE: func(c *cobra.Command, _ []string) error {
			if simulate {
				return o.simulate(c)
			}
			if o.quick && !c.Flag("rounds").Changed {
				o.Rounds = coresQuickRounds
			}
			o.quick = false
			return o.run(c, load.Cores)
		},
	}
	o.addFlags(c)
	setDefaults(c, coresRounds, coresDuration)
	c.Flags().BoolVar(&simulate, "simulate", false, "run the policies on a simulated "+
		"machine; no root")
	return c
}

// setDefaults gives a benchmark other defaults than the first ones have.
func setDefaults(c *cobra.Command, rounds int, duration time.Duration) {
	for name, value := range map[string]string{
		"rounds": strconv.Itoa(rounds), "duration": duration.String(),
	} {
		f := c.Flag(name)
		_ = f.Value.Set(value) // a number and a duration, as the flags want them
		f.DefValue = value
	}
}

// simulate prints the tables of package sim.
func (o *benchOptions) simulate(c *cobra.Command) error {
	if o.Seed == 0 {
		o.Seed = 1 // any will do, and the same figures each time are more use than others
	}
	start := time.Now()
	for _, table := range []struct {
		title string
		all   []sim.Colocation
	}{
		{
			"64 cores, load 10 -> 80 -> 10 % every 10 ms, exponential service; times in us",
			sim.Means(o.Seed),
		},
		{"the same, 10 us, by the interval between passes", sim.Intervals(o.Seed)},
		{"one core", sim.OneCore(o.Seed)},
	} {
		fmt.Fprintf(c.OutOrStdout(), "%s\n", table.title)
		var rows []sim.Row
		for _, colocation := range table.all {
			more, err := colocation.Run(sim.Simple, sim.Restless, sim.Caladan)
			if err != nil {
				return err
			}
			rows = append(rows, more...)
		}
		if err := sim.WriteTable(c.OutOrStdout(), rows); err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout())
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "seed %d, simulated in %v\n", o.Seed,
		time.Since(start).Round(time.Millisecond))
	return err
}
