package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/cmd/internal/machine"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/iokernel/sensor"
	"github.com/dunlin-io/dunlin/xdp"
)

func TestJudges(t *testing.T) {
	all := machine.Capabilities(1<<machine.NetAdmin | 1<<machine.NetRaw | 1<<machine.BPF |
		1<<machine.PerfMon | 1<<machine.SysNice | 1<<machine.Kill)
	good := xdp.Features{
		Interface: "eth1", Driver: "veth", Up: true, MTU: 1500, Queues: 4,
		Native: xdp.Answer{OK: true}, ZeroCopy: xdp.Answer{OK: true}, MultiBuffer: xdp.Answer{OK: true},
	}
	with := func(change func(*xdp.Features)) xdp.Features {
		f := good
		change(&f)
		return f
	}
	tests := []struct {
		found finding
		want  verdict
		says  string
	}{
		{judgeKernel(machine.Release{Major: 5, Minor: 4}, "5.4"), verdictFail, "no bpf_link for XDP"},
		{judgeKernel(machine.Release{Major: 6, Minor: 1}, "6.1"), verdictWarn, "above an MTU of 3822"},
		{judgeKernel(machine.Release{Major: 6, Minor: 18}, "6.18"), verdictOK, "Linux 6.18"},

		{judgeSockets(nil), verdictOK, "64 descriptors"},
		{judgeSockets(machine.ErrNotAllowed), verdictNote, "CAP_NET_RAW"},
		{judgeSockets(unix.ENOPROTOOPT), verdictNote, "32 descriptors"},
		{judgeSockets(fmt.Errorf("open: %w", unix.EAFNOSUPPORT)), verdictFail, "has none"},
		{judgeSockets(unix.ENOSYS), verdictFail, "not implemented"},

		{judgeJIT(true), verdictOK, "on"},
		{judgeJIT(false), verdictWarn, "interprets"},

		{judgeClock("tsc", 30), verdictOK, "tsc, a read takes 30 ns"},
		{judgeClock("kvm-clock", 60), verdictOK, "kvm-clock"},
		{judgeClock("hpet", 1500), verdictWarn, "slow device"},
		{judgeClock("tsc", 400), verdictWarn, "at each turn"},

		{judgeCapabilities(all), verdictOK, "can run an iokernel, and lend cores"},
		{
			judgeCapabilities(all &^ (1 << machine.Kill)), verdictNote,
			"none that lends cores: it lacks [CAP_KILL]; without CAP_KILL it can neither find",
		},
		{
			judgeCapabilities(all &^ (1 << machine.SysNice)), verdictNote,
			"lacks [CAP_SYS_NICE]",
		},
		{judgeCapabilities(0), verdictNote, "CAP_PERFMON"},
		{judgeLockLimit(machine.Unlimited), verdictOK, "no limit"},
		{judgeLockLimit(8 << 20), verdictWarn, "at most 8192 KiB; an iokernel locks 16384"},
		{judgeLockLimit(64 << 20), verdictOK, "at most 65536 KiB"},

		{judgeTracking(mem.Features{}), verdictOK, "by the kernel"},
		{
			judgeTracking(mem.Features{Moving: missing(mem.PageMove, unix.EINVAL, false)}), verdictNote,
			"is copied: no UFFDIO_MOVE, which Linux has from 6.8 on",
		},
		{
			judgeTracking(mem.Features{Tracking: missing(mem.WriteProtect, unix.EPERM, true)}),
			verdictWarn, "in software, which each access to an arena pays for: no userfaultfd",
		},
		{
			judgeTracking(mem.Features{Tracking: missing(mem.PageScan, unix.ENOTTY, false)}),
			verdictWarn, "which Linux has from 6.7 on",
		},

		{judgeCPUs([]int{3}, ""), verdictWarn, "CPUs 3 allowed: iokernel and workers share it"},
		{judgeCPUs([]int{0, 1}, ""), verdictNote, "sleeps when idle"},
		{judgeCPUs([]int{0, 1, 2, 3}, "2-3"), verdictOK, "CPUs 0-3 allowed, 2-3 isolated"},

		{judgeLendable([]int{2}), verdictNote, "none can be lent"},
		{judgeLendable([]int{0, 1, 2, 5}), verdictOK, "3 can be lent, CPUs 1-2,5 "},
		{judgeSiblings([]int{0, 1, 2, 3}, pairedWith(2)), verdictOK, "CPUs 0 and 2, 1 and 3 share"},
		{judgeSiblings([]int{2, 3}, pairedWith(2)), verdictOK, "CPUs 2 and 0, 3 and 1 share"},
		{judgeSiblings([]int{0, 1}, pairedWith(0)), verdictNote, "none"},
		{judgeSensor("x", nil, "good", "bad"), verdictOK, "good"},
		{
			judgeSensor("x", &sensor.Unavailable{Why: "not mounted", Remedy: "mount it"}, "good", "bad"),
			verdictNote, "not mounted; mount it. Without it bad",
		},
		{judgeSensor("x", unix.EIO, "good", "bad"), verdictWarn, "input/output error"},
		{judgeScheduler("", ""), verdictNote, "has none"},
		{judgeScheduler("disabled", ""), verdictNote, "no scheduler loaded"},
		{judgeScheduler("enabled", "rusty"), verdictWarn, `"rusty" is enabled`},
		{judgeIdle(machine.IdleScope{}), verdictOK, "everybody"},
		{
			judgeIdle(machine.IdleScope{Within: "this session", Remedy: "sysctl"}), verdictWarn,
			"within this session only",
		},

		{judgeLink(good), verdictOK, "eth1 (veth) is up"},
		{judgeLink(with(func(f *xdp.Features) { f.Up = false })), verdictWarn, "is down"},
		{judgeRoute(good), verdictOK, "does not lead"},
		{judgeRoute(with(func(f *xdp.Features) { f.DefaultRoute = true })), verdictWarn, "refuses to take it"},
		{judgeProgram(good), verdictOK, "none is attached"},
		{
			judgeProgram(with(func(f *xdp.Features) { f.Attached = &xdp.Attached{ID: 7, Name: "steer"} })),
			verdictNote, "an iokernel runs here",
		},
		{
			judgeProgram(with(func(f *xdp.Features) { f.Attached = &xdp.Attached{ID: 7, Name: "lb"} })),
			verdictFail, `7 "lb"`,
		},
		{judgeNative(good), verdictOK, "native"},
		{judgeNative(with(func(f *xdp.Features) { f.Native.OK = false })), verdictWarn, "generic"},
		{judgeZeroCopy(good), verdictOK, "zero-copy"},
		{judgeZeroCopy(with(func(f *xdp.Features) { f.ZeroCopy.OK = false })), verdictNote, "copies"},
		{judgeMTU(good), verdictOK, "one frame"},
		{judgeMTU(with(func(f *xdp.Features) { f.MTU = 9000 })), verdictOK, "several frames"},
		{
			judgeMTU(with(func(f *xdp.Features) { f.MTU, f.MultiBuffer.OK = 3823, false })), verdictFail,
			"3823 needs packets of several frames",
		},
		{
			judgeMTU(with(func(f *xdp.Features) { f.MTU, f.MultiBuffer.OK = 3822, false })), verdictOK,
			"one frame",
		},
		{judgeQueues(good), verdictOK, "4: one for each"},
		{judgeQueues(with(func(f *xdp.Features) { f.Queues = 1 })), verdictNote, "1:"},
	}
	for _, test := range tests {
		f := test.found
		if f.Verdict != test.want || !strings.Contains(f.Says, test.says) {
			t.Errorf("%s: got %s %q, want %s %q", f.Check, f.Verdict, f.Says, test.want, test.says)
		}
		if needsFix := f.Verdict == verdictWarn || f.Verdict == verdictFail; needsFix != (f.Fix != "") {
			t.Errorf("%s: %s with the fix %q", f.Check, f.Verdict, f.Fix)
		}
	}
}

func missing(f mem.Feature, err error, forbidden bool) error {
	return &mem.UnsupportedError{Feature: f, Forbidden: forbidden, Err: err}
}

// pairedWith makes CPUs that many apart hyperthreads of one core; 0 makes none.
func pairedWith(apart int) func(int) (int, bool) {
	return func(cpu int) (int, bool) { return cpu ^ apart, apart != 0 }
}

func TestFindingsAreWritten(t *testing.T) {
	list := []finding{
		ok("clock", "fine"), warn("JIT", "off", "turn it on"), fail("kernel", "old", "new one"),
		unknown("CPUs", errors.New("no /proc")),
	}
	var out strings.Builder
	if err := writeFindings(&out, list); err != nil {
		t.Fatal(err)
	}
	want := `ok    clock            fine
warn  JIT              off
                       fix: turn it on
fail  kernel           old
                       fix: new one
warn  CPUs             not looked at: no /proc
                       fix: run doctor as root
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if err := failures(list); exit.Of(err) != exit.Failure {
		t.Errorf("failures: %v", err)
	}
	if err := failures(list[:2]); err != nil {
		t.Error(err)
	}
}
