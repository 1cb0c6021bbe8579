package sim

import (
	"math"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// come is when requests came, and how long they take.
type come struct{ at, service core.Time }

func generate(load Load, service Service, cores int, until core.Time) (all []come) {
	l := NewLoop()
	newGenerator(l, load, service, cores, NewSource(1, "test", 0), func(at, service core.Time) {
		all = append(all, come{at, service})
	})
	l.Run(until)
	return all
}

// near reports whether n is what Poisson gives for a mean.
func near(n int, mean float64) bool { return math.Abs(float64(n)-mean) < 5*math.Sqrt(mean) }

// TestPoisson runs at a rate at which gaps are 20 ns: whole nanoseconds would be 2 % off.
func TestPoisson(t *testing.T) {
	service := Service{Mean: core.Microsecond}
	all := generate(Load{Low: 80}, service, 64, 5*core.Millisecond)
	if want := 64 * 0.8 * 5000; !near(len(all), want) {
		t.Errorf("%d requests, want %v", len(all), want)
	}
	sum, last := core.Time(0), core.Time(0)
	for _, c := range all {
		if c.at < last {
			t.Fatalf("a request at %d after one at %d", c.at, last)
		}
		sum, last = sum+c.service, c.at
	}
	if got := float64(sum) / float64(len(all)); math.Abs(got-1000) > 10 {
		t.Errorf("mean service %v ns", got)
	}
}

func TestSteps(t *testing.T) {
	const step = 10 * core.Millisecond
	service := Service{Mean: 10 * core.Microsecond, Fixed: true}
	all := generate(Load{Low: 10, High: 80, Dwell: step}, service, 8, 4*step)
	var counts [4]int
	for _, c := range all {
		counts[min(c.at/step, 3)]++
		if c.service != service.Mean {
			t.Fatalf("a request of %d ns", c.service)
		}
	}
	for i, want := range []float64{800, 6400, 800, 6400} {
		if !near(counts[i], want) {
			t.Errorf("%d requests in step %d, want %v", counts[i], i, want)
		}
	}
}

// TestLevelsEnd: what was due at the old level does not come.
func TestLevelsEnd(t *testing.T) {
	service := Service{Mean: 10 * core.Microsecond}
	all := generate(Load{High: 5, Dwell: core.Millisecond}, service, 1, 200*core.Millisecond)
	for _, c := range all {
		if c.at/core.Millisecond%2 == 0 {
			t.Fatalf("a request at %d ns, in a step without load", c.at)
		}
	}
	if !near(len(all), 500) {
		t.Errorf("%d requests, want 500", len(all))
	}
}

// TestBursts: levels last for random times, half of the time each in the long run, and the rates
// within them differ.
func TestBursts(t *testing.T) {
	const dwell, until = core.Millisecond, 2 * core.Second
	load := Load{Low: 0, High: 100, Dwell: dwell, Random: true}
	all := generate(load, Service{Mean: 10 * core.Microsecond}, 1, until)
	if got := float64(len(all)) / 200_000; math.Abs(got-0.5) > 0.08 {
		t.Errorf("%.3f of the rate of the high level", got)
	}
	silent, last := 0, core.Time(0)
	for _, c := range all {
		if c.at-last > 200*core.Microsecond { // 20 mean gaps: the low level
			silent++
		}
		last = c.at
	}
	if silent < 500 || silent > 1200 {
		t.Errorf("%d breaks in %d ms", silent, until/core.Millisecond)
	}
}

func TestNoLoad(t *testing.T) {
	if all := generate(Load{}, Service{Mean: 1000}, 4, core.Second); len(all) != 0 {
		t.Errorf("%d requests", len(all))
	}
}

func TestLoadText(t *testing.T) {
	for text, l := range map[string]Load{
		"Poisson 20 %":             {Low: 20},
		"steps 10/80 %, 10ms":      {Low: 10, High: 80, Dwell: 10 * core.Millisecond},
		"bursts 10/80 %, mean 1ms": {Low: 10, High: 80, Dwell: core.Millisecond, Random: true},
	} {
		if l.String() != text {
			t.Errorf("%q, want %q", l, text)
		}
	}
	if got := (Service{Mean: 1500, Fixed: true}).String(); got != "fixed 1.5µs" {
		t.Errorf("%q", got)
	}
}
