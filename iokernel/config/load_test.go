package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/dunlin-io/dunlin/core"
)

// minimal is what a file must have.
const minimal = "interface: veth0\n"

func load(t *testing.T, file string) *Effective {
	t.Helper()
	e, err := Load(Sources{FileName: "test.yaml", File: []byte(file)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func compare(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestSample: the sample names every key, and its values are the defaults.
func TestSample(t *testing.T) {
	e, err := Load(Sources{FileName: "sample.yaml", File: []byte(Sample())})
	if err != nil {
		t.Fatal(err)
	}
	runtime := DefaultRuntime()
	runtime.Name = "echo"
	runtime.UIDs = []Account{ID(65534)}
	runtime.Endpoints = []Endpoint{
		{EtherType: 0x88B5},
		{UDP: 7777},
		{UDP: 7778, Address: netip.MustParseAddr("10.0.0.1")},
	}
	want := Default()
	want.Interface = "veth0"
	want.Runtimes = []Runtime{runtime}
	compare(t, want, e.Config)

	for _, s := range Settings() {
		if e.Origin(s.Key).From != FromFile {
			t.Errorf("the sample has no %s", s.Key)
		}
	}
	for _, s := range runtimeSettings() {
		if s.key == "queue" { // it would be an error beside allow_direct: false
			if !strings.Contains(Sample(), "# queue:") {
				t.Error("the sample does not mention queue")
			}
			continue
		}
		if key := "runtimes[0]." + s.key; e.Origin(key).From != FromFile {
			t.Errorf("the sample has no %s", key)
		}
	}
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	c.Interface = "eth0"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// alternatives are three values of each setting, none the default, for file, environment and flag.
func alternatives() map[string][3]string {
	return map[string][3]string{
		"interface":             {"a0", "b0", "c0"},
		"cpu":                   {"1", "2", "3"},
		"poll":                  {"spin", "adaptive", "spin"},
		"spin":                  {"1us", "1.5ms", "0s"},
		"xdp.mode":              {"native", "generic", "native"},
		"xdp.zero_copy":         {"off", "off", "off"},
		"xdp.queues":            {"0", "1-3", "none"},
		"xdp.busy_poll":         {"true", "true", "true"},
		"xdp.ring_entries":      {"64", "128", "256"},
		"xdp.frames":            {"128", "256", "512"},
		"xdp.chunk_bytes":       {"2048", "2048", "2048"},
		"xdp.jumbo":             {"off", "off", "off"},
		"allow_default_route":   {"true", "true", "true"},
		"verify_checksums":      {"true", "true", "true"},
		"cores.lend":            {"1", "auto", "2-3"},
		"cores.policy":          {"static", "simple", "static"},
		"cores.interval":        {"1us", "10us", "1ms"},
		"cores.threshold":       {"1us", "20us", "1ms"},
		"cores.yield_deadline":  {"10us", "20us", "1ms"},
		"cores.stuck_deadline":  {"100us", "1ms", "1s"},
		"cores.evict_stuck":     {"true", "true", "true"},
		"cores.bandwidth_limit": {"1", "2", "3"},
		"control.socket":        {"/a", "/b", "/c"},
		"control.mode":          {"0600", "0666", "0777"},
		"control.group":         {"1", "2", "3"},
		"metrics.listen":        {"127.0.0.1:1", ":2", "[::1]:3"},
		"metrics.pprof":         {"true", "true", "true"},
		"log.level":             {"debug", "warn", "error"},
		"log.format":            {"json", "json", "json"},
	}
}

// nested is a file that sets one key.
func nested(key, value string) string {
	section, name, ok := strings.Cut(key, ".")
	if !ok {
		return fmt.Sprintf("%s: %s\n", key, value)
	}
	return fmt.Sprintf("%s:\n  %s: %s\n", section, name, value)
}

// TestPrecedence: for each setting a flag wins over a variable, that over the file, that over the
// default, and the origin says which it was.
func TestPrecedence(t *testing.T) {
	values := alternatives()
	maps.Copy(values, clusterAlternatives())
	for _, s := range Settings() {
		t.Run(s.Key, func(t *testing.T) {
			v, ok := values[s.Key]
			if !ok {
				t.Fatal("no alternatives")
			}
			file := nested(s.Key, v[0])
			if s.Key != "interface" {
				file = minimal + file
			}
			if s.Key == "metrics.pprof" { // alone it makes no sense
				file = strings.Replace(file, "metrics:\n", "metrics:\n  listen: :1\n", 1)
			}
			file += clusterRest(s.Key)
			env, flag := []string{"PATH=/bin", s.Env() + "=" + v[1]}, map[string]string{s.Flag(): v[2]}
			for _, test := range []struct {
				name   string
				from   Sources
				want   string
				origin Origin
			}{
				{"file", Sources{}, v[0], Origin{From: FromFile}},
				{"env", Sources{Environ: env}, v[1], Origin{FromEnv, s.Env()}},
				{"flag", Sources{Flags: flag}, v[2], Origin{FromFlag, "--" + s.Flag()}},
				{"all", Sources{Environ: env, Flags: flag}, v[2], Origin{FromFlag, "--" + s.Flag()}},
			} {
				test.from.FileName, test.from.File = "f", []byte(file)
				e, err := Load(test.from)
				if err != nil {
					t.Fatalf("%s: %v", test.name, err)
				}
				if got := format(s.at(&e.Config)); got != test.want || got == s.DefaultText() {
					t.Errorf("%s: %q, want %q (default %q)", test.name, got, test.want, s.DefaultText())
				}
				got := e.Origin(s.Key)
				if test.origin.From == FromFile {
					got.Where = ""
				}
				if got != test.origin {
					t.Errorf("%s: origin %v, want %v", test.name, got, test.origin)
				}
			}
			if s.Key != "interface" {
				e := load(t, minimal)
				if got := e.Origin(s.Key); got != (Origin{}) {
					t.Errorf("default: origin %v", got)
				}
			}
		})
	}
	if len(values) != len(Settings()) {
		t.Errorf("alternatives for %d settings of %d", len(values), len(Settings()))
	}
}

func TestSettingNames(t *testing.T) {
	names := map[string]string{}
	for _, s := range Settings() {
		for _, name := range []string{s.Key, s.Flag(), s.Env()} {
			if other, taken := names[name]; taken && other != s.Key {
				t.Errorf("%s and %s are both %s", other, s.Key, name)
			}
			names[name] = s.Key
		}
		if s.Usage == "" {
			t.Errorf("%s has no usage", s.Key)
		}
	}
	k := slices.IndexFunc(Settings(), func(s Setting) bool { return s.Key == "xdp.zero_copy" })
	if s := Settings()[k]; s.Flag() != "xdp-zero-copy" || s.Env() != "DUNLIN_XDP_ZERO_COPY" || s.IsBool() {
		t.Errorf("xdp.zero_copy is --%s and %s, bool %v", s.Flag(), s.Env(), s.IsBool())
	}
}

// TestForms: the same value may be written in several ways.
func TestForms(t *testing.T) {
	e := load(t, minimal+`
xdp: {queues: [3, 0-1], busy_poll: "on"}
control: {mode: 0o640}
runtimes:
- {name: a, uids: 1, gids: [2, 3], cpus: 4, endpoints: [{ethertype: 35000}]}
- name: b
  uids: ["5"]
  cpus: [2, 0-1]
  endpoints: [{udp: 0x10, address: "::ffff:10.0.0.1"}]
`)
	a, b := DefaultRuntime(), DefaultRuntime()
	a.Name, a.UIDs, a.GIDs, a.CPUs = "a", []Account{ID(1)}, []Account{ID(2), ID(3)}, CPUs{4}
	a.Endpoints = []Endpoint{{EtherType: 35000}}
	b.Name, b.UIDs, b.CPUs = "b", []Account{ID(5)}, CPUs{2, 0, 1}
	b.Endpoints = []Endpoint{{UDP: 16, Address: netip.MustParseAddr("10.0.0.1")}}
	want := Default()
	want.Interface = "veth0"
	want.XDP.Queues = Queues{List: []int{3, 0, 1}}
	want.XDP.BusyPoll = true
	want.Control.Mode = 0o640
	want.Runtimes = []Runtime{a, b}
	compare(t, want, e.Config)
}

func TestAccounts(t *testing.T) {
	known := func(kind string, id uint32) func(string) (uint32, error) {
		return func(name string) (uint32, error) {
			if name != kind {
				return 0, fmt.Errorf("unknown %s", name)
			}
			return id, nil
		}
	}
	const file = minimal + `
control: {group: staff}
runtimes: [{name: a, uids: [alice, 7], gids: [staff], endpoints: [{udp: 1}]}]
`
	e, err := Load(Sources{File: []byte(file), User: known("alice", 1000), Group: known("staff", 50)})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, Account{Name: "staff", ID: 50, Known: true}, e.Control.Group)
	compare(t, []Account{{Name: "alice", ID: 1000, Known: true}, ID(7)}, e.Runtimes[0].UIDs)
	compare(t, []Account{{Name: "staff", ID: 50, Known: true}}, e.Runtimes[0].GIDs)

	_, err = Load(Sources{FileName: "f", File: []byte(file), User: known("bob", 1), Group: known("", 0)})
	want := `f:3:18: control.group: group "staff": unknown staff
f:4:28: runtimes[0].uids: user "alice": unknown alice
f:4:46: runtimes[0].gids: group "staff": unknown staff`
	if err == nil || err.Error() != want {
		t.Errorf("unknown accounts:\n%v\nwant:\n%s", err, want)
	}
}

func TestWarnings(t *testing.T) {
	e, err := Load(Sources{File: []byte(minimal), Environ: []string{
		"DUNLIN_XPD_MODE=native",
		"DUNLIN_SPIN=1us", "OTHER=1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, []string{
		"environment variable DUNLIN_XPD_MODE means nothing to the iokernel",
		"no runtimes are configured, so nobody can attach",
	}, e.Warnings)
	if e.Spin != core.Microsecond {
		t.Errorf("spin %d", e.Spin)
	}
}

// TestMistakes loads each scenario of testdata/mistakes.txtar: a file NAME, and NAME.want with the
// complete error.
func TestMistakes(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/mistakes.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		file, want := archive.Files[i], archive.Files[i+1]
		t.Run(file.Name, func(t *testing.T) {
			if want.Name != file.Name+".want" {
				t.Fatalf("%s is followed by %s", file.Name, want.Name)
			}
			_, err := Load(Sources{FileName: "f", File: file.Data})
			if err == nil {
				t.Fatal("no error")
			}
			compare(t, string(want.Data), err.Error()+"\n")
		})
	}
}

func TestMistakesInEnvironmentAndFlags(t *testing.T) {
	_, err := Load(Sources{
		FileName: "f", File: []byte(minimal), Environ: []string{"DUNLIN_POLL=fast"},
		Flags: map[string]string{"spin": "5", "xpd-mode": "auto"},
	})
	want := `DUNLIN_POLL: poll: "fast": want auto, spin or adaptive
--spin: spin: "5": want a duration with its unit, like 50us or 1ms
--xpd-mode: no such setting`
	if err == nil || err.Error() != want {
		t.Errorf("error:\n%v\nwant:\n%s", err, want)
	}
	var problem *Problem
	if !errors.As(err, &problem) || problem.Key != "poll" {
		t.Errorf("first problem: %+v", problem)
	}
}

func TestFileTooLarge(t *testing.T) {
	for name, file := range map[string]string{
		"bytes": strings.Repeat("#", maxFileBytes+1),
		"depth": strings.Repeat("[", 10*maxDepth),
	} {
		if _, err := Load(Sources{FileName: "f", File: []byte(file)}); err == nil ||
			!strings.HasPrefix(err.Error(), "f: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShow(t *testing.T) {
	e, err := Load(Sources{FileName: "f.yaml", File: []byte(minimal + `
runtimes: [{name: a, uids: [1], endpoints: [{udp: 1}, {ethertype: 0x88b5}]}]
`), Environ: []string{"DUNLIN_XDP_MODE=generic"}, Flags: map[string]string{"cpu": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := e.Show(&b); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/show.txt")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, string(want), b.String())
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(Sample()))
	f.Add([]byte("xdp: {mode: [native]}\nruntimes: [{endpoints: [{udp: 1}]}]\n"))
	archive, err := txtar.ParseFile("testdata/mistakes.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		e, err := Load(Sources{FileName: "f", File: file})
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a word")
			}
			return
		}
		if err := e.Validate(); err != nil {
			t.Errorf("loaded, but not valid: %v", err)
		}
		// What is shown can be given again, and means the same.
		again := e.Config
		for _, s := range Settings() {
			if err := assign(s.at(&again), format(s.at(&e.Config))); err != nil {
				t.Errorf("%s is shown as %q: %v", s.Key, format(s.at(&e.Config)), err)
			}
		}
		compare(t, e.Config, again)
	})
}
