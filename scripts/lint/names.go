package lint

import (
	"go/ast"
	"path"
	"strings"
)

// vague are the endings that say "something to do with".
func vague(name string) (ending string, ok bool) {
	for _, ending := range [...]string{
		"Manager", "Util", "Utils", "Common", "Helper", "Helpers", "Base", "Impl",
	} {
		if strings.HasSuffix(name, ending) || name == strings.ToLower(ending) {
			return ending, true
		}
	}
	return "", false
}

// checkNames refuses names of packages and types that do not say what the thing is.
func checkNames(t *Tree) []Finding {
	const why = "%s %s: %s does not say what it is or does; name it after what it holds or promises"
	var found []Finding
	for _, p := range t.Packages {
		for _, f := range p.all() {
			if ending, ok := vague(path.Base(p.Dir)); ok {
				found = append(found, t.at(f, f.AST.Package, why, "package", p.Dir, ending))
				break
			}
		}
	}
	t.files(func(_ *Package, f *File) {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if ending, ok := vague(spec.Name.Name); ok {
					found = append(found, t.at(f, n.Pos(), why, "type", spec.Name.Name, ending))
				}
			}
			return true
		})
	})
	return found
}
