package sim

import (
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// run is a colocation under policies, by their names.
func run(t *testing.T, c Colocation, policies ...string) map[string]Row {
	t.Helper()
	rows, err := c.Run(policies...)
	if err != nil {
		t.Fatal(err)
	}
	if testing.Verbose() {
		var b strings.Builder
		if err := WriteTable(&b, rows); err != nil {
			t.Fatal(err)
		}
		t.Log("\n" + b.String())
	}
	byName := map[string]Row{}
	for _, r := range rows {
		byName[r.Policy] = r
	}
	return byName
}

// TestGoals is what a large machine must reach with requests of 10 and 100 us: the 99.9th
// percentile within 1.2 times of LC alone, and nine tenths of the unused core time to BE.
func TestGoals(t *testing.T) {
	for _, c := range Means(1)[1:] {
		c.Warmup, c.Measure = 40*core.Millisecond, 100*core.Millisecond
		if c.Service.Mean > 10*us {
			c.Measure = 600 * core.Millisecond
		}
		for name, r := range run(t, c, Simple, Caladan) {
			if r.Ratio > 1.2 || name != Alone && r.BEShare < 0.9 {
				t.Errorf("%v, %s: p99.9 %.3f of alone, BE share %.3f", c.Service, name, r.Ratio, r.BEShare)
			}
		}
	}
}

// TestStandingStillPays: with requests of 1 us a policy that moves cores whenever it can makes LC
// slower and leaves BE less than one that has noticed what its moves bring.
func TestStandingStillPays(t *testing.T) {
	c := Means(1)[0]
	c.Warmup, c.Measure = 40*core.Millisecond, 20*core.Millisecond
	rows := run(t, c, Restless, Caladan)
	still, restless := rows[Caladan], rows[Restless]
	if still.Ratio > 1.2 || still.BEShare < 0.87 {
		t.Errorf("p99.9 %.3f of alone, BE share %.3f", still.Ratio, still.BEShare)
	}
	if still.Hold == 0 || still.MovesPerSecond > restless.MovesPerSecond/5 ||
		still.BEShare < restless.BEShare+0.04 || still.P50 >= restless.P50 || still.P999 >= restless.P999 {
		t.Errorf("still %+v\nrestless %+v", still, restless)
	}
}

// TestOneCore: on a single core the policy stands still for the bare echo, and lends at 10 and 25
// us.
func TestOneCore(t *testing.T) {
	for _, c := range OneCore(1) {
		c.Measure = 500 * core.Millisecond
		rows := run(t, c, Caladan)
		alone, r := rows[Alone], rows[Caladan]
		least := map[core.Time]float64{us: 0, 10 * us: 0.65, 25 * us: 0.75}[c.Service.Mean]
		if c.Load.Low == 20 && least > 0 {
			least += 0.10
		}
		if r.BEShare < least || r.P50 > alone.P50+4*us {
			t.Errorf("%v, %v: p50 %d and alone %d, BE share %.3f", c.Service, c.Load, r.P50, alone.P50, r.BEShare)
		}
		if c.Service.Mean == us && (r.Hold == 0 || r.BEShare > 0.05) {
			t.Errorf("%v, %v: does not stand still, %+v", c.Service, c.Load, r)
		}
	}
}

func TestIntervalsAreRun(t *testing.T) {
	last := core.Time(0)
	for _, c := range Intervals(1) {
		if c.Interval <= last {
			t.Errorf("a pass every %d ns after one every %d", c.Interval, last)
		}
		last = c.Interval
	}
	c := Intervals(1)[2] // every 100 us: ten requests' time
	c.Warmup, c.Measure = 20*core.Millisecond, 40*core.Millisecond
	rows := run(t, c, Restless, Caladan)
	if rows[Caladan].P999 >= rows[Restless].P999 {
		t.Errorf("%+v", rows)
	}
}

func TestRunRefusesUnknownPolicies(t *testing.T) {
	c := OneCore(1)[0]
	c.Measure = core.Millisecond
	if _, err := c.Run("best"); err == nil || !strings.Contains(err.Error(), "no such policy") {
		t.Errorf("%v", err)
	}
}

func TestWriteTable(t *testing.T) {
	var b strings.Builder
	err := WriteTable(&b, []Row{{
		Policy: Caladan, Service: Service{Mean: us}, Load: Load{Low: 20}, Interval: 5 * us,
		Requests: 7, P50: 1500, P99: 2000, P999: 3000, Ratio: 1.25, BEShare: 0.5, DeadShare: 0.25,
		MovesPerSecond: 2e6, Hold: 64 * us, Loans: 4, Lost: 1,
	}})
	const want = "exponential 1µs  Poisson 20 %   5µs  caladan         7  1.50  2.00   3.00     1.250" +
		"     0.500  0.250     2.000  64µs        25 %"
	if lines := strings.Split(b.String(), "\n"); err != nil || len(lines) != 3 || strings.TrimSpace(lines[1]) != want {
		t.Errorf("%v, %q, want %q", err, b.String(), want)
	}
}
