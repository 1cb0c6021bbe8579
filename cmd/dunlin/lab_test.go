package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/cmd/internal/exit"
)

func TestLabWireScripts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "script.json")
	text := `{"Seed": 9, "Hosts": 3, "Steps": [{"From": 2, "To": 0, "MTU": 900}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		good func(s fabric.Script) bool
	}{
		{"--loss 0.25 --delay 3us --seed 4", func(s fabric.Script) bool {
			return s.Seed == 4 && len(s.Steps) == 2 && s.Steps[0].Faults == s.Steps[1].Faults &&
				s.Steps[1].Faults.Loss == 0.25 && s.Steps[1].Faults.Delay.Fixed == 3000
		}},
		{"--swarm --seed 4", func(s fabric.Script) bool {
			return s.Seed == 4 && s.Steps[0].Faults != s.Steps[1].Faults
		}},
		{"--pair 0,2 --script " + file, func(s fabric.Script) bool {
			return s.Seed == 9 && len(s.Steps) == 1 && s.Steps[0].From == 1 && s.Steps[0].MTU == 900
		}},
		{"--seed 1 --script " + file, func(s fabric.Script) bool {
			return s.Seed == 1 && s.Hosts == 2 && len(s.Steps) == 0
		}},
	} {
		code, stdout, stderr := runHere(strings.Fields("lab wire a b --print " + tt.args)...)
		var s fabric.Script
		if err := json.Unmarshal([]byte(stdout), &s); err != nil || code != 0 || !tt.good(s) {
			t.Errorf("%s: %d %s\n%s", tt.args, code, stderr, stdout)
		}
	}
	for _, args := range []string{
		"--loss 2", "--swarm --loss 0.1", "--pair 0,1", "--pair 0,3 --script " + file,
		"--pair 1,1 --script " + file, "--delay -1s",
	} {
		code, _, stderr := runHere(strings.Fields("lab wire a b --print " + args)...)
		if code != int(exit.Usage) {
			t.Errorf("%s: %d %s", args, code, stderr)
		}
	}
}
