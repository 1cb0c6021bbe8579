package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/bench/load"
	"github.com/dunlin-io/dunlin/bench/sim"
)

// benchCoresCommand measures the mechanism by which cores move, and simulates the policies for it.
func benchCoresCommand() *cobra.Command {
	o := &benchOptions{}
	var simulate bool
	c := &cobra.Command{
		Use:   "cores",
		Short: "How long a core takes between processes; policies on a simulated machine",
		Long: `Measure how long a core takes from one process to another, by a word in shared memory
that names its owner: from the store that grants it, on another CPU, until the other process runs.

  handover        two of dunlin's loops, each with an empty host
  floor/handover  the same exchange of futex calls, and nothing else

The closed loop waits for each grant to be taken up before the next; the open loop makes one every
5 us whether or not. The iokernel does not move cores yet: --simulate shows what its policies would
do, in virtual time, on a machine of 64 cores and on one core.
` + benchEpilogue,
		Example: `  sudo dunlin bench cores
  dunlin bench cores --simulate`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if simulate {
				return o.simulate(c)
			}
			return o.run(c, load.Cores)
		},
	}
	o.addFlags(c)
	c.Flags().BoolVar(&simulate, "simulate", false, "run the policies on a simulated "+
		"machine; no root")
	return c
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
