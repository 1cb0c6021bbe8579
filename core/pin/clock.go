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

// samples bounds how often NewClock compares the two clocks. (guess: a thread loses its CPU
// between two reads far less often than every other time)
const samples = 8

// NewClock returns a clock. Go's clock is CLOCK_MONOTONIC from an origin of its own, so both are
// read side by side, several times, because a thread that loses its CPU between two reads would
// be off by as long as it waits.
func NewClock() Clock {
	var best Clock
	narrowest := core.Never
	for range samples {
		before := time.Now()
		var ts unix.Timespec
		// Cannot fail: the clock exists and the pointer is good.
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
		width := core.Time(time.Since(before))
		if width < narrowest {
			narrowest = width
			best = Clock{base: before, offset: core.Time(ts.Nano()) - width/2}
		}
	}
	return best
}

// Now is the time. It costs one read of the time-stamp counter where the kernel allows that to user
// space, which `dunlin doctor` checks.
func (c Clock) Now() core.Time { return c.offset + core.Time(time.Since(c.base)) }
