package report

import (
	"slices"
	"testing"
)

func latencies(name string, rounds ...[]uint32) *Series {
	s := NewSeries(Key{Name: name, Loop: Closed, Bytes: 64, Unit: Nanoseconds})
	for _, r := range rounds {
		s.AddLatencies(r, Faults{})
	}
	return s
}

// repeat is n samples of value and one of worst.
func repeat(n int, value, worst uint32) []uint32 {
	return append(slices.Repeat([]uint32{value}, n), worst)
}

func TestRowPoolsP50AndTakesMedianOfP99(t *testing.T) {
	// The third round is slow as a whole and has most of the samples.
	s := latencies("row", repeat(50, 100, 900), repeat(50, 110, 800), repeat(500, 700, 7000))
	r := s.Row()
	if r.P50 != 700 {
		t.Errorf("p50 = %v, want 700: the middle of all samples", r.P50)
	}
	if r.P90 != 110 {
		t.Errorf("p90 = %v, want 110: the median of 100, 110 and 700", r.P90)
	}
	// p99 of the rounds: 900 (1 of 51 samples), 800, 700 (1 of 501).
	if r.P99 != 800 {
		t.Errorf("p99 = %v, want 800: the median of 900, 800 and 700", r.P99)
	}
	if r.Max != 7000 || r.Count != 51+51+501 {
		t.Errorf("max %v, count %d, want 7000 and 603", r.Max, r.Count)
	}
	if len(r.Rounds) != 3 || r.Rounds[1] != (Round{P50: 110, P99: 800, Count: 51}) {
		t.Errorf("rounds %+v", r.Rounds)
	}
}

func TestRoundWithoutSamplesHasNoPercentiles(t *testing.T) {
	s := latencies("row", repeat(10, 100, 200))
	s.AddLatencies(nil, Faults{Lost: 5})
	r := s.Row()
	if r.P99 != 200 || r.Lost != 5 || r.Rounds[1].Lost != 5 {
		t.Errorf("p99 %v, lost %d, want 200 and 5", r.P99, r.Lost)
	}
}

func TestFaultsAndCPUTimeAddUp(t *testing.T) {
	s := latencies("row")
	for range 3 {
		s.AddLatencies([]uint32{1}, Faults{Lost: 1, Late: 2, Duplicate: 3, Corrupt: 4})
		s.AddSpent(Spent{Process: "echo", Ns: 10})
		s.AddSpent(Spent{Process: "other", Parked: true, Ns: 1})
	}
	r := s.Row()
	if r.Faults != (Faults{Lost: 3, Late: 6, Duplicate: 9, Corrupt: 12}) {
		t.Errorf("faults %+v", r.Faults)
	}
	want := []Spent{{Process: "echo", Ns: 30}, {Process: "other", Parked: true, Ns: 3}}
	if !slices.Equal(r.CPU, want) {
		t.Errorf("CPU time %+v, want %+v", r.CPU, want)
	}
}

func TestRatioIsTheMedianWithinRounds(t *testing.T) {
	// The machine is twice as slow in round 2 and three times in round 3; the ratio is not.
	floor := latencies("floor", []uint32{100}, []uint32{200}, []uint32{300})
	ours := latencies("ours", []uint32{110}, []uint32{216}, []uint32{336})
	r, ok := NewRatio(ours, floor, P50, Goal{AtMost: 1.1})
	if !ok || r.Name != "ours:floor" || r.Value != 1.1 || r.Low != 1.08 || r.High != 1.12 {
		t.Errorf("ratio %+v, want 1.10 from 1.08 to 1.12", r)
	}
	if r.Verdict != Met {
		t.Errorf("verdict %q at the goal itself, want met", r.Verdict)
	}
}

func TestRatioVerdicts(t *testing.T) {
	for _, c := range []struct {
		value float64
		goal  Goal
		want  Verdict
	}{
		{1.11, Goal{AtMost: 1.1}, Missed},
		{1.09, Goal{AtMost: 1.1}, Met},
		{9.9, Goal{AtLeast: 10}, Missed},
		{10.1, Goal{AtLeast: 10}, Met},
		{3, Goal{}, Shown},
	} {
		if got := c.goal.judge(c.value); got != c.want {
			t.Errorf("%v judged by %q = %s, want %s", c.value, c.goal, got, c.want)
		}
	}
}

func TestRatioWithoutACommonRound(t *testing.T) {
	if r, ok := NewRatio(latencies("a", nil), latencies("b", []uint32{1}), P50, Goal{}); ok {
		t.Errorf("ratio %+v of rows that have no round in common", r)
	}
}
