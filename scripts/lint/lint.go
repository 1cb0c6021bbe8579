// Package lint holds this repository's rules that no compiler knows: who may import whom, what a
// hot file may contain, where clocks and mutable state may live, how long things may get.
//
// Each rule is a pure function from a parsed Tree to findings; nothing here runs a program except
// Escapes, which asks the compiler what it moved to the heap. TestTree applies all rules to this
// repository, so `go test ./scripts/lint` is the linter; each rule has an archive in testdata with
// code that it must accept and code that it must refuse.
//
// A finding says what is wrong, why that matters here, and what to write instead.
package lint

import "fmt"

// Finding is one violation.
type Finding struct {
	Path string // relative to the root of the repository, with slashes
	Line int    // 1 is the first
	Text string // what; why; use X instead
}

func (f Finding) String() string { return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Text) }

// Rule is a named check.
type Rule struct {
	Name  string
	Check func(*Tree) []Finding
}

// Rules are all the checks that need nothing but source text.
func Rules() []Rule {
	return []Rule{
		{"imports", checkImports},
		{"doors", checkDoors},
		{"unsafe", checkUnsafe},
		{"hot", checkHot},
		{"globals", checkGlobals},
		{"names", checkNames},
		{"size", checkSize},
		{"sleep", checkSleep},
		{"words", checkWords},
	}
}
