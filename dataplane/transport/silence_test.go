package transport

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// TestQueueMakesNoSilence: a queue of any length hands a window's frames on one by one, so they are
// acknowledged as regularly as the window asks for it, and none of its delay is left out.
func TestQueueMakesNoSilence(t *testing.T) {
	const frame = 1514
	for _, d := range []core.Time{50 * core.Microsecond, core.Millisecond, 20 * core.Millisecond} {
		for frames := int64(1); frames <= 64; frames *= 2 {
			var q silence
			now := core.Second
			q.begin(now)
			mark := q.mark(now)
			asks := min(frames, silenceAsks)
			for range 3 * asks {
				now += d / core.Time(asks)
				q.heard(now, d, frames*frame, frame)
			}
			if got := q.during(mark); got != 0 {
				t.Errorf("%d frames, %d ns: %d ns of silence", frames, d, got)
			}
		}
	}
}

// TestSilenceCountsFromWhenAFrameWasSent: of a silence counts for a frame what comes after it was
// sent, and for frames that are sent afterwards nothing.
func TestSilenceCountsFromWhenAFrameWasSent(t *testing.T) {
	const frame, window, pause = 1514, 16 * 1514, 5 * core.Millisecond
	var q silence
	now := core.Second
	q.begin(now)
	before, within := q.mark(now), q.mark(now+2*core.Millisecond)
	now += pause
	q.heard(now, pause+20*core.Microsecond, window, frame)
	after := q.mark(now)
	q.heard(now, pause, window, frame) // more of what waited
	for _, x := range []struct{ mark, want core.Time }{
		{before, pause}, {within, pause - 2*core.Millisecond}, {after, 0},
	} {
		if got := q.during(x.mark); got != x.want {
			t.Errorf("%d ns of silence, want %d", got, x.want)
		}
	}
}

// TestNearlyNoWindowLooks: a flow of one frame that is later than a queue of such flows would make
// it takes some more, to see by silences whose doing that is. It does so more and more rarely, until
// it has been found to be a scheduler's.
func TestNearlyNoWindowLooks(t *testing.T) {
	const base, late = 10 * core.Microsecond, 400 * core.Microsecond
	var c congestion
	c.start(1514)
	c.slow = false
	now := core.Second
	round := func(d, quiet core.Time) {
		now += core.Millisecond
		c.limited, c.skip = true, false
		c.onSample(now, d, quiet, 1514, 1514)
		c.endRound(0)
	}
	looks := func() int {
		for n := 1; ; n++ {
			c.window = c.frame
			if round(late, 0); c.window >= lookFrames*c.frame {
				return n
			}
		}
	}
	trip(&c, now, base, 1514, 1514)
	c.endRound(0)
	for want := lookFirst; want <= lookMost; want *= 2 {
		if got := looks(); got != want {
			t.Fatalf("looked after %d rounds, want %d", got, want)
		}
	}
	if got := looks(); got != lookMost {
		t.Errorf("looked after %d rounds, want %d", got, lookMost)
	}
	round(late, late-base)
	if got := looks(); got != lookFirst {
		t.Errorf("looked after %d rounds, want %d again", got, lookFirst)
	}
}

// TestSilentRoundsGrowFast: a window that silences alone hold back grows by twice as much in each
// further round, and never faster than it doubles.
func TestSilentRoundsGrowFast(t *testing.T) {
	const base = 10 * core.Microsecond
	var c congestion
	c.start(1514)
	c.slow = false
	now := core.Second
	trip(&c, now, base, 1514, 1514)
	c.endRound(0)
	for n := range 2 * hyperMost {
		before := c.window
		now += core.Millisecond
		c.limited = true
		c.onSample(now, core.Millisecond, core.Millisecond-base, 1514, c.window)
		c.endRound(0)
		want := min(before+min(c.frame<<n, before), mostFrames*c.frame)
		if c.window != want {
			t.Errorf("round %d: a window of %d bytes became one of %d, want %d", n, before, c.window,
				want)
		}
	}
	now += core.Millisecond
	c.limited = true
	trip(&c, now, core.Millisecond, 1514, 1514)
	if c.endRound(0); c.good != 0 {
		t.Errorf("%d good rounds after one that was late", c.good)
	}
}

// TestTimeoutByMistakeCostsNothing: the frames that it declared lost count as arrived, and a window
// that still doubled does so again; after a time-out that was right it doubles up to half of what it
// was.
func TestTimeoutByMistakeCostsNothing(t *testing.T) {
	_, a, _, id, _ := pair(t, 0, nil)
	l := a.e.find(id).lanes[0]
	c := &l.congestion
	c.start(1514)
	c.roundLost, c.roundAcked = 0, 0
	window, now := c.window, core.Second
	s := l.flight.record(now)
	l.flight.fly(s, 1514)
	c.onTimeout(l.flight.next)
	l.lose(now, s)
	if c.roundLost != 1 || c.window >= window {
		t.Fatalf("%d lost, a window of %d bytes", c.roundLost, c.window)
	}
	l.late(now, s)
	if c.roundLost != 0 || c.roundAcked != 1 || c.window != window || !c.slow {
		t.Errorf("%d lost, %d arrived, a window of %d bytes, start %v", c.roundLost, c.roundAcked,
			c.window, c.slow)
	}
	c.onTimeout(l.flight.next)
	for range 5 {
		now += core.Millisecond
		c.limited = true
		trip(c, now, 10*core.Microsecond, 1514, c.window)
	}
	if c.window < window/2 || c.window > window {
		t.Errorf("a window of %d bytes became one of %d", window, c.window)
	}
}

// TestSilencesHideNoOverflow: while silences are left out of delays, a round that loses more than a
// silentLoss costs the window as much, at most half of it, and its growth begins anew; a few losses
// cost nothing, and nor do those of a round without silences.
func TestSilencesHideNoOverflow(t *testing.T) {
	const base, window = 10 * core.Microsecond, 128 * 1514
	for _, x := range []struct {
		quiet       core.Time
		lost, acked int
		want        int64
	}{
		{core.Millisecond, 25, 75, window - window/4},
		{core.Millisecond, 49, 51, window - window*49/100},
		{core.Millisecond, 1, 3, window},
		{core.Millisecond, 6, 94, window},
		{0, 25, 75, window},
	} {
		var c congestion
		c.start(1514)
		c.slow, c.window = false, window
		trip(&c, core.Second, base, 1514, 1514)
		c.endRound(0)
		c.good = hyperMost
		c.onSample(core.Second, base+x.quiet, x.quiet, 1514, 1514)
		c.roundLost, c.roundAcked = x.lost, x.acked
		c.endRound(0)
		if c.window != x.want {
			t.Errorf("%+v: a window of %d bytes is left", x, c.window)
		}
		if x.want < window && (c.good != 0 || c.roundLost != 0) {
			t.Errorf("%+v: %d good rounds, %d losses count again", x, c.good, c.roundLost)
		}
	}
}

// TestSilencesShortenNoWay: a frame that was sent in a silence took no less than the shortest round
// trip, which is what a window is spread over.
func TestSilencesShortenNoWay(t *testing.T) {
	const base = 10 * core.Microsecond
	var c congestion
	c.start(1514)
	now := core.Second
	for range 100 {
		trip(&c, now, base, 1514, 1514)
		c.onSample(now, core.Millisecond, core.Millisecond, 1514, 1514)
	}
	if c.fabric != base || c.roundLeast != base {
		t.Errorf("round trips without silences of %d and %d ns, the way takes %d", c.fabric,
			c.roundLeast, base)
	}
}
