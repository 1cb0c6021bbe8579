package lint

import (
	"go/ast"
	"go/token"
	"strings"
)

// checkGlobals keeps mutable state out of package level, commands apart: two hosts must be able to
// live in one process, as they do in tests. Allowed are values that nobody changes: errors,
// embedded files, arrays, structs and results of calls, unexported and never assigned.
func checkGlobals(t *Tree) []Finding {
	var found []Finding
	t.files(func(p *Package, f *File) {
		if isCommand(p.Dir) {
			return
		}
		for _, declaration := range f.AST.Decls {
			group, ok := declaration.(*ast.GenDecl)
			if !ok || group.Tok != token.VAR {
				continue
			}
			for _, spec := range group.Specs {
				found = append(found, t.checkVar(f, group, spec.(*ast.ValueSpec))...)
			}
		}
		found = append(found, t.assignments(p, f)...)
	})
	return found
}

func isCommand(dir string) bool {
	return strings.HasPrefix(dir, "cmd/") || strings.HasPrefix(dir, "examples/")
}

func (t *Tree) checkVar(f *File, group *ast.GenDecl, spec *ast.ValueSpec) []Finding {
	if embedded(group.Doc) || embedded(spec.Doc) {
		return nil
	}
	var found []Finding
	for i, name := range spec.Names {
		if name.Name == "_" {
			continue
		}
		var value ast.Expr
		if i < len(spec.Values) {
			value = spec.Values[i]
		}
		if text := mutable(name.Name, spec.Type, value); text != "" {
			found = append(found, t.at(f, name.Pos(), "package-level variable %s %s",
				name.Name, text))
		}
	}
	return found
}

func embedded(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, line := range doc.List {
		if strings.HasPrefix(line.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// mutable says why a variable of that declaration can change, and what to write instead.
func mutable(name string, kind, value ast.Expr) string {
	if value != nil && (strings.HasPrefix(name, "Err") || strings.HasPrefix(name, "err")) {
		return ""
	}
	if ast.IsExported(name) {
		return "is exported, so any package can change it; use a const, or a func that returns it"
	}
	if value == nil {
		if isArray(kind) {
			return ""
		}
		return "starts empty, so it is there to be changed; make it a field of what New returns"
	}
	switch v := value.(type) {
	case *ast.FuncLit:
		return "holds a function that a test could replace; take it as a parameter of New"
	case *ast.SelectorExpr:
		return "holds what another package exports and may be replaced; use that name directly"
	case *ast.UnaryExpr:
		if v.Op == token.AND {
			return "points to memory that everybody shares; make it a field of what New returns"
		}
	case *ast.BasicLit:
		return "never changes; make it a const"
	case *ast.CompositeLit:
		return mutableLiteral(v.Type)
	case *ast.CallExpr:
		return mutableCall(v)
	}
	return ""
}

func mutableLiteral(kind ast.Expr) string {
	switch kind := kind.(type) {
	case *ast.MapType:
		return "is a map, which anybody in the package can change; use a switch in a func"
	case *ast.ArrayType:
		if kind.Len == nil {
			return "is a slice, whose elements anybody can change; use an array: [...]T{...}"
		}
	case *ast.SelectorExpr:
		if id, ok := kind.X.(*ast.Ident); ok && (id.Name == "sync" || id.Name == "atomic") {
			return "is shared state; make it a field of what New returns"
		}
	}
	return ""
}

func mutableCall(call *ast.CallExpr) string {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		if fun.Name == "make" || fun.Name == "new" {
			return "is made to be changed; make it a field of what New returns"
		}
	case *ast.ArrayType:
		return "is a slice, whose elements anybody can change; use a const string or an array"
	}
	return ""
}

func isArray(kind ast.Expr) bool {
	array, ok := kind.(*ast.ArrayType)
	return ok && array.Len != nil
}

// assignments reports where f assigns to a package-level variable, of its own or another package.
func (t *Tree) assignments(p *Package, f *File) []Finding {
	var found []Finding
	report := func(target ast.Expr) {
		name := p.Types.assignedVar(target)
		if name == "" {
			return
		}
		found = append(found, t.at(f, target.Pos(), "assignment to the package-level variable %s; "+
			"two hosts in one process would share it; make it a field or a parameter", name))
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, target := range n.Lhs {
					report(target)
				}
			}
		case *ast.IncDecStmt:
			report(n.X)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				report(n.Key)
				report(n.Value)
			}
		}
		return true
	})
	return found
}

// assignedVar is the name of the package-level variable that an assignment to target changes, or
// "" if it changes none.
func (t *Types) assignedVar(target ast.Expr) string {
	for {
		switch x := target.(type) {
		case *ast.ParenExpr:
			target = x.X
		case *ast.IndexExpr:
			target = x.X
		case *ast.StarExpr:
			target = x.X
		case *ast.SelectorExpr:
			if imported, ok := t.importedAs(x.X); ok {
				return imported + "." + x.Sel.Name
			}
			target = x.X
		case *ast.Ident:
			if v := t.packageVar(x); v != nil {
				return v.Name()
			}
			return ""
		default:
			return ""
		}
	}
}
