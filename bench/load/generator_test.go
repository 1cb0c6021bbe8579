package load

import (
	"math/rand/v2"
	"testing"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// echo is a Transport in memory: it answers each request after delay turns of the clock, unless a
// test has it do something else.
type echo struct {
	frame   int
	pending []flying
	now     *core.Time
	delay   core.Time
	room    int                              // requests taken at once; 0: all
	fate    func(seq uint64) (copies int)    // nil: one each
	damage  func(seq uint64, payload []byte) // what happens to the bytes on the way
	sent    []core.Time                      // when
}

type flying struct {
	at      core.Time
	payload []byte
}

func (e *echo) SetBytes(frame int) error { e.frame = frame; return nil }

func (e *echo) Send(seq uint64, n int) int {
	if e.room > 0 {
		n = min(n, e.room)
	}
	for i := range n {
		copies := 1
		if e.fate != nil {
			copies = e.fate(seq + uint64(i))
		}
		e.sent = append(e.sent, *e.now)
		for range copies {
			b := make([]byte, e.frame-wire.EthernetBytes)
			putPayload(b, seq+uint64(i))
			if e.damage != nil {
				e.damage(seq+uint64(i), b)
			}
			e.pending = append(e.pending, flying{*e.now + e.delay, b})
		}
	}
	return n
}

func (e *echo) Recv(dst []uint64) (n int) {
	for n < len(dst) && len(e.pending) > 0 && e.pending[0].at <= *e.now {
		dst[n] = checkPayload(e.pending[0].payload)
		e.pending = e.pending[1:]
		n++
	}
	return n
}

// testGiveUp is when the plans of these tests give a reply up.
const testGiveUp = 100 * core.Millisecond

// turn is how far the clock of these tests moves between two polls.
const turn = 100

// run polls a generator through a whole run and returns its result.
func run(t *testing.T, e *echo, p Plan) Result {
	t.Helper()
	var now core.Time
	e.now = &now
	p.GiveUp = testGiveUp
	g := NewGenerator(e, 1<<16)
	ended := 0
	if err := g.Begin(p, func() { ended++ }); err != nil {
		t.Fatal(err)
	}
	for ; g.Running(); now += turn {
		g.Poll(now)
		if now > 100*core.Second {
			t.Fatal("the run does not end")
		}
	}
	if ended != 1 {
		t.Errorf("done was called %d times", ended)
	}
	return g.Result()
}

func closed(measure core.Time) Plan {
	return Plan{Loop: report.Closed, Bytes: 64, Measure: measure, GiveUp: testGiveUp}
}

func TestClosedLoopTilesTheTime(t *testing.T) {
	const rtt = 3 * core.Microsecond
	r := run(t, &echo{delay: rtt}, closed(core.Millisecond))
	if r.Faults.Any() {
		t.Errorf("faults %v of a perfect echo", r.Faults)
	}
	if want := int(core.Millisecond / rtt); len(r.Samples) != want+1 { // one is under way at the end
		t.Errorf("%d samples, want %d", len(r.Samples), want+1)
	}
	sum := core.Time(0)
	for _, s := range r.Samples {
		if core.Time(s) != rtt {
			t.Errorf("round trip of %d ns, want %d", s, rtt)
		}
		sum += core.Time(s)
	}
	if sum < core.Millisecond {
		t.Errorf("the round trips add up to %d ns of %d", sum, core.Millisecond)
	}
}

func TestWarmupIsDiscarded(t *testing.T) {
	var now core.Time
	e := &echo{delay: 10 * core.Microsecond, now: &now}
	e.fate = func(uint64) int {
		if now < core.Millisecond/2 {
			return 2 // duplicates, in the warm-up only
		}
		return 1
	}
	g := NewGenerator(e, 1<<16)
	if err := g.Begin(Plan{
		Loop: report.Closed, Bytes: 64, Warmup: core.Millisecond,
		Measure: core.Millisecond,
	}, nil); err != nil {
		t.Fatal(err)
	}
	for ; g.Running(); now += turn {
		g.Poll(now)
	}
	r := g.Result()
	if r.Faults.Any() || len(r.Samples) < 99 || len(r.Samples) > 101 {
		t.Errorf("%d samples and faults %v, want about 100 and none", len(r.Samples), r.Faults)
	}
}

func TestLossesAreCountedAndTheLoopGoesOn(t *testing.T) {
	e := &echo{delay: core.Microsecond, fate: func(seq uint64) int {
		if seq%1000 == 500 {
			return 0
		}
		return 1
	}}
	r := run(t, e, closed(350*core.Millisecond))
	// A loss stops a closed loop for testGiveUp: three or four of them fit.
	if r.Faults.Lost < 3 || r.Faults.Lost > 4 || r.Faults.Duplicate+r.Faults.Corrupt+r.Faults.Late > 0 {
		t.Errorf("faults %+v, want 3 or 4 losses", r.Faults)
	}
	if len(r.Samples) < 3000 {
		t.Errorf("%d samples: the loop did not go on", len(r.Samples))
	}
}

func TestLossOfEverythingEnds(t *testing.T) {
	for _, p := range []Plan{
		closed(core.Millisecond),
		{Loop: report.Window, Window: 256, Bytes: 64, Measure: core.Millisecond},
		{Loop: report.Open, Rate: 100_000, Bytes: 64, Measure: core.Millisecond},
	} {
		r := run(t, &echo{fate: func(uint64) int { return 0 }}, p)
		want := map[report.Loop]uint64{report.Closed: 1, report.Window: 256, report.Open: 100}[p.Loop]
		if r.Faults.Lost != want || len(r.Samples) > 0 || r.Replies > 0 {
			t.Errorf("%s loop: %d lost of %d, %d samples", p.Loop, r.Faults.Lost, want, len(r.Samples))
		}
	}
}

func TestDuplicatesAreCounted(t *testing.T) {
	e := &echo{delay: core.Microsecond, fate: func(seq uint64) int {
		if seq%100 == 7 {
			return 3
		}
		return 1
	}}
	r := run(t, e, closed(core.Millisecond)) // 1,000 requests
	if r.Faults != (report.Faults{Duplicate: 20}) {
		t.Errorf("faults %+v, want 20 duplicates", r.Faults)
	}
}

func TestAnyChangedByteIsCorruption(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	spoiled := uint64(0)
	e := &echo{delay: core.Microsecond, damage: func(seq uint64, b []byte) {
		if seq == 3 || seq == 40 {
			// A request without a right reply stops the loop for testGiveUp, so few of them.
			b[random.IntN(len(b))] ^= 1 << random.IntN(8)
			spoiled++
		}
	}}
	r := run(t, e, closed(core.Millisecond))
	if r.Faults.Corrupt != spoiled || r.Faults.Lost != spoiled {
		t.Errorf("faults %+v, want %d corrupt replies and their requests lost", r.Faults, spoiled)
	}
}

func TestLateReplyIsNotADuplicate(t *testing.T) {
	var now core.Time
	e := &echo{delay: core.Microsecond, now: &now}
	g := NewGenerator(e, 1<<16)
	if err := g.Begin(closed(250*core.Millisecond), nil); err != nil {
		t.Fatal(err)
	}
	for ; g.Running(); now += turn {
		e.delay = core.Microsecond
		if now < turn {
			e.delay = testGiveUp + 10*core.Millisecond // the first request's reply
		}
		g.Poll(now)
		e.delay = core.Microsecond
	}
	if f := g.Result().Faults; f != (report.Faults{Lost: 1, Late: 1}) {
		t.Errorf("faults %+v, want one lost whose reply came late", f)
	}
}

func TestRepliesOfAnEarlierRunDoNotCount(t *testing.T) {
	var now core.Time
	e := &echo{delay: core.Microsecond, now: &now}
	g := NewGenerator(e, 1<<16)
	for range 2 {
		if err := g.Begin(closed(core.Millisecond), nil); err != nil {
			t.Fatal(err)
		}
		for ; g.Running(); now += turn {
			g.Poll(now)
		}
		// A copy of a reply of this run arrives in the next one.
		b := make([]byte, 50)
		putPayload(b, g.next-1)
		e.pending = append(e.pending, flying{now, b})
	}
	if f := g.Result().Faults; f.Any() {
		t.Errorf("faults %+v because of a reply to an earlier run", f)
	}
}

func TestReplyToARequestNeverSentIsCorrupt(t *testing.T) {
	e := &echo{delay: core.Microsecond}
	b := make([]byte, 50)
	putPayload(b, 1<<40)
	e.pending = append(e.pending, flying{10 * core.Microsecond, b})
	r := run(t, e, closed(core.Millisecond))
	if r.Faults != (report.Faults{Corrupt: 1}) {
		t.Errorf("faults %+v, want one corrupt", r.Faults)
	}
}

// A server that stands still for 1 ms under an open loop delays all requests that were due
// meanwhile: the generator must count each from when it was due (coordinated omission).
func TestOpenLoopCountsFromWhenARequestWasDue(t *testing.T) {
	var now core.Time
	e := &echo{now: &now, delay: 0}
	g := NewGenerator(e, 1<<16)
	p := Plan{Loop: report.Open, Rate: 100_000, Bytes: 64, Measure: 10 * core.Millisecond}
	if err := g.Begin(p, nil); err != nil {
		t.Fatal(err)
	}
	for g.Running() {
		g.Poll(now)
		now += turn
		if now == 5*core.Millisecond { // nobody, the generator included, runs for 1 ms
			now += core.Millisecond
		}
	}
	r := g.Result()
	if len(r.Samples) != 1000 || r.Faults.Any() {
		t.Fatalf("%d samples, faults %v, want 1,000 and none", len(r.Samples), r.Faults)
	}
	late := 0
	for _, s := range r.Samples {
		if core.Time(s) > 5*core.Microsecond {
			late++
		}
	}
	if late < 99 || late > 101 {
		t.Errorf("%d requests were delayed by 1 ms without service at 100 a ms, want 100", late)
	}
}

func TestOpenLoopKeepsItsRate(t *testing.T) {
	e := &echo{delay: 3 * core.Microsecond}
	r := run(t, e, Plan{Loop: report.Open, Rate: 50_000, Bytes: 64, Measure: 10 * core.Millisecond})
	if len(r.Samples) != 500 {
		t.Errorf("%d requests in 10 ms, want 500", len(r.Samples))
	}
	for i := 1; i < len(e.sent); i++ {
		if gap := e.sent[i] - e.sent[i-1]; gap < 20*core.Microsecond-turn || gap > 20*core.Microsecond+turn {
			t.Fatalf("requests %d and %d are %d ns apart, want 20,000", i-1, i, gap)
		}
	}
}

func TestWindowIsKeptAndCounted(t *testing.T) {
	most, flown := 0, 0
	e := &echo{delay: 10 * core.Microsecond, room: 7}
	e.fate = func(uint64) int { most = max(most, len(e.pending)+1); flown++; return 1 }
	r := run(t, e, Plan{Loop: report.Window, Window: 100, Bytes: 64, Measure: core.Millisecond})
	if most != 100 {
		t.Errorf("%d requests outstanding at most, want 100", most)
	}
	if int(r.Replies) > flown || int(r.Replies) < flown-200 || r.Elapsed != core.Millisecond {
		t.Errorf("%d replies in %d ns of %d requests", r.Replies, r.Elapsed, flown)
	}
	if len(r.Samples) != 0 || r.Faults.Any() {
		t.Errorf("%d samples and faults %v, want none", len(r.Samples), r.Faults)
	}
}

// Losses under a full window must not let a request overwrite one that is outstanding.
func TestWindowWithLosses(t *testing.T) {
	e := &echo{delay: core.Microsecond, fate: func(seq uint64) int {
		if seq%50 == 1 {
			return 0
		}
		return 1
	}}
	r := run(t, e, Plan{Loop: report.Window, Window: 256, Bytes: 64, Measure: 300 * core.Millisecond})
	if want := uint64(len(e.sent)+48) / 50; r.Faults != (report.Faults{Lost: want}) {
		t.Errorf("faults %+v of %d requests, want %d lost", r.Faults, len(e.sent), want)
	}
}

func TestPatientGeneratorSaysWhenItHasSomethingToDo(t *testing.T) {
	var now core.Time
	e := &echo{now: &now, delay: core.Microsecond}
	g := NewGenerator(e, 10)
	if next := g.Next(0); next != core.Never {
		t.Errorf("idle: next %d, want never", next)
	}
	p := Plan{Loop: report.Open, Rate: 1000, Bytes: 64, Measure: core.Second, Patient: true}
	if err := g.Begin(p, nil); err != nil {
		t.Fatal(err)
	}
	if next := g.Next(0); next > 0 {
		t.Errorf("before the first poll: next %d, want at once", next)
	}
	g.Poll(0)
	if next := g.Next(0); next != core.Millisecond {
		t.Errorf("after the first request of 1,000/s: next %d, want 1 ms", next)
	}
	p = closed(core.Second)
	p.Patient = true
	if err := g.Begin(p, nil); err != nil {
		t.Fatal(err)
	}
	g.Poll(0)
	if next := g.Next(0); next != core.Never {
		t.Errorf("closed loop with a request outstanding: next %d, want never", next)
	}
}

func TestStopEndsARun(t *testing.T) {
	var now core.Time
	g := NewGenerator(&echo{now: &now, delay: core.Microsecond}, 10)
	if err := g.Begin(closed(core.Second), nil); err != nil {
		t.Fatal(err)
	}
	g.Poll(0)
	g.Stop()
	g.Poll(1)
	if g.Running() {
		t.Error("the generator runs on after Stop")
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	for _, p := range []Plan{
		{Loop: report.Stream, Bytes: 64, Measure: 1},
		{Loop: report.Window, Bytes: 64, Measure: 1},
		{Loop: report.Window, Window: MaxWindow + 1, Bytes: 64, Measure: 1},
		{Loop: report.Open, Bytes: 64, Measure: 1},
		{Loop: report.Closed, Bytes: 20, Measure: 1},
		{Loop: report.Closed, Bytes: 64},
	} {
		if err := NewGenerator(&echo{}, 1).Begin(p, nil); err == nil {
			t.Errorf("plan %+v was accepted", p)
		}
	}
}

// still is a transport that allocates nothing: each request is answered at once.
type still struct{ seq, sent uint64 }

func (s *still) SetBytes(int) error { return nil }

func (s *still) Send(seq uint64, n int) int { s.seq, s.sent = seq, uint64(n); return n }

func (s *still) Recv(dst []uint64) int {
	n := min(int(s.sent), len(dst))
	for i := range n {
		dst[i] = s.seq + uint64(i)
	}
	s.sent = 0
	return n
}

func TestPollAllocatesNothing(t *testing.T) {
	for _, p := range []Plan{
		{Loop: report.Closed, Bytes: 64, Measure: core.Second},
		{Loop: report.Window, Window: 256, Bytes: 64, Measure: core.Second},
		{Loop: report.Open, Rate: 1_000_000, Bytes: 64, Measure: core.Second},
	} {
		g := NewGenerator(&still{}, 1<<16)
		if err := g.Begin(p, nil); err != nil {
			t.Fatal(err)
		}
		now := core.Time(0)
		if n := testing.AllocsPerRun(10_000, func() { now += core.Microsecond; g.Poll(now) }); n != 0 {
			t.Errorf("%s loop: %v allocations per turn", p.Loop, n)
		}
	}
}
