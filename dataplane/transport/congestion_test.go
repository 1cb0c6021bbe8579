package transport

import (
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

const tenGigabit = 1_250_000_000 // bytes per second

// stream keeps writes of a megabyte under way from s into a region of another.
type stream struct {
	s      *side
	id     SessionID
	region RegionID
	src    []byte
	under  int
	places int // of a megabyte, a write for each under way; 0: one, and three writes in turn
	begun  int
	done   int
}

func (x *stream) feed(r *rig) {
	for x.under < max(x.places, 3) {
		o := r.order(x.id)
		o.Deadline = core.Never
		at := Target{Region: x.region, Stable: true}
		at.Offset = uint64(x.begun%max(x.places, 1)) << 20
		if _, err := x.s.e.Write(r.now, o, at, x.src); err != nil {
			r.t.Fatal(err)
		}
		x.begun++
		x.under++
	}
}

// startStream begins a stream from a to b.
func startStream(r *rig, a, b *side) *stream { return streamTo(r, a, b, 0) }

// streamTo is startStream with so many places in the region.
func streamTo(r *rig, a, b *side, places int) *stream {
	r.t.Helper()
	sa, sb := r.connect(a, b, 0)
	region, err := b.e.Register(sb, make([]byte, max(places, 1)<<20), RightWrite)
	if err != nil {
		r.t.Fatal(err)
	}
	x := &stream{s: a, id: sa, region: region, src: make([]byte, 1<<20), places: places}
	a.serve = func(s *side, ev Event) {
		switch {
		case ev.Kind == EventWritten && ev.Outcome == Done:
			x.under--
			x.done++
			x.feed(r)
		case ev.Kind == EventWritten:
			r.t.Errorf("write: %+v", ev)
		case ev.Kind == EventReply:
			s.events = append(s.events, ev)
		}
	}
	return x
}

// inPlace is how many bytes of the stream have arrived.
func (x *stream) inPlace(to *side) (n int64) {
	n = int64(x.done) << 20
	for _, s := range to.e.sessions {
		if s == nil {
			continue
		}
		for _, l := range s.lanes {
			for _, in := range l.partials {
				if in.region == x.region {
					n += int64(in.total - in.left*blockBytes)
				}
			}
		}
	}
	return n
}

// incast has n senders fill one receiver and returns its goodput as a share of what its cable
// carries, and each sender's bytes.
func incast(t testing.TB, n, mtu int, queue core.Time, d core.Time) (share float64, each []int64, lost int) {
	r := newRig(t)
	b := r.add(func(c *Config) { c.MTU = mtu })
	b.rate, b.queue = tenGigabit, queue
	var streams []*stream
	for range n {
		a := r.add(func(c *Config) { c.MTU = mtu })
		a.rate = tenGigabit
		streams = append(streams, startStream(r, a, b))
	}
	for _, x := range streams {
		x.feed(r)
	}
	r.run(d / 3)
	before := make([]int64, n)
	for i, x := range streams {
		before[i] = x.inPlace(b)
	}
	start := r.now
	r.run(d)
	total := int64(0)
	for i, x := range streams {
		each = append(each, x.inPlace(b)-before[i])
		total += each[i]
	}
	return float64(total) / (float64(tenGigabit) * float64(r.now-start) / 1e9), each, b.overflow
}

// TestB10IncastKeepsGoodput has 64 senders fill one cable, whose switch has a queue without end, one
// of 200 us, and one of 50 us.
func TestB10IncastKeepsGoodput(t *testing.T) {
	for _, mtu := range []int{1500, 9000} {
		carries := float64(mtu-HeaderBytes-TagBytes-writeBytes-pingBytes) / float64(mtu+14)
		for _, queue := range []core.Time{0, 200 * core.Microsecond, 50 * core.Microsecond} {
			share, _, lost := incast(t, 64, mtu, queue, 10*core.Millisecond)
			t.Logf("MTU %d, queue %d us: %.1f %% of %.1f %%, %d frames lost", mtu, queue/1000,
				100*share, 100*carries, lost)
			if share < 0.90*carries {
				t.Errorf("MTU %d, queue %d us: %.1f %% of what the cable carries", mtu, queue/1000,
					100*share/carries)
			}
		}
	}
}

// TestB10FlowsShareFairly: of two and of eight senders none gets less than a fifth of its share,
// where the queue loses nothing.
func TestB10FlowsShareFairly(t *testing.T) {
	for _, n := range []int{2, 8} {
		_, each, _ := incast(t, n, 9000, 0, 20*core.Millisecond)
		slices.Sort(each)
		total := int64(0)
		for _, v := range each {
			total += v
		}
		if each[0]*int64(n)*5 < total {
			t.Errorf("%d senders: %v", n, each)
		}
	}
}

// TestB10LaterFlowGetsNoMore: a flow that begins while another one has a queue takes no more than
// that one for long, though it has never seen the way without the other's queue.
func TestB10LaterFlowGetsNoMore(t *testing.T) {
	for _, mtu := range []int{1500, 9000} {
		r := newRig(t)
		size := func(c *Config) { c.MTU = mtu }
		first, later, b := r.add(size), r.add(size), r.add(size)
		first.rate, later.rate, b.rate = tenGigabit, tenGigabit, tenGigabit
		x := streamTo(r, first, b, MaxPartial)
		x.feed(r)
		r.run(10 * core.Millisecond)
		y := streamTo(r, later, b, MaxPartial)
		y.feed(r)
		r.run(100 * core.Millisecond)
		beginX, beginY := x.inPlace(b), y.inPlace(b)
		r.run(100 * core.Millisecond)
		old, young := x.inPlace(b)-beginX, y.inPlace(b)-beginY
		t.Logf("MTU %d: %d and %d MB/s", mtu, old/100e3, young/100e3)
		if least := min(old, young); 5*least < old+young || old+young < tenGigabit/10*8/10 {
			t.Errorf("MTU %d: %d and %d bytes in 100 ms", mtu, old, young)
		}
	}
}

// TestB10IdleRestartDoesNotBurst: after a second of silence no more frames go at once than before,
// those of one batch.
func TestB10IdleRestartDoesNotBurst(t *testing.T) {
	r := newRig(t)
	a, b := r.add(nil), r.add(nil)
	a.rate, b.rate = tenGigabit, tenGigabit
	x := startStream(r, a, b)
	x.feed(r)
	r.run(10 * core.Millisecond)
	a.serve = func(*side, Event) {}
	r.run(core.Second)
	sent := 0
	r.watch = func(from *side, frame []byte) []byte {
		if from == a && len(frame) > 1000 {
			sent++
		}
		return frame
	}
	l := a.e.find(x.id).lanes[0]
	gap := core.Time(1514 * int64(l.rtt.round()) / l.congestion.window)
	x.under = 0
	x.feed(r)
	r.drain(a)
	if most := int(batchFor/gap) + 1; sent > most || 1.2*float64(gap) < 1514*1e9/tenGigabit {
		t.Errorf("%d frames at once, want at most %d, one each %d ns", sent, most, gap)
	}
}

func percentile(v []core.Time, p float64) core.Time {
	slices.Sort(v)
	return v[min(int(float64(len(v))*p), len(v)-1)]
}

// calls makes n calls one after another and returns their round trips.
func calls(r *rig, a *side, id SessionID, n int) (took []core.Time) {
	for i := range n {
		start := r.now
		o := r.order(id)
		o.Tag = uint64(i)
		if _, err := a.e.Call(r.now, o, make([]byte, 64)); err != nil {
			r.t.Fatal(err)
		}
		a.await(EventReply)
		took = append(took, r.now-start)
		r.run(core.Time(i*37%1000) * 30) // not in step with the frames of bulk
	}
	return took
}

// TestSmallCallBesideBulk: a full-rate write on the same session costs a small call, at p99, at most
// the time of two of its frames: one that the NIC is sending, and behind a switch one that is stored
// before it. At MTU 1500 what turns and clocks let be queued adds a fifteenth of one.
func TestSmallCallBesideBulk(t *testing.T) {
	for _, tt := range []struct {
		mtu    int
		direct bool
		frames float64
	}{{1500, true, 2}, {9000, true, 2}, {1500, false, 2.1}, {9000, false, 2}} {
		r := newRig(t)
		a, b := r.add(func(c *Config) { c.MTU = tt.mtu }), r.add(func(c *Config) { c.MTU = tt.mtu })
		a.rate, b.rate = tenGigabit, tenGigabit
		if tt.direct {
			b.rate = 0 // no switch: frames are on the cable once
		}
		x := startStream(r, a, b)
		b.serve = echo
		r.run(core.Millisecond)
		alone := calls(r, a, x.id, 200)
		x.feed(r)
		r.run(5 * core.Millisecond)
		before, start := x.inPlace(b), r.now
		beside := calls(r, a, x.id, 1000)
		rate := float64(x.inPlace(b)-before) * 1e9 / float64(r.now-start)
		frame := core.Time(int64(tt.mtu+14) * 1e9 / tenGigabit)
		base := percentile(alone, .99)
		t.Logf("MTU %d, direct %v: alone p99 %d ns, beside p50 %d, p95 %d, p99 %d, a frame %d; bulk %.0f MB/s",
			tt.mtu, tt.direct, base, percentile(beside, .5), percentile(beside, .95), percentile(beside, .99),
			frame, rate/1e6)
		if float64(percentile(beside, .99)-base) > tt.frames*float64(frame) {
			t.Errorf("MTU %d, direct %v: too late", tt.mtu, tt.direct)
		}
		if rate < 0.65*tenGigabit {
			t.Errorf("MTU %d: bulk at %.0f MB/s beside calls", tt.mtu, rate/1e6)
		}
	}
}

// trip is a round trip in which nothing was silent.
func trip(c *congestion, now, d core.Time, bytes int, acked int64) {
	c.seen(now, d, bytes)
	c.onSample(now, d, 0, bytes, acked)
}

// TestSmallTransferTakesTheQueueAway: the first small transfer takes from the window what bulk has
// queued, but for a shyMost of it; those that follow take nothing more.
func TestSmallTransferTakesTheQueueAway(t *testing.T) {
	const floor = 20 * core.Microsecond
	for _, x := range []struct{ delay, parts core.Time }{
		{floor, 1}, {2 * floor, 2}, {4 * floor, 4}, {100 * floor, shyMost},
	} {
		var c congestion
		c.start(1514)
		now := core.Second
		trip(&c, now, floor, 1514, 1514)
		c.endRound(0)
		trip(&c, now, x.delay, 1514, 1514)
		c.endRound(0)
		c.window = firstWindow
		for range 3 {
			c.beside(now)
		}
		if c.window != firstWindow/int64(x.parts) {
			t.Errorf("delay of %d ns above %d: of %d bytes %d are left", x.delay, floor, firstWindow,
				c.window)
		}
	}
}

// TestRepairsOfBulkAreNoSmallTransfers: bulk that loses frames, and sends them again as probes, has
// nothing small beside it for which it would make room.
func TestRepairsOfBulkAreNoSmallTransfers(t *testing.T) {
	r := newRig(t)
	a, b := r.add(nil), r.add(nil)
	a.rate, b.rate = tenGigabit, tenGigabit
	x := startStream(r, a, b)
	x.feed(r)
	r.run(core.Millisecond)
	a.lose(0.5)
	b.lose(0.5)
	l := a.e.find(x.id).lanes[0]
	for range 100 {
		r.run(100 * core.Microsecond)
		if l.congestion.shyUntil > r.now {
			t.Fatal("bulk makes room for itself")
		}
	}
	if a.e.Counters().Probes == 0 {
		t.Error("there were no probes")
	}
}

// TestSleepingEndsAreNoQueue: a window below a frame finds both ends asleep at each frame; what it
// takes to wake them must not keep it there, nor may the pause between two frames grow without end.
func TestSleepingEndsAreNoQueue(t *testing.T) {
	const base, asleep = 10 * core.Microsecond, 500 * core.Microsecond
	var c congestion
	c.start(1514)
	now := core.Second
	trip(&c, now, base, 1514, 1514)
	c.cut(c.frame / leastShare)
	c.paced(now, 1514, 20*core.Millisecond)
	if gap := c.paceAt - now; gap > gapMost {
		t.Errorf("the next frame goes after %d ns, at most %d", gap, gapMost)
	}
	for round := range uint64(20) {
		now += core.Millisecond
		c.limited = true
		trip(&c, now, asleep, 1514, 1514)
		c.endRound(round)
	}
	if c.window < c.frame/2 {
		t.Errorf("window of %d bytes after 20 round trips, a frame has %d", c.window, c.frame)
	}
}

// TestStallsAreNoQueue: rounds that are late by milliseconds out of nothing cost no window, unless
// they follow each other.
func TestStallsAreNoQueue(t *testing.T) {
	var c congestion
	c.start(1514)
	c.slow = false
	now := core.Second
	round := func(d core.Time) {
		now += core.Millisecond
		trip(&c, now, d, 1514, 1514)
		c.endRound(0)
	}
	round(10 * core.Microsecond)
	before := c.window
	for range 10 {
		for range stallRounds - 1 {
			round(5 * core.Millisecond)
		}
		round(10 * core.Microsecond)
	}
	if c.window < before {
		t.Errorf("a window of %d bytes has become one of %d", before, c.window)
	}
	c.window = firstWindow
	for range stallRounds {
		round(5 * core.Millisecond)
	}
	if c.window >= firstWindow {
		t.Errorf("%d late rounds in a row cost nothing", stallRounds)
	}
}

// TestImpossibleSampleIsLeftOut: an acknowledgement that was held for longer than the round trip
// took says nothing about the way.
func TestImpossibleSampleIsLeftOut(t *testing.T) {
	_, a, _, id, _ := pair(t, 0, nil)
	l := a.e.find(id).lanes[0]
	before, s := l.rtt, sent{at: core.Second, bytes: 1514}
	l.sample(core.Second+10*core.Microsecond, &s, 10*core.Microsecond, 1514, 1514)
	if l.rtt != before {
		t.Errorf("round trips were %+v, are %+v", before, l.rtt)
	}
	l.sample(core.Second+10*core.Microsecond, &s, 9*core.Microsecond, 1514, 1514)
	if l.rtt.latest != core.Microsecond {
		t.Errorf("round trip of %d ns, not of 1 us", l.rtt.latest)
	}
}

// TestResizeBoundsTheWindow: frames that become smaller leave a window of no more than mostFrames,
// nor does undoing a time-out from before; the same size again forgets nothing.
func TestResizeBoundsTheWindow(t *testing.T) {
	const base = 20 * core.Microsecond
	var c congestion
	c.start(9014)
	trip(&c, core.Second, base, 9014, 9014)
	c.window = mostFrames * c.frame
	c.resize(9014)
	if c.large.least() != base {
		t.Errorf("the same size again left a shortest round trip of %d ns", c.large.least())
	}
	c.onTimeout(1)
	c.resize(1514)
	if !c.onSpurious() || c.window != mostFrames*1514 {
		t.Errorf("a window of %d frames after the time-out was undone", c.window/1514)
	}
	c.window = mostFrames * 9014
	c.resize(1294)
	if c.window != mostFrames*1294 || c.large.least() != 0 {
		t.Errorf("a window of %d frames, and a shortest round trip of %d ns", c.window/1294,
			c.large.least())
	}
}
