package sim

import (
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// TestBrokenPoliciesAreCaught runs policies that break one promise each.
func TestBrokenPoliciesAreCaught(t *testing.T) {
	for _, tt := range []struct {
		name  string
		at    map[int][]policy.Action
		fixed bool
		want  string
	}{
		{"nothing", map[int][]policy.Action{0: {grant(0, 1, -1)}}, true, ""},
		{"no such core", map[int][]policy.Action{0: {grant(3, 1, -1)}}, true, "no such core"},
		{
			"two owners",
			map[int][]policy.Action{0: {grant(0, 1, -1), grant(0, 0, -1)}},
			true, "two actions",
		},
		{"to its owner", map[int][]policy.Action{0: {grant(0, 1, -1)}, 1: {grant(0, 1, 1)}}, true, "owner 1"},
		{"from somebody else", map[int][]policy.Action{0: {grant(0, 1, 0)}}, true, "owner -1"},
		{
			"two wakes",
			map[int][]policy.Action{
				0: {park(0, -1), park(1, -1)}, 1: {grant(0, 1, -1), grant(1, 1, -1)},
			},
			true, "2 wakes",
		},
		{
			"parks a core with a request",
			map[int][]policy.Action{0: {grant(0, 0, -1)}, 1: {park(0, 0)}},
			true, "state 1",
		},
		{
			"BE takes from LC",
			map[int][]policy.Action{0: {grant(0, 0, -1)}, 1: {grant(0, 1, 0)}},
			true, "BE takes from LC",
		},
		{
			"BE keeps what LC needs",
			map[int][]policy.Action{0: {grant(0, 1, -1), grant(1, 1, -1)}},
			false, "BE keeps core",
		},
		{"LC starves", nil, false, "without a core for"},
		{
			"too many",
			map[int][]policy.Action{0: {grant(0, 2, -1), grant(1, 2, -1)}},
			true, "2 cores of 1",
		},
	} {
		c := Config{
			Seed: 1, Cores: 2, Interval: 10 * us, Cost: MeasuredCost(), Fixed: tt.fixed,
			Measure: 10_000 * us,
			Runtimes: []RuntimeConfig{
				{
					Class: policy.LatencyCritical, Service: Service{Mean: 50 * us, Fixed: true},
					Load: Load{Low: 400},
				},
				{Class: policy.BestEffort},
				{Class: policy.BestEffort, Most: 1},
			},
		}
		_, err := Run(c, &script{at: tt.at})
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestCountsAreCompared damages a machine behind the checker's back.
func TestCountsAreCompared(t *testing.T) {
	for name, damage := range map[string]func(m *machine){
		"a worker too many":    func(m *machine) { m.runtimes[1].onCores++ },
		"two on one core":      func(m *machine) { m.cores[0].on = 0 },
		"an owner and nobody":  func(m *machine) { m.cores[1].owner = 1 },
		"parked with an owner": func(m *machine) { m.cores[0].state = policy.Parked },
		"work on an idle core": func(m *machine) { m.cores[1].busy = true },
	} {
		s := newScene(t, 2, map[int][]policy.Action{0: {grant(0, 1, -1)}})
		s.run(15 * us)
		if err := s.s.check.conserved(); err != nil {
			t.Fatal(err)
		}
		damage(s.m)
		if err := s.s.check.conserved(); err == nil {
			t.Errorf("%s is not noticed", name)
		}
	}
}
