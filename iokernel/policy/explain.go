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
		a.Reason.Unit().Format(a.Input))
}

// String is what the action does.
func (k Kind) String() string {
	if names := [...]string{"grant", "keep", "park"}; int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d?", k)
}

// String is the state in one word.
func (s State) String() string {
	names := [...]string{"idle", "running", "yielding", "parked", "offline"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state %d?", s)
}

func name(runtime int16) string {
	if runtime == None {
		return "nobody"
	}
	return "runtime " + strconv.Itoa(int(runtime))
}

// Format writes an input with its unit, as "2 frames".
func (u Unit) Format(v int64) string {
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
