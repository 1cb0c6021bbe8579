package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/bench/sim/swarm"
)

func simGoodputCommand() *cobra.Command {
	seed := uint64(1)
	c := &cobra.Command{
		Use:   "goodput",
		Short: "Measure goodput by loss and by fan-in, in virtual time",
		Long: `Let hosts write into one host's memory as fast as they may, over simulated
cables of 10 Gb/s, 5 us each way, that lose some of all frames in both
directions, behind a switch with 1 MiB for each port. Print what arrives, and
what part that is of one sender's without loss. The same seed gives the same
table, on any machine. Goals that are missed are marked, and it fails then.`,
		Example: `  dunlin sim goodput
  dunlin sim goodput --seed 2 -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			rows, err := swarm.GoodputTable(seed)
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				err = writeJSON(c.OutOrStdout(), rows, "")
			} else {
				err = swarm.WriteGoodput(c.OutOrStdout(), rows)
			}
			for i := range rows {
				if x := &rows[i]; x.Worse() {
					err = errors.Join(err, fmt.Errorf("%d to one, MTU %d, %.1f %% loss: %.1f %% "+
						"of lossless, want %.0f %%", x.Senders, x.MTU, 100*x.Loss, 100*x.Of,
						100*x.Goal))
				}
			}
			return err
		},
	}
	c.Flags().Uint64Var(&seed, "seed", seed, "`number` from which losses are drawn")
	return c
}
