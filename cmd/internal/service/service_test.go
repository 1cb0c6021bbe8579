package service

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/cmd/internal/machine"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/xdp"
)

func TestCommandLine(t *testing.T) {
	tests := []struct {
		args string
		code exit.Code
		says string // first line of standard error
	}{
		{"--nope", exit.Usage, "iokernel: unknown flag: --nope (see iokernel --help)\n"},
		{"start", exit.Usage, "iokernel: unexpected argument \"start\" (see iokernel --help)\n"},
		{"--check --interface=no-such-if --config=/dev/null", exit.Usage, "iokernel: interface: no " +
			"\"no-such-if\" on this machine (in this network namespace)\n"},
		{"--check --interface=no-such-if --config=/dev/null --cluster-host=a --cluster-key=/no/key " +
			"--cluster-file=/no/file", exit.Usage, "iokernel: cluster.file: open /no/file: no such file " +
			"or directory\niokernel: interface: no \"no-such-if\" on this machine (in this network " +
			"namespace)\n"},
		{"--check --config=/dev/null", exit.Usage, "iokernel: interface: is required: name the network " +
			"interface to serve, like veth0\n"},
		{"--version", exit.OK, ""},
		{"--help", exit.OK, ""},
		{"--sample", exit.OK, ""},
	}
	for _, test := range tests {
		var stdout, stderr strings.Builder
		code := Main(strings.Fields(test.args), &stdout, &stderr)
		if code != int(test.code) || stderr.String() != test.says {
			t.Errorf("%s: exit code %d, %s\nwant %d, %s", test.args, code, stderr.String(), test.code,
				test.says)
		}
		if test.code == exit.OK && stdout.Len() == 0 {
			t.Errorf("%s: says nothing", test.args)
		}
	}
}

func TestSampleIsValid(t *testing.T) {
	e, err := config.Load(config.Sources{File: []byte(config.Sample())})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Runtimes) == 0 {
		t.Error("the sample lets nobody attach")
	}
}

func TestOldKernel(t *testing.T) {
	err := checkKernel(machine.Release{Major: 5, Minor: 4}, "5.4.0-42-generic")
	if exit.Of(err) != exit.Unsupported || !strings.Contains(err.Error(), "5.4.0-42-generic is too old: "+
		"want Linux 5.9 or later") {
		t.Errorf("got %v with code %d", err, exit.Of(err))
	}
	if err := checkKernel(machine.Release{Major: 6, Minor: 18}, "6.18"); err != nil {
		t.Error(err)
	}
}

func TestMissingCapabilities(t *testing.T) {
	all := machine.Capabilities(1<<machine.NetAdmin | 1<<machine.BPF | 1<<machine.PerfMon |
		1<<machine.NetRaw)
	if err := checkCapabilities(all); err != nil {
		t.Error(err)
	}
	err := checkCapabilities(all &^ (1 << machine.BPF))
	if exit.Of(err) != exit.Denied || !strings.Contains(err.Error(), "lacks [CAP_BPF]: run it as root") {
		t.Errorf("got %v with code %d", err, exit.Of(err))
	}
}

func TestCapabilitiesToLend(t *testing.T) {
	all := machine.Capabilities(1<<machine.SysNice | 1<<machine.Kill)
	for _, test := range []struct {
		has   machine.Capabilities
		lends bool
		says  string
	}{
		{all, true, ""},
		{0, false, ""},
		{all &^ (1 << machine.Kill), true, "lends cores and lacks [CAP_KILL]: without CAP_KILL"},
		{all &^ (1 << machine.SysNice), true, "lacks [CAP_SYS_NICE]"},
		{0, true, "lacks [CAP_SYS_NICE CAP_KILL]"},
	} {
		err := checkLending(test.has, test.lends)
		switch {
		case test.says == "" && err != nil:
			t.Errorf("%x, lends %v: %v", test.has, test.lends, err)
		case test.says != "" && (exit.Of(err) != exit.Denied ||
			!strings.Contains(err.Error(), test.says)):
			t.Errorf("%x, lends %v: %v with code %d, want %s", test.has, test.lends, err,
				exit.Of(err), test.says)
		}
	}
}

func TestLockLimit(t *testing.T) {
	c := config.Default()
	c.XDP.Frames, c.XDP.ChunkBytes = 1024, 4096
	r := config.DefaultRuntime()
	r.Frames, r.ChunkBytes, r.AllowDirect = 256, 2048, true
	c.Runtimes = []config.Runtime{config.DefaultRuntime(), r}
	need := lockedBytes(&c)
	if want := uint64(1024*4096 + 256*2048); need != want {
		t.Errorf("%d bytes are locked, want %d", need, want)
	}
	c.XDP.Queues = config.Queues{List: []int{0, 1, 2}}
	if want := uint64(3*1024*4096 + 256*2048); lockedBytes(&c) != want {
		t.Errorf("%d bytes are locked, want %d", lockedBytes(&c), want)
	}
	for _, limit := range []uint64{need, machine.Unlimited} {
		if err := checkLockLimit(limit, need); err != nil {
			t.Error(err)
		}
	}
	err := checkLockLimit(need-1, need)
	if exit.Of(err) != exit.Denied || !strings.Contains(err.Error(), "CAP_IPC_LOCK") {
		t.Errorf("got %v with code %d", err, exit.Of(err))
	}
}

func TestCheckInterface(t *testing.T) {
	f := xdp.Features{Interface: "eth1", Queues: 2, Native: xdp.Answer{Why: "driver x has no native XDP"}}
	tests := []struct {
		name   string
		change func(*config.Config, *xdp.Features)
		says   string
	}{
		{"fine", func(*config.Config, *xdp.Features) {}, ""},
		{
			"default route", func(_ *config.Config, f *xdp.Features) { f.DefaultRoute = true },
			"interface: eth1 carries the default route",
		},
		{"default route allowed", func(c *config.Config, f *xdp.Features) {
			f.DefaultRoute, c.AllowDefaultRoute = true, true
		}, ""},
		{
			"native", func(c *config.Config, _ *xdp.Features) { c.XDP.Mode = config.XDPNative },
			"xdp.mode: native: driver x has no native XDP",
		},
		{
			"queue", func(c *config.Config, _ *xdp.Features) { c.XDP.Queues = config.Queues{List: []int{0, 2}} },
			"xdp.queues: eth1 has no queue 2, only 0 to 1",
		},
		{"direct", func(c *config.Config, _ *xdp.Features) {
			r := &c.Runtimes[0]
			r.AllowDirect, r.Queue, r.Workers = true, 1, 2
		}, "runtimes[0].queue: echo would have queues 1 to 2, but eth1 has only 0 to 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := config.Default()
			r := config.DefaultRuntime()
			r.Name = "echo"
			c.Runtimes = []config.Runtime{r}
			f := f
			test.change(&c, &f)
			err := checkInterface(&c, f)
			if test.says == "" && err != nil {
				t.Error(err)
			}
			if test.says != "" && (err == nil || !strings.HasPrefix(err.Error(), test.says)) {
				t.Errorf("got %v, want %s", err, test.says)
			}
		})
	}
}

func TestLogger(t *testing.T) {
	var out strings.Builder
	var at slog.LevelVar
	log := newLogger(&out, config.Log{Level: config.LevelWarn, Format: config.FormatJSON}, &at)
	log.Info("quiet")
	at.Set(level(config.LevelDebug))
	log.Debug("loud")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, `"msg":"loud"`) {
		t.Errorf("got %s", got)
	}
}
