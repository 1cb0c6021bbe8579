package lint

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// root is the repository, seen from this folder.
const root = "../.."

// TestTree applies every rule to this repository.
func TestTree(t *testing.T) {
	table, err := RepositoryTable()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Load(os.DirFS(root), table)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) { report(t, rule.Check(tree)) })
	}
	t.Run("escapes", func(t *testing.T) {
		found, err := Escapes(root, tree)
		if err != nil {
			t.Fatal(err)
		}
		report(t, found)
	})
}

func report(t *testing.T, found []Finding) {
	t.Helper()
	if len(found) == 0 {
		return
	}
	var text strings.Builder
	for _, f := range found {
		fmt.Fprintln(&text, f)
	}
	t.Errorf("%d findings\n%s", len(found), &text)
}

// TestRules runs each rule over the archive of its name in testdata. Its file "want" lists all the
// findings, as path:line and a part of the text; the files that it does not name are the good
// examples. "imports.txt" is the table; "notes" are the compiler's notes for escapes.
func TestRules(t *testing.T) {
	checks := map[string]func(*Tree, archive) []Finding{
		"escapes": func(tree *Tree, a archive) []Finding {
			return tree.escapes(a["notes"], string(a["accepted"]))
		},
	}
	for _, rule := range Rules() {
		checks[rule.Name] = func(tree *Tree, _ archive) []Finding { return rule.Check(tree) }
	}
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			a := readArchive(t, filepath.Join("testdata", name+".txtar"))
			found := check(treeOf(t, a), a)
			compare(t, found, lines(a["want"]))
			refused := func(name string) bool {
				return slices.ContainsFunc(found, func(f Finding) bool { return f.Path == name })
			}
			if !slices.ContainsFunc(slices.Collect(maps.Keys(a)), func(name string) bool {
				return strings.HasSuffix(name, ".go") && !refused(name)
			}) {
				t.Error("the archive has no Go file that the rule accepts")
			}
		})
	}
}

// compare matches findings with lines "path:line: part of the text", one to one.
func compare(t *testing.T, found []Finding, want []string) {
	t.Helper()
	for _, f := range found {
		at := fmt.Sprintf("%s:%d: ", f.Path, f.Line)
		i := slices.IndexFunc(want, func(w string) bool {
			part, ok := strings.CutPrefix(w, at)
			return ok && strings.Contains(f.Text, part)
		})
		if i < 0 {
			t.Errorf("refuses more than wanted:\n%s", f)
			continue
		}
		want = slices.Delete(want, i, i+1)
	}
	for _, w := range want {
		t.Errorf("does not refuse %s", w)
	}
}

// archive is the files of a text in which a line "-- name --" begins each. What stands before the
// first is for the reader.
type archive map[string][]byte

func readArchive(t *testing.T, name string) archive {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("each rule has an example that it refuses: %v", err)
	}
	a := archive{}
	var member string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "-- "); ok {
			member = strings.TrimSuffix(name, " --\n")
			continue
		}
		a[member] = append(a[member], line...)
	}
	delete(a, "")
	return a
}

// treeOf parses an archive. A line "@70 text" of its files stands for 70 lines of text.
func treeOf(t *testing.T, a archive) *Tree {
	t.Helper()
	repeat := regexp.MustCompile(`(?m)^@(\d+) (.*\n)`)
	files := fstest.MapFS{}
	for name, data := range a {
		data = repeat.ReplaceAllFunc(data, func(line []byte) []byte {
			m := repeat.FindSubmatch(line)
			n, _ := strconv.Atoi(string(m[1])) // digits, by the pattern
			return bytes.Repeat(m[2], n)
		})
		files[name] = &fstest.MapFile{Data: data}
	}
	table, err := ParseTable(string(a["imports.txt"]))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Load(files, table)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestTableRefusesWhatItCannotMean(t *testing.T) {
	for text, want := range map[string]string{
		"a < b*\nb < c":                     "imports.txt:2: b stands here with",
		"a, < b":                            "imports.txt:1: a name is missing",
		"a < b\n[modules]\nx.org/y < c":     `imports.txt:3: "c" is neither`,
		"a < b\n[modules]\nx.org/y < a < b": "imports.txt:3: want: imported paths",
	} {
		_, err := ParseTable(text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", text, err, want)
		}
	}
}

func TestRepositoryTableHasNoCycle(t *testing.T) {
	table, err := RepositoryTable()
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range table.rows {
		for below := range row.May {
			if below != name && table.rows[below].May[name] {
				t.Errorf("%s and %s may import each other", name, below)
			}
		}
	}
}
