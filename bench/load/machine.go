package load

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

// machine describes where we are. What cannot be read is left out: none of it is needed to measure.
func machine() report.Machine {
	m := report.Machine{Go: runtime.Version() + " " + runtime.GOARCH}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if cpu, err := keyed("/proc/cpuinfo"); err == nil {
		m.CPU = cpu["model name"]
		m.Hypervisor = strings.Contains(" "+cpu["flags"]+" ", " hypervisor ")
	}
	if m.CPU == "" {
		m.CPU = runtime.GOARCH
	}
	if memory, err := keyed("/proc/meminfo"); err == nil {
		kib, _ := strconv.ParseUint(strings.TrimSuffix(memory["MemTotal"], " kB"), 10, 64)
		m.MemoryBytes = kib << 10
	}
	m.CPUs = runtime.NumCPU()
	if allowed, err := pin.Allowed(); err == nil {
		m.Allowed, m.CPUs = allowed.String(), allowed.Count()
	}
	if online := word("/sys/devices/system/cpu/online"); online != "" {
		m.Online = online
	}
	m.Clocksource = word("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	m.Load1, _ = strconv.ParseFloat(word("/proc/loadavg"), 64)
	if b, err := os.ReadFile("/proc/cmdline"); err == nil {
		for _, parameter := range strings.Fields(string(b)) {
			switch key, _, _ := strings.Cut(parameter, "="); key {
			case "isolcpus", "nohz_full", "rcu_nocbs", "idle", "mitigations", "preempt",
				"processor.max_cstate", "intel_idle.max_cstate", "nosmt", "threadirqs":
				m.Boot = append(m.Boot, parameter)
			}
		}
	}
	return m
}

// word is the first word of a file, or nothing.
func word(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	f := strings.Fields(string(b))
	if len(f) == 0 {
		return ""
	}
	return f[0]
}

// commit is the commit that this program was built from, "+dirty" behind it if the tree had
// changes.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, dirty := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	return revision + dirty
}

// placement is which CPU does what.
type placement struct {
	generator int // and the control plane, which does nothing while rows run
	iokernel  int // the same where there are two CPUs only
	server    int
}

// minCPUs is one for each end of the wire: with a single one, an end that polls keeps the other
// from running.
const minCPUs = 2

// place chooses CPUs among the allowed ones; each on a core of its own, if there are so many.
func place(allowed []int, siblings func(cpu int) []int) (placement, error) {
	if len(allowed) < minCPUs {
		return placement{}, fmt.Errorf("load: %w: %d is allowed, and both ends of the wire poll: "+
			"want at least %d (see taskset, cpuset)", ErrFewCPUs, len(allowed), minCPUs)
	}
	order := spread(allowed, siblings)
	p := placement{generator: order[0], server: order[1], iokernel: order[0]}
	if len(order) > minCPUs {
		p.iokernel = order[2]
	}
	return p, nil
}

// spread orders CPUs so that those of different cores come before siblings of one.
func spread(allowed []int, siblings func(cpu int) []int) []int {
	var first, rest []int // one of each core, then their siblings
	taken := map[int]bool{}
	for _, cpu := range allowed {
		if taken[cpu] {
			rest = append(rest, cpu)
			continue
		}
		first = append(first, cpu)
		for _, sibling := range siblings(cpu) {
			taken[sibling] = true
		}
	}
	return append(first, rest...)
}

// siblings are the CPUs that share a core with cpu, itself included.
func siblings(cpu int) []int {
	list := word(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
	cpus, err := config.ParseList(list)
	if err != nil {
		return []int{cpu}
	}
	return cpus
}

func (p placement) String() string {
	if p.iokernel == p.generator {
		return fmt.Sprintf("generator and iokernel on CPU %d, servers on CPU %d", p.generator,
			p.server)
	}
	return fmt.Sprintf("generator on CPU %d, iokernel on CPU %d, servers on CPU %d", p.generator,
		p.iokernel, p.server)
}
