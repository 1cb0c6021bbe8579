package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxCPU bounds CPU and queue numbers, so that "0-4000000000" is an error and not four billion
// entries. Origin: CONFIG_NR_CPUS is at most 8192 on amd64.
const maxCPU = 8191

// CPU is the number of a CPU, or AnyCPU.
type CPU int

// AnyCPU leaves the choice to the program: the first that it is allowed.
const AnyCPU CPU = -1

func (c CPU) String() string {
	if c == AnyCPU {
		return "auto"
	}
	return strconv.Itoa(int(c))
}

func (c *CPU) parse(text string) error {
	if text == "auto" {
		*c = AnyCPU
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxCPU {
		return fmt.Errorf("want auto, or the number of a CPU")
	}
	*c = CPU(n)
	return nil
}

// CPUs is a list of CPU numbers without repetition; none means that the program chooses.
type CPUs []int

func (c CPUs) String() string {
	if len(c) == 0 {
		return "auto"
	}
	return FormatList(c)
}

func (c *CPUs) parse(text string) error {
	if text == "auto" || text == "" {
		*c = nil
		return nil
	}
	list, err := ParseList(text)
	if err != nil {
		return err
	}
	*c = list
	return nil
}

// Queues is a list of receive queues of the interface.
type Queues struct {
	All  bool  // all but those of direct runtimes; List is empty
	List []int // without repetition; may be empty
}

func (q Queues) String() string {
	switch {
	case q.All:
		return "all"
	case len(q.List) == 0:
		return "none"
	}
	return FormatList(q.List)
}

func (q *Queues) parse(text string) error {
	switch text {
	case "all":
		*q = Queues{All: true}
		return nil
	case "none", "":
		*q = Queues{}
		return nil
	}
	list, err := ParseList(text)
	if err != nil {
		return fmt.Errorf("%w (all and none are fine too)", err)
	}
	*q = Queues{List: list}
	return nil
}

// ParseList reads a core list like 0-3,8 (also used for queues). The order is kept: the first
// worker gets the first CPU.
func ParseList(text string) ([]int, error) {
	var list []int
	seen := make(map[int]bool)
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		first, err := parseIndex(low)
		last := first
		if err == nil && isRange {
			last, err = parseIndex(high)
		}
		if err != nil {
			return nil, err
		}
		if last < first {
			return nil, fmt.Errorf("range %d-%d runs backwards", first, last)
		}
		for n := first; n <= last; n++ {
			if seen[n] {
				return nil, fmt.Errorf("%d is listed twice", n)
			}
			seen[n] = true
			list = append(list, n)
		}
	}
	return list, nil
}

func parseIndex(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n > maxCPU {
		return 0, fmt.Errorf("want a list of numbers up to %d like 0-3,8", maxCPU)
	}
	return int(n), nil
}

// FormatList writes a list as ParseList reads it.
func FormatList(list []int) string {
	var b strings.Builder
	for at := 0; at < len(list); {
		end := at
		for end+1 < len(list) && list[end+1] == list[end]+1 {
			end++
		}
		if at > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(list[at]))
		if end > at {
			fmt.Fprintf(&b, "-%d", list[end])
		}
		at = end + 1
	}
	return b.String()
}

// Machine reports the CPUs that c names and that are not among the allowed ones of this process.
func (c Config) Machine(allowed []int) error {
	var problems problems
	check := func(key string, cpu int) {
		if !slices.Contains(allowed, cpu) {
			problems.add(key, "CPU %d is not among the CPUs %s that this process may use; "+
				"name one of those, or widen its affinity or cpuset", cpu, FormatList(allowed))
		}
	}
	if c.CPU != AnyCPU {
		check("cpu", int(c.CPU))
	}
	for i, r := range c.Runtimes {
		for _, cpu := range r.CPUs {
			check(fmt.Sprintf("runtimes[%d].cpus", i), cpu)
		}
	}
	for _, cpu := range c.Cores.Lend.List {
		check("cores.lend", cpu)
	}
	if c.Cores.Lend.Any() && len(problems) == 0 {
		own := allowed[0]
		if c.CPU != AnyCPU {
			own = int(c.CPU)
		}
		lent := c.Lent(allowed, own)
		if len(lent) == 0 {
			problems.add("cores.lend", "this process may use CPU %s only, which is the "+
				"iokernel's own: there is none to lend", FormatList(allowed))
		}
		if slices.Contains(lent, own) {
			problems.add("cores.lend", "CPU %d is the iokernel's own; set cpu to another", own)
		}
		c.checkLent(&problems, lent)
	}
	return problems.err()
}
