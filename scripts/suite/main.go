// Command suite runs the tests of this repository and says at the end what was skipped and why.
//
//	go run ./scripts/suite [-only unit|kernel] [go test flags]
//
// Packages whose folder has a *_kernel_test.go file pin threads to CPUs and measure time, so they
// run one after another, after all others, and never from go test's cache: their result depends on
// the kernel too. The closing line of each package is go test's own; what a passing test printed is
// dropped, what a failing one printed is shown. It exits with 1 if anything failed.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
)

func main() {
	ok, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) (ok bool, err error) {
	only := ""
	if len(args) >= 2 && args[0] == "-only" {
		only, args = args[1], args[2:]
	}
	if only != "" && only != "unit" && only != "kernel" {
		return false, fmt.Errorf("-only %s: want unit or kernel", only)
	}
	unit, kernel, err := packages(os.DirFS("."))
	if err != nil {
		return false, err
	}
	ok = true
	r := newReport(out)
	if only != "kernel" {
		fmt.Fprintf(out, "# unit tests, %d packages\n", len(unit))
		if err := goTest(r, args, unit); err != nil {
			return false, err
		}
	}
	if only != "unit" {
		fmt.Fprintf(out, "# packages with kernel tests, %d, one at a time\n", len(kernel))
		if err := goTest(r, append(args, "-p=1", "-count=1"), kernel); err != nil {
			return false, err
		}
	}
	return r.finish(), nil
}

// goTest feeds what `go test -json` says to the report. That tests fail is no error here.
func goTest(r *report, flags, packages []string) error {
	if len(packages) == 0 {
		return nil // go test would take the folder it stands in
	}
	command := exec.Command("go", slices.Concat([]string{"test", "-json"}, flags, packages)...)
	command.Stderr = os.Stderr
	events, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		r.line(line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	var exit *exec.ExitError
	if err := command.Wait(); errors.As(err, &exit) {
		r.failed = true
	} else if err != nil {
		return err
	}
	return nil
}
