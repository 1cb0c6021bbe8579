package transport

import "github.com/dunlin-io/dunlin/core"

// Pacing spreads the frames of a window over a round trip, in batches.
const (
	// gapMost is the longest pause between two frames of bulk, because both ends sleep meanwhile
	// (see wakeMargin): 64 senders into 1 Gb/s need 0.8 ms.
	gapMost = core.Millisecond
	// burstFor is the time that a sender who comes late makes up for, in frames sent at once; and
	// at least burstFrames.
	burstFor    = 10 * core.Microsecond
	burstFrames = 2
	// batchFor is the time, at the rate we have, of the frames of bulk that go together: the system
	// call that sends one takes as long as half of it, so one at a time halves the rate. Whoever
	// shares the link waits no longer than that. At 3 GB/s these are eight frames of 9,000 B, about
	// what NICs cut from one buffer (64 KiB). (DIARY #11)
	batchFor = 25 * core.Microsecond
)

// due reports whether another frame of bulk may go: its time has come, or that of its batch.
func (c *congestion) due(now core.Time) bool { return now >= c.paceAt || c.paceAt < c.batchEnd }

// paced moves the time of the next frame by one that was sent now. A window is spread over a round
// trip without its silences, so that it goes out while the thread has its CPU.
func (c *congestion) paced(now core.Time, bytes int, rtt core.Time) {
	if c.window >= c.frame && c.fabric > 0 {
		rtt = min(rtt, c.fabric)
	}
	gap := min(core.Time(int64(bytes)*int64(rtt)/c.window), gapMost)
	back := max(burstFor, burstFrames*gap)
	if now < c.shyUntil {
		gap += gap / shyPause
		back = 0
	}
	if c.window < c.frame || c.held {
		back = 0 // it was the window that held it up: frames follow the acknowledgements
	}
	c.held = false
	start := max(c.paceAt, now-back)
	switch {
	case now < c.shyUntil:
		c.batchEnd = 0
	case now >= c.paceAt:
		c.batchEnd = start + batchFor
	}
	c.paceAt = start + gap
}
