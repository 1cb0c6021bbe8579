package swarm

import (
	"testing"

	"github.com/dunlin-io/dunlin/core/fault"
)

// TestShrink demands something that seeds break when they lose frames and restart a host, and
// expects the shrinker to leave little else.
func TestShrink(t *testing.T) {
	r := NewRunner()
	r.demand = func(w *world) string {
		lost, lives := uint64(0), uint32(0)
		for i, h := range w.hosts {
			lives = max(lives, h.life)
			for j := range w.hosts {
				n, _ := w.net.Faults(i, j)
				lost += n.Faults[fault.KindLoss]
			}
		}
		if lost > 10 && lives > 2 { // a crash is one life, what begins after it the next
			return "no host restarts where frames are lost"
		}
		return ""
	}
	var failed Result
	for seed := uint64(1); failed.Failure == nil; seed++ {
		s := Draw(seed, 3000)
		if len(s.Hosts) > 2 && len(s.Acts) > 1 && len(s.Script.Cables) > 0 {
			failed = r.Run(&s)
		}
	}
	if failed.Failure.Invariant != "no host restarts where frames are lost" {
		t.Fatal(failed.Failure)
	}
	small, runs := Shrink(r, failed, 400)
	s := small.Scenario
	if len(s.Hosts) != 2 || len(s.Acts) != 1 || s.Acts[0].Kind != Restart || len(s.Script.Cables) != 0 ||
		s.Frames >= failed.Scenario.Frames {
		t.Errorf("after %d runs: %d hosts, acts %v, %d cables, %d frames", runs, len(s.Hosts), s.Acts,
			len(s.Script.Cables), s.Frames)
	}
	loses := false
	for _, step := range s.Script.Steps {
		c := step.Faults
		loses = loses || c.Loss > 0
		if c.Without(fault.KindLoss).Without(fault.KindTail) !=
			(fault.Config{Delay: fault.Delay{Fixed: c.Delay.Fixed, Jitter: c.Delay.Jitter}}) {
			t.Errorf("a fault is left that changes nothing: %+v", c)
		}
	}
	if !loses {
		t.Error("the loss is gone")
	}
	if again := r.Run(s); again.Failure == nil || again.Hash != small.Hash {
		t.Errorf("the small scenario gives %v", again.Failure)
	}
}
