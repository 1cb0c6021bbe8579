package pin

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// CPUs is a set of CPU numbers.
type CPUs struct{ set unix.CPUSet }

// Allowed is the CPUs that the calling process may use, by its main thread.
func Allowed() (CPUs, error) {
	var c CPUs
	if err := unix.SchedGetaffinity(unix.Getpid(), &c.set); err != nil {
		return c, fmt.Errorf("pin: read the CPU affinity: %w", err)
	}
	return c, nil
}

// IsSet reports whether the CPU is in the set.
func (c CPUs) IsSet(cpu int) bool { return c.set.IsSet(cpu) }

// Count is the size of the set.
func (c CPUs) Count() int { return c.set.Count() }

// List returns the CPUs in ascending order.
func (c CPUs) List() []int {
	var list []int
	for cpu := 0; cpu < len(c.set)*strconv.IntSize; cpu++ {
		if c.set.IsSet(cpu) {
			list = append(list, cpu)
		}
	}
	return list
}

// String is a core list such as 0-3,8.
func (c CPUs) String() string {
	var b strings.Builder
	list := c.List()
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d", list[i])
		if j > i {
			fmt.Fprintf(&b, "-%d", list[j])
		}
		i = j + 1
	}
	return b.String()
}

// controlProcs is the Ps for everything that is not a loop: one to run it on and one that a system
// call may hold.
const controlProcs = 2

// Procs sets GOMAXPROCS for a process that runs so many loops: each spins on a P of its own, and
// the control plane and the collector need some beside them.
func Procs(loops int) { runtime.GOMAXPROCS(loops + controlProcs) }
