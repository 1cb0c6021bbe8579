package policy

import (
	"math"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// bench drives a Caladan over passes of one machine, carrying out at once what it says.
type bench struct {
	s   *Snapshot
	p   *Caladan
	now core.Time
}

func (b *bench) pass() []Action {
	b.now += testInterval
	actions := b.p.Decide(b.now, b.s, nil)
	for _, a := range actions {
		k := &b.s.Cores[a.Core]
		k.Last, k.LastAt = k.Owner, b.now
		k.Owner, k.OwnedAt, k.State = a.Runtime, b.now, Running
	}
	return actions
}

// serves lets runtime 0 do requests of that time for that long.
func (b *bench) serves(service, during core.Time) {
	for end := b.now + during; b.now < end; {
		b.s.Runtimes[0].Served += uint64(max(1, testInterval/service))
		b.s.Runtimes[0].Busy += service * max(1, testInterval/service)
		b.pass()
	}
}

// newBench is an LC runtime with both of its cores beside BE with two.
func newBench() *bench {
	return &bench{newSnapshot(4, lc(0, 4), be(0, 4)).on(0, 0, 1).on(1, 2, 3), NewCaladan(Config{}), testNow}
}

func TestLearnsService(t *testing.T) {
	b := newBench()
	b.serves(core.Microsecond, 900*core.Microsecond)
	if got := b.p.Standing(0).Service; got != 0 {
		t.Errorf("%d ns before a window is over", got)
	}
	b.serves(core.Microsecond, 200*core.Microsecond)
	if got := b.p.Standing(0).Service; got != core.Microsecond {
		t.Errorf("%d ns, want 1000", got)
	}
	b.s.Runtimes[0].Served, b.s.Runtimes[0].Busy = 0, 0 // counters do not run backwards
	b.serves(10*core.Microsecond, 1100*core.Microsecond)
	if got := b.p.Standing(0).Service; got != 10*core.Microsecond {
		t.Errorf("%d ns, want 10000", got)
	}
	b.s.Runtimes[0].ID++
	b.pass()
	if got := b.p.Standing(0); got != (Standing{}) {
		t.Errorf("another runtime begins with %+v", got)
	}
}

// lends makes core 1 unused for a pass, and wanted again after BE has had it for so many passes.
func (b *bench) lends(passes int) {
	b.s.rests(1)
	b.s.Cores[1].IdleAt = b.now
	b.pass()
	for range passes - 1 {
		b.pass()
	}
	b.s.Runtimes[0] = b.s.Runtimes[0].waiting(1, 0)
	b.pass()
	b.s.Runtimes[0].Waiting = 0
	b.s.Runtimes[0].Served += 4
	b.s.Runtimes[0].Busy += 4 * 20 * core.Microsecond
	b.pass()
}

// TestStandsStill has BE for shorter on each core than the hand-overs take, until LC keeps its
// unused cores; then the load becomes steady, and LC lends again.
func TestStandsStill(t *testing.T) {
	b := newBench()
	b.s.HandOver = 4 * core.Microsecond // a loan of one pass loses, one of two pays
	for range 50 {
		b.lends(2)
	}
	if got := b.p.Standing(0); got.Hold != 0 || got.Lost != 0 || got.Loans != 50 {
		t.Fatalf("loans that pay: %+v", got)
	}
	hold := core.Time(0)
	for range 400 {
		b.lends(1)
		now := b.p.Standing(0).Hold
		if now > max(2*hold, 2*b.s.HandOver) || now < hold-hold/shrink && now != 0 || now == 0 && hold > b.s.HandOver*11/10 {
			t.Fatalf("hold goes from %d to %d", hold, now)
		}
		hold = now
	}
	if got := b.p.Standing(0); got.Hold < 2*testInterval || got.Lost < 50 || got.Loans > 300 {
		t.Fatalf("loans that lose: %+v", got)
	}
	b.s.rests(1)
	lentAfter := core.Time(0)
	for start := b.now; b.s.Cores[1].Owner == 0; lentAfter = b.now - start {
		if b.pass(); b.now-start > 10*hold {
			t.Fatalf("with a hold of %d ns, not lent after %d ns", hold, b.now-start)
		}
	}
	if lentAfter < hold/2 {
		t.Errorf("with a hold of %d ns, lent after %d ns", hold, lentAfter)
	}
	b.serves(20*core.Microsecond, 100*core.Millisecond)
	if got := b.p.Standing(0).Hold; got != 0 {
		t.Errorf("still holds for %d ns after a long time without a move", got)
	}
}

// TestLendsWhatWasNotNeeded: of three unused cores, one was unused for the whole hold time.
func TestLendsWhatWasNotNeeded(t *testing.T) {
	s := newSnapshot(5, lc(0, 5), be(0, 5)).on(0, 0, 1, 2, 3).on(1, 4).rests(1, 2, 3)
	p := NewCaladan(Config{})
	p.record[0] = record{id: 1, hold: core.Millisecond, low: [2]int{2, 1}, lowAt: testNow}
	expect(t, say(p.Decide(testNow, s, nil)), "core 1: runtime 0 -> runtime 1, lent, not needed (100µs)")
	s.on(1, 1)
	expect(t, say(p.Decide(testNow+1, s, nil)))
	// Half a hold time later the window moves on: one core of two was never needed, then two.
	half := core.Millisecond / 2
	expect(t, say(p.Decide(testNow+half, s, nil)),
		"core 2: runtime 0 -> runtime 1, lent, not needed (600µs)")
	s.on(1, 2)
	expect(t, say(p.Decide(testNow+half+1, s, nil)))
}

func TestRestlessNeverHolds(t *testing.T) {
	b := newBench()
	b.p = NewCaladan(Config{Restless: true})
	b.s.HandOver = 4 * core.Microsecond
	for range 400 {
		b.lends(1)
	}
	if got := b.p.Standing(0); got.Hold != 0 || got.Lost != 400 {
		t.Errorf("%+v", got)
	}
}

// TestHurts lets loans pay and requests suffer: too many of them wait for longer than they take.
func TestHurts(t *testing.T) {
	for _, tt := range []struct {
		service core.Time
		hurts   bool
	}{
		{100 * core.Microsecond, false},
		{500, true}, // ns: a wait of 4.5 us is nine of these
	} {
		b := newBench()
		for range 100 {
			b.s.rests(1)
			b.serves(tt.service, 100*core.Microsecond)
			b.s.Runtimes[0] = b.s.Runtimes[0].waiting(1, 0)
			b.pass()
			b.s.Runtimes[0].Waiting = 0
			b.pass()
		}
		if got := b.p.Standing(0); got.Hold > 0 != tt.hurts || got.Lost != 0 {
			t.Errorf("requests of %d ns: %+v", tt.service, got)
		}
	}
}

// TestTolerated compares with the closed form for exponential service: the part of requests that
// may wait so that the 99.9th percentile grows by a fifth.
func TestTolerated(t *testing.T) {
	const service = 1000
	for wait := core.Time(0); wait < 12*service; wait += 50 {
		d := float64(wait) / service
		exact := 1e6 * (math.Exp(0.2*math.Log(1000)) - 1) * math.Exp(-d)
		got := float64(tolerated(wait, service))
		if got > exact*1.02 || got < exact/2.1-1 {
			t.Errorf("a wait of %d services: %v ppm, want %v or up to half of it", wait, got, exact)
		}
	}
	if got := tolerated(core.Second+core.Second/2, 1); got != 0 {
		t.Errorf("a wait of ages: %d ppm", got)
	}
}

// TestSoon: what the working cores take up before a hand-over is done needs no core of BE.
func TestSoon(t *testing.T) {
	s := newSnapshot(64, lc(0, 64), be(0, 64))
	for c := range s.Cores {
		s.on(int16(c/50), c)
	}
	p := NewCaladan(Config{})
	for _, tt := range []struct {
		service core.Time
		delay   core.Time
		frames  int
		want    int
	}{
		{0, 0, 12, 12}, // unknown: nothing is expected
		{100 * core.Microsecond, 0, 12, 11},
		{10 * core.Microsecond, 0, 10, 0}, // 50 cores do 10 requests in 2 us
		{10 * core.Microsecond, 0, 12, 2},
		{core.Microsecond, 0, 12, 2},                      // and no more than 10 in a fifth of one request's time
		{10 * core.Microsecond, 7001, 12, 12},             // it was expected, and did not happen
		{10 * core.Microsecond, core.Second, 1 << 40, 14}, // all that BE has
	} {
		s.Runtimes[0] = s.Runtimes[0].waiting(tt.frames, tt.delay)
		p.record[0] = record{id: 1, service: tt.service, windowAt: testNow}
		if got := p.Decide(testNow, s, nil); len(got) != tt.want {
			t.Errorf("%+v: %d cores", tt, len(got))
		}
	}
}
