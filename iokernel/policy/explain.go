package policy

import (
	"fmt"
	"strconv"
	"time"
)

// String is the action in words, as "core 3: runtime 1 -> 0, frames wait (2 frames)".
func (a Action) String() string {
	var to string
	switch a.Kind {
	case Grant:
		to = name(a.Runtime)
	case Keep:
		to = "kept idle"
	case Park:
		to = "parked"
	default:
		to = fmt.Sprintf("kind %d?", a.Kind)
	}
	return fmt.Sprintf("core %d: %s -> %s, %s (%s)", a.Core, name(a.From), to, a.Reason,
		a.Reason.Unit().format(a.Input))
}

func name(runtime int16) string {
	if runtime == None {
		return "nobody"
	}
	return "runtime " + strconv.Itoa(int(runtime))
}

func (u Unit) format(v int64) string {
	switch u {
	case UnitFrames:
		return plural(v, "frame")
	case UnitTime:
		return time.Duration(v).String()
	case UnitBytes:
		return fmt.Sprintf("%d MB/s", v/1_000_000)
	}
	return plural(v, "core")
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
