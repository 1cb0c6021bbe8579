package courier

import "github.com/dunlin-io/dunlin/core"

// awayAfter is from which pause on a Courier has been away: a fifth of the shortest time after
// which anything is repeated. (transport.rtoFloor)
const awayAfter = core.Millisecond

// lateFrames is the most input that timers wait for then, so that a peer who floods cannot stop
// them: what the default rings hold. lateTurns is how many turns in a row may bring none: another
// worker's take place between two of ours. (guess)
const (
	lateFrames = 1024
	lateTurns  = 16
)

// lateness is that of a Courier that was away, until it has caught up.
type lateness struct {
	on    bool
	until uint64 // frames that may have come by then
	seen  uint64 // that had at the last look
	turns int    // in a row without any
}

// behind reports whether input may still wait that came while it was away.
func (c *Courier) behind(now core.Time) bool {
	l := &c.late
	away := now-c.last > awayAfter
	c.last = now
	if !away && !l.on {
		return false
	}
	frames := c.w.Received() + c.came
	if !l.on {
		*l = lateness{until: frames + lateFrames}
	} else if l.turns++; frames != l.seen {
		l.turns = 0
	}
	l.seen = frames
	l.on = c.unread() && frames < l.until && l.turns < lateTurns
	return l.on
}

// unread reports whether input waits, at any worker.
func (c *Courier) unread() bool {
	for _, q := range c.from {
		if q.from.Unread() || q.waiting() {
			return true
		}
	}
	return c.w.Unread()
}
