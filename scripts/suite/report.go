package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// event is a line of `go test -json`, as `go doc test2json` describes it.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// report prints the closing line of each package as it comes, and remembers the rest.
type report struct {
	out     io.Writer
	running map[string]*packageRun
	skips   map[string][]string // reason: package and test
	losses  []string            // package and test
	passed  int
	failed  bool // something failed, perhaps before any test ran
}

// packageRun is one package that has not closed yet.
type packageRun struct {
	output []event           // in order
	ended  map[string]string // test: pass, fail or skip
}

func newReport(out io.Writer) *report {
	return &report{out: out, running: map[string]*packageRun{}, skips: map[string][]string{}}
}

// line takes one line of go test's output. What is no event is printed as it is.
func (r *report) line(text []byte) {
	if len(text) == 0 {
		return
	}
	var e event
	if text[0] != '{' || json.Unmarshal(text, &e) != nil {
		fmt.Fprintf(r.out, "%s", text)
		return
	}
	r.event(e)
}

func (r *report) event(e event) {
	if e.Action == "build-output" {
		fmt.Fprint(r.out, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := r.running[e.Package]
	if p == nil {
		p = &packageRun{ended: map[string]string{}}
		r.running[e.Package] = p
	}
	switch e.Action {
	case "output":
		p.output = append(p.output, e)
	case "pass", "fail", "skip":
		if e.Test != "" {
			r.endTest(p, e)
			return
		}
		r.endPackage(p, e)
		delete(r.running, e.Package)
	}
}

func (r *report) endTest(p *packageRun, e event) {
	p.ended[e.Test] = e.Action
	name := short(e.Package) + " " + e.Test
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.losses = append(r.losses, name)
	case "skip":
		reason := p.reason(e.Test)
		r.skips[reason] = append(r.skips[reason], name)
	}
}

// endPackage prints go test's closing lines, after the output of the tests that failed or that the
// end of the process cut off.
func (r *report) endPackage(p *packageRun, e event) {
	r.failed = r.failed || e.Action == "fail"
	for _, line := range p.output {
		ended := p.ended[line.Test]
		switch {
		case strings.HasPrefix(line.Output, "=== ") || line.Output == "PASS\n":
		case line.Test == "", e.Action == "fail" && ended != "pass" && ended != "skip":
			fmt.Fprint(r.out, line.Output)
		}
	}
}

// reason is what a test that skipped itself said, without the places where it said it.
func (p *packageRun) reason(test string) string {
	place := regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)
	var words []string
	for _, line := range p.output {
		if line.Test != test || strings.HasPrefix(line.Output, "=== ") ||
			strings.HasPrefix(strings.TrimSpace(line.Output), "--- SKIP") {
			continue
		}
		words = append(words, strings.TrimSpace(place.ReplaceAllString(line.Output, "")))
	}
	if len(words) == 0 {
		return "no reason given"
	}
	return strings.Join(words, " ")
}

// finish prints the sums, and reports whether all went well.
func (r *report) finish() bool {
	skipped := 0
	for _, reason := range slices.Sorted(maps.Keys(r.skips)) {
		tests := r.skips[reason]
		skipped += len(tests)
		fmt.Fprintf(r.out, "\nskipped %d: %s\n", len(tests), reason)
		for _, name := range tests {
			fmt.Fprintf(r.out, "\t%s\n", name)
		}
	}
	if len(r.losses) > 0 {
		fmt.Fprintf(r.out, "\nfailed %d:\n", len(r.losses))
		for _, name := range r.losses {
			fmt.Fprintf(r.out, "\t%s\n", name)
		}
	}
	fmt.Fprintf(r.out, "\n%d tests passed, %d failed, %d skipped\n",
		r.passed, len(r.losses), skipped)
	if r.failed && len(r.losses) == 0 {
		fmt.Fprintln(r.out, "something failed outside of the tests: see above")
	}
	return !r.failed && len(r.losses) == 0
}

// short is a package without the module's path.
func short(name string) string {
	return strings.TrimPrefix(name, "github.com/dunlin-io/dunlin/")
}
