package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/cmd/internal/machine"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

// examineKernel looks at what no setting of a process changes.
func examineKernel() []finding {
	var list []finding
	if release, text, err := machine.Kernel(); err != nil {
		list = append(list, unknown("kernel", err))
	} else {
		list = append(list, judgeKernel(release, text))
	}
	list = append(list, judgeSockets(machine.TransmitBudget(bigBudget)))
	if err := machine.Seals(); err != nil {
		list = append(list, fail("shared memory", err.Error(), "a kernel with CONFIG_MEMFD_CREATE"))
	} else {
		list = append(list, ok("shared memory", "memfds can be sealed"))
	}
	if on, err := machine.JIT(); err != nil {
		list = append(list, unknown("BPF JIT", err))
	} else {
		list = append(list, judgeJIT(on))
	}
	source, err := machine.ClockSource()
	if err != nil {
		return append(list, unknown("clock", err))
	}
	return append(list, judgeClock(source, clockCost()))
}

// examineProcess looks at what this user and this process may do.
func examineProcess() []finding {
	var list []finding
	has, err := machine.Effective()
	if err != nil {
		list = append(list, unknown("capabilities", err))
	} else {
		list = append(list, judgeCapabilities(has))
		limit, err := machine.LockLimit(has)
		if err != nil {
			list = append(list, unknown("locked memory", err))
		} else {
			list = append(list, judgeLockLimit(limit))
		}
	}
	if can, err := mem.Probe(); err != nil {
		list = append(list, fail(trackingCheck, err.Error(),
			"more address space (ulimit -v unlimited), or vm.overcommit_memory other than 2"))
	} else {
		list = append(list, judgeTracking(can))
	}
	allowed, err := pin.Allowed()
	if err != nil {
		return append(list, unknown("CPUs", err))
	}
	isolated, err := machine.Isolated()
	if err != nil {
		isolated = "" // not every kernel says; nothing depends on it
	}
	return append(list, judgeCPUs(allowed.List(), isolated))
}

func judgeKernel(release machine.Release, text string) finding {
	switch {
	case release.Before(machine.Oldest()):
		return fail("kernel",
			fmt.Sprintf("Linux %s has no bpf_link for XDP, which came with %v", text,
				machine.Oldest()),
			fmt.Sprintf("run Linux %v or later", machine.MultiBuffer()))
	case release.Before(machine.MultiBuffer()):
		return warn("kernel",
			fmt.Sprintf("Linux %s: AF_XDP takes no packets of several frames, so none above an "+
				"MTU of %d", text, singleFrameMTU),
			fmt.Sprintf("run Linux %v or later", machine.MultiBuffer()))
	}
	return ok("kernel", "Linux %s: bpf_link, need_wakeup, packets of several frames", text)
}

// bigBudget is the descriptors per system call that package xdp asks for.
const bigBudget = 64

// judgeSockets judges what came of asking an AF_XDP socket for bigBudget.
func judgeSockets(err error) finding {
	switch {
	case err == nil:
		return ok("AF_XDP", "there; one system call sends up to %d descriptors", bigBudget)
	case errors.Is(err, machine.ErrNotAllowed):
		return note("AF_XDP", "not looked at: opening a socket takes CAP_NET_RAW, which an "+
			"application does not need")
	case errors.Is(err, unix.EAFNOSUPPORT):
		return fail("AF_XDP", "this kernel has none", "a kernel with CONFIG_XDP_SOCKETS")
	case errors.Is(err, unix.ENOPROTOOPT), errors.Is(err, unix.EINVAL):
		return note("AF_XDP", "there; one system call sends up to 32 descriptors (64 from Linux "+
			"6.17 on)")
	}
	return fail("AF_XDP", err.Error(), "see what forbids it: seccomp, a container's policy")
}

func judgeJIT(on bool) finding {
	if !on {
		return warn("BPF JIT", "off: the kernel interprets the XDP program for each frame",
			"sysctl -w net.core.bpf_jit_enable=1")
	}
	return ok("BPF JIT", "on")
}

const (
	clockReads = 10_000 // under a millisecond
	// slowClock is a cost of one read that shows in a loop of 200 ns; tsc takes 20 to 50. (guess)
	slowClock core.Time = 150
)

// clockCost is what one read of the clock costs, averaged.
func clockCost() core.Time {
	clock := pin.NewClock()
	began := clock.Now()
	for range clockReads - 1 {
		clock.Now()
	}
	return (clock.Now() - began) / clockReads
}

func judgeClock(source string, cost core.Time) finding {
	says := fmt.Sprintf("%s, a read takes %d ns", source, cost)
	if slices.Contains([]string{"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"}, source) {
		return warn("clock", says+": each read is a system call that asks a slow device",
			"boot with clocksource=tsc, or see why the kernel distrusts it (dmesg | grep -i tsc)")
	}
	if cost > slowClock {
		return warn("clock", says+": loops read it at each turn",
			"see whether the vDSO may read "+source+" in user space, and what else runs here")
	}
	return ok("clock", "%s", says)
}

func judgeCapabilities(has machine.Capabilities) finding {
	lacks := has.Lacks(machine.NetAdmin, machine.NetRaw, machine.BPF, machine.PerfMon)
	if len(lacks) > 0 {
		return note("capabilities", "this user can run applications, which need none, but no "+
			"iokernel: it lacks %v", lacks)
	}
	if lacks := has.Lacks(machine.ToLend()...); len(lacks) > 0 {
		return note("capabilities", "this user can run an iokernel, but none that lends cores: it "+
			"lacks %v; %s", lacks, machine.WithoutToLend)
	}
	return ok("capabilities", "this user can run an iokernel, and lend cores")
}

func judgeLockLimit(limit uint64) finding {
	x := config.Default().XDP
	need := uint64(x.Frames * x.ChunkBytes)
	switch {
	case limit == machine.Unlimited:
		return ok("locked memory", "no limit")
	case limit < need:
		return warn("locked memory",
			fmt.Sprintf("at most %d KiB; an iokernel locks %d for each queue, applications nothing",
				limit>>10, need>>10),
			"CAP_IPC_LOCK or LimitMEMLOCK=infinity for the iokernel, or fewer xdp.frames")
	}
	return ok("locked memory", "at most %d KiB, %d for each queue of an iokernel", limit>>10,
		need>>10)
}

const trackingCheck = "dirty tracking"

// judgeTracking says who notices which pages of an arena changed, and why. A runtime's window
// (proclet/window) chooses by the same Probe.
func judgeTracking(can mem.Features) finding {
	if can.Tracking == nil {
		says := "by the kernel, without privileges: userfaultfd and PAGEMAP_SCAN"
		if can.Moving != nil {
			return note(trackingCheck, "%s; an arena whose cap is raised is copied: %s", says,
				reason(can.Moving))
		}
		return ok(trackingCheck, "%s; an arena whose cap is raised keeps its pages", says)
	}
	fix := "Linux 6.7 or later, with CONFIG_USERFAULTFD"
	var why *mem.UnsupportedError
	if errors.As(can.Tracking, &why) && why.Forbidden {
		fix = "allow userfaultfd in the container's seccomp policy"
	}
	return warn(trackingCheck, "in software, which each access to an arena pays for: "+
		reason(can.Tracking), fix)
}

// reason is an error without the package that it comes from.
func reason(err error) string { return strings.TrimPrefix(err.Error(), "mem: ") }

func judgeCPUs(allowed []int, isolated string) finding {
	says := "CPUs " + config.FormatList(allowed) + " allowed"
	if isolated != "" {
		says += ", " + isolated + " isolated"
	}
	switch {
	case len(allowed) < 2:
		return warn("CPUs",
			says+": iokernel and workers share it, and wait for each other's time slice",
			"give it two, or run solo (dunlin echo --solo)")
	case len(allowed) < config.SpinCPUs:
		return note("CPUs", "%s; fewer than %d, so the iokernel sleeps when idle unless poll: spin",
			says, config.SpinCPUs)
	}
	return ok("CPUs", "%s; the iokernel keeps one busy all the time unless poll: adaptive", says)
}
