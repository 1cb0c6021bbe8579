package config

import (
	_ "embed" // sample.yaml
	"fmt"
	"io"
	"text/tabwriter"
)

//go:embed sample.yaml
var sample string

// Sample is a configuration file with every key, its default and what it means.
func Sample() string { return sample }

// Show writes every effective value, and where it comes from.
func (e *Effective) Show(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(key, value string) {
		origin := e.Origin(key)
		if value == "" {
			value = `""`
		}
		fmt.Fprintf(t, "%s\t%s\t%v\t%s\n", key, value, origin.From, origin.Where)
	}
	fmt.Fprint(t, "KEY\tVALUE\tFROM\tWHERE\n")
	for _, s := range Settings() {
		row(s.Key, format(s.at(&e.Config)))
	}
	for i := range e.Runtimes {
		for _, s := range runtimeSettings() {
			key := fmt.Sprintf("runtimes[%d].%s", i, s.key)
			row(key, format(s.at(&e.Runtimes[i])))
		}
		row(fmt.Sprintf("runtimes[%d].%s", i, keyEndpoints),
			formatEndpoints(e.Runtimes[i].Endpoints))
	}
	return t.Flush() // errors of the writes above stay in t until now
}
