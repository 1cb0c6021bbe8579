package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ModulePath is the module whose packages the table of imports names by their folder.
const ModulePath = "github.com/dunlin-io/dunlin"

// File is one parsed Go file.
type File struct {
	Path      string
	Source    []byte
	AST       *ast.File
	Imports   []Import
	Test      bool // *_test.go
	Kernel    bool // *_kernel_test.go
	Hot       bool // *_hot.go
	Generated bool // says so in its first lines, in Go's standard form
}

// Import is one import of a file.
type Import struct {
	Name string // how the file calls it: its alias, or the name that the path suggests
	Path string
	Line int
}

// Package is the Go files of one folder.
type Package struct {
	Dir   string // "." for the root
	Code  []*File
	Tests []*File
	Types *Types // of Code
}

// all is the package's code and its tests.
func (p *Package) all() []*File { return slices.Concat(p.Code, p.Tests) }

// Text is one file of words rather than Go.
type Text struct {
	Path   string
	Source []byte
}

// Tree is a parsed repository.
type Tree struct {
	Fset     *token.FileSet
	Packages []*Package // ordered by folder
	Texts    []Text     // documents, C, configuration, build files
	Table    *Table
}

// Load parses the repository in root. Folders that Go ignores, other modules (tools) and build
// output are left out.
func Load(root fs.FS, table *Table) (*Tree, error) {
	t := &Tree{Fset: token.NewFileSet(), Table: table}
	packages := map[string]*Package{}
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(root, name)
		}
		switch {
		case strings.HasSuffix(name, ".go"):
			return t.addFile(root, name, packages)
		case isText(name):
			return t.addText(root, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		p.Types = checkTypes(t.Fset, p)
		t.Packages = append(t.Packages, p)
	}
	slices.SortFunc(t.Packages, func(a, b *Package) int { return strings.Compare(a.Dir, b.Dir) })
	return t, nil
}

// enter says whether the walk goes into a folder.
func enter(root fs.FS, dir string) error {
	base := path.Base(dir)
	switch {
	case dir == "." || dir == ".ci":
		return nil
	case base[0] == '.' || base[0] == '_' || base == "testdata" || dir == "bin" || dir == "out":
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func isText(name string) bool {
	switch path.Ext(name) {
	case ".c", ".h", ".md", ".yaml", ".yml", ".sh", ".service", ".html", ".tmpl", ".txt":
		return true
	}
	return path.Base(name) == "Makefile" || name == ".ci/run"
}

func (t *Tree) addText(root fs.FS, name string) error {
	source, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	t.Texts = append(t.Texts, Text{Path: name, Source: source})
	return nil
}

func (t *Tree) addFile(root fs.FS, name string, packages map[string]*Package) error {
	source, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(t.Fset, name, source, parser.ParseComments|
		parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("lint: %w", err)
	}
	f := &File{
		Path:      name,
		Source:    source,
		AST:       parsed,
		Test:      strings.HasSuffix(name, "_test.go"),
		Kernel:    strings.HasSuffix(name, "_kernel_test.go"),
		Hot:       strings.HasSuffix(name, "_hot.go"),
		Generated: ast.IsGenerated(parsed),
	}
	for _, spec := range parsed.Imports {
		f.Imports = append(f.Imports, t.importOf(spec))
	}
	dir := path.Dir(name)
	p := packages[dir]
	if p == nil {
		p = &Package{Dir: dir}
		packages[dir] = p
	}
	if f.Test {
		p.Tests = append(p.Tests, f)
	} else {
		p.Code = append(p.Code, f)
	}
	return nil
}

func (t *Tree) importOf(spec *ast.ImportSpec) Import {
	imported, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		imported = spec.Path.Value // the parser has accepted it, so this does not happen
	}
	i := Import{Name: nameOf(imported), Path: imported, Line: t.line(spec.Pos())}
	if spec.Name != nil {
		i.Name = spec.Name.Name
	}
	return i
}

// nameOf is the package name that an import path suggests: its last element that is no version.
func nameOf(imported string) string {
	base := path.Base(imported)
	if n, err := strconv.Atoi(strings.TrimPrefix(base, "v")); err == nil && n > 1 {
		base = path.Base(path.Dir(imported))
	}
	return base
}

func (t *Tree) line(pos token.Pos) int { return t.Fset.Position(pos).Line }

// at makes a finding at a place in a file.
func (t *Tree) at(f *File, pos token.Pos, format string, args ...any) Finding {
	return Finding{Path: f.Path, Line: t.line(pos), Text: fmt.Sprintf(format, args...)}
}

// files calls visit for each file of code, generated ones left out.
func (t *Tree) files(visit func(*Package, *File)) {
	for _, p := range t.Packages {
		for _, f := range p.Code {
			if !f.Generated {
				visit(p, f)
			}
		}
	}
}

// lines splits source into lines without their ends.
func lines(source []byte) []string {
	return strings.Split(string(bytes.TrimSuffix(source, []byte("\n"))), "\n")
}
