package main

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// runHere runs a command in this process.
func runHere(args ...string) (code int, stdout, stderr string) {
	var out, err strings.Builder
	code = run(args, &out, &err)
	return code, out.String(), err.String()
}

func TestConfigCommands(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	for name, text := range map[string]string{
		good: "interface: eth1\npoll: spin\n", bad: "interfaze: eth1\nspin: fast\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	code, stdout, stderr := runHere("config", "sample")
	if code != 0 || stdout != config.Sample() {
		t.Errorf("sample: %d %s", code, stderr)
	}
	if code, stdout, _ = runHere("config", "check", good); code != 0 || stdout != good+": ok, 0 runtimes\n" {
		t.Errorf("check of a good file: %d %s", code, stdout)
	}
	code, _, stderr = runHere("config", "check", bad)
	if code != int(exit.Usage) || strings.Count(stderr, "\n") != 2 ||
		!strings.Contains(stderr, bad+`:1:1: unknown key "interfaze"`) ||
		!strings.Contains(stderr, bad+`:2:7: spin: "fast": want a duration`) {
		t.Errorf("check of a bad file: %d %s", code, stderr)
	}

	code, stdout, _ = runHere("config", "check", "-o", "json", bad)
	var checks checkReport
	if err := json.Unmarshal([]byte(stdout), &checks); err != nil || code != int(exit.Usage) {
		t.Fatalf("%v, %d:\n%s", err, code, stdout)
	}
	if checks.OK || len(checks.Problems) != 2 || checks.Problems[1].Key != "spin" {
		t.Errorf("got %+v", checks)
	}

	code, stdout, stderr = runHere("config", "show", "-o", "json", "--config", good, "--spin=9us")
	var values []shownValue
	if err := json.Unmarshal([]byte(stdout), &values); err != nil || code != 0 {
		t.Fatalf("%v, %d:\n%s%s", err, code, stdout, stderr)
	}
	want := map[string]shownValue{
		"interface": {"interface", "eth1", "file", good + ":1:12"},
		"spin":      {"spin", "9us", "flag", "--spin"},
		"xdp.mode":  {"xdp.mode", "auto", "default", ""},
	}
	for _, v := range values {
		if w, ok := want[v.Key]; ok && v != w {
			t.Errorf("got %+v, want %+v", v, w)
		}
		delete(want, v.Key)
	}
	if len(want) > 0 {
		t.Errorf("not shown: %v", want)
	}
}

func TestStatusIsWritten(t *testing.T) {
	s := control.Status{
		Build: "v1.2.3", CPU: 3, Uptime: 3723*core.Second + 5, XDP: "eth1: XDP native",
		Interface: control.Interface{
			Name: "eth1", MTU: 1500, MAC: control.MAC{2, 0, 0, 0, 0, 1},
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
		},
		Counters: map[string]uint64{"rx_packets": 9, "tx_packets": 8, "drop_no_endpoint": 1},
		Runtimes: []control.RuntimeStatus{
			{
				Name: "echo", Mode: control.Mediated, PID: 77, UID: 65534,
				Workers:  []control.WorkerGrant{{CPU: 1}, {CPU: 2}},
				Counters: map[string]uint64{"rx_packets": 5, "tx_packets": 4, "drop_rx_full": 2, "drop_no_fill": 1},
			},
			{Name: "fast", Mode: control.Direct, PID: 78, UID: 1000, Workers: []control.WorkerGrant{{CPU: 4}}},
			{Name: "other"},
		},
	}
	var out strings.Builder
	if err := writeStatus(&out, s); err != nil {
		t.Fatal(err)
	}
	want := `iokernel   v1.2.3, up 1h2m3s, on CPU 3
interface  eth1 (02:00:00:00:00:01, MTU 1500): 10.0.0.1
XDP        eth1: XDP native
packets    9 received, 8 sent, dropped 1: no_endpoint

RUNTIME  MODE      PID  UID    CPUS  RECEIVED  SENT
echo     mediated  77   65534  1,2   5         4, dropped 1: no_fill, dropped 2: rx_full
fast     direct    78   1000   4     -         -
other    not attached
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestCaptureOptions(t *testing.T) {
	for _, args := range []string{"capture", "capture eth1 eth2", "capture eth1 --count=-1"} {
		if code, _, stderr := runHere(strings.Fields(args)...); code != int(exit.Usage) {
			t.Errorf("%s: %d %s", args, code, stderr)
		}
	}
}
