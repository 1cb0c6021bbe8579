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

// What `make bench-alloc` does, with fewer and shorter rows; without root.
func TestBenchAlloc(t *testing.T) {
	if allowed, err := pin.Allowed(); err != nil || allowed.Count() < 2 {
		t.Skipf("CPUs %v (%v): rows of two threads need two", allowed, err)
	}
	jsonFile, page := filepath.Join(t.TempDir(), "j"), filepath.Join(t.TempDir(), "h")
	args := []string{
		"bench", "alloc", "--rows", "^(arena/pair/64|go-new/64|arena/mix|clear/64KiB|store/create-.*) ",
		"--rounds", "2", "--duration", "2ms", "--json", jsonFile, "--html", page,
	}
	var stdout, stderr strings.Builder
	if code := run(args, &stdout, &stderr); code != int(exit.OK) {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, want := range []string{
		"p50 ns", "arena/pair/64:go-new/64", "at most 1000.00", "every row was measured",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the table lacks %q: %s", want, stdout.String())
		}
	}
	stdout.Reset()
	code := run([]string{
		"bench", "alloc", "--rows", "^arena/pair/64 ", "--rounds", "1", "--duration", "1ms", "--json",
	}, &stdout, &stderr)
	if code != int(exit.OK) || !json.Valid([]byte(stdout.String())) {
		t.Errorf("--json without a file: exit code %d, %s%s", code, stdout.String(), stderr.String())
	}
	var r report.Report
	text, err := os.ReadFile(jsonFile)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil || r.Suite != "alloc" || !r.Complete || len(r.Rows) != 7 {
		t.Errorf("--json: %d rows of suite %q, complete %v, %v", len(r.Rows), r.Suite, r.Complete,
			err)
	}
	for _, row := range r.Rows {
		if row.P50 <= 0 || row.Count == 0 || len(row.Rounds) != 2 {
			t.Errorf("row %+v", row)
		}
	}
	text, err = os.ReadFile(page)
	if err != nil || !strings.Contains(string(text), "pair/64, ns") ||
		!strings.Contains(string(text), "Every row was measured") {
		t.Errorf("--html: %d bytes, %v", len(text), err)
	}
}
