// Package service is the program iokernel: an iokernel/daemon as a service of this machine, with
// command line, log, signals and service manager.
//
//	SIGINT, SIGTERM ──> close in order, exit 0; a second one kills
//	SIGHUP          ──> read the configuration again; the log level is taken over, for the rest it
//	                    says that a restart is needed
//	NOTIFY_SOCKET   <── READY, STATUS, RELOADING, STOPPING, and WATCHDOG while the loop turns
//
// It lies here and not in cmd/iokernel so that the tests of cmd/dunlin, which need both programs,
// can run it from their own binary. Everything is control plane; the one loop is the daemon's.
package service

import (
	"context"
	"fmt"
	"io"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/cmd/internal/build"
	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/cmd/internal/settings"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

// Main is the program from its arguments to its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal is the kernel's to handle: it kills

	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	exit.Report(stderr, "iokernel", err)
	return int(exit.Of(err))
}

func newRoot() *cobra.Command {
	var check, sample bool
	var flags *settings.Flags
	root := &cobra.Command{
		Use:   "iokernel",
		Short: "Own a network interface, and lend its frames to unprivileged applications",
		Long: `iokernel owns a network interface. It attaches an XDP program that takes only what
applications asked for, passes everything else to the kernel, and lets the applications that its
configuration names attach through a socket. It needs CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF,
CAP_PERFMON and, to lock frame memory, CAP_IPC_LOCK; root has them.

Settings come from flags, over the environment (DUNLIN_XDP_MODE is --xdp-mode), over the file. Who
may attach, and what they get, stands in the file only: iokernel --sample shows it.

SIGTERM and SIGINT end it in order. SIGHUP has it read its configuration again: the log level is
taken over, anything else needs a restart, which it says.

` + exit.Table + `
With --check: 0 if the configuration is fine, 2 if not.`,
		Example: `  iokernel --sample > iokernel.yaml             every key, and what it means
  sudo iokernel --config iokernel.yaml --check  what would hold, and where it comes from
  sudo iokernel --config iokernel.yaml          run
  sudo iokernel --config iokernel.yaml --log-level=debug --metrics-listen=127.0.0.1:9911`,
		Version:       build.Line(),
		Args:          noArgs,
		SilenceErrors: true, // Main reports them
		SilenceUsage:  true,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case sample:
				_, err := io.WriteString(c.OutOrStdout(), config.Sample())
				return err
			case check:
				return exit.As(exit.Usage, checkOnly(flags, c.OutOrStdout()))
			}
			return run(c.Context(), flags, c.ErrOrStderr())
		},
	}
	root.SetVersionTemplate("iokernel {{.Version}}\n")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.Flags().SortFlags = false
	flags = settings.Add(root.Flags())
	root.Flags().BoolVar(&check, "check", false, "only check the configuration, and print it")
	root.Flags().BoolVar(&sample, "sample", false, "print a commented configuration file")
	return root
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Errorf("unexpected argument %q", args[0]))
	}
	return nil
}

// usage marks an error as the command line's, and says where to read on.
func usage(err error) error {
	return exit.As(exit.Usage, fmt.Errorf("%w (see iokernel --help)", err))
}
