package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
)

func TestCommandLineMistakes(t *testing.T) {
	tests := []struct{ args, says string }{
		{"ehco", `unknown command "ehco" for "dunlin"`},
		{"--nope", "unknown flag: --nope"},
		{"-o xml echo", "want table or json"},
		{"bench soup", `unknown command "soup" for "dunlin bench"`},
		{"echo now", `unknown command "now" for "dunlin echo"`},
		{"echo --udp 70000", "want a port from 1 to 65535"},
		{"echo --raw=IPv4", "EtherType in hexadecimal"},
	}
	for _, test := range tests {
		var stdout, stderr strings.Builder
		code := run(strings.Fields(test.args), &stdout, &stderr)
		if code != int(exit.Usage) {
			t.Errorf("%s: exit code %d, want %d", test.args, code, exit.Usage)
		}
		got := stderr.String()
		if !strings.Contains(got, test.says) || !strings.Contains(got, "--help)") {
			t.Errorf("%s: got %q, want %q", test.args, got, test.says)
		}
		if strings.Count(got, "\n") != 1 || stdout.Len() > 0 {
			t.Errorf("%s: want one line:\n%s%s", test.args, got, stdout.String())
		}
	}
}

// TestHelp holds what a user expects of each command: a sentence, and examples.
func TestHelp(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Short == "" || c.Args == nil || c.Example == "" && !c.HasSubCommands() {
			t.Errorf("%s lacks a description, an example or a check of its arguments", c.CommandPath())
		}
		for _, below := range c.Commands() {
			if !below.Hidden {
				visit(below)
			}
		}
	}
	visit(newRoot())

	var stdout, stderr strings.Builder
	if code := run([]string{"--help"}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("--help: exit code %d, %s", code, stderr.String())
	}
	if !strings.Contains(stdout.String(), exit.Table) {
		t.Error("--help does not say the exit codes")
	}
}
