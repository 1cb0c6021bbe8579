package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/bench/lab/wire"
	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
)

func labCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "lab",
		Short: "Try real programs on bad networks",
		Args:  cobra.NoArgs,
	}
	c.AddCommand(labWireCommand())
	return c
}

// wireOptions are the flags of dunlin lab wire.
type wireOptions struct {
	script    string
	pair      []int
	seed      uint64
	swarm     bool
	loss      float64
	duplicate float64
	reorder   float64
	corrupt   float64
	delay     time.Duration
	duration  time.Duration
	dry       bool
}

// reorderDelay is how far --reorder and --duplicate displace a frame: some frames at any rate that
// the box can carry. (guess)
const reorderDelay = 100 * core.Microsecond

func labWireCommand() *cobra.Command {
	o := &wireOptions{}
	c := &cobra.Command{
		Use:   "wire INTERFACE INTERFACE",
		Short: "Be a bad cable between two interfaces (root)",
		Long: `Carry all frames between two interfaces, and delay, lose, copy and damage them as
a seed and a script say: the same fault model that the simulator uses, on real frames.

Put it in the middle: hosts on the far ends of two veth pairs, this between the near ends, which
have no addresses. On the hosts' own interfaces nothing could be done to frames that AF_XDP sends.
Hosts that use the kernel's stack must compute checksums and segments themselves (ethtool -K IFACE
tx off tso off), because this cable carries what it is given.

Faults come from a script (dunlin sim run --seed N --script FILE writes that of a simulation),
from --swarm, which draws them from the seed as the simulator does, or from the flags for single
faults, which hold both ways. It ends by SIGINT or --for, and says what it did.`,
		Example: `  sudo ip netns exec middle dunlin lab wire wa wb --loss 0.01 --delay 50us
  sudo ip netns exec middle dunlin lab wire wa wb --swarm --seed 9
  sudo ip netns exec middle dunlin lab wire wa wb --script seed9.json --pair 0,2`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.StringVar(&o.script, "script", "", "play the script in this `file`")
	f.IntSliceVar(&o.pair, "pair", nil, "the two `hosts` of the script to play: A,B (0,1)")
	f.Uint64Var(&o.seed, "seed", 0, "`number` from which all faults are drawn (that of the script)")
	f.BoolVar(&o.swarm, "swarm", false, "draw which faults exist and how strong they are")
	f.Float64Var(&o.loss, "loss", 0, "`part` of the frames to lose, 0 to 1")
	f.Float64Var(&o.duplicate, "duplicate", 0, "`part` to deliver twice")
	f.Float64Var(&o.reorder, "reorder", 0, "`part` to deliver late")
	f.Float64Var(&o.corrupt, "corrupt", 0, "`part` in which to flip a bit")
	f.DurationVar(&o.delay, "delay", 0, "`time` each way")
	f.DurationVar(&o.duration, "for", 0, "end after this `time`; 0 is never")
	f.BoolVar(&o.dry, "print", false, "print the script instead of playing it")
	return c
}

func (o *wireOptions) run(c *cobra.Command, args []string) error {
	s, err := o.read(c)
	if err != nil {
		return err
	}
	if o.dry {
		return fabric.WriteScript(c.OutOrStdout(), s)
	}
	a, err := wire.Open(args[0])
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := wire.Open(args[1])
	if err != nil {
		return err
	}
	defer b.Close()
	box, err := wire.New(a, b, s)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "carrying frames between %s and %s, seed %d\n", args[0], args[1],
		s.Seed)
	ctx := c.Context()
	if o.duration > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, o.duration)
		defer stop()
	}
	err = box.Run(ctx)
	if wantsJSON(c) {
		return errors.Join(err, writeJSON(c.OutOrStdout(), box.Counters(), ""))
	}
	return errors.Join(err, writeCable(c.OutOrStdout(), box.Counters()))
}

// read is the script that the flags describe, for two hosts.
func (o *wireOptions) read(c *cobra.Command) (fabric.Script, error) {
	given := c.Flags().Changed
	single := fault.Config{
		Loss: o.loss, Corrupt: o.corrupt, Delay: fault.Delay{Fixed: core.Time(o.delay)},
	}
	if o.duplicate != 0 {
		single.Duplicate = fault.Duplicate{
			Probability: o.duplicate, Copies: 1, Spread: reorderDelay,
		}
	}
	if o.reorder != 0 {
		single.Reorder = fault.Reorder{Probability: o.reorder, Delay: reorderDelay}
	}
	sources := 0
	for _, is := range [...]bool{o.script != "", o.swarm, single != fault.Config{}} {
		if is {
			sources++
		}
	}
	switch {
	case sources > 1:
		return fabric.Script{}, usage(c, errors.New("--script, --swarm and the flags for single "+
			"faults exclude each other"))
	case given("pair") && (o.script == "" || len(o.pair) != 2 || o.pair[0] == o.pair[1]):
		return fabric.Script{}, usage(c, errors.New("--pair wants two hosts of a --script"))
	case o.script != "":
		return o.readFile(c)
	}
	s := fabric.Script{Seed: o.seed, Hosts: 2}
	draw := rand.New(rand.NewPCG(o.seed, 0))
	for from := range 2 {
		faults := single
		if o.swarm {
			faults = fault.Swarm(draw)
		}
		s.Steps = append(s.Steps, fabric.Step{From: from, To: 1 - from, Faults: faults})
	}
	return s, usage(c, s.Validate())
}

func (o *wireOptions) readFile(c *cobra.Command) (fabric.Script, error) {
	f, err := os.Open(o.script)
	if err != nil {
		return fabric.Script{}, err
	}
	defer f.Close()
	s, err := fabric.ReadScript(f)
	if err != nil {
		return s, usage(c, fmt.Errorf("%s: %w", o.script, err))
	}
	if o.pair == nil {
		o.pair = []int{0, 1}
	}
	if a, b := o.pair[0], o.pair[1]; min(a, b) < 0 || max(a, b) >= s.Hosts {
		return s, usage(c, fmt.Errorf("--pair %d,%d: the script has %d hosts", a, b, s.Hosts))
	}
	s = s.Pair(o.pair[0], o.pair[1])
	if c.Flags().Changed("seed") {
		s.Seed = o.seed
	}
	return s, nil
}

func writeCable(w io.Writer, n wire.Counters) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range []struct {
		what string
		n    uint64
	}{
		{"frames taken", n.Sent},
		{"delivered", n.Delivered},
		{"under way", n.Flying},
		{"too long for the path", n.TooLong},
		{"queue full", n.OutFull + n.InFull},
		{"no frame of a wire", n.Oversize},
		{"missed by the box", n.Missed},
		{"not taken by the interface", n.Unsent},
	} {
		fmt.Fprintf(t, "%s\t%d\t\n", row.what, row.n)
	}
	return t.Flush()
}
