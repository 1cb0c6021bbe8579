package sensor

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Events that stand for misses of the last-level cache, the better one first: the processor's own
// choice of them (on AMD, what the L2 cache missed), then reads that missed.
func missEvents() []unix.PerfEventAttr {
	const llReadMisses = unix.PERF_COUNT_HW_CACHE_LL | unix.PERF_COUNT_HW_CACHE_OP_READ<<8 |
		unix.PERF_COUNT_HW_CACHE_RESULT_MISS<<16
	return []unix.PerfEventAttr{
		{Type: unix.PERF_TYPE_HARDWARE, Config: unix.PERF_COUNT_HW_CACHE_MISSES},
		{Type: unix.PERF_TYPE_HW_CACHE, Config: llReadMisses},
	}
}

// perfCounter is a Counter of the kernel.
type perfCounter struct{ fd int }

// OpenCounter opens a counter of the misses of everything that runs on a CPU. It takes CAP_PERFMON,
// or a kernel.perf_event_paranoid of 0 or less. The error is *Unavailable.
func OpenCounter(cpu int) (Counter, error) {
	var err error
	for _, attr := range missEvents() {
		attr.Size = unix.PERF_ATTR_SIZE_VER1
		attr.Read_format = unix.PERF_FORMAT_TOTAL_TIME_ENABLED |
			unix.PERF_FORMAT_TOTAL_TIME_RUNNING
		const everybody, noGroup = -1, -1
		var fd int
		fd, err = unix.PerfEventOpen(&attr, everybody, cpu, noGroup, unix.PERF_FLAG_FD_CLOEXEC)
		if err == nil {
			return &perfCounter{fd}, nil
		}
		if !noSuchEvent(err) {
			break // another event would fail as well
		}
	}
	return nil, explain(cpu, err)
}

// noSuchEvent reports whether the processor lacks the event.
func noSuchEvent(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) ||
		errors.Is(err, unix.EINVAL)
}

// explain says what a failed perf_event_open means (perf_event_open(2), ERRORS).
func explain(cpu int, err error) error {
	u := &Unavailable{Sensor: "perf", cause: err}
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		u.Why = "not permitted: counting on a whole CPU takes CAP_PERFMON"
		u.Remedy = "run as root or with CAP_PERFMON, or sysctl -w kernel.perf_event_paranoid=0"
	case errors.Is(err, unix.ENOSYS):
		u.Why = "the kernel was built without CONFIG_PERF_EVENTS"
	case errors.Is(err, unix.ENODEV):
		u.Why = fmt.Sprintf("CPU %d is offline", cpu)
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		u.Why = "the limit of open files is reached"
		u.Remedy = "raise LimitNOFILE"
	case errors.Is(err, unix.EBUSY):
		u.Why = "another program has the counters for itself"
	case noSuchEvent(err):
		u.Why = "the processor has no counter of last-level cache misses, or the virtual machine " +
			"does not pass it on"
	default:
		u.Why = fmt.Sprintf("CPU %d: %v", cpu, err)
	}
	return u
}

// Read is part of Counter.
func (c *perfCounter) Read() (Count, error) {
	var b [24]byte // value, time enabled, time running: u64 each
	n, err := unix.Read(c.fd, b[:])
	if err != nil {
		return Count{}, err
	}
	if n != len(b) { // 0: the event is in error, as when its CPU has gone
		return Count{}, fmt.Errorf("%w: the kernel has stopped the counter", ErrNotNow)
	}
	return Count{
		Value:   binary.NativeEndian.Uint64(b[:]),
		Enabled: binary.NativeEndian.Uint64(b[8:]),
		Running: binary.NativeEndian.Uint64(b[16:]),
	}, nil
}

// Close is part of Counter.
func (c *perfCounter) Close() error { return unix.Close(c.fd) }
