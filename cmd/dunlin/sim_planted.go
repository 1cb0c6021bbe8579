package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/bench/sim/swarm"
	"github.com/dunlin-io/dunlin/core/planted"
)

// plantedOptions are the flags of dunlin sim planted.
type plantedOptions struct {
	seed   uint64
	tries  int
	most   int
	frames uint64
}

func simPlantedCommand() *cobra.Command {
	o := &plantedOptions{}
	c := &cobra.Command{
		Use:   "planted [NAME]...",
		Short: "Count the seeds that find mistakes made on purpose",
		Long: `Make one mistake on purpose after another in the transport, and count the
fresh seeds until a run breaks a promise: the median over several tries, the
promise, and how many tries found nothing in --most seeds. Without names,
all of them. The program must be built with the tag planted.`,
		Example: `  make sim-planted
  go run -tags planted ./cmd/dunlin sim planted credit-leaked --tries 9`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.Uint64Var(&o.seed, "seed", 1, "first `number`")
	f.IntVar(&o.tries, "tries", 5, "`times` that each is looked for")
	f.IntVar(&o.most, "most", 400, "`seeds` after which a try gives up")
	f.Uint64Var(&o.frames, "frames", swarm.DefaultFrames, "`frames` to deliver in each")
	return c
}

func (o *plantedOptions) run(c *cobra.Command, names []string) error {
	if !planted.Enabled {
		return usage(c, errors.New("this program makes no mistakes: build it with -tags planted"))
	}
	var bugs []planted.Bug
	for _, name := range names {
		bug, ok := planted.Named(name)
		if !ok {
			return usage(c, fmt.Errorf("no mistake is named %q", name))
		}
		bugs = append(bugs, bug)
	}
	if len(bugs) == 0 {
		for b := planted.None + 1; b < planted.Bugs; b++ {
			bugs = append(bugs, b)
		}
	}
	t := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "mistake\tmedian seeds\tfound\twhat breaks\n")
	missed := 0
	for _, bug := range bugs {
		h := swarm.HuntFor(bug, o.seed, o.tries, o.most, o.frames)
		median := fmt.Sprint(h.Median())
		if h.Median() == 0 {
			median, missed = fmt.Sprintf("over %d", o.most), missed+1
		}
		fmt.Fprintf(t, "%v\t%s\t%d of %d\t%s\n", bug, median, h.Found, h.Tries, h.Invariant)
		t.Flush()
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d mistakes are not found within %d seeds", missed, len(bugs),
			o.most)
	}
	return nil
}
