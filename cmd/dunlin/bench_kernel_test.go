package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/core/pin"
)

// needMachine skips where a benchmark cannot run.
func needMachine(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: a benchmark makes network namespaces and attaches XDP programs")
	}
	if allowed, err := pin.Allowed(); err != nil || allowed.Count() < 2 {
		t.Skipf("CPUs %v (%v): both ends of a wire poll, so each needs one", allowed, err)
	}
}

// bench runs a benchmark of this program on itself and returns its report.
func bench(t *testing.T, args ...string) report.Report {
	t.Helper()
	needMachine(t)
	t.Setenv(runAs, runAsContestant)
	var stdout, stderr strings.Builder
	if code := run(append([]string{"bench"}, args...), &stdout, &stderr); code != int(exit.OK) {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var r report.Report
	if err := json.Unmarshal([]byte(stdout.String()), &r); err != nil {
		t.Fatalf("%v in %s", err, stdout.String())
	}
	return r
}

// What `make run` does, with fewer rows and rounds: floor, direct and mediated runtimes, as a user
// starts it.
func TestBenchLatency(t *testing.T) {
	dir := t.TempDir()
	jsonFile, page, hgrm := filepath.Join(dir, "j"), filepath.Join(dir, "h"), filepath.Join(dir, "d")
	r := bench(t, "latency", "--rows", "^(floor|dunlin/(direct|mediated))/.* 64$", "--rounds", "2",
		"--duration", "30ms", "--json", jsonFile, "--html", page, "--hgrm", hgrm, "-o", "json")
	if len(r.Rows) != 8 || r.Rows[0].Name != "floor/raw" || r.Rows[0].Loop != report.Closed {
		t.Errorf("%d rows, want floor, direct and twice mediated, closed and open: %+v", len(r.Rows), r.Rows)
	}
	for _, row := range r.Rows {
		if row.P50 <= 0 || row.P99 < row.P50 || row.Count == 0 || row.Corrupt+row.Duplicate > 0 {
			t.Errorf("row %+v", row)
		}
	}
	if len(r.Ratios) != 4 {
		t.Errorf("ratios %+v, want p50 and p99 of direct and mediated", r.Ratios)
	}
	for _, p := range r.Processes[1:] {
		if p.UID == 0 || strings.Trim(p.Capabilities, "0") != "" {
			t.Errorf("%s runs as uid %d with capabilities %s", p.Name, p.UID, p.Capabilities)
		}
	}
	var again report.Report
	text, err := os.ReadFile(jsonFile)
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil || len(again.Rows) != len(r.Rows) {
		t.Errorf("--json: %d rows, %v", len(again.Rows), err)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "</svg>") {
		t.Errorf("--html: %d bytes, %v", len(text), err)
	}
	if files, err := filepath.Glob(filepath.Join(hgrm, "*.hgrm")); err != nil || len(files) != 8 {
		t.Errorf("--hgrm: %v, %v", files, err)
	}
}

func TestBenchThroughput(t *testing.T) {
	r := bench(t, "throughput", "--rows", "^(floor|dunlin)", "--rounds", "1", "--duration", "30ms",
		"--window", "64", "-o", "json")
	if len(r.Rows) != 3 || r.Rows[0].Unit != report.Frames || len(r.Ratios) != 2 {
		t.Errorf("rows %+v, ratios %+v", r.Rows, r.Ratios)
	}
	for _, row := range r.Rows {
		if row.P50 < 1000 || row.Corrupt+row.Duplicate > 0 {
			t.Errorf("row %+v", row)
		}
	}
}
