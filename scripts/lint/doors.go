package lint

import (
	"go/ast"
	"strings"
)

// clocks are the functions that read or wait for the machine's clock, and what to use instead.
func clocks(imported, name string) string {
	switch imported + "." + name {
	case "time.Now", "time.Since", "time.Until":
		return "take now core.Time as a parameter"
	case "time.Sleep", "time.After", "time.AfterFunc", "time.NewTimer", "time.NewTicker",
		"time.Tick":
		return "return the deadline from Next(now), or take a channel that a door feeds"
	case "context.WithTimeout", "context.WithDeadline":
		return "take the context as a parameter"
	}
	return ""
}

// seeded reports whether a name of math/rand makes or names a generator of one's own. All others
// use the generator that the whole process shares.
func seeded(name string) bool {
	return strings.HasPrefix(name, "New") || ast.IsExported(name) &&
		(name == "Rand" || strings.HasPrefix(name, "Source") || name == "PCG" ||
			name == "ChaCha8" || name == "Zipf")
}

// checkDoors keeps clocks, shared randomness and threads in doors. Tests may use them, apart from
// what checkSleep says.
func checkDoors(t *Tree) []Finding {
	var found []Finding
	t.files(func(p *Package, f *File) {
		if t.Table.Door(p.Dir) {
			return
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			imported, ok := p.Types.importedAs(selector.X)
			if !ok {
				return true
			}
			if text := impure(imported, selector.Sel.Name); text != "" {
				found = append(found, t.at(f, n.Pos(), "%s.%s outside a door; %s",
					imported, selector.Sel.Name, text))
			}
			return true
		})
	})
	return found
}

// impure says why a name of an imported package may not stand outside a door, and what to use.
func impure(imported, name string) string {
	if use := clocks(imported, name); use != "" {
		return "tests own the clock; " + use
	}
	switch imported {
	case "math/rand", "math/rand/v2":
		if !seeded(name) {
			return "a seed must give the same run again; take a *rand.Rand in the constructor"
		}
	case "runtime":
		if name == "LockOSThread" || name == "UnlockOSThread" {
			return "a poller does not know its thread; let core/pin run it"
		}
	}
	return ""
}

const unsafeText = "import of unsafe; a reader must find every place that the compiler cannot " +
	"check; move those lines to a file named *_unsafe.go and call them with plain Go types"

// checkUnsafe keeps unsafe in files that say so in their name.
func checkUnsafe(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		for _, f := range p.all() {
			if f.Generated || strings.HasSuffix(f.Path, "_unsafe.go") ||
				strings.HasSuffix(f.Path, "_unsafe_test.go") {
				continue
			}
			for _, i := range f.Imports {
				if i.Path == "unsafe" {
					found = append(found, Finding{f.Path, i.Line, unsafeText})
				}
			}
		}
	}
	return found
}

const sleepText = "time.Sleep in a unit test; it makes the suite slow and the result a matter of " +
	"luck; advance a core.Time, wait on a channel, or move the test to a *_kernel_test.go file"

// checkSleep keeps sleeps out of unit tests. Tests that need the kernel may wait for it, and tests
// in a synctest bubble sleep in a clock of their own.
func checkSleep(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		for _, f := range p.Tests {
			if f.Kernel || t.Table.Door(p.Dir) || importsAny(f, "testing/synctest") {
				continue
			}
			ast.Inspect(f.AST, func(n ast.Node) bool {
				if isSelector(n, f, "time", "Sleep") {
					found = append(found, t.at(f, n.Pos(), sleepText))
				}
				return true
			})
		}
	}
	return found
}

func importsAny(f *File, paths ...string) bool {
	for _, i := range f.Imports {
		for _, want := range paths {
			if i.Path == want {
				return true
			}
		}
	}
	return false
}

// isSelector reports whether n is imported.name, by the names that f gives its imports.
func isSelector(n ast.Node, f *File, imported, name string) bool {
	selector, ok := n.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	id, ok := selector.X.(*ast.Ident)
	if !ok {
		return false
	}
	for _, i := range f.Imports {
		if i.Path == imported && i.Name == id.Name {
			return true
		}
	}
	return false
}
