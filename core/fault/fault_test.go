package fault

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// everything has each fault, often.
func everything() Config {
	return Config{
		Delay: Delay{
			Fixed: 5 * core.Microsecond, Jitter: 3 * core.Microsecond,
			TailProbability: 0.05, Tail: 20 * core.Microsecond, TailMax: core.Millisecond,
		},
		Loss:      0.1,
		Burst:     Burst{Enter: 0.01, Leave: 0.2, Loss: 0.9},
		Duplicate: Duplicate{0.2, 3, 50 * core.Microsecond},
		Reorder:   Reorder{0.2, 100 * core.Microsecond},
		Corrupt:   0.1,
		Truncate:  Truncate{0.1, 14},
		Clog:      Outage{0.002, 10 * core.Microsecond, 100 * core.Microsecond},
		Cut:       Outage{0.002, 10 * core.Microsecond, 100 * core.Microsecond},
		Replay:    Replay{0.1, 100, 200 * core.Microsecond},
	}
}

func newModel(t testing.TB, c Config, seed uint64) *Model {
	t.Helper()
	m, err := New(c, rand.New(rand.NewPCG(seed, 0)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// gap is the time between two packets that run offers.
const gap = 10 * core.Microsecond

// run offers n packets of 60 to 1,559 bytes, one each gap.
func run(m *Model, n int) []Verdict {
	verdicts := make([]Verdict, n)
	for i := range verdicts {
		verdicts[i] = m.Judge(core.Time(i)*gap, 60+i*7%1500)
	}
	return verdicts
}

func TestZeroConfigIsPerfect(t *testing.T) {
	m := newModel(t, Config{}, 1)
	for i, v := range run(m, 1000) {
		want := []Delivery{{At: core.Time(i) * gap, Keep: KeepAll, Bit: NoBit}}
		if v.Faults != 0 || v.Lost() || !slices.Equal(v.Deliveries(), want) {
			t.Fatalf("packet %d: %+v", i, v)
		}
	}
	if got, want := m.Counts(), (Counts{Offered: 1000, Delivered: 1000}); got != want {
		t.Fatalf("counts %+v", got)
	}
}

func TestSameSeedSameVerdicts(t *testing.T) {
	const n = 20_000
	a, b := newModel(t, everything(), 7), newModel(t, everything(), 7)
	if !slices.Equal(run(a, n), run(b, n)) || a.Counts() != b.Counts() {
		t.Fatal("two runs of one seed differ")
	}
	if slices.Equal(run(newModel(t, everything(), 8), n), run(newModel(t, everything(), 7), n)) {
		t.Fatal("two seeds agree")
	}
}

// TestGoldenVerdicts pins what a seed means: whoever changes it invalidates every recorded
// failure.
func TestGoldenVerdicts(t *testing.T) {
	m := newModel(t, everything(), 42)
	run(m, 100_000)
	want := Counts{
		Offered:   100_000,
		Delivered: 128_928,
		Faults: [KindCount]uint64{
			KindCut: 1236, KindBurst: 4261, KindLoss: 9390,
			KindDuplicate: 34004, KindReorder: 16951, KindCorrupt: 8581, KindTruncate: 8516,
			KindClog: 841, KindReplay: 9811, KindTail: 4259,
		},
	}
	if got := m.Counts(); got != want {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func TestNewTakesTwoValues(t *testing.T) {
	for _, c := range []Config{{}, everything()} {
		used, want := rand.NewPCG(3, 3), rand.NewPCG(3, 3)
		if _, err := New(c, rand.New(used)); err != nil {
			t.Fatal(err)
		}
		want.Uint64()
		want.Uint64()
		if used.Uint64() != want.Uint64() {
			t.Fatal("a Config changes what the caller's generator gives next")
		}
	}
}

func TestBoundsOfEveryVerdict(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := Swarm(rng)
		m, err := New(c, rng)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i := range 500 {
			length := rng.IntN(1600)
			checkVerdict(t, m, core.Time(i)*gap, length)
		}
		checkConservation(t, m.Counts())
	}
}

// checkVerdict judges one packet and asserts everything that owners rely on.
func checkVerdict(t *testing.T, m *Model, now core.Time, length int) {
	t.Helper()
	before := m.Counts().Offered
	v := m.Judge(now, length)
	if len(v.Deliveries()) > MaxDeliveries {
		t.Fatalf("%d deliveries", len(v.Deliveries()))
	}
	for i, d := range v.Deliveries() {
		kept := min(d.Keep, length)
		switch {
		case d.At < now || d.At > now+10*MaxDuration:
			t.Fatalf("offered at %d, delivered at %d", now, d.At)
		case d.Back < 0 || d.Back > m.Config().Replay.Depth || uint64(d.Back) > before:
			t.Fatalf("packet %d back of %d", d.Back, before)
		case d.Keep < 0 || d.Keep >= length && d.Keep != KeepAll:
			t.Fatalf("keep %d of %d bytes", d.Keep, length)
		case d.Bit < NoBit || d.Bit >= 8*kept:
			t.Fatalf("flip bit %d of %d bytes", d.Bit, kept)
		case d.Back == 0 && v.Lost():
			t.Fatalf("lost and delivered: %+v", v)
		case i > 0 && (d.Keep != KeepAll || d.Bit != NoBit):
			t.Fatalf("a copy or replay is damaged: %+v", d)
		}
		body := make([]byte, length)
		if got := Apply(d, body); len(got) != kept {
			t.Fatalf("%+v applied to %d bytes leaves %d", d, length, len(got))
		}
	}
	if !v.Lost() && (len(v.Deliveries()) == 0 || v.Deliveries()[0].Back != 0) {
		t.Fatalf("neither lost nor delivered: %+v", v)
	}
}

func checkConservation(t *testing.T, c Counts) {
	t.Helper()
	f := c.Faults
	lost := f[KindCut] + f[KindBurst] + f[KindLoss]
	if c.Delivered != c.Offered-lost+f[KindDuplicate]+f[KindReplay] {
		t.Fatalf("counts do not add up: %+v", c)
	}
}

func TestJudgeAllocatesNothing(t *testing.T) {
	m := newModel(t, everything(), 1)
	now, sum := core.Time(0), 0
	n := testing.AllocsPerRun(1000, func() {
		now += gap
		v := m.Judge(now, 1400)
		for _, d := range v.Deliveries() {
			sum += d.Back
		}
	})
	if n != 0 || sum == 0 {
		t.Fatalf("%v allocations, %d packets back in all", n, sum)
	}
}

func TestKindTexts(t *testing.T) {
	seen := map[string]bool{}
	for k := range Kind(KindCount) {
		if s := k.String(); s == "" || seen[s] {
			t.Errorf("kind %d has text %q", k, s)
		} else {
			seen[s] = true
		}
	}
	if Kind(KindCount).String() != "fault?" {
		t.Error("kind out of range")
	}
}
