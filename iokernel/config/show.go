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

// Value is one effective value as a user would write it, and where it comes from.
type Value struct {
	Key, Value string
	Origin     Origin
}

// Values are all effective values, in the order of the sample.
func (e *Effective) Values() []Value {
	var list []Value
	add := func(key, value string) {
		list = append(list, Value{key, value, e.Origin(key)})
	}
	for _, s := range Settings() {
		add(s.Key, format(s.at(&e.Config)))
	}
	for i := range e.Runtimes {
		for _, s := range runtimeSettings() {
			add(fmt.Sprintf("runtimes[%d].%s", i, s.key), format(s.at(&e.Runtimes[i])))
		}
		add(fmt.Sprintf("runtimes[%d].%s", i, keyEndpoints),
			formatEndpoints(e.Runtimes[i].Endpoints))
	}
	return list
}

// Show writes every effective value, and where it comes from.
func (e *Effective) Show(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "KEY\tVALUE\tFROM\tWHERE\n")
	for _, v := range e.Values() {
		if v.Value == "" {
			v.Value = `""`
		}
		fmt.Fprintf(t, "%s\t%s\t%v\t%s\n", v.Key, v.Value, v.Origin.From, v.Origin.Where)
	}
	return t.Flush() // errors of the writes above stay in t until now
}
