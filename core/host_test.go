package core

import (
	"testing"

	"pgregory.net/rapid"
)

// scripted is a poller that does what a list says, one entry a poll, then nothing.
type scripted struct {
	work  []int
	polls []Time // when it was polled
	wake  Time
	log   *[]*scripted // order of polling, over all pollers
}

func (s *scripted) Poll(now Time) int {
	s.polls = append(s.polls, now)
	if s.log != nil {
		*s.log = append(*s.log, s)
	}
	if len(s.work) == 0 {
		return 0
	}
	n := s.work[0]
	s.work = s.work[1:]
	return n
}

func (s *scripted) Next(Time) Time { return s.wake }

func TestHostPollsInOrder(t *testing.T) {
	var log []*scripted
	a, b, c := &scripted{log: &log}, &scripted{log: &log}, &scripted{log: &log}
	h := NewHost(a, b)
	h.Add(c)
	h.Step(1)
	if !h.Remove(b) || h.Remove(b) {
		t.Error("Remove does not say whether the poller was there")
	}
	h.Step(2)
	want := []*scripted{a, b, c, a, c}
	if len(log) != len(want) {
		t.Fatalf("%d polls, want %d", len(log), len(want))
	}
	for i := range want {
		if log[i] != want[i] {
			t.Errorf("poll %d was another poller's", i)
		}
	}
	if b.polls[0] != 1 || a.polls[1] != 2 {
		t.Errorf("polled at %v and %v, want the time of the step", b.polls, a.polls)
	}
}

// NewHost must not share the caller's list.
func TestHostCopiesItsList(t *testing.T) {
	a, b := &scripted{}, &scripted{}
	list := []Poller{a}
	h := NewHost(list...)
	list[0] = b
	h.Step(1)
	if len(a.polls) != 1 || len(b.polls) != 0 {
		t.Error("the host follows changes of the caller's list")
	}
}

func TestHostNext(t *testing.T) {
	if got := NewHost().Next(5); got != Never {
		t.Errorf("without pollers %d, want Never", got)
	}
	h := NewHost(&scripted{wake: 70}, &scripted{wake: 30}, &scripted{wake: Never})
	if got := h.Next(5); got != 30 {
		t.Errorf("next is %d, want the earliest, 30", got)
	}
}

// TestHostUsage checks the account against its definition: each interval belongs to the step that
// began it, and busy plus idle is all the time since the first.
func TestHostUsage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		work := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 50).Draw(t, "work")
		gaps := rapid.SliceOfN(rapid.Int64Range(0, 1000), len(work), len(work)).Draw(t, "gaps")
		h := NewHost(&scripted{work: append([]int(nil), work...)}, &scripted{})
		var want Usage
		now, start := Time(1_000_000), Time(1_000_000)
		for i, n := range work {
			if got := h.Step(now); got != n {
				t.Fatalf("step %d worked %d, want %d", i, got, n)
			}
			want.Steps++
			want.Work += uint64(n)
			if i+1 == len(work) {
				break
			}
			if n > 0 {
				want.Busy += Time(gaps[i])
			} else {
				want.Idle += Time(gaps[i])
			}
			now += Time(gaps[i])
		}
		got := h.Usage()
		if got != want {
			t.Fatalf("usage %+v, want %+v", got, want)
		}
		if got.Busy+got.Idle != now-start {
			t.Fatalf("busy %d and idle %d are not the %d that passed", got.Busy, got.Idle, now-start)
		}
	})
}

// A host inside another is polled as one poller, and keeps an account of its own.
func TestHostInHost(t *testing.T) {
	inner := NewHost(&scripted{work: []int{2}, wake: 7}, &scripted{work: []int{3}, wake: 9})
	outer := NewHost(&scripted{work: []int{1}, wake: Never}, inner)
	if got := outer.Step(1); got != 6 {
		t.Errorf("worked %d, want 6", got)
	}
	outer.Step(5)
	if got := outer.Next(5); got != 7 {
		t.Errorf("next is %d, want 7", got)
	}
	want := Usage{Busy: 4, Steps: 2, Work: 5}
	if got := inner.Usage(); got != want {
		t.Errorf("inner usage %+v, want %+v", got, want)
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	h := NewHost(idle{}, idle{})
	now := Time(0)
	if n := testing.AllocsPerRun(100, func() { now++; h.Step(now); h.Next(now) }); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}

type idle struct{}

func (idle) Poll(Time) int  { return 0 }
func (idle) Next(Time) Time { return Never }

func BenchmarkStep(b *testing.B) {
	h := NewHost(idle{}, idle{}, idle{})
	now := Time(0)
	for b.Loop() {
		now++
		h.Step(now)
	}
}
