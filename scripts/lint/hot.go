package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// checkHot holds what a file named *_hot.go may contain: code that runs for every frame or every
// turn of a loop, where each of these costs more than the work itself or makes its time uncertain.
func checkHot(t *Tree) []Finding {
	var found []Finding
	t.files(func(p *Package, f *File) {
		if !f.Hot {
			return
		}
		for _, i := range f.Imports {
			if text := coldImport(i.Path); text != "" {
				found = append(found, Finding{f.Path, i.Line, i.Path + " in a hot file; " + text})
			}
		}
		v := hotVisitor{types: p.Types, constraints: map[*ast.FieldList]bool{}}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if list, ok := n.(*ast.FieldList); ok && v.constraints[list] {
				return false
			}
			if text := v.visit(n); text != "" {
				hit := t.at(f, n.Pos(), "%s", text)
				if !slices.Contains(found, hit) { // any(x) is both a name and a conversion
					found = append(found, hit)
				}
			}
			return true
		})
	})
	return found
}

// coldImport says why a hot file may not import that package.
func coldImport(imported string) string {
	switch imported {
	case "fmt", "log", "log/slog":
		return "formatting allocates; count the event by reason and let a cold file write the text"
	case "reflect":
		return "reflection allocates and hides types from the compiler; use type parameters"
	case "sync":
		return "a lock waits for others; give each worker its own, or use sync/atomic"
	}
	return ""
}

type hotVisitor struct {
	types       *Types
	constraints map[*ast.FieldList]bool // type parameters: interfaces there cost nothing
}

// visit says what is wrong with one node, or returns "".
func (v *hotVisitor) visit(n ast.Node) string {
	switch n := n.(type) {
	case *ast.FuncType:
		v.constraints[n.TypeParams] = n.TypeParams != nil
	case *ast.TypeSpec:
		v.constraints[n.TypeParams] = n.TypeParams != nil
	case *ast.DeferStmt:
		return "defer in a hot file; it costs on each call; write it before each return"
	case *ast.GoStmt:
		return "go in a hot file; a loop owns its core; make a Poller and wire it into the host"
	case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
		return "channel in a hot file; it locks and wakes threads; use a ring from core/ring"
	case *ast.FuncLit:
		return "function literal in a hot file; what it captures moves to the heap; write a method"
	case *ast.MapType:
		return mapText
	case *ast.IndexExpr:
		if v.types.isMap(n.X) {
			return mapText
		}
	case *ast.RangeStmt:
		if v.types.isMap(n.X) {
			return mapText
		}
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "channel in a hot file; it locks and wakes threads; use a ring from core/ring"
		}
	case *ast.CallExpr:
		return v.call(n)
	case *ast.InterfaceType:
		if len(n.Methods.List) == 0 {
			return interfaceText
		}
	case *ast.Ident:
		if n.Name == "any" && v.types.info.Uses[n] == types.Universe.Lookup("any") {
			return interfaceText
		}
	}
	return ""
}

const (
	mapText = "map in a hot file; a lookup hashes and misses the cache; " +
		"use a slice indexed by a small number, or a table of fixed size"
	interfaceText = "interface value in a hot file; putting something into it allocates; " +
		"use the concrete type or a type parameter"
)

func (v *hotVisitor) call(n *ast.CallExpr) string {
	if v.types.isBuiltin(n.Fun, "delete") {
		return mapText
	}
	if fun := v.types.info.Types[n.Fun]; fun.IsType() && types.IsInterface(fun.Type) {
		if _, generic := fun.Type.(*types.TypeParam); !generic {
			return interfaceText
		}
	}
	return ""
}
