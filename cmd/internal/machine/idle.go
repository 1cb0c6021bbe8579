package machine

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// IdleScope says among whom SCHED_IDLE makes a program that this process starts come last. The
// kernel compares groups of processes before it compares processes: beside a program of another
// group it takes the whole part of the CPU that its own group is worth, usually half.
type IdleScope struct {
	Within string // empty: everybody
	Remedy string
}

// Idle looks at the groups that this process is in.
func Idle() IdleScope { return idleScope(os.DirFS("/")) }

func idleScope(root fs.FS) IdleScope {
	read := func(name string) string {
		text, _ := fs.ReadFile(root, name) // what is not there does not divide processes either
		return strings.TrimSpace(string(text))
	}
	mount, group := cpuGroup(read("proc/self/cgroup"))
	// Groups are compared where their ways from the root part: with strangers that is the first one
	// below it that shares out CPU time.
	steps := strings.Split(strings.Trim(group, "/"), "/")
	for i := range steps {
		at := path.Join(append([]string{mount}, steps[:i+1]...)...)
		if at == mount {
			break
		}
		if _, err := fs.Stat(root, path.Join(at, "cpu.shares")); err != nil { // version 1
			if _, err := fs.Stat(root, path.Join(at, "cpu.weight")); err != nil { // version 2
				continue
			}
		}
		if read(path.Join(at, "cpu.idle")) == "1" {
			return IdleScope{}
		}
		name := "/" + strings.Join(steps[:i+1], "/")
		return IdleScope{
			Within: "the control group " + name,
			Remedy: "run it outside, or in a group of its own below the root whose cpu.idle is 1 " +
				"(systemd: a slice with CPUWeight=idle)",
		}
	}
	if read("proc/sys/kernel/sched_autogroup_enabled") == "1" {
		return IdleScope{
			Within: "this session",
			Remedy: "sysctl -w kernel.sched_autogroup_enabled=0",
		}
	}
	return IdleScope{}
}

// cpuGroup finds the control group that shares out CPU time in a /proc/PID/cgroup, and where its
// hierarchy is usually mounted.
func cpuGroup(text string) (mount, group string) {
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers, path
		if len(fields) != 3 {
			continue
		}
		if slices.Contains(strings.Split(fields[1], ","), "cpu") { // version 1
			return "sys/fs/cgroup/cpu", fields[2]
		}
		if fields[0] == "0" {
			mount, group = "sys/fs/cgroup", fields[2]
		}
	}
	return mount, group
}
