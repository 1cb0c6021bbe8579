package load

import (
	"slices"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

func TestCoresAreHandedOver(t *testing.T) {
	needMachine(t)
	o := kernelOptions("handover|floor/wake")
	o.Rounds, o.Measure, o.Warmup = 3, 100*core.Millisecond, 10*core.Millisecond
	s, err := Cores(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	left(t)
	r := s.Report
	if len(r.Rows) != 5 || len(r.Ratios) != 2 || !r.Complete {
		t.Fatalf("%d rows and %d ratios, complete: %v (%v)", len(r.Rows), len(r.Ratios), r.Complete,
			r.Notes)
	}
	for _, row := range r.Rows {
		t.Logf("%-15s %-6s p50 %5.0f p90 %5.0f p99 %6.0f p999 %7.0f ns, %6d of them", row.Name, row.Loop,
			row.P50, row.P90, row.P99, row.P999, row.Count)
		// Nothing that a store and two system calls do takes less than 100 ns, or as long as a
		// scheduler's time slice.
		if row.Count < 100 || row.P50 < 100 || row.P50 > float64(core.Millisecond) || row.Faults.Any() {
			t.Errorf("row %+v", row)
		}
		running := 0
		for _, c := range row.CPU {
			if c.Process != "bench" && !c.Parked {
				running++
			}
		}
		if running == 0 {
			t.Errorf("%s: no process of its own ran", row.Name)
		}
	}
	for _, ratio := range r.Ratios {
		t.Logf("%s %s: %.2f (%.2f to %.2f)", ratio.Name, ratio.Metric, ratio.Value, ratio.Low,
			ratio.High)
	}
}

// A grant that nobody takes up is counted, and the run ends.
func TestLostGrant(t *testing.T) {
	needMachine(t)
	s, err := newSite(kernelOptions(""))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	all, err := upHandover(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if err := e.await(t.Context()); err != nil {
			t.Fatal(err)
		}
		d := e.drivers[report.Closed]
		if err := e.children[1].park(); err != nil { // it has the core, or gets it next
			t.Fatal(err)
		}
		start := time.Now()
		r, err := d.run(t.Context(), Plan{Loop: report.Closed, Measure: 50 * core.Millisecond})
		if err != nil || r.Faults.Lost == 0 {
			t.Errorf("%s: %d lost (%v), want some", e.name, r.Faults.Lost, err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if err := e.children[1].resume(); err != nil {
			t.Fatal(err)
		}
		if err := e.await(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestHandoverRefusesOtherLoops(t *testing.T) {
	if _, err := new(handoverDriver).run(t.Context(), Plan{Loop: report.Window}); err == nil {
		t.Error("a window of grants was accepted")
	}
}

// Every row of the suite is brought up by its family, and the compared ones come first.
func TestCoresSuiteIsConsistent(t *testing.T) {
	s := coresSuite()
	find := func(name string) int {
		return slices.IndexFunc(s.rows, func(w wanted) bool { return w.key.Name == name })
	}
	for _, w := range s.rows {
		if w.shareOf != "" {
			if i := find(w.shareOf); i < 0 || s.rows[i].key.Rate != w.key.Rate {
				t.Errorf("%s is of row %d", w.key.Name, i)
			}
			continue
		}
		if !slices.ContainsFunc(families(), func(f family) bool { return f.has(w) }) {
			t.Errorf("nobody brings up %s", w.key.Name)
		}
	}
	for _, c := range s.comparisons {
		i, j := find(c.numerator), find(c.denominator)
		if i < 0 || j < 0 || s.rows[i].key.Loop != s.rows[j].key.Loop ||
			s.rows[i].key.Rate != s.rows[j].key.Rate {
			t.Errorf("%s:%s compares rows %d and %d", c.numerator, c.denominator, i, j)
		}
	}
	for _, c := range s.combined {
		for _, name := range c.rows {
			if find(name) < 0 {
				t.Errorf("%s is of a row %s", c.name, name)
			}
		}
	}
}
