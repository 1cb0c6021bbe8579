package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// on puts runtime r to work on cores.
func (s *Snapshot) on(r int16, cores ...int) *Snapshot {
	for _, c := range cores {
		s.Cores[c].State, s.Cores[c].Owner = Running, r
	}
	return s
}

// rests makes cores idle.
func (s *Snapshot) rests(cores ...int) *Snapshot {
	for _, c := range cores {
		s.Cores[c].State = Idle
	}
	return s
}

// texts is what a fresh Caladan does, in words.
func texts(s *Snapshot) []string { return say(NewCaladan(Config{}).Decide(testNow, s, nil)) }

func say(actions []Action) (all []string) {
	for _, a := range actions {
		all = append(all, a.String())
	}
	return all
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestLCTakesFromBEAtOnce(t *testing.T) {
	s := newSnapshot(2, lc(0, 2).waiting(1, 0), be(0, 2)).on(1, 0, 1)
	expect(t, texts(s), "core 0: runtime 1 -> runtime 0, frames wait (1 frame)")
}

func TestAsManyCoresAsFramesWait(t *testing.T) {
	s := newSnapshot(5, lc(0, 5).waiting(3, 0), be(0, 5)).on(0, 0).on(1, 2, 3, 4)
	s.Cores[1].State, s.Cores[1].Owner = Yielding, 0 // will turn to the first of them
	expect(t, texts(s), "core 2: runtime 1 -> runtime 0, frames wait (3 frames)",
		"core 3: runtime 1 -> runtime 0, frames wait (3 frames)")
}

// A core that changes hands is left alone, even where a runtime waits for nothing else.
func TestYieldingIsLeftAlone(t *testing.T) {
	s := newSnapshot(1, lc(1, 1).waiting(1, core.Second), be(0, 1)).on(1, 0)
	s.Cores[0].State = Yielding
	expect(t, texts(s))
}

func TestLocality(t *testing.T) {
	s := newSnapshot(4, lc(0, 4).waiting(1, 0), be(0, 4)).on(1, 0, 1, 2, 3)
	s.Cores[1].Last, s.Cores[1].LastAt = 0, testNow-100*core.Microsecond // a little too long ago
	s.Cores[2].Last, s.Cores[2].LastAt = 0, testNow-99*core.Microsecond
	expect(t, texts(s), "core 2: runtime 1 -> runtime 0, frames wait (1 frame)")
}

func TestThresholdBetweenLC(t *testing.T) {
	for _, tt := range []struct {
		delay core.Time
		want  []string
	}{
		{10*core.Microsecond - 1, nil},
		{
			10 * core.Microsecond,
			[]string{"core 1: runtime 1 -> runtime 0, delay above the threshold (10µs)"},
		},
	} {
		s := newSnapshot(4, lc(0, 4).waiting(1, tt.delay), lc(0, 4)).on(0, 0).on(1, 1, 2, 3)
		expect(t, texts(s), tt.want...)
	}
}

// LC keeps a core for a slice, keeps its last one from those who have some, and keeps what is
// reserved.
func TestLCKeeps(t *testing.T) {
	late := lc(0, 4).waiting(2, 20*core.Microsecond)
	young := newSnapshot(3, late, lc(0, 4)).on(0, 0).on(1, 1, 2)
	for c := range young.Cores {
		young.Cores[c].OwnedAt = testNow - 49*core.Microsecond
	}
	expect(t, texts(young))
	last := newSnapshot(2, late, lc(0, 4)).on(0, 0).on(1, 1)
	expect(t, texts(last))
	reserved := newSnapshot(3, late, lc(2, 4)).on(0, 0).on(1, 1, 2)
	expect(t, texts(reserved))
	equal := newSnapshot(4, late, lc(0, 4).waiting(2, 30*core.Microsecond)).on(0, 0, 1).on(1, 2, 3)
	expect(t, texts(equal))
}

func TestStarvedFirst(t *testing.T) {
	s := newSnapshot(3, lc(0, 3).waiting(5, 9*core.Microsecond), lc(0, 3).waiting(1, 0), be(0, 3)).
		on(0, 0).on(2, 1, 2)
	expect(t, texts(s), "core 1: runtime 2 -> runtime 1, frames wait (1 frame)",
		"core 2: runtime 2 -> runtime 0, frames wait (5 frames)")
}

func TestReservedComesBack(t *testing.T) {
	s := newSnapshot(3, lc(2, 3).waiting(2, 0), lc(0, 3), be(0, 3)).on(1, 0, 1).on(2, 2)
	expect(t, texts(s), "core 2: runtime 2 -> runtime 0, reserved (2 cores)",
		"core 0: runtime 1 -> runtime 0, reserved (2 cores)")
	// BE has a right to what is reserved for it, and to no more.
	s = newSnapshot(3, lc(0, 3), be(1, 3)).on(0, 0, 1, 2)
	expect(t, texts(s), "core 0: runtime 0 -> runtime 1, reserved (1 core)")
}

// An LC runtime gets no core on which another has a claim: it would give it back only when its
// request is done. With nothing at all it gets one all the same.
func TestBurstLeavesReservedInReach(t *testing.T) {
	s := newSnapshot(3, lc(0, 3).waiting(2, 0), lc(2, 3), be(0, 3)).on(0, 0).on(2, 1, 2)
	expect(t, texts(s))
	s.Runtimes[1].Reserved = 1
	expect(t, texts(s), "core 1: runtime 2 -> runtime 0, frames wait (2 frames)")
	s = newSnapshot(2, lc(0, 3).waiting(2, 0), lc(2, 3), be(0, 3)).on(2, 0, 1)
	expect(t, texts(s), "core 0: runtime 2 -> runtime 0, frames wait (2 frames)")
}

// What is reserved for somebody who has just got it is not reserved twice, and a parked core that
// was just taken is not there twice.
func TestBurstCountsOnce(t *testing.T) {
	s := newSnapshot(3, lc(1, 3).waiting(1, 0), lc(0, 3).waiting(1, 0), be(0, 3)).on(1, 0).on(2, 1, 2)
	expect(t, texts(s), "core 1: runtime 2 -> runtime 0, reserved (1 core)",
		"core 2: runtime 2 -> runtime 1, frames wait (1 frame)")
	s = newSnapshot(3, lc(0, 3).waiting(2, 0), lc(1, 3)).on(0, 0)
	s.Cores[1].State, s.Cores[2].State, s.Wakes = Parked, Parked, 2
	expect(t, texts(s), "core 1: nobody -> runtime 0, frames wait (2 frames)")
}

// Where BE gets an unused core that is reserved for LC, it has one more to give to LC without any.
func TestBEGivesWhatItGets(t *testing.T) {
	s := newSnapshot(2, lc(0, 1).waiting(1, 0), be(1, 2), lc(1, 1)).on(1, 0).on(2, 1).rests(1)
	want := []string{
		"core 1: runtime 2 -> runtime 1, lent, not needed (100µs)",
		"core 0: runtime 1 -> runtime 0, frames wait (1 frame)",
	}
	expect(t, texts(s), want...)
	s.Runtimes[0].Reserved = 1
	want[1] = "core 0: runtime 1 -> runtime 0, reserved (1 core)"
	expect(t, texts(s), want...)
}

// An LC runtime that loses its only core to a reservation gets one that BE can do without by then.
func TestWhoLosesIsFed(t *testing.T) {
	s := newSnapshot(4, lc(0, 1).waiting(3, 0), be(1, 3), lc(1, 2).waiting(1, 0), lc(1, 1)).
		on(0, 0).on(1, 1).on(3, 2).rests(2)
	s.Cores[3].State = Offline
	expect(t, texts(s), "core 0: runtime 0 -> runtime 2, reserved (1 core)",
		"core 2: runtime 3 -> runtime 1, lent, not needed (100µs)",
		"core 1: runtime 1 -> runtime 0, frames wait (3 frames)")
}

// Every LC runtime that there can be waits, and one of them loses a core.
func TestEverybodyWaits(t *testing.T) {
	s := newSnapshot(2).on(1, 0, 1)
	for range MaxRuntimes {
		s.Runtimes = append(s.Runtimes, lc(0, 2).waiting(5, 0))
	}
	s.Runtimes[7].Reserved = 1
	expect(t, texts(s), "core 0: runtime 1 -> runtime 7, reserved (1 core)")
}

func TestTasksAndTimers(t *testing.T) {
	task := lc(0, 1)
	task.TaskDelay = 3 * core.Microsecond
	expect(t, texts(newSnapshot(1, task)), "core 0: nobody -> runtime 0, a task waits (3µs)")
	timer := lc(0, 1)
	timer.NextTimer = testNow + testInterval
	expect(t, texts(newSnapshot(1, timer)), "core 0: nobody -> runtime 0, a timer is due (5µs)")
	timer.NextTimer++
	expect(t, texts(newSnapshot(1, timer)))
}

// A timer whose worker has no core: idle siblings do not serve it, and no other core does.
func TestTimerOfAStrayWorker(t *testing.T) {
	stray := lc(0, 3)
	stray.NextTimer, stray.Only = testNow, 1
	s := newSnapshot(3, stray, be(0, 3)).on(0, 0).on(1, 1, 2).rests(0)
	s.Runtimes[1].Able = 2
	expect(t, texts(s), "core 1: runtime 1 -> runtime 0, a timer is due (0s)",
		"core 0: runtime 0 -> runtime 1, lent, not needed (100µs)")
	s.Runtimes[0].Most = 1 // it has no room: first the idle core goes
	expect(t, texts(s))
	s.Cores[0].IdleAt = testNow - core.Millisecond
	expect(t, texts(s), "core 0: runtime 0 -> parked, unused (1ms)")
	s.on(0, 0, 1)
	expect(t, texts(s)) // it has it
}

// BE whose only work is a timer gets that core and no other.
func TestTimerOfAStrayBestEffortWorker(t *testing.T) {
	stray := be(0, 3)
	stray.NextTimer, stray.Only, stray.Able = testNow, 2, 1
	s := newSnapshot(3, stray, lc(0, 1)).on(1, 2)
	expect(t, texts(s))
	s.Cores[2].State, s.Cores[2].Owner = Idle, None
	expect(t, texts(s), "core 2: nobody -> runtime 0, free (100µs)")
	s.Runtimes[1] = be(0, 3)
	s.on(1, 0, 1, 2)
	expect(t, texts(s), "core 2: runtime 1 -> runtime 0, quantum over (1ms)")
}

func TestLend(t *testing.T) {
	s := newSnapshot(3, lc(1, 3), be(0, 2)).on(0, 0, 1, 2).rests(0, 1, 2)
	expect(t, texts(s), "core 0: runtime 0 -> runtime 1, lent, not needed (100µs)",
		"core 1: runtime 0 -> runtime 1, lent, not needed (100µs)")
	s.Runtimes[0] = s.Runtimes[0].waiting(3, 0) // they have work in a moment
	expect(t, texts(s))
}

// The BE runtime with the fewest cores gets the next.
func TestLendEvenly(t *testing.T) {
	s := newSnapshot(4, be(0, 4), be(0, 4)).on(0, 0)
	expect(t, texts(s), "core 1: nobody -> runtime 1, free (100µs)",
		"core 2: nobody -> runtime 0, free (100µs)", "core 3: nobody -> runtime 1, free (100µs)")
}

// A BE runtime keeps no core for which it has no worker; the other may have it.
func TestSlackOfBE(t *testing.T) {
	s := newSnapshot(2, be(0, 2), be(0, 2)).on(0, 0, 1).rests(1)
	s.Runtimes[0].Able = 1
	expect(t, texts(s), "core 1: runtime 0 -> runtime 1, free (100µs)")
	s.Runtimes[0].Able = 2
	expect(t, texts(s), "core 0: runtime 0 -> runtime 1, quantum over (1ms)")
}

func TestQuantum(t *testing.T) {
	s := newSnapshot(3, be(0, 3), be(0, 3)).on(0, 0, 1, 2)
	s.Cores[0].OwnedAt += core.Microsecond
	expect(t, texts(s), "core 1: runtime 0 -> runtime 1, quantum over (1ms)")
	s.on(1, 1)
	s.Cores[0].OwnedAt -= core.Microsecond
	expect(t, texts(s), "core 0: runtime 0 -> runtime 1, quantum over (1ms)") // in turn: 1.5 each
	s.on(1, 0).Runtimes[0].Most = 1
	expect(t, texts(s))
}

// A core goes to nobody who has as many as the one that would lose it.
func TestRotateEvensOut(t *testing.T) {
	s := newSnapshot(2, be(0, 2), be(0, 2), be(0, 2)).on(0, 0).on(2, 1)
	for c := range s.Cores {
		s.Cores[c].Failed, s.Cores[c].FailedAt = 1, testNow
	}
	expect(t, texts(s))
	s.Cores[1].Failed = None
	expect(t, texts(s), "core 1: runtime 2 -> runtime 1, quantum over (1ms)")
}

func TestRest(t *testing.T) {
	s := newSnapshot(3, lc(1, 3)).on(0, 0, 1).rests(0, 1)
	for c := range s.Cores {
		s.Cores[c].IdleAt = testNow - core.Millisecond
	}
	s.Cores[1].IdleAt++
	expect(t, texts(s), "core 0: runtime 0 -> parked, unused (1ms)",
		"core 2: nobody -> parked, unused (1ms)")
	s.Runtimes[0].NextTimer = testNow + wakeLead
	expect(t, texts(s), "core 2: nobody -> parked, unused (1ms)")
}

func TestWakesAreRationed(t *testing.T) {
	s := newSnapshot(3, lc(3, 3).waiting(3, 0), be(0, 3))
	for c := range s.Cores {
		s.Cores[c].State = Parked
	}
	expect(t, texts(s), "core 0: nobody -> runtime 0, reserved (3 cores)")
	s.Runtimes[0].Waiting = 0
	expect(t, texts(s), "core 0: nobody -> runtime 1, free (0s)")
	s.Wakes = 0
	expect(t, texts(s))
}

// A grant that was not taken up is not repeated for a while, to this runtime and on this core.
func TestFailedGrant(t *testing.T) {
	s := newSnapshot(2, lc(0, 2).waiting(1, 0), be(0, 0)).on(1, 0, 1)
	s.Cores[0].Failed, s.Cores[0].FailedAt = 0, testNow-FailedFor+1
	for _, p := range [...]decider{NewSimple(0), NewCaladan(Config{})} {
		expect(t, say(p.Decide(testNow, s, nil)),
			"core 1: runtime 1 -> runtime 0, frames wait (1 frame)")
	}
	s.Cores[0].FailedAt--
	expect(t, texts(s), "core 0: runtime 1 -> runtime 0, frames wait (1 frame)")
}

func TestCoreGoesOffline(t *testing.T) {
	s := newSnapshot(2, lc(1, 2).waiting(1, 0), be(0, 2)).on(0, 0).on(1, 1)
	s.Cores[0].State = Offline
	expect(t, texts(s), "core 1: runtime 1 -> runtime 0, reserved (1 core)")
}

// The cores of a runtime that is gone belong to nobody.
func TestRuntimeGoes(t *testing.T) {
	s := newSnapshot(1, Runtime{Class: Absent}, be(0, 1)).on(0, 0)
	expect(t, texts(s), "core 0: nobody -> runtime 1, free (100µs)")
}

func TestSibling(t *testing.T) {
	slow := lc(0, 4)
	slow.RequestBudget = 20 * core.Microsecond
	s := newSnapshot(4, slow, be(0, 4)).on(0, 0).on(1, 1, 2, 3)
	s.Cores[0].Sibling, s.Cores[2].Sibling, s.Cores[0].RequestAge = 2, 0, 20*core.Microsecond
	expect(t, texts(s))
	s.Cores[0].RequestAge++
	expect(t, texts(s), "core 2: runtime 1 -> kept idle, slow request on the sibling (20.001µs)")
	s.on(None, 2).rests(2) // as long as it takes
	expect(t, texts(s))
	s.Runtimes[0] = s.Runtimes[0].waiting(1, 0) // LC prefers another core, and takes it if need be
	expect(t, texts(s), "core 1: runtime 1 -> runtime 0, frames wait (1 frame)")
	s.on(0, 1, 3)
	expect(t, texts(s), "core 2: nobody -> runtime 0, frames wait (1 frame)")
	s.Runtimes[0].Waiting, s.Cores[0].RequestAge = 0, 0
	expect(t, texts(s), "core 2: nobody -> runtime 1, free (100µs)")
	s.on(1, 2).Cores[0].RequestAge = core.Second
	s.Runtimes[1].Reserved = 1
	expect(t, texts(s)) // what is reserved for BE stays
}

func TestBandwidth(t *testing.T) {
	mild, wild := be(0, 4), be(0, 4)
	mild.Misses, wild.Misses = Reading{true, 3000}, Reading{true, 2000} // per core: 1000, 2000
	s := newSnapshot(4, mild, wild).on(0, 0, 1, 2).on(1, 3)
	s.on(0, 3).on(1, 0).Runtimes[1].ID = 2
	s.Memory = Memory{Reading{true, 101e6}, 100e6, testNow}
	p := NewCaladan(Config{})
	decide := func(after core.Time) []string { return say(p.Decide(testNow+after, s, nil)) }
	expect(t, decide(0), "core 0: runtime 1 -> kept idle, memory bandwidth above the limit (101 MB/s)")
	s.on(None, 0).rests(0)
	// Nobody gets the core that the worst had but the other one, which is not above its cap.
	expect(t, decide(1), "core 0: nobody -> runtime 0, free (100.001µs)")
	s.on(0, 0)
	expect(t, decide(2)) // the same reading says nothing new
	s.Memory.At, s.Memory.BytesPerSecond.Value = testNow+3, 90e6
	expect(t, decide(3)) // below the limit, and not by much
	s.Memory.At, s.Memory.BytesPerSecond.Value = testNow+4, 80e6
	expect(t, decide(4)) // too early
	s.Memory.At = testNow + core.Millisecond
	expect(t, decide(core.Millisecond), "core 0: runtime 0 -> runtime 1, quantum over (2ms)")
}

// The worst that has something to give gives it, and who comes after it begins without its cap.
func TestBandwidthOfWhom(t *testing.T) {
	mild, wild := be(0, 4), be(1, 4)
	mild.Misses, wild.Misses = Reading{true, 1000}, Reading{true, 9000}
	s := newSnapshot(4, mild, wild).on(0, 0, 1, 2).on(1, 3)
	s.Memory = Memory{Reading{true, 2}, 1, testNow}
	for c := range s.Cores {
		s.Cores[c].OwnedAt = testNow
	}
	p := NewCaladan(Config{})
	expect(t, say(p.Decide(testNow, s, nil)),
		"core 0: runtime 0 -> kept idle, memory bandwidth above the limit (0 MB/s)")
	s.on(None, 0).rests(0).Runtimes[1].Able = 1
	expect(t, say(p.Decide(testNow, s, nil)))
	s.Runtimes[0].ID++
	expect(t, say(p.Decide(testNow, s, nil)), "core 0: nobody -> runtime 0, free (100µs)")
}

// Without a sensor nobody is throttled, and with it nobody is brought below what is reserved.
func TestBandwidthStaysWithin(t *testing.T) {
	s := newSnapshot(2, be(1, 2)).on(0, 0, 1)
	s.Memory = Memory{Reading{true, 2}, 1, testNow}
	p := NewCaladan(Config{})
	if got := p.Decide(testNow, s, nil); len(got) != 1 {
		t.Fatalf("%v", say(got))
	}
	s.on(None, 1).rests(1)
	for i := range core.Time(10) {
		s.Memory.At++
		if got := p.Decide(testNow+i, s, nil); len(got) != 0 {
			t.Fatalf("pass %d: %v", i, say(got))
		}
	}
	s.Memory.BytesPerSecond.Valid = false
	expect(t, say(p.Decide(testNow, s, nil)), "core 1: nobody -> runtime 0, free (100µs)")
}

func TestEveryReasonHasText(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reason(Reasons) {
		if s := r.String(); s == "" || seen[s] {
			t.Errorf("reason %d: %q", r, s)
		} else {
			seen[s] = true
		}
	}
	for _, tt := range []struct {
		action Action
		want   string
	}{
		{Action{Grant, ForDelay, 3, 0, 1, 12_500}, "core 3: runtime 1 -> runtime 0, delay above the threshold (12.5µs)"},
		{Action{Kind(9), Reason(200), 1, None, None, 7}, "core 1: nobody -> kind 9?, reason? (7 cores)"},
		{Action{Park, ForRest, 2, None, None, 1_000_000}, "core 2: nobody -> parked, unused (1ms)"},
	} {
		if got := tt.action.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
