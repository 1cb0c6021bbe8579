package transport

import "github.com/dunlin-io/dunlin/core"

// Congestion control is Swift (Kumar et al., SIGCOMM 2020): a target delay, additive increase below
// it, a decrease in proportion to the excess above it at most once a round trip, windows below one
// frame by pacing. Five things differ.
//
//   - The target is the shortest round trip seen plus the time that one of our own frames takes at
//     the rate we have: each flow keeps about one frame queued (as Vegas does; Brakmo and Peterson,
//     1995), which plays the part of Swift's flow scaling. So a small call waits behind about one
//     frame, and 64 senders into one queue behind one each.
//   - The delay of a round is the least of its samples: a scheduler adds delay to some frames, a
//     queue to all.
//   - Loss alone is no sign of congestion unless it is more than half of what was sent: our links
//     lose frames for other reasons (full rings, bad cables), a queue that overflows has shown
//     itself by delay before, and what is sent again is exactly what was lost. Where silences are
//     left out of delays it may not have: there a share of silentLoss counts.
//   - Of the delay only what may be the network's counts. Swift has time stamps of a card for that;
//     we leave out the time in which nothing came back at all (see silence).
//   - The target follows what was measured and not what was configured, so each flow looks now and
//     then how short a round trip is without what it queues itself (see ebb).
//
// While silences alone hold a flow back its window grows beyond what the network holds, to what a
// thread can send before it loses its CPU again: with less, the flow moves a few frames a slice.
const (
	firstWindow = 32 << 10 // bytes; with jumbo frames firstFrames (RFC 6928 has ten of 1,500 B)
	firstFrames = 4
	mostFrames  = maxFlight * 3 / 4 // more cannot fly (see flight.spread): 10 Gb/s for 5 ms
	// marginLeast is the least delay added to the floor: below it the turns of both ends' loops
	// decide, each of which takes, opens and sends a burst. Two batches, so that one is sent while
	// the other is taken in; with 25 us bulk had three quarters of that rate, with 1 us a tenth.
	// Swift's base target is 25 us and more, and its hosts add to that. (DIARY #8, #11)
	marginLeast = 2 * batchFor
	// shyLeast is the same beside small transfers: a tenth of 1,500 B at 10 Gb/s. (guess)
	shyLeast = core.Microsecond / 8
	// marginMost bounds it: beyond, windows go below one frame. Swift's fabric target range.
	marginMost = 200 * core.Microsecond
	// wakeMargin is the delay above the floor that is believed to be a scheduler's when a flow has
	// no more than a frame out: at that pace both ends, and the iokernels between them, sleep and
	// are woken for each frame, on CPUs that others use. Without it a window that was cut below a
	// frame finds everybody asleep, takes that for a queue, and stays there for ever. It is above
	// what 64 senders of one jumbo frame each queue at 10 Gb/s, 0.5 ms. (DIARY #8)
	wakeMargin = core.Millisecond
	// stallRounds is how many rounds in a row must be later than wakeMargin before that counts as a
	// queue, whatever the window: a queue shows itself by shorter delays first, a thread that lost
	// its CPU does not. (guess)
	stallRounds = 4
	// lookFrames is the window that a flow takes to look why it is late (see look): from four
	// frames on silences show. It does so after lookFirst late rounds, then after twice as many,
	// up to lookMost. (guess)
	lookFrames = 4
	lookFirst  = 4
	lookMost   = 64
	// What is later than two frames of each of lookSenders at lookRate is worth a look: 0.15 ms
	// with frames of 1,500 B.
	lookSenders = 64
	lookRate    = 1_250_000_000 // bytes per second
	// hyperMost bounds how fast a window grows that nothing but silences hold back: twice as fast
	// after each further round, until it doubles (TIMELY's hyperactive increase; Mittal et al.,
	// SIGCOMM 2015).
	hyperMost = 10
	// baseFor is for how long the shortest round trip counts: routes change. Longer than BBR's 10
	// s, because we never empty the queue to look. (guess)
	baseFor = 60 * core.Second
	// leastShare is the smallest window as a fraction of a frame: 1/64, for 64 senders with a queue
	// of one frame.
	leastShare = 64
	// smallFrame is the longest frame, in bytes, whose time on a cable is as good as none: 0.4 us
	// at 10 Gb/s.
	smallFrame = 512
	// lossSample is how many frames a share of loss is judged on: of 64 frames, with 30 % lost,
	// more than half are once in 3,000 times.
	lossSample = 64
	// silentLoss is the share of what was sent that may be lost while silences are left out of
	// delays: they hide a queue, which then shows only by what it drops. (guess)
	silentLoss = 16
	// shyFor is how long after a small transfer bulk keeps only a shyShare of a frame queued, and
	// grows as much more slowly: the next small one should not find a frame before it. (guess)
	shyFor   = core.Millisecond
	shyShare = 6
	// shyPause is the part of a frame's time that bulk then leaves between two, so that frames that
	// one acknowledgement lets go do not queue behind each other. (guess)
	shyPause = 4
	// shyMost bounds what the first small transfer takes out of the window: one part stays. It is
	// above what a queue of marginLeast makes of the shortest round trip at 10 Gb/s. (guess)
	shyMost = 4
)

// floor is the shortest delay of the last baseFor to twice that.
type floor struct {
	now, before core.Time
	until       core.Time
}

func (b *floor) sample(now, d core.Time) {
	if now >= b.until {
		b.before, b.now, b.until = b.now, d, now+baseFor
		return
	}
	b.now = min(b.now, d)
}

func (b *floor) least() core.Time {
	if b.before != 0 {
		return min(b.now, b.before)
	}
	return b.now
}

// congestion is the window of a lane, in bytes of frames.
type congestion struct {
	window    int64
	saved     int64 // window before the last cut for a time-out; 0: nothing to undo
	savedSlow bool  // slow then
	frame     int64 // bytes of a large frame
	slow      bool  // start: the window doubles each round trip
	goal      int64 // below it, too: after a time-out half of what was
	limited   bool  // the window held something back in this round
	silent    bool  // there was silence in this round
	shy       bool  // there was a small transfer lately, at the last sample
	skip      bool  // the window was cut in the round before this
	held      bool  // ... since the last frame of bulk

	small, large floor     // delays of frames up to smallFrame, and of nearly the largest
	fabric       core.Time // smoothed delay without silences; 0: none yet

	roundEnd    uint64    // the round ends when this frame is acknowledged
	roundLeast  core.Time // of the samples in it; Never: none
	lastLeast   core.Time // ... of the round before
	roundBase   core.Time // floor that the least of them had
	roundMargin core.Time // ... and target
	stalls      int       // late rounds in a row that were taken for a scheduler's
	good        int       // rounds in a row that were in time, limited and not without silences
	low         int       // late rounds with nearly no window since the last look
	lookAfter   int       // so many of them
	roundAcked  int       // frames of this and earlier rounds, until there are enough to judge
	roundLost   int
	ebb         ebb

	paceAt   core.Time // when the next bulk frame may go
	batchEnd core.Time // those due before go with the one before them
	shyUntil core.Time
}

func (c *congestion) start(frame int) {
	c.frame = int64(frame)
	c.window = max(firstWindow, firstFrames*c.frame)
	c.slow, c.lookAfter = true, lookFirst
	c.roundLeast, c.lastLeast = core.Never, core.Never
}

// resize takes another size of large frames: they take another time on the way.
func (c *congestion) resize(frame int) {
	if int64(frame) == c.frame {
		return // a probe that came twice, or late: the floor is still that of these
	}
	c.frame = int64(frame)
	c.large = floor{}
	c.window = min(max(c.window, c.frame), mostFrames*c.frame)
	c.roundLeast, c.lastLeast = core.Never, core.Never
}

// target is the delay that a flow of this window aims at over the given floor.
func (c *congestion) target(now, b, rtt core.Time) core.Time {
	if c.window <= c.frame {
		return b + wakeMargin
	}
	margin := core.Time(c.frame * int64(rtt) / c.window)
	if now < c.shyUntil {
		return b + min(max(margin/shyShare, shyLeast), marginMost)
	}
	return b + min(max(margin, marginLeast), marginMost)
}

// of is the floor of frames of so many bytes: a frame's length is part of its delay. Of lengths in
// between nothing is known: nil.
func (c *congestion) of(bytes int) *floor {
	switch {
	case bytes <= smallFrame:
		return &c.small
	case int64(bytes) >= c.frame-c.frame/8:
		return &c.large
	}
	return nil
}

// seen takes a round trip as one that can be had.
func (c *congestion) seen(now, d core.Time, bytes int) {
	if b := c.of(bytes); b != nil {
		b.sample(now, d)
	}
}

// onSample takes a round trip of a frame of so many bytes, the silence in it, and the bytes that
// its acknowledgement newly covered.
func (c *congestion) onSample(now, d, quiet core.Time, bytes int, acked int64) {
	d = max(d-quiet, 1)
	c.silent = c.silent || quiet > 0
	c.shy = now < c.shyUntil
	b := c.of(bytes)
	if b == nil || b == &c.small && c.limited {
		return // beside bulk a small frame waits for the large one before it: that is no queue
	}
	if quiet > 0 {
		d = max(d, b.least()) // of a frame that was sent in it the way is left out, too
	}
	t := c.target(now, b.least(), d)
	if d < c.roundLeast {
		c.roundLeast, c.roundBase, c.roundMargin = d, b.least(), t
	}
	if c.fabric == 0 {
		c.fabric = d
	}
	c.fabric += (d - c.fabric) / 8
	if d > t {
		return
	}
	if !c.limited {
		return // nobody knows what the network would have done to more
	}
	switch {
	case c.slow || c.window < c.goal:
		c.window += acked
	case c.window >= c.frame:
		more := c.frame * acked / c.window << min(c.good, hyperMost)
		if now < c.shyUntil {
			more /= shyShare
		}
		c.window += min(more, acked)
	default:
		c.window += acked / 2
	}
	c.window = min(c.window, mostFrames*c.frame)
}

// endRound judges a round when its last frame is acknowledged; next begins the following one.
func (c *congestion) endRound(next uint64) {
	switch {
	case c.ebbs():
	case c.skip:
		c.skip = false // these were sent before the cut
		if c.silent {
			c.roundAcked, c.roundLost = 0, 0
		}
	case c.roundLost+c.roundAcked >= lossSample && c.roundLost > c.roundAcked:
		c.cut(c.window / 2)
	case c.overflows():
		lost := int64(c.roundLost)
		c.cut(max(c.window-c.window*lost/(lost+int64(c.roundAcked)), c.window/2))
		c.roundAcked, c.roundLost = 0, 0
	case c.roundLeast == core.Never:
	case c.look():
		c.window = lookFrames * c.frame
	case c.stalled():
		c.good = 0
	case c.roundLeast > c.roundMargin:
		over := int64(c.roundLeast-c.roundMargin) * 8 / 10
		d := int64(c.roundLeast)
		c.cut(max(c.window-c.window*over/d, c.window/2))
	case c.limited && c.silent:
		c.good++
		c.low, c.lookAfter = 0, lookFirst
	default:
		c.good = 0
	}
	c.lastLeast = c.roundLeast
	c.roundEnd, c.roundLeast, c.saved = next, core.Never, 0
	if c.roundLost+c.roundAcked >= lossSample {
		c.roundAcked, c.roundLost = 0, 0
	}
	c.limited, c.silent = false, false
}

// overflows reports whether losses are taken for a queue's that silences hide.
func (c *congestion) overflows() bool {
	return c.silent && c.window > c.frame && c.roundLost > 1 &&
		c.roundLost*silentLoss > c.roundLost+c.roundAcked
}

// stalled reports whether a round that was late is taken for a scheduler's doing.
func (c *congestion) stalled() bool {
	if c.roundLeast <= c.roundMargin+wakeMargin {
		c.stalls = 0
		return false
	}
	c.stalls++
	return c.stalls%stallRounds != 0
}

// look reports whether it is time to find out by a larger window why a flow that has nearly none
// is late: with so few frames out silences do not show. Where it was a queue, the next time comes
// later.
func (c *congestion) look() bool {
	queue := core.Time(2 * c.frame * lookSenders * int64(core.Second) / lookRate)
	if !c.limited || c.window > 2*c.frame || c.roundLeast <= c.roundBase+queue {
		return false
	}
	if c.low++; c.low < c.lookAfter {
		return false
	}
	c.low, c.lookAfter = 0, min(2*c.lookAfter, lookMost)
	return true
}

func (c *congestion) cut(window int64) {
	c.slow, c.skip, c.good = false, true, 0
	c.window = max(window, c.frame/leastShare)
	c.goal = 0
}

// onTimeout forgets the window: everything in flight seems lost. next is the frame sent next: once
// it has arrived, the time-out was right.
func (c *congestion) onTimeout(next uint64) {
	c.flood()
	if c.saved == 0 {
		c.saved, c.savedSlow = c.window, c.slow
	}
	goal := c.saved / 2
	c.cut(min(c.window, c.frame))
	c.goal = goal
	c.roundEnd, c.roundLeast = next, core.Never
}

// onSpurious undoes that, because what seemed lost has arrived: the test of Eifel (RFC 3522), by
// numbers that never repeat instead of time stamps.
func (c *congestion) onSpurious() (undone bool) {
	if c.saved == 0 {
		return false
	}
	c.window = min(max(c.window, c.saved), mostFrames*c.frame)
	c.saved, c.slow = 0, c.slow || c.savedSlow
	return true
}

// beside notes that a small transfer goes now. If none did lately, bulk may have more queued than
// is right beside one: the window is cut by that at once, not by what a round trip tells later. A
// part of shyMost is left, because a scheduler may have been the cause.
func (c *congestion) beside(now core.Time) {
	c.flood()
	b, d := c.large.least(), min(c.roundLeast, c.lastLeast)
	if now >= c.shyUntil && c.window > c.frame && b > 0 && d != core.Never && d > b {
		c.cut(max(c.window*int64(b)/int64(d), c.window/shyMost))
		c.roundLeast, c.lastLeast = core.Never, core.Never
	}
	c.shyUntil = now + shyFor
}

// hold notes that the window held something back.
func (c *congestion) hold() { c.limited, c.held = true, true }

// admits reports whether the window has room for another bulk frame.
func (c *congestion) admits(flying int64) bool {
	return flying+min(c.window, c.frame) <= c.window || flying == 0
}
