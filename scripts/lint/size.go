package lint

import (
	"fmt"
	"go/ast"
	"strings"
	"unicode/utf8"
)

// What a reader takes in at once. Each is a habit of this repository, not a law of nature.
const (
	maxFileLines = 500 // lines of a file; aim for half
	maxFuncLines = 70  // lines of a function, from func to its closing brace
	maxColumns   = 100 // columns of a line
	tabColumns   = 4   // columns that a tab counts, as most of us display it
)

const (
	fileText = "file of %d lines, more than %d; it holds more than one concern; give each its file"
	funcText = "function %s of %d lines, more than %d; name its steps and make them functions"
	lineText = "line of %d columns, more than %d (a tab counts %d); two files must fit beside " +
		"each other; break it"
)

// checkSize bounds files, functions and lines of code that is neither a test nor generated.
func checkSize(t *Tree) []Finding {
	var found []Finding
	t.files(func(_ *Package, f *File) {
		all := lines(f.Source)
		if len(all) > maxFileLines {
			found = append(found, t.at(f, f.AST.Package, fileText, len(all), maxFileLines))
		}
		for i, line := range all {
			if n := columns(line); n > maxColumns && !unbreakable(line) {
				text := fmt.Sprintf(lineText, n, maxColumns, tabColumns)
				found = append(found, Finding{f.Path, i + 1, text})
			}
		}
		for _, declaration := range f.AST.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := t.line(function.End()) - t.line(function.Pos()) + 1; n > maxFuncLines {
				found = append(found, t.at(f, function.Pos(), funcText, function.Name.Name, n,
					maxFuncLines))
			}
		}
	})
	return found
}

// columns is the width of a line on a screen.
func columns(line string) int {
	return utf8.RuneCountInString(line) + strings.Count(line, "\t")*(tabColumns-1)
}

// unbreakable reports whether a line may be as long as it must: directives and addresses.
func unbreakable(line string) bool {
	return strings.HasPrefix(line, "//go:") || strings.Contains(line, "://")
}
