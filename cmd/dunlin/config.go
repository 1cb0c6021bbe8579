package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/cmd/internal/settings"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check, show and begin an iokernel's configuration",
		Long: `Check, show and begin an iokernel's configuration.

None of it needs root or asks the machine for more than the names of users and groups. Whether the
machine has what a configuration names, says iokernel --check.`,
		Example: `  dunlin config sample > iokernel.yaml
  dunlin config check iokernel.yaml
  dunlin config show --config iokernel.yaml --poll spin`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(configCheckCommand(), configShowCommand(), configSampleCommand())
	return c
}

func configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Report every mistake in a file, with its line and column",
		Long: `Report every mistake in a file, with its line and column. Exit code 2 if there is
one. It reads the file alone, no flags and no environment.`,
		Example: `  dunlin config check /etc/dunlin/iokernel.yaml
  dunlin config check -o json iokernel.yaml | jq .problems`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			e, err := settings.Check(args[0])
			if wantsJSON(c) {
				return errors.Join(writeJSON(c.OutOrStdout(), checked(args[0], err), "  "), err)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: ok, %d runtimes\n", args[0], len(e.Runtimes))
			return err
		},
	}
}

// checkReport is the result of a check as JSON.
type checkReport struct {
	File     string         `json:"file"`
	OK       bool           `json:"ok"`
	Problems []checkProblem `json:"problems"`
}

type checkProblem struct {
	Where string `json:"where,omitempty"` // file:line:column
	Key   string `json:"key,omitempty"`
	Text  string `json:"text"`
}

// checked takes the error of a check apart, which joins one for each mistake.
func checked(file string, err error) checkReport {
	r := checkReport{File: file, OK: err == nil, Problems: []checkProblem{}}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, err := range all {
		var p *config.Problem
		switch {
		case err == nil:
		case errors.As(err, &p):
			r.Problems = append(r.Problems, checkProblem{p.Where, p.Key, p.Text})
		default:
			r.Problems = append(r.Problems, checkProblem{Text: err.Error()})
		}
	}
	return r
}

func configShowCommand() *cobra.Command {
	var flags *settings.Flags
	c := &cobra.Command{
		Use:   "show",
		Short: "Show each value in effect, and where it comes from",
		Long: `Show each value that would be in effect for an iokernel with these flags, this
environment and this file, and which of them it comes from.`,
		Example: `  dunlin config show --config iokernel.yaml
  DUNLIN_POLL=spin dunlin config show --interface eth1 -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			effective, err := flags.Load()
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				return writeJSON(c.OutOrStdout(), shown(effective), "  ")
			}
			return effective.Show(c.OutOrStdout())
		},
	}
	c.Flags().SortFlags = false
	flags = settings.Add(c.Flags())
	return c
}

// shownValue is one setting as JSON; values are texts as in the file.
type shownValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	From  string `json:"from"` // default, file, env or flag
	Where string `json:"where,omitempty"`
}

func shown(e *config.Effective) (list []shownValue) {
	for _, v := range e.Values() {
		list = append(list, shownValue{v.Key, v.Value, v.Origin.From.String(), v.Origin.Where})
	}
	return list
}

func configSampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "sample",
		Short:   "Print a file with every key, its default and what it means",
		Example: `  dunlin config sample > iokernel.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := io.WriteString(c.OutOrStdout(), config.Sample())
			return err
		},
	}
}
