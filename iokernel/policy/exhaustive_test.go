package policy

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

const (
	testNow      = core.Second
	testInterval = 5 * core.Microsecond
	testHandOver = 2 * core.Microsecond
)

// newSnapshot is a machine where nothing happens.
func newSnapshot(cores int, runtimes ...Runtime) *Snapshot {
	s := &Snapshot{
		Cores: make([]Core, cores), Runtimes: runtimes,
		Interval: testInterval, HandOver: testHandOver, Wakes: 1,
	}
	for c := range s.Cores {
		s.Cores[c] = Core{
			Owner: None, Last: None, Sibling: None, Failed: None,
			OwnedAt: testNow - core.Millisecond, IdleAt: testNow - 100*core.Microsecond,
		}
	}
	return s
}

// lc and be are runtimes without work.
func lc(reserved, most int) Runtime {
	return Runtime{
		Class: LatencyCritical, ID: 1, Reserved: reserved, Most: most, Able: most,
		NextTimer: core.Never, Only: None,
	}
}

func be(reserved, most int) Runtime {
	r := lc(reserved, most)
	r.Class, r.Quantum = BestEffort, core.Millisecond
	return r
}

// waiting is r with frames in its ports.
func (r Runtime) waiting(frames int, delay core.Time) Runtime {
	r.Waiting, r.FrameDelay = frames, delay
	return r
}

// smallRuntimes is all that a runtime can be on three cores, up to what makes no difference.
func smallRuntimes() (all []Runtime) {
	for reserved := range 3 {
		for _, most := range []int{1, 3} {
			all = append(all, lc(reserved, most),
				lc(reserved, most).waiting(1, 4*core.Microsecond),
				lc(reserved, most).waiting(3, 50*core.Microsecond))
		}
		for _, most := range []int{1, 3} {
			idle := be(reserved, most)
			idle.Able = 0
			all = append(all, be(reserved, most), idle)
		}
	}
	return append(all, Runtime{Class: Absent, Reserved: 3, Most: 3, Able: 3, Waiting: 1})
}

// smallCores is all that a core can be beside two runtimes.
func smallCores() (all []Core) {
	base := newSnapshot(1).Cores[0]
	for _, owner := range []int16{None, 0, 1} {
		for _, state := range []State{Idle, Running, Yielding, Parked, Offline} {
			if owner == None && state != Idle && state < Parked || owner != None && state >= Parked {
				continue
			}
			k := base
			k.Owner, k.State = owner, state
			all = append(all, k)
		}
	}
	return all
}

// TestAllSmallMachines puts every pair of runtimes on every state of three cores, and holds Simple
// and Caladan to the same promises there. Cores differ in nothing but their state, so each mix of
// states stands in one order, another one each time. Reservations may exceed the machine.
func TestAllSmallMachines(t *testing.T) {
	cores, runtimes := smallCores(), smallRuntimes()
	simple, out := NewSimple(0), make([]Action, 0, 3)
	count := 0
	s := newSnapshot(3, lc(0, 0), lc(0, 0))
	for _, s.Runtimes[0] = range runtimes {
		for _, s.Runtimes[1] = range runtimes {
			for a := range cores {
				for b := range cores[:a+1] {
					for c := range cores[:b+1] {
						count++
						s.Wakes = count / 3 & 1
						s.Cores[count%3], s.Cores[(count+1)%3] = cores[a], cores[b]
						s.Cores[(count+2)%3] = cores[c]
						compare(t, s, simple, out)
					}
				}
			}
		}
		if t.Failed() {
			t.Fatalf("after %d machines", count)
		}
	}
	t.Logf("%d machines", count)
}

// compare holds both to the promises. Where there are no more cores reserved than there are, both
// must also leave the same runtimes without a core, and the same without one of theirs.
func compare(t *testing.T, s *Snapshot, simple *Simple, out []Action) {
	t.Helper()
	a := simple.Decide(testNow, s, out)
	if err := promises(testNow, s, a, DefaultThreshold); err != nil {
		t.Errorf("simple: %v\n%+v\n%+v", err, s.Runtimes, s.Cores)
	}
	missing := outOf(s, a)
	a = NewCaladan(Config{}).Decide(testNow, s, out)
	if err := promises(testNow, s, a, DefaultThreshold); err != nil {
		t.Errorf("caladan: %v\n%+v\n%+v", err, s.Runtimes, s.Cores)
	}
	if got := outOf(s, a); got != missing {
		t.Errorf("caladan leaves %+v, simple %+v: %v\n%+v\n%+v", got, missing, a, s.Runtimes, s.Cores)
	}
}

// lacking is what a pass leaves undone.
type lacking struct{ starved, unreturned int }

func outOf(s *Snapshot, actions []Action) (l lacking) {
	o, err := settle(testNow, s, actions)
	if err != nil {
		return l
	}
	for r := range s.Runtimes {
		if o.lacks(r) <= 0 {
			continue
		}
		if o.held[r] == 0 && s.Runtimes[r].Class == LatencyCritical {
			l.starved++
		}
		l.unreturned += max(0, min(o.lacks(r), s.Runtimes[r].entitled()-o.held[r]))
	}
	return l
}
