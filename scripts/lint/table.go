package lint

import (
	_ "embed" // imports.txt
	"fmt"
	"strings"
)

//go:embed imports.txt
var importsText string

// Row is one name in the table: a folder of this module or the path of an imported package. A name
// that ends in /... stands for itself and everything below it.
type Row struct {
	Name string
	Door bool            // marked * in the table
	May  map[string]bool // names of the rows it may import, itself and transitive ones included
}

// Table says who may import whom; its notation is described at the head of imports.txt.
type Table struct {
	rows    map[string]*Row
	tests   map[string]bool            // rows that tests of every package may import
	modules map[string]map[string]bool // imported path: rows, "doors" or "tests" that may import it
}

// RepositoryTable is the table of imports.txt.
func RepositoryTable() (*Table, error) { return ParseTable(importsText) }

// ParseTable reads the notation of imports.txt.
func ParseTable(text string) (*Table, error) {
	t := &Table{
		rows:    map[string]*Row{},
		tests:   map[string]bool{},
		modules: map[string]map[string]bool{},
	}
	add := t.addPackages
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		switch line {
		case "":
			continue
		case "[packages]":
			add = t.addPackages
			continue
		case "[modules]":
			add = t.addModules
			continue
		}
		if err := add(chain(line)); err != nil {
			return nil, fmt.Errorf("imports.txt:%d: %w", i+1, err)
		}
	}
	t.close()
	return t, nil
}

// chain splits "a, b < c < d" into {{a, b}, {c}, {d}}.
func chain(line string) [][]string {
	var groups [][]string
	for group := range strings.SplitSeq(line, "<") {
		var names []string
		for name := range strings.SplitSeq(group, ",") {
			names = append(names, strings.TrimSpace(name))
		}
		groups = append(groups, names)
	}
	return groups
}

func (t *Table) addPackages(groups [][]string) error {
	known := make([]string, 0, len(t.rows))
	for name := range t.rows {
		known = append(known, name)
	}
	for i, group := range groups {
		for _, name := range group {
			if name == "everything" || name == "tests" {
				continue
			}
			if err := t.declare(name); err != nil {
				return err
			}
		}
		if i == 0 {
			continue
		}
		below := expand(groups[i-1], known)
		for _, name := range group {
			if name == "tests" {
				mark(t.tests, below)
				continue
			}
			mark(t.rows[strings.TrimSuffix(name, "*")].May, below)
		}
	}
	return nil
}

// expand replaces "everything" by all rows of the lines above and strips the marks of doors.
func expand(group, known []string) []string {
	var names []string
	for _, name := range group {
		if name == "everything" {
			names = append(names, known...)
			continue
		}
		names = append(names, strings.TrimSuffix(name, "*"))
	}
	return names
}

func mark(set map[string]bool, names []string) {
	for _, name := range names {
		set[name] = true
	}
}

// declare makes sure that there is a row of that name, and that each mention agrees on the mark.
func (t *Table) declare(mention string) error {
	name, door := strings.CutSuffix(mention, "*")
	if name == "" {
		return fmt.Errorf("a name is missing")
	}
	row := t.rows[name]
	if row == nil {
		t.rows[name] = &Row{Name: name, Door: door, May: map[string]bool{name: true}}
		return nil
	}
	if row.Door != door {
		return fmt.Errorf("%s stands here with and elsewhere without its *, or the reverse", name)
	}
	return nil
}

func (t *Table) addModules(groups [][]string) error {
	if len(groups) != 2 {
		return fmt.Errorf("want: imported paths < who may import them")
	}
	for _, user := range groups[1] {
		if user != "doors" && user != "tests" && t.rows[user] == nil {
			return fmt.Errorf("%q is neither doors, tests nor a package of the table", user)
		}
	}
	for _, imported := range groups[0] {
		if t.modules[imported] == nil {
			t.modules[imported] = map[string]bool{}
		}
		mark(t.modules[imported], groups[1])
	}
	return nil
}

// close makes the relation transitive.
func (t *Table) close() {
	for changed := true; changed; {
		changed = false
		for _, row := range t.rows {
			before := len(row.May)
			for name := range row.May {
				for below := range t.rows[name].May {
					row.May[below] = true
				}
			}
			changed = changed || len(row.May) != before
		}
	}
}

// Row is the row of a folder, or nil: the one of exactly that name, else the closest /... above it.
func (t *Table) Row(dir string) *Row {
	if row := t.rows[dir]; row != nil {
		return row
	}
	for above := dir; above != ""; {
		if row := t.rows[above+"/..."]; row != nil {
			return row
		}
		cut := max(strings.LastIndexByte(above, '/'), 0)
		above = above[:cut]
	}
	return nil
}

// Door reports whether the folder may touch the kernel, clocks and threads.
func (t *Table) Door(dir string) bool {
	row := t.Row(dir)
	return row != nil && row.Door
}

// module is who may import a package of somebody else; ok is false for paths that the table does
// not name.
func (t *Table) module(imported string) (users map[string]bool, ok bool) {
	if users, ok = t.modules[imported]; ok {
		return users, true
	}
	for above := imported; above != ""; {
		if users, ok = t.modules[above+"/..."]; ok {
			return users, true
		}
		cut := max(strings.LastIndexByte(above, '/'), 0)
		above = above[:cut]
	}
	return nil, false
}
