// Package machine reads what this machine and this process are, from /proc and /sys, for what the
// programs say before they start and for dunlin doctor.
//
// Each reader is two functions: one that reads a file and one that understands its text, which is
// pure and has the tests. Nothing here changes anything.
package machine

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Capability is a bit of a process's capability set; the number is the kernel's.
type Capability uint

// The capabilities that an iokernel can need.
const (
	NetBindService Capability = unix.CAP_NET_BIND_SERVICE
	NetAdmin       Capability = unix.CAP_NET_ADMIN
	NetRaw         Capability = unix.CAP_NET_RAW
	IPCLock        Capability = unix.CAP_IPC_LOCK
	SysAdmin       Capability = unix.CAP_SYS_ADMIN
	PerfMon        Capability = unix.CAP_PERFMON
	BPF            Capability = unix.CAP_BPF
	SysNice        Capability = unix.CAP_SYS_NICE
	Kill           Capability = unix.CAP_KILL
)

func (c Capability) String() string {
	switch c {
	case NetBindService:
		return "CAP_NET_BIND_SERVICE"
	case NetAdmin:
		return "CAP_NET_ADMIN"
	case NetRaw:
		return "CAP_NET_RAW"
	case IPCLock:
		return "CAP_IPC_LOCK"
	case SysAdmin:
		return "CAP_SYS_ADMIN"
	case PerfMon:
		return "CAP_PERFMON"
	case BPF:
		return "CAP_BPF"
	case SysNice:
		return "CAP_SYS_NICE"
	case Kill:
		return "CAP_KILL"
	}
	return fmt.Sprintf("capability %d", uint(c))
}

// ToLend are the capabilities that lending cores to processes of other users takes.
func ToLend() []Capability { return []Capability{SysNice, Kill} }

// WithoutToLend is what fails without them.
const WithoutToLend = "without CAP_KILL it can neither find nor signal the threads of runtimes, " +
	"which then get no core; without CAP_SYS_NICE it cannot demote one that keeps its core"

// Capabilities is an effective set, as in /proc/self/status.
type Capabilities uint64

// Has reports whether c is in the set. CAP_SYS_ADMIN stands for those that were split off it, as in
// the kernel.
func (s Capabilities) Has(c Capability) bool {
	return s>>c&1 != 0 || (c == BPF || c == PerfMon) && s>>SysAdmin&1 != 0
}

// Lacks lists those that are not in the set.
func (s Capabilities) Lacks(wanted ...Capability) (missing []Capability) {
	for _, c := range wanted {
		if !s.Has(c) {
			missing = append(missing, c)
		}
	}
	return missing
}

// Effective is the capability set of this process.
func Effective() (Capabilities, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	return parseEffective(string(text))
}

func parseEffective(status string) (Capabilities, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "CapEff:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(rest), 16, 64)
			return Capabilities(n), err
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no CapEff")
}

// Unlimited is the memory lock limit of a process without one.
const Unlimited = unix.RLIM_INFINITY

// LockLimit is how many bytes of memory a process of ours may lock, Unlimited with CAP_IPC_LOCK.
func LockLimit(has Capabilities) (uint64, error) {
	if has.Has(IPCLock) {
		return Unlimited, nil
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return 0, fmt.Errorf("limit of locked memory: %w", err)
	}
	return limit.Cur, nil
}

// Release is the kernel's version: 6.18 of "6.18.44-generic".
type Release struct{ Major, Minor int }

func (r Release) String() string { return fmt.Sprintf("%d.%d", r.Major, r.Minor) }

// Before reports whether r is older than o.
func (r Release) Before(o Release) bool {
	return r.Major < o.Major || r.Major == o.Major && r.Minor < o.Minor
}

// Oldest is the first kernel whose bpf_link can attach an XDP program: what detaches it when the
// process that attached it dies.
func Oldest() Release { return Release{5, 9} }

// MultiBuffer is the first kernel whose AF_XDP sockets take packets of several frames.
func MultiBuffer() Release { return Release{6, 6} }

// Kernel is the running kernel's release, and its text.
func Kernel() (Release, string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return Release{}, "", fmt.Errorf("kernel release: %w", err)
	}
	text := unix.ByteSliceToString(name.Release[:])
	r, err := parseRelease(text)
	return r, text, err
}

func parseRelease(text string) (Release, error) {
	var r Release
	if n, err := fmt.Sscanf(text, "%d.%d", &r.Major, &r.Minor); n != 2 {
		return r, fmt.Errorf("kernel release %q: %w", text, err)
	}
	return r, nil
}
