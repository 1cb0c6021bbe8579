package fault

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

func TestValidateRejects(t *testing.T) {
	m := newModel(t, everything(), 1)
	for _, tt := range []struct {
		name   string
		change func(c *Config)
	}{
		{"negative probability", func(c *Config) { c.Loss = -0.1 }},
		{"probability above one", func(c *Config) { c.Corrupt = 1.5 }},
		{"not a number", func(c *Config) { c.Reorder.Probability = math.NaN() }},
		{"infinite", func(c *Config) { c.Burst.Enter = math.Inf(1) }},
		{"negative duration", func(c *Config) { c.Delay.Fixed = -1 }},
		{"endless duration", func(c *Config) { c.Delay.Jitter = core.Never }},
		{"tail of nothing", func(c *Config) { c.Delay.Tail = 0 }},
		{"tail above its limit", func(c *Config) { c.Delay.TailMax = c.Delay.Tail - 1 }},
		{"endless burst", func(c *Config) { c.Burst.Leave = 0 }},
		{"no copies", func(c *Config) { c.Duplicate.Copies = 0 }},
		{"too many copies", func(c *Config) { c.Duplicate.Copies = MaxExtraCopies + 1 }},
		{"reorder by nothing", func(c *Config) { c.Reorder.Delay = 0 }},
		{"negative floor", func(c *Config) { c.Truncate.Floor = -1 }},
		{"endless clog", func(c *Config) { c.Clog = Outage{1, core.Never, core.Never} }},
		{"half endless cut", func(c *Config) { c.Cut.Longest = core.Never }},
		{"outage upside down", func(c *Config) { c.Clog.Shortest = c.Clog.Longest + 1 }},
		{"replay of nothing", func(c *Config) { c.Replay.Depth = 0 }},
		{"replay too deep", func(c *Config) { c.Replay.Depth = MaxReplayDepth + 1 }},
	} {
		c := everything()
		tt.change(&c)
		if c.Validate() == nil {
			t.Errorf("%s: valid", tt.name)
		}
		if _, err := New(c, rand.New(rand.NewPCG(1, 1))); err == nil {
			t.Errorf("%s: New takes it", tt.name)
		}
		if m.SetConfig(c) == nil || m.Config() != everything() {
			t.Errorf("%s: SetConfig takes it", tt.name)
		}
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, c := range map[string]Config{
		"zero":         {},
		"everything":   everything(),
		"cut for good": {Cut: Outage{1, core.Never, core.Never}},
		"all at once":  {Loss: 1, Corrupt: 1, Burst: Burst{1, 1, 1}},
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateNamesEveryMistake(t *testing.T) {
	c := Config{Loss: 2, Corrupt: 3, Delay: Delay{Fixed: -1}}
	err := c.Validate()
	for _, field := range []string{"Loss is 2", "Corrupt is 3", "Delay.Fixed is -1"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%q is not in: %v", field, err)
		}
	}
}
