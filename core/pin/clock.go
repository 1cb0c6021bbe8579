package pin

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
)

// Clock reads the host's monotonic clock. All processes of a host read the same one.
type Clock struct {
	base   time.Time
	offset core.Time // CLOCK_MONOTONIC at base
}

// NewClock returns a clock.
func NewClock() Clock {
	var ts unix.Timespec
	// Cannot fail: the clock exists and the pointer is good.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return Clock{base: time.Now(), offset: core.Time(ts.Nano())}
}

// Now is the time. It costs one read of the time-stamp counter where the kernel allows that to user
// space, which `dunlin doctor` checks.
func (c Clock) Now() core.Time { return c.offset + core.Time(time.Since(c.base)) }
