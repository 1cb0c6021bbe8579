package sensor

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/dunlin-io/dunlin/core"
)

// mbmTotal is the kernel's name of the count: bytes that a cache took from memory or gave back, of
// this socket and others.
const mbmTotal = "mbm_total_bytes"

// Resctrl is the Memory of the kernel's resctrl file system, where CPUs have memory bandwidth
// monitoring (MBM).
//
//	/sys/fs/resctrl/mon_data/mon_L3_00/mbm_total_bytes         the default group, cache 0
//	/sys/fs/resctrl/GROUP/mon_data/mon_L3_00/mbm_total_bytes   each control group
//
// A process is in one control group, whose counts include those of the monitoring groups in it. So
// the machine's traffic is the sum over default and control groups, and over caches.
type Resctrl struct {
	root fs.FS
	last map[string]uint64 // by path, at the time of the last good reading
	at   core.Time
	rate uint64 // then
	any  bool   // there was one
}

// OpenResctrl looks at a resctrl file system, which is usually at ResctrlRoot. The error is
// *Unavailable unless something is broken.
func OpenResctrl(root fs.FS) (*Resctrl, error) {
	if _, err := fs.Stat(root, "."); err != nil {
		return nil, without(err, "there is no "+ResctrlRoot+": the CPU, or the virtual machine, "+
			"has no resource monitoring, or the kernel no CONFIG_X86_CPU_RESCTRL", "")
	}
	if _, err := fs.Stat(root, "info"); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, without(err, "not mounted", "mount -t resctrl resctrl "+ResctrlRoot)
		}
		return nil, without(err, err.Error(), "")
	}
	text, err := fs.ReadFile(root, "info/L3_MON/mon_features")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, without(err, "the CPU monitors no caches (no info/L3_MON)", "")
	}
	if err != nil {
		return nil, without(err, err.Error(), "")
	}
	for feature := range strings.FieldsSeq(string(text)) {
		if feature == mbmTotal {
			return &Resctrl{root: root, last: map[string]uint64{}}, nil
		}
	}
	return nil, without(nil, fmt.Sprintf("the CPU monitors %q, not memory traffic (%s)",
		strings.Fields(string(text)), mbmTotal), "")
}

func without(cause error, why, remedy string) error {
	return &Unavailable{Sensor: "resctrl", Why: why, Remedy: remedy, cause: cause}
}

// BytesPerSecond is part of Memory. If one of the counts cannot be read the reading fails, since
// the sum would look like less traffic; the next one then goes back to the last that was good.
func (r *Resctrl) BytesPerSecond(now core.Time) (uint64, error) {
	if r.any && now <= r.at {
		return r.rate, nil
	}
	counts, err := r.read()
	if err != nil {
		return 0, err
	}
	var growth float64
	for path, count := range counts {
		// A group that is new, or was made anew and counts from 0, begins to count now.
		if before, ok := r.last[path]; ok && count >= before {
			growth += float64(count - before)
		}
	}
	first, within := !r.any, now-r.at
	r.last, r.at, r.any = counts, now, true
	if first {
		return 0, ErrNoRate
	}
	r.rate = perSecond(growth, within)
	return r.rate, nil
}

// read reads all counts.
func (r *Resctrl) read() (map[string]uint64, error) {
	entries, err := fs.ReadDir(r.root, ".")
	if err != nil {
		return nil, fmt.Errorf("sensor: resctrl: %w", err)
	}
	groups := []string{"."}
	for _, e := range entries {
		switch e.Name() {
		case "info", "mon_data", "mon_groups":
		default:
			if e.IsDir() {
				groups = append(groups, e.Name())
			}
		}
	}
	counts := map[string]uint64{}
	for _, group := range groups {
		if err := r.readGroup(group, counts); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// readGroup adds the counts of a group, which may go away at any time.
func (r *Resctrl) readGroup(group string, counts map[string]uint64) error {
	data := path.Join(group, "mon_data")
	caches, err := fs.ReadDir(r.root, data)
	if group != "." && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sensor: resctrl: %w", err)
	}
	for _, cache := range caches {
		if !strings.HasPrefix(cache.Name(), "mon_L3_") {
			continue // counts of something else than the last cache
		}
		file := path.Join(data, cache.Name(), mbmTotal)
		text, err := fs.ReadFile(r.root, file)
		if group != "." && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("sensor: resctrl: %w", err)
		}
		if counts[file], err = parseCount(string(text)); err != nil {
			return fmt.Errorf("sensor: resctrl: %s: %w", file, err)
		}
	}
	return nil
}

// parseCount reads a count. The kernel writes words where the hardware has none: Unavailable,
// Error, and Unassigned where there are fewer counters than groups.
func parseCount(text string) (uint64, error) {
	text = strings.TrimSpace(text)
	switch text {
	case "Unavailable", "Error", "Unassigned":
		return 0, fmt.Errorf("%w: the kernel says %s", ErrNotNow, text)
	}
	return strconv.ParseUint(text, 10, 64)
}
