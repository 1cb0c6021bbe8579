package policy

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// TestNobodyStarves lets every mix of up to four runtimes, all with more work than there are cores,
// run on up to three cores for 10 ms. LC waits at most for the others' slices. BE waits for the
// quanta of other BE, or for ever if LC needs all.
func TestNobodyStarves(t *testing.T) {
	kinds := []Runtime{
		{Class: Absent},
		lc(0, 3).waiting(3, 1), lc(1, 3).waiting(3, 1), lc(0, 1).waiting(1, 1),
		be(0, 3), be(1, 3), be(0, 1),
	}
	var mixes [][]Runtime
	for a := range kinds {
		for b := range kinds[:a+1] {
			for c := range kinds[:b+1] {
				for d := range kinds[:c+1] {
					mixes = append(mixes, []Runtime{kinds[b], kinds[d], kinds[a], kinds[c]})
				}
			}
		}
	}
	for cores := 1; cores <= 3; cores++ {
		for _, mix := range mixes {
			s, reserved := newSnapshot(cores, mix...), 0
			for r := range mix {
				reserved += mix[r].Reserved
			}
			if reserved >= cores {
				continue // who has nothing reserved may rightly have nothing
			}
			for _, p := range [...]decider{NewSimple(0), NewCaladan(Config{})} {
				starve(t, p, s)
			}
			if t.Failed() {
				t.Fatalf("%d cores: %+v", cores, mix)
			}
		}
	}
}

// TestLoansGoRound has LC take the only core back long before a quantum is over: both BE runtimes
// run.
func TestLoansGoRound(t *testing.T) {
	for _, p := range [...]decider{NewSimple(0), NewCaladan(Config{})} {
		s := newSnapshot(1, lc(0, 1), be(0, 1), be(0, 1))
		now, stays := testNow, [3]int{}
		for i := range 100 {
			now += 100 * core.Microsecond
			k := &s.Cores[0]
			s.Runtimes[0].Waiting = i % 2
			if k.Owner == 0 {
				k.State = Idle
			}
			for _, a := range p.Decide(now, s, nil) {
				k.Last, k.LastAt = k.Owner, now
				k.Owner, k.OwnedAt, k.State = a.Runtime, now, Running
				stays[a.Runtime]++
			}
		}
		if stays[1] < 20 || stays[2] < 20 {
			t.Errorf("%T: %v stays", p, stays)
		}
	}
}

func starve(t *testing.T, p decider, from *Snapshot) {
	s := newSnapshot(len(from.Cores), append([]Runtime(nil), from.Runtimes...)...)
	var since [4]core.Time
	now := testNow
	for r := range since {
		since[r] = now
		s.Runtimes[r].Quantum = 100 * core.Microsecond
	}
	var out [3]Action
	for range 500 {
		now += 20 * core.Microsecond
		actions := p.Decide(now, s, out[:0])
		if err := promises(now, s, actions, DefaultThreshold); err != nil {
			t.Errorf("%T: %v", p, err)
			return
		}
		for _, a := range actions {
			k := &s.Cores[a.Core]
			k.Owner, k.OwnedAt, k.State = a.Runtime, now, Running
		}
		lent, held := false, [4]int{}
		for c := range s.Cores {
			if o := s.owner(c); o != None {
				since[o] = now
				held[o]++
				in := &s.Runtimes[o]
				lent = lent || in.Class == BestEffort && held[o] > in.Reserved
			}
		}
		for r := range since {
			in := &s.Runtimes[r]
			if in.FrameDelay = 0; in.Waiting > 0 {
				in.FrameDelay = now - since[r] + 1
			}
			if in.Class == BestEffort && !lent {
				since[r] = now
			}
			if limit := 4 * 180 * core.Microsecond; in.present() && now-since[r] > limit {
				t.Errorf("%T: runtime %d without a core for %d ns", p, r, now-since[r])
				return
			}
		}
	}
}
