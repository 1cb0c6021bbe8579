package load

import (
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// A service on a core that is lent answers every request, alone and beside a best-effort runtime
// that gets something of the rest; who had the core is drawn.
func TestColocation(t *testing.T) {
	needMachine(t)
	o := kernelOptions("^(lc-(alone|with-be)/2 |be-share/20/25us|lc-with-be/20/25us|reference)")
	o.Rounds, o.Measure, o.Warmup = 3, 50*core.Millisecond, 20*core.Millisecond
	s, err := Cores(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	left(t)
	r := s.Report
	if len(r.Rows) != 5 {
		t.Fatalf("%d rows (%v)", len(r.Rows), r.Notes)
	}
	for _, row := range r.Rows {
		t.Logf("%-20s p50 %10.3f p99 %12.3f %s, %d of them, lost %v", row.Name, row.P50, row.P99,
			row.Unit, row.Count, row.Faults)
		switch {
		case row.Unit == report.Parts && (row.P50 < 0 || row.P50 > 1),
			row.Unit == report.Nanoseconds && (row.Count < 100 || row.Corrupt+row.Duplicate > 0):
			t.Errorf("row %+v", row)
		}
	}
	if n := len(r.Differences); n != 1 {
		t.Errorf("%d differences", n)
	}
	if r.Timeline == nil || len(r.Timeline.Cores) != 1 || len(r.Timeline.Cores[0].Spans) < 2 {
		t.Errorf("timeline %+v", r.Timeline)
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "only looked at the clock") {
		t.Errorf("notes %q", r.Notes)
	}
}
