package fault

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// scaled is c with the probability of one fault multiplied.
func scaled(c Config, k Kind, by float64) Config {
	for kind, p := range map[Kind]*float64{
		KindCut: &c.Cut.Start, KindBurst: &c.Burst.Enter, KindLoss: &c.Loss,
		KindDuplicate: &c.Duplicate.Probability, KindReorder: &c.Reorder.Probability,
		KindCorrupt: &c.Corrupt, KindTruncate: &c.Truncate.Probability, KindClog: &c.Clog.Start,
		KindReplay: &c.Replay.Probability, KindTail: &c.Delay.TailProbability,
	} {
		if kind == k {
			*p *= by
		}
	}
	return c
}

// TestRemovingOneFaultLeavesOthers compares all decisions about packets that arrive in both runs.
// Times are compared by their differences from the time of the place in the queue, because holding
// up one packet holds up those behind it.
func TestRemovingOneFaultLeavesOthers(t *testing.T) {
	const n = 30_000
	all := run(newModel(t, everything(), 11), n)
	for k := range Kind(KindCount) {
		t.Run(k.String(), func(t *testing.T) {
			m := newModel(t, everything().Without(k), 11)
			compared := 0
			for i, got := range run(m, n) {
				want := all[i]
				if got.Faults.Has(k) {
					t.Fatalf("packet %d is struck by what was removed", i)
				}
				if got.Lost() || want.Lost() {
					if got.Lost() && !want.Lost() {
						t.Fatalf("packet %d is lost only without %v", i, k)
					}
					continue
				}
				if a, b := decisions(&got, k), decisions(&want, k); a != b {
					t.Fatalf("packet %d: without %v %+v, with it %+v", i, k, a, b)
				}
				compared++
			}
			if compared < n/2 || m.Counts().Faults[k] != 0 {
				t.Fatalf("compared %d packets, %d hits", compared, m.Counts().Faults[k])
			}
		})
	}
}

// decided is what was drawn for one packet, apart from its place in the queue.
type decided struct {
	faults     Kinds
	keep, bit  int
	copies     [MaxExtraCopies]core.Time // after the first delivery
	back       int
	replayedAt core.Time
}

// decisions reads a Verdict of a packet that arrives, leaving out what depends on fault k: a bit
// is drawn from what truncation leaves, and a clog moves everything.
func decisions(v *Verdict, k Kind) decided {
	d := decided{faults: v.Faults &^ (1 << k)}
	first := v.Deliveries()[0]
	if k != KindTruncate {
		d.keep = first.Keep
	}
	if k != KindCorrupt && k != KindTruncate {
		d.bit = first.Bit
	}
	if k == KindTail || k == KindClog {
		d.faults &^= 1<<KindClog | 1<<KindTail
	}
	for i, x := range v.Deliveries()[1:] {
		switch {
		case x.Back == 0 && k != KindDuplicate:
			d.copies[i] = x.At - first.At
		case x.Back != 0 && k != KindReplay:
			d.back = x.Back
			if k != KindClog {
				d.replayedAt = x.At
			}
		}
	}
	return d
}

// TestLowerProbabilityOnlyRemovesHits offers the same packets to a Model with one fault made
// rarer. Losses before it are taken out, because a packet that is no longer lost meets other
// faults.
func TestLowerProbabilityOnlyRemovesHits(t *testing.T) {
	const n = 30_000
	for k := range Kind(KindCount) {
		t.Run(k.String(), func(t *testing.T) {
			c := everything()
			for _, loss := range []Kind{KindCut, KindBurst, KindLoss, KindClog} {
				if loss != k {
					c = c.Without(loss)
				}
			}
			often := run(newModel(t, c, 5), n)
			rare := newModel(t, scaled(c, k, 0.3), 5)
			for i, v := range run(rare, n) {
				if v.Faults.Has(k) && !often[i].Faults.Has(k) {
					t.Fatalf("packet %d is hit only when %v is rarer", i, k)
				}
			}
			if hits := rare.Counts().Faults[k]; hits == 0 {
				t.Fatal("never hit")
			}
		})
	}
}
