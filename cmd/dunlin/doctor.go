package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
)

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor [INTERFACE]",
		Short: "Say what this machine and an interface can do, and what to change",
		Long: `Say what this machine, this user and an interface can do, and what to change.

  ok    as it should be
  note  worth knowing; nothing to change
  warn  works, but worse than it could, or not for this user
  fail  does not work until it is changed

It changes nothing. Run it as root to have everything looked at; an application needs no privilege.
Exit code 0 if nothing fails, 1 if something does.`,
		Example: `  dunlin doctor
  sudo dunlin doctor eth1
  dunlin doctor -o json | jq '.[] | select(.verdict != "ok")'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			list := slices.Concat(examineKernel(), examineProcess(), examineCores())
			if len(args) == 1 {
				list = append(list, examineInterface(args[0])...)
			}
			if wantsJSON(c) {
				if err := writeJSON(c.OutOrStdout(), list, "  "); err != nil {
					return err
				}
			} else if err := writeFindings(c.OutOrStdout(), list); err != nil {
				return err
			}
			return failures(list)
		},
	}
}

// verdict is how good a finding is, best first.
type verdict string

const (
	verdictOK   verdict = "ok"
	verdictNote verdict = "note"
	verdictWarn verdict = "warn"
	verdictFail verdict = "fail"
)

// finding is one thing that was looked at.
type finding struct {
	Check   string  `json:"check"`
	Verdict verdict `json:"verdict"`
	Says    string  `json:"says"`
	Fix     string  `json:"fix,omitempty"`
}

func ok(check, says string, args ...any) finding {
	return finding{Check: check, Verdict: verdictOK, Says: fmt.Sprintf(says, args...)}
}

func note(check, says string, args ...any) finding {
	return finding{Check: check, Verdict: verdictNote, Says: fmt.Sprintf(says, args...)}
}

func warn(check, says, fix string) finding { return finding{check, verdictWarn, says, fix} }

func fail(check, says, fix string) finding { return finding{check, verdictFail, says, fix} }

// unknown is for what could not be found out.
func unknown(check string, err error) finding {
	return warn(check, fmt.Sprintf("not looked at: %v", err), "run doctor as root")
}

// failures is the error that gives the command its exit code.
func failures(list []finding) error {
	n := 0
	for _, f := range list {
		if f.Verdict == verdictFail {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return exit.As(exit.Failure, fmt.Errorf("%d of %d checks failed: see above", n, len(list)))
}

// writeFindings writes a line for each finding, and one more where there is something to do.
func writeFindings(out io.Writer, list []finding) error {
	colour := colours(out)
	for _, f := range list {
		word := fmt.Sprintf("%-4s", f.Verdict)
		if code := f.Verdict.colour(); colour && code != "" {
			word = "\x1b[" + code + "m" + word + "\x1b[0m"
		}
		if _, err := fmt.Fprintf(out, "%s  %-16s %s\n", word, f.Check, f.Says); err != nil {
			return err
		}
		if f.Fix == "" {
			continue
		}
		if _, err := fmt.Fprintf(out, "%23sfix: %s\n", "", f.Fix); err != nil {
			return err
		}
	}
	return nil
}

// colour is the terminal's code (ECMA-48, SGR) for a verdict; a note has none.
func (v verdict) colour() string {
	switch v {
	case verdictOK:
		return "32" // green
	case verdictWarn:
		return "33" // yellow
	case verdictFail:
		return "31" // red
	}
	return ""
}
