package sim

import (
	"math"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
	"pgregory.net/rapid"
)

// crowd is several runtimes of both classes with reservations, at more load than there are cores.
func crowd(seed uint64) Config {
	lc := func(reserved, most int, service, dwell core.Time, low, high int) RuntimeConfig {
		return RuntimeConfig{
			Class: policy.LatencyCritical, Reserved: reserved, Most: most,
			Service: Service{Mean: service}, Load: Load{low, high, dwell, true},
		}
	}
	return Config{
		Seed: seed, Cores: 16, Interval: 5 * us, Cost: MeasuredCost(), Measure: 5 * core.Millisecond,
		Runtimes: []RuntimeConfig{
			lc(4, 16, 10*us, 300*us, 0, 90), lc(0, 8, 2*us, 500*us, 1, 40),
			lc(2, 4, 50*us, 700*us, 0, 30), lc(0, 16, 5*us, 900*us, 0, 20),
			{Class: policy.BestEffort, Reserved: 1, Quantum: 200 * us},
			{Class: policy.BestEffort, Most: 6, Quantum: 100 * us},
		},
	}
}

// TestSeedNamesARun: the same seed gives the same events, another one others.
func TestSeedNamesARun(t *testing.T) {
	run := func(seed uint64) Result {
		r, err := Run(crowd(seed), policy.NewCaladan(policy.Config{}))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b, c := run(1), run(1), run(2)
	if a.Hash != b.Hash || a.Events != b.Events || a.Times[0].Quantile(999_000) != b.Times[0].Quantile(999_000) {
		t.Errorf("%d events with hash %x, and %d with %x", a.Events, a.Hash, b.Events, b.Hash)
	}
	if a.Hash == c.Hash {
		t.Error("two seeds have the same hash")
	}
	if a.Events < 10_000 {
		t.Errorf("only %d events", a.Events)
	}
}

// TestCrowds holds both policies to their promises over many runs.
func TestCrowds(t *testing.T) {
	for seed := range uint64(10) {
		for _, p := range [...]Policy{policy.NewSimple(0), policy.NewCaladan(policy.Config{})} {
			r, err := Run(crowd(seed), p)
			if err != nil {
				t.Errorf("%T: %v", p, err)
				continue
			}
			for i, h := range r.Times {
				if be := r.Used[i] > 0 && h.Count() == 0; be != (i >= 4) {
					t.Errorf("%T, seed %d: runtime %d used %d ns for %d requests", p, seed, i,
						r.Used[i], h.Count())
				}
			}
		}
	}
}

// TestMachines holds both policies to their promises on machines of any kind.
func TestMachines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cores := rapid.IntRange(1, 12).Draw(t, "cores")
		c := Config{
			Seed: rapid.Uint64().Draw(t, "seed"), Cores: cores, Cost: MeasuredCost(),
			Interval: core.Time(rapid.IntRange(1, 40).Draw(t, "interval")) * us,
			Measure:  core.Millisecond,
		}
		if rapid.Bool().Draw(t, "prompt") {
			c.Prompt = us
		}
		left := cores - 1
		for i := range rapid.IntRange(1, 5).Draw(t, "runtimes") {
			r := RuntimeConfig{
				Class: policy.LatencyCritical, Reserved: rapid.IntRange(0, left).Draw(t, "reserved"),
				Service: Service{
					core.Time(rapid.IntRange(1, 60).Draw(t, "service")) * us, rapid.Bool().Draw(t, "fixed"),
				},
				Load: Load{
					rapid.IntRange(0, 50).Draw(t, "low"), rapid.IntRange(0, 150).Draw(t, "high"),
					core.Time(rapid.IntRange(0, 300).Draw(t, "dwell")) * us, rapid.Bool().Draw(t, "random"),
				},
			}
			if i > 0 && rapid.Bool().Draw(t, "be") {
				r.Class, r.Quantum = policy.BestEffort, 100*us
			}
			r.Most = rapid.IntRange(max(1, r.Reserved), cores).Draw(t, "most")
			left -= r.Reserved
			c.Runtimes = append(c.Runtimes, r)
		}
		for _, p := range [...]Policy{policy.NewSimple(0), policy.NewCaladan(policy.Config{})} {
			if _, err := Run(c, p); err != nil {
				t.Fatalf("%T: %v", p, err)
			}
		}
	})
}

// TestAlone compares one core without competition with what the theory of queues says of it: with
// exponential service at load 0.5, times are exponential with twice the mean.
func TestAlone(t *testing.T) {
	c := Colocation{
		Seed: 1, Cores: 1, Service: Service{Mean: 10 * us}, Load: Load{Low: 50},
		Interval: 5 * us, Cost: MeasuredCost(), Warmup: core.Second, Measure: 4 * core.Second,
	}
	rows, err := c.Run()
	if err != nil {
		t.Fatal(err)
	}
	if got := int(rows[0].Requests); !near(got, 200_000) {
		t.Errorf("%d requests in 4 s, want 200000", got)
	}
	for _, tt := range []struct {
		got  core.Time
		part float64
	}{{rows[0].P50, 0.5}, {rows[0].P99, 0.99}, {rows[0].P999, 0.999}} {
		want := -math.Log(1-tt.part) * 20e3
		if math.Abs(float64(tt.got)/want-1) > 0.08 {
			t.Errorf("quantile %v is %d ns, want %.0f", tt.part, tt.got, want)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	good := crowd(1)
	for name, change := range map[string]func(c *Config){
		"no cores":          func(c *Config) { c.Cores = 0 },
		"too many cores":    func(c *Config) { c.Cores = policy.MaxCores + 1 },
		"no LC":             func(c *Config) { c.Runtimes = c.Runtimes[4:] },
		"too many runtimes": func(c *Config) { c.Runtimes = make([]RuntimeConfig, policy.MaxRuntimes+1) },
		"no time":           func(c *Config) { c.Measure = 0 },
		"no interval":       func(c *Config) { c.Interval = 0 },
		"negative load":     func(c *Config) { c.Runtimes[0].Load.Low = -1 },
		"no service":        func(c *Config) { c.Runtimes[0].Service.Mean = 0 },
	} {
		c := good
		c.Runtimes = append([]RuntimeConfig(nil), good.Runtimes...)
		change(&c)
		if _, err := Run(c, policy.NewSimple(0)); err == nil {
			t.Errorf("%s: runs", name)
		}
	}
}
