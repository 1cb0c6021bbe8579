package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dunlin-io/dunlin/core"
)

// EnvPrefix begins the names of the environment variables that Load reads.
const EnvPrefix = "DUNLIN_"

// Setting is one value that file, environment and flags can give.
type Setting struct {
	Key   string // in the file, its levels joined by dots: xdp.mode
	Usage string // one line for --help
	at    func(*Config) any
}

// Flag is the name of the setting's flag, without dashes: xdp-mode.
func (s Setting) Flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key)
}

// Env is the name of the setting's environment variable: DUNLIN_XDP_MODE.
func (s Setting) Env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// IsBool reports whether the flag may stand without a value, meaning true.
func (s Setting) IsBool() bool {
	_, ok := s.at(new(Config)).(*bool)
	return ok
}

// DefaultText is the default as a user would write it.
func (s Setting) DefaultText() string {
	c := Default()
	return format(s.at(&c))
}

// Settings are all settings, in the order of the sample. Runtimes are not among them: they are
// lists, which only a file gives.
func Settings() []Setting {
	return slices.Concat(interfaceSettings(), coreSettings(), serviceSettings())
}

// interfaceSettings are about the interface and its queues.
func interfaceSettings() []Setting {
	return []Setting{
		{"interface", "network interface to serve", func(c *Config) any { return &c.Interface }},
		{"cpu", "CPU that the iokernel runs on", func(c *Config) any { return &c.CPU }},
		{"poll", "when idle: auto, spin or adaptive", func(c *Config) any { return &c.Poll }},
		{
			"spin", "how long to poll in vain before sleeping",
			func(c *Config) any { return &c.Spin },
		},

		{"xdp.mode", "auto, native or generic", func(c *Config) any { return &c.XDP.Mode }},
		{"xdp.zero_copy", "auto or off", func(c *Config) any { return &c.XDP.ZeroCopy }},
		{
			"xdp.queues", "receive queues to serve: all, none or a list like 0-3,8",
			func(c *Config) any { return &c.XDP.Queues },
		},
		{"xdp.busy_poll", "preferred busy polling", func(c *Config) any { return &c.XDP.BusyPoll }},
		{
			"xdp.ring_entries", "entries of each ring",
			func(c *Config) any { return &c.XDP.RingEntries },
		},
		{"xdp.frames", "frames of a queue's memory", func(c *Config) any { return &c.XDP.Frames }},
		{"xdp.chunk_bytes", "bytes of a frame", func(c *Config) any { return &c.XDP.ChunkBytes }},
		{
			"xdp.jumbo", "packets of several frames: auto or off",
			func(c *Config) any { return &c.XDP.Jumbo },
		},

		{
			"allow_default_route", "take the interface of the default route",
			func(c *Config) any { return &c.AllowDefaultRoute },
		},
		{
			"verify_checksums", "check checksums of received packets",
			func(c *Config) any { return &c.VerifyChecksums },
		},
	}
}

// coreSettings are about the cores that are lent.
func coreSettings() []Setting {
	return []Setting{
		{
			"cores.lend", "CPUs to lend: none, auto or a list like 1-3",
			func(c *Config) any { return &c.Cores.Lend },
		},
		{
			"cores.policy", "who gets them: static, simple or caladan",
			func(c *Config) any { return &c.Cores.Policy },
		},
		{
			"cores.interval", "how often to look",
			func(c *Config) any { return &c.Cores.Interval },
		},
		{
			"cores.threshold", "queueing delay from which lc takes from lc",
			func(c *Config) any { return &c.Cores.Threshold },
		},
		{
			"cores.yield_deadline", "when to use force",
			func(c *Config) any { return &c.Cores.YieldDeadline },
		},
		{
			"cores.stuck_deadline", "when to report a worker as stuck",
			func(c *Config) any { return &c.Cores.StuckDeadline },
		},
		{
			"cores.evict_stuck", "evict runtimes with stuck workers",
			func(c *Config) any { return &c.Cores.EvictStuck },
		},
		{
			"cores.bandwidth_limit", "memory traffic in MB/s above which be gives way",
			func(c *Config) any { return &c.Cores.BandwidthLimit },
		},
	}
}

// serviceSettings are about the daemon itself.
func serviceSettings() []Setting {
	return []Setting{
		{
			"control.socket", "path of the control socket",
			func(c *Config) any { return &c.Control.Socket },
		},
		{
			"control.mode", "permissions of the control socket",
			func(c *Config) any { return &c.Control.Mode },
		},
		{
			"control.group", "group of the control socket",
			func(c *Config) any { return &c.Control.Group },
		},

		{
			"metrics.listen", "host:port for /metrics, /livez and /readyz",
			func(c *Config) any { return &c.Metrics.Listen },
		},
		{
			"metrics.pprof", "serve /debug/pprof too",
			func(c *Config) any { return &c.Metrics.Pprof },
		},

		{"cluster.file", "cluster file", func(c *Config) any { return &c.Cluster.File }},
		{"cluster.host", "this host's name in it", func(c *Config) any { return &c.Cluster.Host }},
		{"cluster.key", "this host's key file", func(c *Config) any { return &c.Cluster.Key }},

		{"log.level", "info, debug, warn or error", func(c *Config) any { return &c.Log.Level }},
		{"log.format", "text or json", func(c *Config) any { return &c.Log.Format }},
	}
}

// textual is a value that reads itself from text.
type textual interface{ parse(text string) error }

// assign reads text into the value that at points to. The error says what is wanted.
func assign(at any, text string) (err error) {
	switch at := at.(type) {
	case *string:
		*at = text
	case *bool:
		*at, err = parseBool(text)
	case *int:
		*at, err = parseInt(text)
	case *core.Time:
		*at, err = parseTime(text)
	case *[]Account:
		*at, err = parseAccounts(text)
	case textual:
		err = at.parse(text)
	default:
		panic(fmt.Sprintf("config: no parser for %T", at))
	}
	return err
}

// isList reports whether a value may be written as a YAML sequence.
func isList(at any) bool {
	switch at.(type) {
	case *Queues, *CPUs, *Lend, *[]Account:
		return true
	}
	return false
}

// format is the text that assign would read the same value from.
func format(at any) string {
	switch at := at.(type) {
	case *string:
		return *at
	case *bool:
		return strconv.FormatBool(*at)
	case *int:
		return strconv.Itoa(*at)
	case *core.Time:
		return FormatTime(*at)
	case *[]Account:
		return formatAccounts(*at)
	case fmt.Stringer:
		return at.String()
	}
	panic(fmt.Sprintf("config: no text for %T", at))
}

// parseInt reads a number in decimal, or in hexadecimal after 0x.
func parseInt(text string) (int, error) {
	base, digits := 10, text
	if rest, ok := strings.CutPrefix(text, "0x"); ok {
		base, digits = 16, rest
	}
	n, err := strconv.ParseInt(digits, base, 32)
	if err != nil {
		return 0, fmt.Errorf("want a number")
	}
	return int(n), nil
}
