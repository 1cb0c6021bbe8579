package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-io/dunlin/core"
)

// valid is a configuration of two runtimes, the second direct.
func valid() *Config {
	c := Default()
	c.Interface = "veth0"
	c.XDP.Queues = Queues{List: []int{0}}
	echo, direct := DefaultRuntime(), DefaultRuntime()
	echo.Name, echo.UIDs = "echo", []Account{ID(65534)}
	echo.Endpoints = []Endpoint{
		{EtherType: 0x88B5},
		{UDP: 7777},
		{UDP: 7778, Address: netip.MustParseAddr("10.0.0.1")},
	}
	direct.Name, direct.GIDs = "direct", []Account{ID(100)}
	direct.AllowDirect, direct.Queue, direct.Workers = true, 1, 2
	direct.Endpoints = []Endpoint{{UDP: 7778, Address: netip.MustParseAddr("10.0.0.2")}}
	c.Runtimes = []Runtime{echo, direct}
	return &c
}

func TestValidate(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddr
	for _, test := range []struct {
		name  string
		spoil func(*Config)
		want  string // the complete error
	}{
		{
			"no interface", func(c *Config) { c.Interface = "" },
			"interface: is required: name the network interface to serve, like veth0",
		},
		{
			"long interface", func(c *Config) { c.Interface = "abcdefghijklmnop" },
			`interface: "abcdefghijklmnop" cannot be the name of an interface`,
		},
		{
			"interface with a slash", func(c *Config) { c.Interface = "../x" },
			`interface: "../x" cannot be the name of an interface`,
		},
		{
			"spin", func(c *Config) { c.Spin = 2 * core.Second },
			"spin: 2s is more than 1s; poll: spin never sleeps",
		},
		{
			"odd ring", func(c *Config) { c.XDP.RingEntries = 1000 },
			"xdp.ring_entries: 1000: want a power of two from 64 to 16384",
		},
		{
			"small ring", func(c *Config) { c.XDP.RingEntries = 32 },
			"xdp.ring_entries: 32: want a power of two from 64 to 16384",
		},
		{
			"no ring", func(c *Config) { c.XDP.RingEntries = 0 },
			"xdp.ring_entries: 0: want a power of two from 64 to 16384",
		},
		{
			"negative ring", func(c *Config) { c.XDP.RingEntries = -64 },
			"xdp.ring_entries: -64: want a power of two from 64 to 16384",
		},
		{
			"chunk", func(c *Config) { c.XDP.ChunkBytes = 3000 },
			"xdp.chunk_bytes: 3000: want 2048 or 4096",
		},
		{
			"few frames", func(c *Config) { c.XDP.Frames = 100 },
			"xdp.frames: 100: want 128 to 1048576 (at least 128 for each worker), and full pages " +
				"of 4096 bytes",
		},
		{
			"half a page", func(c *Config) { c.XDP.ChunkBytes, c.XDP.Frames = 2048, 4097 },
			"xdp.frames: 4097: want 128 to 1048576 (at least 128 for each worker), and full pages " +
				"of 4096 bytes",
		},
		{
			"relative socket", func(c *Config) { c.Control.Socket = "sock" },
			`control.socket: "sock": want an absolute path`,
		},
		{
			"long socket", func(c *Config) { c.Control.Socket = "/" + strings.Repeat("x", 107) },
			"control.socket: path of 108 bytes; the kernel takes at most 107",
		},
		{
			"closed socket", func(c *Config) { c.Control.Mode = 0o060 },
			"control.mode: 0060 shuts the owner out; want 0600 or more",
		},
		{
			"listen", func(c *Config) { c.Metrics.Listen = "9911" },
			`metrics.listen: "9911": want host:port like 127.0.0.1:9911, or nothing for no server`,
		},
		{
			"listen port", func(c *Config) { c.Metrics.Listen = "localhost:http" },
			`metrics.listen: "localhost:http": want host:port like 127.0.0.1:9911, or nothing for no server`,
		},
		{
			"pprof alone", func(c *Config) { c.Metrics.Pprof = true },
			"metrics.pprof: is served at metrics.listen, which is empty",
		},

		{
			"runtime name", func(c *Config) { c.Runtimes[0].Name = "Echo server" },
			`runtimes[0].name: "Echo server": want 1 to 32 of a-z, 0-9, - and _, beginning with a ` +
				"letter or digit",
		},
		{
			"same name", func(c *Config) { c.Runtimes[1].Name = "echo" },
			`runtimes[1].name: "echo" is the name of runtimes[0] too`,
		},
		{
			"nobody", func(c *Config) { c.Runtimes[0].UIDs = nil },
			`runtimes[0].uids: nobody may attach as "echo": list a user here or a group in gids`,
		},
		{
			"name not looked up", func(c *Config) { c.Runtimes[0].UIDs = []Account{{Name: "x"}} },
			`runtimes[0].name: account "x" was not looked up`,
		},
		{
			"workers", func(c *Config) { c.Runtimes[0].Workers = 121 },
			"runtimes[0].workers: 121: want 1 to 120",
		},
		{
			"frames for workers", func(c *Config) { c.Runtimes[0].Workers = 33 },
			"runtimes[0].frames: 4096: want 4224 to 1048576 (at least 128 for each worker), and " +
				"full pages of 4096 bytes",
		},
		{
			"direct without queue", func(c *Config) { c.Runtimes[1].Queue = NoQueue },
			"runtimes[1].queue: allow_direct needs a queue of the runtime's own; give its number",
		},
		{
			"queue without direct", func(c *Config) { c.Runtimes[0].Queue = 3 },
			"runtimes[0].queue: is for direct runtimes only; add allow_direct: true, or take it out",
		},
		{
			"no endpoints", func(c *Config) { c.Runtimes[0].Endpoints = nil },
			`runtimes[0].endpoints: "echo" serves nothing; list an EtherType or a UDP port`,
		},
		{
			"empty endpoint", func(c *Config) { c.Runtimes[0].Endpoints[1] = Endpoint{} },
			"runtimes[0].endpoints[1]: want an ethertype, or a udp port from 1 to 65535",
		},
		{
			"both", func(c *Config) { c.Runtimes[0].Endpoints[0].UDP = 5 },
			"runtimes[0].endpoints[0]: ethertype and udp are two endpoints; list them one by one",
		},
		{
			"EtherType with address", func(c *Config) { c.Runtimes[0].Endpoints[0].Address = address("::1") },
			"runtimes[0].endpoints[0]: address goes with udp; frames of an EtherType have none",
		},
		{
			"length", func(c *Config) { c.Runtimes[0].Endpoints[0].EtherType = 0x5ff },
			"runtimes[0].endpoints[0]: EtherType 0x05FF is a length; want 0x0600 or more, 0x88B5 is " +
				"free for private use",
		},
		{
			"multicast", func(c *Config) { c.Runtimes[0].Endpoints[2].Address = address("ff02::1") },
			"runtimes[0].endpoints[2]: ff02::1 is not a unicast address",
		},
		{
			"unspecified", func(c *Config) { c.Runtimes[0].Endpoints[2].Address = address("0.0.0.0") },
			"runtimes[0].endpoints[2]: 0.0.0.0 is not a unicast address",
		},

		{"same EtherType", func(c *Config) {
			c.Runtimes[1].Endpoints = append(c.Runtimes[1].Endpoints, Endpoint{EtherType: 0x88B5})
		}, "runtimes[1].endpoints[1]: {ethertype: 0x88B5} is taken by {ethertype: 0x88B5} of " +
			"runtimes[0] (echo)"},
		{
			"same port", func(c *Config) { c.Runtimes[1].Endpoints[0].Address = address("10.0.0.1") },
			"runtimes[1].endpoints[0]: {udp: 7778, address: 10.0.0.1} is taken by {udp: 7778, " +
				"address: 10.0.0.1} of runtimes[0] (echo)",
		},
		{
			"port everywhere", func(c *Config) { c.Runtimes[1].Endpoints[0] = Endpoint{UDP: 7778} },
			"runtimes[1].endpoints[0]: {udp: 7778} is taken by {udp: 7778, address: 10.0.0.1} of " +
				"runtimes[0] (echo)",
		},
		{
			"twice in one runtime", func(c *Config) { c.Runtimes[0].Endpoints[2] = Endpoint{UDP: 7777} },
			"runtimes[0].endpoints[2]: {udp: 7777} is taken by {udp: 7777} of runtimes[0] (echo)",
		},
		{
			"queue of the iokernel", func(c *Config) { c.XDP.Queues.List = []int{0, 2} },
			"runtimes[1].queue: queue 2 is listed in xdp.queues, for the iokernel; a direct runtime " +
				"needs its own",
		},
		{"queue of another", func(c *Config) {
			c.Runtimes[0].AllowDirect, c.Runtimes[0].Queue = true, 2
		}, "runtimes[1].queue: queues 1 to 2 overlap with those of runtimes[0] (echo), 2 to 2"},
		{"spinning core", func(c *Config) {
			c.Poll, c.CPU, c.Runtimes[0].CPUs = PollSpin, 0, CPUs{1, 0}
		}, "runtimes[0].cpus: CPU 0 is the iokernel's, which never sleeps (poll: spin); name " +
			"another, or set poll to adaptive"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := valid()
			test.spoil(c)
			err := c.Validate()
			if err == nil || err.Error() != test.want {
				t.Errorf("error:\n%v\nwant:\n%s", err, test.want)
			}
		})
	}
}

func TestKernelsEtherTypes(t *testing.T) {
	for _, etherType := range []uint16{0x0800, 0x0806, 0x8100, 0x86DD, 0x88A8} {
		c := valid()
		c.Runtimes[0].Endpoints[0].EtherType = etherType
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "stays with the kernel") {
			t.Errorf("EtherType %#04x: %v", etherType, err)
		}
	}
}

func TestLimits(t *testing.T) {
	c := valid()
	for i := range MaxRuntimes - 1 {
		r := DefaultRuntime()
		r.Name, r.UIDs = "r"+FormatList([]int{i}), []Account{ID(1)}
		r.Endpoints = []Endpoint{{UDP: uint16(i + 1)}}
		c.Runtimes = append(c.Runtimes, r)
	}
	if err := c.Validate(); err == nil || err.Error() != "runtimes: 65 runtimes; want at most 64" {
		t.Errorf("too many runtimes: %v", err)
	}
	c = valid()
	for i := range MaxEndpoints {
		c.Runtimes[0].Endpoints = append(c.Runtimes[0].Endpoints, Endpoint{UDP: uint16(i + 1)})
	}
	if err := c.Validate(); err == nil ||
		err.Error() != "runtimes[0].endpoints: 67 endpoints; want at most 64" {
		t.Errorf("too many endpoints: %v", err)
	}
	c = valid()
	c.Runtimes = c.Runtimes[:1]
	for i := range 17 {
		r := c.Runtimes[0]
		r.Name, r.Endpoints = "r"+FormatList([]int{i}), nil
		for k := range MaxEndpoints {
			r.Endpoints = append(r.Endpoints, Endpoint{UDP: uint16(10_000 + i*MaxEndpoints + k)})
		}
		c.Runtimes = append(c.Runtimes, r)
	}
	if err := c.Validate(); err == nil || err.Error() != "runtimes: 1090 UDP endpoints; want at most 1024" {
		t.Errorf("too many UDP endpoints: %v", err)
	}
}

func TestMachine(t *testing.T) {
	c := valid()
	if err := c.Machine([]int{0}); err != nil {
		t.Errorf("nothing is named: %v", err)
	}
	c.CPU, c.Runtimes[1].CPUs = 2, CPUs{1, 3}
	want := "cpu: CPU 2 is not among the CPUs 0-1 that this process may use; name one of those, or " +
		"widen its affinity or cpuset\n" +
		"runtimes[1].cpus: CPU 3 is not among the CPUs 0-1 that this process may use; name one of " +
		"those, or widen its affinity or cpuset"
	if err := c.Machine([]int{0, 1}); err == nil || err.Error() != want {
		t.Errorf("error:\n%v\nwant:\n%s", err, want)
	}
	if err := c.Machine([]int{1, 2, 3}); err != nil {
		t.Error(err)
	}
}

func TestPollResolve(t *testing.T) {
	for _, test := range []struct {
		poll Poll
		cpus int
		want Poll
	}{
		{PollAuto, 1, PollAdaptive},
		{PollAuto, 3, PollAdaptive},
		{PollAuto, 4, PollSpin},
		{PollSpin, 1, PollSpin},
		{PollAdaptive, 64, PollAdaptive},
	} {
		if got := test.poll.Resolve(test.cpus); got != test.want {
			t.Errorf("%v on %d CPUs: %v, want %v", test.poll, test.cpus, got, test.want)
		}
	}
}

func TestParseList(t *testing.T) {
	for text, want := range map[string][]int{
		"0":         {0},
		"0-3,8":     {0, 1, 2, 3, 8},
		"3, 1 ,0":   {3, 1, 0},
		"5-5":       {5},
		"8190-8191": {8190, 8191},
	} {
		if got, err := ParseList(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":             "want a list of numbers up to 8191 like 0-3,8",
		"1,":           "want a list of numbers up to 8191 like 0-3,8",
		"-1":           "want a list of numbers up to 8191 like 0-3,8",
		"1-":           "want a list of numbers up to 8191 like 0-3,8",
		"0-4000000000": "want a list of numbers up to 8191 like 0-3,8",
		"8192":         "want a list of numbers up to 8191 like 0-3,8",
		"0x1":          "want a list of numbers up to 8191 like 0-3,8",
		"1-2-3":        "want a list of numbers up to 8191 like 0-3,8",
		"3-1":          "range 3-1 runs backwards",
		"1,0-2":        "1 is listed twice",
	} {
		if got, err := ParseList(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v %v, want error %q", text, got, err, want)
		}
	}
}

func TestListsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfNDistinct(rapid.IntRange(0, maxCPU), 1, 64, rapid.ID[int]).Draw(t, "list")
		if got, err := ParseList(FormatList(list)); err != nil || !slices.Equal(got, list) {
			t.Errorf("%v is written %s and read %v %v", list, FormatList(list), got, err)
		}
	})
}
