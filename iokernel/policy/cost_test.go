package policy

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// busyMachine is 16 runtimes on 64 cores: 8 LC with 5 cores each, and 8 BE with the other 24.
func busyMachine() *Snapshot {
	s := newSnapshot(64)
	for r := range 16 {
		t := lc(2, 32)
		if r >= 8 {
			t = be(1, 64)
		}
		t.ID = uint64(r) + 1
		s.Runtimes = append(s.Runtimes, t)
	}
	for c := range s.Cores {
		k := &s.Cores[c]
		k.State, k.Owner, k.Last = Running, int16(8+c%8), int16(c%8)
		k.LastAt = testNow - core.Time(c)*5*core.Microsecond
		k.Sibling = int16((c + 32) % 64)
		if c < 40 {
			k.Owner, k.Last = int16(c%8), int16(8+c%8)
		}
	}
	return s
}

// machines are passes of different weight over the same machine.
func machines() map[string]*Snapshot {
	calm := busyMachine()
	usual := busyMachine() // one LC runtime wants two cores, another has two to lend
	usual.Runtimes[0] = usual.Runtimes[0].waiting(2, 7*core.Microsecond)
	usual.Cores[1].State, usual.Cores[9].State = Idle, Idle
	flood := busyMachine() // all LC runtimes want more than there is
	for r := range 8 {
		flood.Runtimes[r] = flood.Runtimes[r].waiting(40, core.Time(5+r)*core.Microsecond)
	}
	ebb := busyMachine() // LC has nothing to do on any of its cores
	for c := range 40 {
		ebb.Cores[c].State = Idle
	}
	return map[string]*Snapshot{"calm": calm, "usual": usual, "flood": flood, "ebb": ebb}
}

func BenchmarkDecide(b *testing.B) {
	for name, s := range machines() {
		for policy, p := range map[string]decider{"caladan": NewCaladan(Config{}), "simple": NewSimple(0)} {
			b.Run(policy+"/16x64/"+name, func(b *testing.B) {
				out := make([]Action, 0, len(s.Cores))
				now, actions := testNow, 0
				for b.Loop() {
					now += testInterval
					actions = len(p.Decide(now, s, out))
				}
				b.ReportMetric(float64(actions), "actions")
			})
		}
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	for name, s := range machines() {
		for _, p := range [...]decider{NewSimple(0), NewStatic(), NewCaladan(Config{})} {
			out := make([]Action, 0, len(s.Cores))
			now := testNow
			got := testing.AllocsPerRun(100, func() {
				now += testInterval
				s.Runtimes[0].Served += 100
				s.Runtimes[0].Busy += 1000 * core.Microsecond
				p.Decide(now, s, out)
			})
			if got != 0 {
				t.Errorf("%T, %s: %v allocations", p, name, got)
			}
		}
	}
}
