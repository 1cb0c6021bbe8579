package sensor

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// maxCPUs bounds what is believed of a CPU list. Origin: the most that Linux can be built for
// (CONFIG_NR_CPUS on x86).
const maxCPUs = 8192

// Topology says which CPUs are hyperthreads of one core. It does not change; Topologies may be
// shared.
type Topology struct{ siblings map[int][]int }

// ReadTopology looks at some CPUs below root, which is CPURoot. CPUs that are offline, and those
// of kernels that do not say, have no siblings.
func ReadTopology(root fs.FS, cpus []int) (Topology, error) {
	t := Topology{siblings: map[int][]int{}}
	for _, cpu := range cpus {
		// thread_siblings_list is the older name of core_cpus_list, and every kernel has it.
		name := fmt.Sprintf("cpu%d/topology/thread_siblings_list", cpu)
		text, err := fs.ReadFile(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Topology{}, fmt.Errorf("sensor: siblings of CPU %d: %w", cpu, err)
		}
		list, err := parseList(string(text))
		if err != nil {
			return Topology{}, fmt.Errorf("sensor: siblings of CPU %d: %w", cpu, err)
		}
		t.siblings[cpu] = list
	}
	return t, nil
}

// Sibling is another hyperthread of the CPU's core: on machines with more than two the next one, in
// a ring.
func (t Topology) Sibling(cpu int) (sibling int, ok bool) {
	list := t.siblings[cpu]
	at := slices.Index(list, cpu)
	if at < 0 || len(list) < 2 {
		return 0, false
	}
	return list[(at+1)%len(list)], true
}

// Online lists the CPUs that run, in ascending order.
func Online(root fs.FS) ([]int, error) {
	text, err := fs.ReadFile(root, "online")
	if err != nil {
		return nil, fmt.Errorf("sensor: CPUs online: %w", err)
	}
	list, err := parseList(string(text))
	if err != nil {
		return nil, fmt.Errorf("sensor: CPUs online: %w", err)
	}
	return list, nil
}

// parseList reads the kernel's form of a set of CPUs, 0-3,8.
func parseList(text string) ([]int, error) {
	var list []int
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		if err != nil {
			return nil, fmt.Errorf("CPU list %q: %w", text, err)
		}
		last, err := strconv.Atoi(to)
		if err != nil {
			return nil, fmt.Errorf("CPU list %q: %w", text, err)
		}
		if first < 0 || first > last || last >= maxCPUs {
			return nil, fmt.Errorf("CPU list %q: %d to %d, of at most %d", text, first, last,
				maxCPUs)
		}
		for cpu := first; cpu <= last; cpu++ {
			list = append(list, cpu)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
