package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// format is the value of -o: how a command writes its result to standard output.
type format struct{ json bool }

func (f *format) String() string {
	if f.json {
		return "json"
	}
	return "table"
}

func (f *format) Set(text string) error {
	switch text {
	case "table", "json":
		f.json = text == "json"
		return nil
	}
	return fmt.Errorf("want table or json")
}

func (f *format) Type() string { return "format" }

// wantsJSON reports whether the user asked for -o json.
func wantsJSON(c *cobra.Command) bool {
	f, ok := c.Flag("output").Value.(*format)
	return ok && f.json
}

// writeJSON writes one value on one line, or indented for a result that is one document.
func writeJSON(w io.Writer, v any, indent string) error {
	e := json.NewEncoder(w)
	e.SetIndent("", indent)
	return e.Encode(v)
}

// isTerminal reports whether w is one.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// colours reports whether w is a terminal whose user did not ask for plain text (no-color.org).
func colours(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
