package service

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/cmd/internal/machine"
	"github.com/dunlin-io/dunlin/cmd/internal/settings"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/daemon"
	"github.com/dunlin-io/dunlin/xdp"
)

// preflight reports what no configuration can mend: this kernel, or the lack of capabilities. It
// comes before anything that would fail for that reason with less to say.
func preflight(c *config.Config) error {
	release, text, err := machine.Kernel()
	if err != nil {
		return err
	}
	has, err := machine.Effective()
	if err != nil {
		return err
	}
	limit, err := machine.LockLimit(has)
	if err != nil {
		return err
	}
	if err := checkKernel(release, text); err != nil {
		return err
	}
	if err := checkCapabilities(has); err != nil {
		return err
	}
	if err := checkLending(has, c.Cores.Lend.Any()); err != nil {
		return err
	}
	return checkLockLimit(limit, lockedBytes(c))
}

func checkKernel(release machine.Release, text string) error {
	if release.Before(machine.Oldest()) {
		return exit.As(exit.Unsupported, fmt.Errorf("kernel %s is too old: want Linux %v or "+
			"later, whose XDP programs go when the process that attached them ends", text,
			machine.Oldest()))
	}
	return nil
}

func checkCapabilities(has machine.Capabilities) error {
	// The verifier lets nobody without CAP_PERFMON subtract pointers, which is how the XDP program
	// knows a frame's length.
	lacks := has.Lacks(machine.NetAdmin, machine.BPF, machine.PerfMon, machine.NetRaw)
	if len(lacks) == 0 {
		return nil
	}
	return exit.As(exit.Denied, fmt.Errorf("lacks %v: run it as root, or as a service with "+
		"AmbientCapabilities (see docs/iokernel.service)", lacks))
}

// checkLending is about what only an iokernel that lends cores needs, for threads of other users.
func checkLending(has machine.Capabilities, lends bool) error {
	if lacks := has.Lacks(machine.ToLend()...); lends && len(lacks) > 0 {
		return exit.As(exit.Denied, fmt.Errorf("lends cores and lacks %v: %s. Run it as root, or "+
			"as a service with AmbientCapabilities (see docs/iokernel.service), or set cores.lend "+
			"to none", lacks, machine.WithoutToLend))
	}
	return nil
}

// lockedBytes is how much frame memory the kernel locks for us at least: of one queue, and of each
// runtime that has its own. How many queues there are is not known before the interface is open.
func lockedBytes(c *config.Config) uint64 {
	queues := len(c.XDP.Queues.List)
	if c.XDP.Queues.All {
		queues = 1
	}
	bytes := queues * c.XDP.Frames * c.XDP.ChunkBytes
	for _, r := range c.Runtimes {
		if r.AllowDirect {
			bytes += r.Frames * r.ChunkBytes
		}
	}
	return uint64(bytes)
}

func checkLockLimit(limit, need uint64) error {
	if limit >= need {
		return nil
	}
	return exit.As(exit.Denied, fmt.Errorf("may lock %d bytes of memory (ulimit -l), and frame "+
		"memory takes %d: give it CAP_IPC_LOCK, raise LimitMEMLOCK, or lower xdp.frames", limit,
		need))
}

// checkOnly does what can be done without changing anything: it prints what would hold, and looks
// whether this machine has what the configuration names.
func checkOnly(flags *settings.Flags, out io.Writer) error {
	effective, err := flags.Load()
	if err != nil {
		return err
	}
	if err := effective.Show(out); err != nil {
		return err
	}
	for _, warning := range effective.Warnings {
		fmt.Fprintln(out, "warning: "+warning)
	}
	allowed, err := pin.Allowed()
	if err != nil {
		return err
	}
	errs := []error{effective.Machine(allowed.List()), daemon.CheckCluster(&effective.Cluster)}
	f, err := xdp.Probe(effective.Interface)
	switch {
	case errors.Is(err, unix.ENODEV):
		errs = append(errs, fmt.Errorf("interface: no %q on this machine (in this network "+
			"namespace)", effective.Interface))
	case err != nil:
		errs = append(errs, err)
	default:
		errs = append(errs, checkInterface(&effective.Config, f))
		if f.Attached != nil {
			fmt.Fprintf(out, "warning: %s has XDP program %v: an iokernel can start when it is "+
				"gone\n", f.Interface, f.Attached)
		}
	}
	return errors.Join(errs...)
}

// checkInterface compares what the configuration wants of the interface with what it has.
func checkInterface(c *config.Config, f xdp.Features) error {
	var errs []error
	if f.DefaultRoute && !c.AllowDefaultRoute {
		errs = append(errs, fmt.Errorf("interface: %s carries the default route, so this machine "+
			"may be unreachable without it: choose another, or set allow_default_route",
			f.Interface))
	}
	if c.XDP.Mode == config.XDPNative && !f.Native.OK {
		errs = append(errs, fmt.Errorf("xdp.mode: native: %s; choose auto or generic",
			f.Native.Why))
	}
	if n := slices.Max(append([]int{-1}, c.XDP.Queues.List...)); n >= f.Queues {
		errs = append(errs, fmt.Errorf("xdp.queues: %s has no queue %d, only 0 to %d", f.Interface,
			n, f.Queues-1))
	}
	for i, r := range c.Runtimes {
		if last := r.Queue + r.Workers - 1; r.AllowDirect && last >= f.Queues {
			errs = append(errs, fmt.Errorf("runtimes[%d].queue: %s would have queues %d to %d, "+
				"but %s has only 0 to %d", i, r.Name, r.Queue, last, f.Interface, f.Queues-1))
		}
	}
	return errors.Join(errs...)
}
