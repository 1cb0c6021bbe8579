package load

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// What /proc tells about processes.

// cpuTime is how much CPU time a process has used, all threads, to the nanosecond.
func cpuTime(pid int) (core.Time, error) {
	// The clock of a process: its id, inverted, above three bits that say "scheduler, whole
	// process" (clock_getcpuclockid, include/linux/posix-timers.h).
	const wholeProcess = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|wholeProcess), &ts); err != nil {
		return 0, fmt.Errorf("load: CPU time of process %d: %w", pid, err)
	}
	return core.Time(ts.Nano()), nil
}

// busy is how long all CPUs were used by processes, and how long the hypervisor kept them, since
// the machine started.
func busy() (used, stolen core.Time, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("load: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal
	const known = 9
	if len(fields) < known {
		return 0, 0, fmt.Errorf("load: /proc/stat begins with %q", line)
	}
	// The kernel counts in hundredths of a second for user space on all architectures (USER_HZ).
	tick := func(i int) core.Time {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return core.Time(n) * 10 * core.Millisecond
	}
	return tick(1) + tick(2) + tick(3), tick(8), nil
}

// stat is the fields of a stat file behind the name, which may contain anything; the name apart.
// fields[0] is field 3 of proc(5), the state.
func stat(path string) (name string, fields []string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return "", nil, fmt.Errorf("load: %s has no name in it", path)
	}
	fields = strings.Fields(string(b[end+1:]))
	const known = 39 // up to field 41, the policy
	if len(fields) < known {
		return "", nil, fmt.Errorf("load: %s has %d fields", path, len(fields)+2)
	}
	return string(b[open+1 : end]), fields, nil
}

// Fields of stat files, counted from 3 as stat does.
const (
	statState    = 0 // 3 - 3
	statNice     = 19 - 3
	statCPU      = 39 - 3
	statPriority = 40 - 3 // real-time
	statPolicy   = 41 - 3
)

// tasks are the paths of a process's threads.
func tasks(pid int) ([]string, error) {
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("load: process %d has no threads (%w)", pid, os.ErrProcessDone)
	}
	return paths, nil
}

// descendants are the processes that a process has started, and those that they have.
func descendants(pid int) (all []int) {
	threads, err := tasks(pid)
	if err != nil {
		return nil
	}
	for _, path := range threads {
		b, err := os.ReadFile(path + "/children")
		if err != nil {
			continue
		}
		for _, text := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(text); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}

// stopped reports whether all threads of a process are stopped.
func stopped(pid int) (bool, error) {
	paths, err := tasks(pid)
	if err != nil {
		return false, err
	}
	for _, path := range paths {
		_, fields, err := stat(path + "/stat")
		if os.IsNotExist(err) { // it has just ended
			continue
		}
		if err != nil {
			return false, err
		}
		if fields[statState] != "T" {
			return false, nil
		}
	}
	return true, nil
}

// describe is a process and its threads, for the report.
func describe(name string, pid int) (report.Process, error) {
	p := report.Process{Name: name, PID: pid, UID: -1}
	status, err := keyed(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return p, err
	}
	if uids := strings.Fields(status["Uid"]); len(uids) > 1 {
		p.UID, _ = strconv.Atoi(uids[1]) // effective
	}
	p.Capabilities = status["CapEff"]
	paths, err := tasks(pid)
	if err != nil {
		return p, err
	}
	for _, path := range paths {
		t, err := describeThread(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return p, err
		}
		p.Threads = append(p.Threads, t)
	}
	return p, nil
}

func describeThread(path string) (report.Thread, error) {
	name, fields, err := stat(path + "/stat")
	if err != nil {
		return report.Thread{}, err
	}
	status, err := keyed(path + "/status")
	if err != nil {
		return report.Thread{}, err
	}
	t := report.Thread{Name: name, Allowed: status["Cpus_allowed_list"]}
	t.TID, _ = strconv.Atoi(filepath.Base(path))
	t.CPU, _ = strconv.Atoi(fields[statCPU])
	t.Policy = schedulingPolicy(fields[statPolicy])
	t.Priority, _ = strconv.Atoi(fields[statNice])
	if real, _ := strconv.Atoi(fields[statPriority]); real > 0 {
		t.Priority = real
	}
	if b, err := os.ReadFile(path + "/schedstat"); err == nil {
		if f := bytes.Fields(b); len(f) > 0 {
			t.Ns, _ = strconv.ParseInt(string(f[0]), 10, 64)
		}
	}
	return t, nil
}

// schedulingPolicy is the name of a scheduling policy, as chrt prints it.
func schedulingPolicy(number string) string {
	switch number {
	case "0":
		return "other"
	case "1":
		return "fifo"
	case "2":
		return "rr"
	case "3":
		return "batch"
	case "5":
		return "idle"
	case "6":
		return "deadline"
	}
	return number
}

// keyed reads a file of lines "key: value".
func keyed(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(line, ":")
		if key = strings.TrimSpace(key); ok && values[key] == "" {
			values[key] = strings.TrimSpace(value)
		}
	}
	return values, nil
}
