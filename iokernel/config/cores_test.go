package config

import (
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// lending is a configuration that lends CPUs 1 to 3 to an lc and a be runtime.
func lending() *Config {
	c := valid()
	c.CPU, c.Cores.Lend = 0, Lend{List: []int{1, 2, 3}}
	c.Runtimes[0].Class, c.Runtimes[0].Reserved = ClassLC, 1
	be := DefaultRuntime()
	be.Name, be.UIDs, be.Class = "batch", []Account{ID(65534)}, ClassBE
	c.Runtimes = append(c.Runtimes[:1], be)
	return c
}

func TestValidateCores(t *testing.T) {
	if err := lending().Validate(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		spoil func(*Config)
		want  string // the complete error
	}{
		{
			"class without cores", func(c *Config) { c.Cores.Lend = Lend{}; c.Runtimes = c.Runtimes[:1] },
			"runtimes[0].class: lc: no cores are lent; name CPUs in cores.lend, or auto",
		},
		{
			"the iokernel's own", func(c *Config) { c.CPU = 2 },
			"cores.lend: CPU 2 is the iokernel's own (cpu); it cannot lend that",
		},
		{
			"interval", func(c *Config) { c.Cores.Interval = 0 },
			"cores.interval: 0s: want 1us to 1s",
		},
		{
			"threshold", func(c *Config) { c.Cores.Threshold = 0 },
			"cores.threshold: 0s: want up to 10s",
		},
		{
			"deadlines", func(c *Config) { c.Cores.StuckDeadline = c.Cores.YieldDeadline },
			"cores.stuck_deadline: 50us: want 100us (twice the yield_deadline) to 10s",
		},
		{
			"bandwidth", func(c *Config) { c.Cores.BandwidthLimit = -1 },
			"cores.bandwidth_limit: -1 MB/s: want 0 to 100000000",
		},
		{
			"direct", func(c *Config) { c.Runtimes[0].AllowDirect, c.Runtimes[0].Queue = true, 1 },
			"runtimes[0].class: lc: the cores of a direct runtime stay its own; take " +
				"allow_direct out, or class",
		},
		{
			"workers", func(c *Config) { c.Runtimes[0].Workers = 2 },
			"runtimes[0].workers: a runtime of class lc has one on each core that is lent; leave " +
				"workers and cpus out",
		},
		{
			"reserved above most", func(c *Config) { c.Runtimes[0].Reserved, c.Runtimes[0].Most = 2, 1 },
			"runtimes[0].reserved: 2 cores of at most 1",
		},
		{
			"quantum", func(c *Config) { c.Runtimes[1].Quantum = 0 },
			"runtimes[1].quantum: 0s: want up to 10s",
		},
		{
			"reserved without class", func(c *Config) { c.Runtimes[0].Class = ClassPinned },
			"runtimes[0].class: reserved, most and request_budget are for class lc or be",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := lending()
			test.spoil(c)
			if err := c.Validate(); err == nil || err.Error() != test.want {
				t.Errorf("%v\nwant:\n%s", err, test.want)
			}
		})
	}
}

// TestMoreThanLent: what the machine has is known only there.
func TestMoreThanLent(t *testing.T) {
	allowed := []int{0, 1, 2, 3}
	if err := lending().Machine(allowed); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		spoil   func(*Config)
		allowed []int
		want    string
	}{
		{
			"a CPU that is not ours", func(*Config) {},
			[]int{0, 1, 2},
			"cores.lend: CPU 3 is not among the CPUs 0-2 that this process may use; name one of " +
				"those, or widen its affinity or cpuset",
		},
		{
			"none to lend", func(c *Config) { c.Cores.Lend, c.Runtimes = Lend{Auto: true}, nil },
			[]int{0},
			"cores.lend: this process may use CPU 0 only, which is the iokernel's own: there is " +
				"none to lend",
		},
		{
			"reserved", func(c *Config) { c.Runtimes[0].Reserved = 4 }, allowed,
			"runtimes[0].reserved: 4 cores reserved of at most 0, but it can have 3 (CPUs 1-3 " +
				"are lent)\nruntimes: 4 cores are reserved in all, and 3 are lent (CPUs 1-3)",
		},
		{
			"reserved by all", func(c *Config) { c.Runtimes[0].Reserved, c.Runtimes[1].Reserved = 2, 2 },
			allowed,
			"runtimes: 4 cores are reserved in all, and 3 are lent (CPUs 1-3)",
		},
		{
			"most", func(c *Config) { c.Runtimes[0].Most = 9 }, allowed,
			"runtimes[0].reserved: 1 cores reserved of at most 9, but it can have 3 (CPUs 1-3 " +
				"are lent)",
		},
		{
			"frames", func(c *Config) { c.Runtimes[0].Frames = 256 }, allowed,
			"runtimes[0].frames: 256: want 384 or more, 128 for each core that it may get",
		},
		{
			"a pinned worker on a lent CPU",
			func(c *Config) {
				c.Runtimes[0].Class, c.Runtimes[0].Reserved = ClassPinned, 0
				c.Runtimes[0].CPUs = CPUs{3}
			},
			allowed,
			"runtimes[0].cpus: CPU 3 is lent to others (cores.lend); a pinned worker would run " +
				"there beside them",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := lending()
			test.spoil(c)
			if err := c.Machine(test.allowed); err == nil || err.Error() != test.want {
				t.Errorf("%v\nwant:\n%s", err, test.want)
			}
		})
	}
}

func TestLent(t *testing.T) {
	c := lending()
	c.Cores.Lend = Lend{Auto: true}
	if got := c.Lent([]int{0, 1, 5, 7}, 5); !slices.Equal(got, []int{0, 1, 7}) {
		t.Errorf("auto lends %v", got)
	}
	if Default().Cores.Lend.Any() || Default().Cores.Interval != 5*core.Microsecond {
		t.Error("the default lends")
	}
}
