// Package sensor is the door to what a machine can say of itself beyond queues and clocks: which
// CPUs share a core, which are online, how much memory traffic there is, and who misses the caches.
//
//	/sys/devices/system/cpu ──> Topology, Online   the other hyperthread of a CPU
//	/sys/fs/resctrl ──────────> Resctrl: Memory    bytes per second, from two readings
//	perf_event_open ──────────> Perf:    Misses    last-level cache misses per second of each CPU
//	a test ───────────────────> Script:  both      readings replayed
//
// Few machines have everything, virtual ones next to nothing. What is missing is an *Unavailable
// that says exactly why and what would change it; policies do without. A sensor whose counter
// cannot be read for the moment returns another error, and may have a value the next time.
//
// Each sensor takes its files or its counters as a parameter, so tests bring their own. Reading
// makes system calls: it belongs to a control-plane goroutine, every few milliseconds, never to a
// dataplane core. A sensor belongs to one goroutine. The package decides nothing about cores.
package sensor

import (
	"errors"
	"fmt"

	"github.com/dunlin-io/dunlin/core"
)

// Memory measures the traffic between the caches and memory, of everything on the machine.
type Memory interface {
	// BytesPerSecond is the mean since the reading before. The first one has none: ErrNoRate.
	BytesPerSecond(now core.Time) (uint64, error)
}

// Misses counts what CPUs did not find in the last-level cache.
type Misses interface {
	// PerSecond is the mean of a CPU since its reading before. The first one has none: ErrNoRate.
	PerSecond(now core.Time, cpu int) (uint64, error)
}

// ErrNoRate says that a rate needs a reading more.
var ErrNoRate = errors.New("sensor: no rate before the second reading")

// ErrNotNow says that a counter that is there has no value for the moment.
var ErrNotNow = errors.New("no value at the moment")

// Unavailable says that this machine, its kernel or its settings do not have a sensor.
type Unavailable struct {
	Sensor string // resctrl or perf
	Why    string
	Remedy string // what would change it; empty: nothing
	cause  error  // nil: what was found is no error
}

func (u *Unavailable) Error() string { return fmt.Sprintf("sensor: %s: %s", u.Sensor, u.Why) }

func (u *Unavailable) Unwrap() error { return u.cause }

// Where sensors find their files; see the kernel's Documentation/ABI and filesystems/resctrl.rst.
const (
	CPURoot     = "/sys/devices/system/cpu"
	ResctrlRoot = "/sys/fs/resctrl"
)

// perSecond is a growth within a time as a rate.
func perSecond(growth float64, within core.Time) uint64 {
	return uint64(growth * float64(core.Second) / float64(within))
}
