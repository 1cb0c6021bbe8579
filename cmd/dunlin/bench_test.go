package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
)

func TestBenchMistakes(t *testing.T) {
	tests := []struct{ args, says string }{
		{"bench latency now", `unknown command "now" for "dunlin bench latency"`},
		{"bench latency --rows (", "--rows: error parsing regexp"},
		{"bench latency --rounds 0", "at least one round"},
		{"bench throughput --duration 1us", "at least one round of a millisecond"},
		{"bench throughput --rate 5", "unknown flag: --rate"},
		{"bench latency --window 5", "unknown flag: --window"},
		{"bench alloc now", `unknown command "now" for "dunlin bench alloc"`},
		{"bench alloc --json=a b", `unknown command "b" for "dunlin bench alloc"`},
		{"bench alloc --rounds 0", "at least one round"},
		{"bench alloc --rows (", "--rows: error parsing regexp"},
		{"bench alloc --rate 5", "unknown flag: --rate"},
		{"bench alloc --rows nosuch", "no such row: nosuch"},
		{"bench rpc --rows nosuch", "no such row: nosuch"},
	}
	for _, test := range tests {
		var stdout, stderr strings.Builder
		code := run(strings.Fields(test.args), &stdout, &stderr)
		if code != int(exit.Usage) || !strings.Contains(stderr.String(), test.says) {
			t.Errorf("%s: exit code %d, want %d; got %q, want %q", test.args, code, exit.Usage,
				stderr.String(), test.says)
		}
	}
}

// A report that cannot be written must not cost a run first.
func TestBenchReportThatCannotBeWritten(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "missing", "report.json")
	for _, flag := range []string{"--json", "--html"} {
		var stdout, stderr strings.Builder
		code := run([]string{"bench", "latency", flag, nowhere}, &stdout, &stderr)
		if code != int(exit.Absent) || !strings.Contains(stderr.String(), "no such file or directory") {
			t.Errorf("%s: exit code %d, %q", flag, code, stderr.String())
		}
	}
}

func TestBenchPeerIsHidden(t *testing.T) {
	var stdout, stderr strings.Builder
	if code := run([]string{"bench", "--help"}, &stdout, &stderr); code != int(exit.OK) {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	if strings.Contains(stdout.String(), "peer") {
		t.Error("help shows the command that benchmarks call themselves")
	}
	if code := run([]string{"bench", "peer", "{"}, &stdout, &stderr); code != int(exit.Failure) {
		t.Errorf("a peer without configuration ends with %d", code)
	}
}
