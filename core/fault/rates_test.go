package fault

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// sample is how many packets the statistical tests offer. Seeds are fixed, so they cannot flake;
// the bounds are 5 standard deviations wide, so that most other seeds would pass as well.
const sample = 100_000

// wantRate compares hits of n with a binomial distribution.
func wantRate(t *testing.T, what string, hits uint64, n int, p float64) {
	t.Helper()
	mean := p * float64(n)
	if slack := 5 * math.Sqrt(mean*(1-p)); math.Abs(float64(hits)-mean) > slack {
		t.Errorf("%s: %d of %d, want %.0f +- %.0f", what, hits, n, mean, slack)
	}
}

func TestRates(t *testing.T) {
	tests := []struct {
		kind Kind
		p    float64
		c    Config
	}{
		{KindLoss, 0.001, Config{Loss: 0.001}},
		{KindLoss, 0.3, Config{Loss: 0.3}},
		{KindLoss, 1, Config{Loss: 1}},
		{KindDuplicate, 0.2, Config{Duplicate: Duplicate{0.2, 1, 0}}},
		{KindReorder, 0.25, Config{Reorder: Reorder{0.25, 1000}}},
		{KindCorrupt, 0.01, Config{Corrupt: 0.01}},
		{KindTruncate, 0.05, Config{Truncate: Truncate{0.05, 0}}},
		{KindReplay, 0.1, Config{Replay: Replay{0.1, 10, 0}}},
		{KindTail, 0.02, Config{Delay: Delay{TailProbability: 0.02, Tail: 1, TailMax: 10}}},
		{KindClog, 0.02, Config{Clog: Outage{0.02, 1, 1}}},
		{KindCut, 0.02, Config{Cut: Outage{0.02, 1, 1}}},
	}
	for _, tt := range tests {
		m := newModel(t, tt.c, 3)
		run(m, sample)
		c := m.Counts()
		wantRate(t, tt.kind.String(), c.Faults[tt.kind], sample, tt.p)
		for k, hits := range c.Faults {
			if Kind(k) != tt.kind && hits != 0 {
				t.Errorf("%v alone also does %v, %d times", tt.kind, Kind(k), hits)
			}
		}
		checkConservation(t, c)
	}
}

func TestRatesTogether(t *testing.T) {
	c := everything()
	c.Cut = Outage{} // both depend on how densely packets come
	c.Clog = Outage{}
	m := newModel(t, c, 9)
	run(m, sample)
	got := m.Counts()
	checkConservation(t, got)
	arrived := int(got.Offered - got.Faults[KindLoss] - got.Faults[KindBurst])
	wantRate(t, "loss", got.Faults[KindLoss], sample-int(got.Faults[KindBurst]), c.Loss)
	wantRate(t, "reorder", got.Faults[KindReorder], arrived, c.Reorder.Probability)
	wantRate(t, "corrupt", got.Faults[KindCorrupt], arrived, c.Corrupt)
	wantRate(t, "tail", got.Faults[KindTail], arrived, c.Delay.TailProbability)
	wantRate(t, "replay", got.Faults[KindReplay], sample, c.Replay.Probability)
}

// TestBurstIsGilbertElliott checks both the share of packets lost and how they cluster.
func TestBurstIsGilbertElliott(t *testing.T) {
	b := Burst{Enter: 0.01, Leave: 0.25, Loss: 1}
	verdicts := run(newModel(t, Config{Burst: b}, 2), sample)
	lost, bursts := 0, 0
	for i := range verdicts {
		if verdicts[i].Lost() {
			lost++
			if i == 0 || !verdicts[i-1].Lost() {
				bursts++
			}
		}
	}
	if share := float64(lost) / sample; math.Abs(share-b.Enter/(b.Enter+b.Leave)) > 0.005 {
		t.Errorf("lost %.4f, want %.4f", share, b.Enter/(b.Enter+b.Leave))
	}
	if mean := float64(lost) / float64(bursts); math.Abs(mean-1/b.Leave) > 0.4 {
		t.Errorf("mean burst %.2f packets, want %.2f", mean, 1/b.Leave)
	}
	half := newModel(t, Config{Burst: Burst{b.Enter, b.Leave, 0.5}}, 2)
	run(half, sample)
	wantRate(t, "half of the bad state", half.Counts().Faults[KindBurst], lost, 0.5)
}

func TestDelayDistribution(t *testing.T) {
	d := Delay{Fixed: 1000, Jitter: 400, TailProbability: 0.1, Tail: 10_000, TailMax: 1_000_000}
	m := newModel(t, Config{Delay: d}, 4)
	var sum float64
	var plain, over2, over10, capped int
	for i := range sample {
		now := core.Time(i) * core.Second // far apart, so that nobody holds up anybody
		v := m.Judge(now, 100)
		took := v.Deliveries()[0].At - now
		if took < d.Fixed || took > d.Fixed+d.Jitter+d.TailMax {
			t.Fatalf("took %d", took)
		}
		if !v.Faults.Has(KindTail) {
			plain++
			sum += float64(took)
			if took > d.Fixed+d.Jitter {
				t.Fatalf("took %d without the tail", took)
			}
			continue
		}
		switch tail := took - d.Fixed; { // give or take the jitter
		case tail >= d.TailMax:
			capped++
			fallthrough
		case tail > 10*d.Tail:
			over10++
			fallthrough
		case tail > 2*d.Tail:
			over2++
		case tail < d.Tail:
			t.Fatalf("the tail begins at %d, not at %d", d.Tail, tail)
		}
	}
	if mean := sum / float64(plain); math.Abs(mean-1200) > 5 {
		t.Errorf("mean without the tail %.1f, want 1200", mean)
	}
	wantRate(t, "tail over twice its scale", uint64(over2), sample, 0.1/2*1.02)
	wantRate(t, "tail over 10 times its scale", uint64(over10), sample, 0.1/10)
	wantRate(t, "tail at its limit", uint64(capped), sample, 0.1/100)
}

func TestTruncateCorruptReplayAreUniform(t *testing.T) {
	c := Config{
		Corrupt: 1, Truncate: Truncate{1, 20}, Replay: Replay{1, 50, 0},
		Duplicate: Duplicate{1, MaxExtraCopies, 1000},
	}
	m := newModel(t, c, 6)
	var keeps, backs [100]uint64
	var bits [8]uint64
	var copies [MaxExtraCopies + 1]uint64
	for range sample {
		v := m.Judge(0, 100)
		d := v.Deliveries()
		keeps[d[0].Keep]++
		bits[d[0].Bit%8]++
		copies[len(d)-1-int(v.Faults>>KindReplay&1)]++
		if last := d[len(d)-1]; last.Back > 0 {
			backs[last.Back]++
		}
	}
	for n := range keeps {
		want := 0.0
		if n >= 20 {
			want = 1.0 / 80
		}
		wantRate(t, "kept", keeps[n], sample, want)
		want = 0
		if n >= 1 && n <= 50 {
			want = 1.0 / 50
		}
		wantRate(t, "replayed", backs[n], sample, want)
	}
	for i := range bits {
		wantRate(t, "bit", bits[i], sample, 1.0/8)
	}
	for i := range copies[1:] {
		wantRate(t, "copies", copies[1+i], sample, 1.0/MaxExtraCopies)
	}
}

// TestSwarmReachesEverything draws many Configs: all are valid, each fault is in about half of
// them, and strengths spread over orders of magnitude.
func TestSwarmReachesEverything(t *testing.T) {
	const configs = 4000
	var has [KindCount]uint64
	weakest, strongest := math.Inf(1), 0.0
	rng := rand.New(rand.NewPCG(1, 2))
	for range configs {
		c := Swarm(rng)
		if err := c.Validate(); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		for k := range Kind(KindCount) {
			if c.Without(k) != c {
				has[k]++
			}
		}
		if c.Loss > 0 {
			weakest, strongest = min(weakest, c.Loss), max(strongest, c.Loss)
		}
	}
	for k, n := range has {
		wantRate(t, Kind(k).String(), n, configs, 0.5)
	}
	if strongest < 0.25 || strongest > 0.3 || weakest > strongest/1000 {
		t.Errorf("loss from %v to %v", weakest, strongest)
	}
	if a, b := Swarm(rand.New(rand.NewPCG(5, 5))), Swarm(rand.New(rand.NewPCG(5, 5))); a != b {
		t.Error("one seed, two Configs")
	}
}
