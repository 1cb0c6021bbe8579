// Package examples has no code of its own: its test holds the documents to the code. What they cite
// (files, tests, keys, metrics, exit codes, the complete server) must be there, and be the same.
package examples

import (
	"io/fs"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/iokernel"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

// root is the repository.
var root = os.DirFS("..")

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := fs.ReadFile(root, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documents are all that a user reads.
func documents(t *testing.T) []string {
	t.Helper()
	list, err := fs.Glob(root, "docs/*.md")
	if err != nil || len(list) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	return append(list, "README.md", "CONTRIBUTING.md")
}

// TestReadmeHasTheServer: the README shows examples/echo byte by byte, and it is under 30 lines.
func TestReadmeHasTheServer(t *testing.T) {
	server := read(t, "examples/echo/main.go")
	if n := strings.Count(server, "\n"); n >= 30 {
		t.Errorf("examples/echo has %d lines, want under 30", n)
	}
	if !strings.Contains(read(t, "README.md"), "```go\n"+server+"```\n") {
		t.Error("README.md does not show examples/echo/main.go as it is: copy it")
	}
}

// TestLinksLead: every link inside the repository leads to a file, and to a heading that is there.
func TestLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]*)\)`)
	for _, document := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(read(t, document), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			file, heading, _ := strings.Cut(match[1], "#")
			target := document
			if file != "" {
				target = path.Join(path.Dir(document), file)
			}
			if _, err := fs.Stat(root, target); err != nil {
				t.Errorf("%s links to %s: %v", document, match[1], err)
			} else if heading != "" && !slices.Contains(headings(read(t, target)), heading) {
				t.Errorf("%s links to %s, and there is no such heading", document, match[1])
			}
		}
	}
}

// headings are the anchors of a document, as GitHub makes them.
func headings(text string) (anchors []string) {
	other := regexp.MustCompile(`[^a-z0-9 _-]`)
	for line := range strings.Lines(text) {
		if title := strings.TrimLeft(line, "#"); title != line {
			title = other.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			anchors = append(anchors, strings.ReplaceAll(title, " ", "-"))
		}
	}
	return anchors
}

// TestCitedTestsExist: a test that a document names as evidence is there.
func TestCitedTestsExist(t *testing.T) {
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := fs.WalkDir(root, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, name)
		for _, match := range declaration.FindAllStringSubmatch(string(text), -1) {
			declared[match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cited := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`")
	for _, document := range documents(t) {
		for _, match := range cited.FindAllStringSubmatch(read(t, document), -1) {
			if !declared[match[1]] {
				t.Errorf("%s names %s, which does not exist", document, match[1])
			}
		}
	}
}

// TestLayersAreShown: the table in ARCHITECTURE.md is the one that lint enforces.
func TestLayersAreShown(t *testing.T) {
	_, table, _ := strings.Cut(read(t, "scripts/lint/imports.txt"), "\n[packages]\n")
	table, _, _ = strings.Cut(table, "\n[modules]\n")
	if !strings.Contains(read(t, "docs/ARCHITECTURE.md"), "\n"+strings.TrimSpace(table)+"\n") {
		t.Error("docs/ARCHITECTURE.md does not show [packages] of scripts/lint/imports.txt: copy it")
	}
}

// TestRunningIsComplete: RUNNING.md has every key with its default, every exit code, every metric
// and every reason that a metric is labelled with.
func TestRunningIsComplete(t *testing.T) {
	running := read(t, "docs/RUNNING.md")
	want := func(what, text string) {
		t.Helper()
		if !strings.Contains(running, text) {
			t.Errorf("docs/RUNNING.md lacks %s: %q", what, text)
		}
	}
	for _, s := range config.Settings() {
		value := s.DefaultText()
		switch {
		case s.Key == "interface":
			want("a key", "| `interface` | none, required |")
		case value == "":
			want("a key with its default", "| `"+s.Key+"` | `\"\"` |")
		default:
			want("a key with its default", "| `"+s.Key+"` | `"+value+"` |")
		}
	}
	_, runtimes, _ := strings.Cut(config.Sample(), "\nruntimes:\n")
	key := regexp.MustCompile(`(?m)^[ #-]+(\w+):`)
	for _, match := range key.FindAllStringSubmatch(runtimes, -1) {
		want("a key of a runtime", "`"+match[1])
	}
	_, codes, _ := strings.Cut(read(t, "cmd/internal/exit/exit.go"), "const Table = `Exit codes:\n")
	codes, _, _ = strings.Cut(codes, "`")
	want("the exit codes", "```\n"+codes+"\n```")
	metric := regexp.MustCompile(`(?m)^# TYPE (\w+)`)
	for _, match := range metric.FindAllStringSubmatch(
		read(t, "iokernel/metrics/testdata/full.prom"), -1) {
		want("a metric", "`"+match[1]+"`")
	}
	for r := range bpf.Reasons {
		want("a verdict of the XDP program", "`"+bpf.Reason(r).String()+"`")
	}
	for d := iokernel.DropNone + 1; d < iokernel.DropCount; d++ {
		want("a reason of a drop", "`"+d.String()+"`")
	}
	for v := iokernel.ViolationNone + 1; v < iokernel.ViolationCount; v++ {
		want("a violation", "`"+v.Label()+"`")
	}
}

// TestReportIsDescribed: BENCHMARKS.md has every field of the JSON.
func TestReportIsDescribed(t *testing.T) {
	text := read(t, "docs/BENCHMARKS.md")
	var walk func(reflect.Type)
	walk = func(of reflect.Type) {
		for of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return
		}
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			if name != "" && !strings.Contains(text, "`"+name+"`") {
				t.Errorf("docs/BENCHMARKS.md lacks the field `%s` of %v", name, of)
			}
			walk(field.Type)
		}
	}
	walk(reflect.TypeFor[report.Report]())
}
