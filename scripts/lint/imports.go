package lint

import "strings"

// checkImports holds the table of imports.txt.
func checkImports(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		row := t.Table.Row(p.Dir)
		if row == nil {
			f := p.all()[0]
			found = append(found, t.at(f, f.AST.Package,
				"package %s is not in the import table; every package has its place in the "+
					"layers; add it to a line of scripts/lint/imports.txt, behind what it imports",
				p.Dir))
			continue
		}
		for _, f := range p.all() {
			for _, i := range f.Imports {
				found = append(found, t.checkImport(row, f, i)...)
			}
		}
	}
	return found
}

func (t *Tree) checkImport(row *Row, f *File, i Import) []Finding {
	dir, ours := strings.CutPrefix(i.Path, ModulePath+"/")
	if !ours {
		return t.checkModule(row, f, i)
	}
	imported := t.Table.Row(dir)
	if imported == nil || row.May[imported.Name] || f.Test && t.Table.tests[imported.Name] {
		return nil // a package without a row is reported where it lies
	}
	return []Finding{{f.Path, i.Line, row.Name + " may not import " + dir + "; layers import " +
		"downwards only; declare the interface you need here and let cmd or a test wire it, or " +
		"move the code to where it belongs (scripts/lint/imports.txt)"}}
}

func (t *Tree) checkModule(row *Row, f *File, i Import) []Finding {
	users, known := t.Table.module(i.Path)
	first, _, _ := strings.Cut(i.Path, "/")
	switch {
	case !known && !strings.Contains(first, "."):
		return nil // the standard library, apart from what the table names
	case !known:
		return []Finding{{f.Path, i.Line, i.Path + " is a new dependency; each one is a cost to " +
			"everybody who builds this; do without, or say in the package's doc why it is worth " +
			"it and add it to [modules] in scripts/lint/imports.txt"}}
	case users[row.Name], users["doors"] && row.Door, users["tests"] && f.Test,
		users["doors"] && f.Kernel:
		return nil
	case users["doors"]:
		return []Finding{{f.Path, i.Line, i.Path + " outside a door; code without the kernel " +
			"runs in tests without root; take an interface, a file " +
			"descriptor or plain memory and let a package marked * in " +
			"scripts/lint/imports.txt make it"}}
	}
	return []Finding{{f.Path, i.Line, row.Name + " may not import " + i.Path + "; a dependency " +
		"stays where it was defended; use the package that [modules] in " +
		"scripts/lint/imports.txt names"}}
}
