package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"path"
)

// Types is what can be known of one package's names without loading what it imports: which
// declaration a name means (so that a local variable may be called time), and the types that the
// package declares itself.
type Types struct {
	info *types.Info
	pkg  *types.Package
}

// checkTypes resolves the names of p's code. Errors are ignored: whatever comes from an import is
// unknown here, and files for several build tags are seen together.
func checkTypes(fset *token.FileSet, p *Package) *Types {
	info := &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{},
		Defs:  map[*ast.Ident]types.Object{},
		Uses:  map[*ast.Ident]types.Object{},
	}
	files := make([]*ast.File, len(p.Code))
	for i, f := range p.Code {
		files[i] = f.AST
	}
	config := types.Config{
		Importer:                 emptyPackages{},
		Error:                    func(error) {},
		DisableUnusedImportCheck: true,
	}
	pkg, _ := config.Check(path.Join(ModulePath, p.Dir), fset, files, info)
	return &Types{info: info, pkg: pkg}
}

// emptyPackages imports every path as a package of the right name with nothing in it.
type emptyPackages struct{}

func (emptyPackages) Import(imported string) (*types.Package, error) {
	if imported == "unsafe" {
		return types.Unsafe, nil
	}
	pkg := types.NewPackage(imported, nameOf(imported))
	pkg.MarkComplete()
	return pkg, nil
}

// importedAs is the import path behind x, if x is the name of an import.
func (t *Types) importedAs(x ast.Expr) (string, bool) {
	id, ok := x.(*ast.Ident)
	if !ok {
		return "", false
	}
	name, ok := t.info.Uses[id].(*types.PkgName)
	if !ok {
		return "", false
	}
	return name.Imported().Path(), true
}

// packageVar is the package-level variable of this package that x names, or nil.
func (t *Types) packageVar(x ast.Expr) *types.Var {
	id, ok := x.(*ast.Ident)
	if !ok {
		return nil
	}
	v, ok := t.info.Uses[id].(*types.Var)
	if !ok || t.pkg == nil || v.Parent() != t.pkg.Scope() {
		return nil
	}
	return v
}

// isMap reports whether x is known to be a map.
func (t *Types) isMap(x ast.Expr) bool {
	tv, ok := t.info.Types[x]
	if !ok || tv.Type == nil {
		return false
	}
	_, ok = tv.Type.Underlying().(*types.Map)
	return ok
}

// isBuiltin reports whether x names that builtin function, not something that hides it.
func (t *Types) isBuiltin(x ast.Expr, name string) bool {
	id, ok := x.(*ast.Ident)
	if !ok || id.Name != name {
		return false
	}
	_, ok = t.info.Uses[id].(*types.Builtin)
	return ok
}
