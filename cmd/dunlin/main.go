// Command dunlin is everything that a user of dunlin types: an application to try (echo), the way
// for ordinary programs onto lent cores (run), what to look at (doctor, status, cores, top,
// capture, config), and the benchmarks.
//
// Each command has its file. What they share is the form of the output (output.go), the exit codes
// (cmd/internal/exit) and the end: SIGINT or SIGTERM ends a command in order, a second one at once.
// Only echo moves packets, through package attach like any application.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/cmd/internal/build"
	"github.com/dunlin-io/dunlin/cmd/internal/exit"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program from its arguments to its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal is the kernel's to handle: it kills

	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	exit.Report(stderr, command.CommandPath(), err)
	return int(exit.Of(err))
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "dunlin",
		Short: "Kernel-bypass dataplane: try it, look at it, measure it",
		Long: `dunlin tries, shows and measures a kernel-bypass dataplane on Linux interfaces.

The network itself belongs to the daemon iokernel (see iokernel --help), which needs root.
Applications attach to it and need no privilege; dunlin echo is one.

` + exit.Table,
		Example: `  dunlin doctor eth1                   what this machine and that interface can do
  dunlin echo --udp 7777               answer UDP clients through the kernel-bypass path
  dunlin run --be -- make -j4          an ordinary program on the time that lent cores have left
  sudo dunlin status                   what the iokernel does
  sudo dunlin top                      who has which core, and how long requests wait
  sudo dunlin capture eth1 -w - | ...  the frames that tcpdump cannot see
  sudo dunlin bench latency --quick    what all of it costs, beside the kernel`,
		Version:       build.Line(),
		Args:          cobra.NoArgs,
		SilenceErrors: true, // run reports them
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("dunlin {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, err) })
	root.PersistentFlags().VarP(new(format), "output", "o", "table or json")
	root.AddCommand(echoCommand(), runCommand(), doctorCommand(), statusCommand(),
		coresCommand(), topCommand(), captureCommand(), configCommand(), clusterCommand(),
		benchCommand(), labCommand(), simCommand())
	markUsage(root)
	return root
}

// markUsage has complaints about arguments, of c and the commands below it, count as the command
// line's. A command that only groups others shows its help, as long as nothing stands behind it.
func markUsage(c *cobra.Command) {
	if !c.Runnable() {
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error { return usage(c, check(c, args)) }
	}
	for _, below := range c.Commands() {
		markUsage(below)
	}
}

// usage marks an error as the command line's, and says where to read on.
func usage(c *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return exit.As(exit.Usage, &usageError{err, c.CommandPath()})
}

type usageError struct {
	error
	command string
}

func (e *usageError) Error() string {
	return e.error.Error() + " (see " + e.command + " --help)"
}

func (e *usageError) Unwrap() error { return e.error }
