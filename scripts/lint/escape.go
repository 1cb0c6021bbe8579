package lint

import (
	_ "embed" // escapes.txt
	"fmt"
	"go/ast"
	"go/token"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// escapesText lists the escapes that were looked at and accepted.
//
//go:embed escapes.txt
var escapesText string

// Escapes compiles the packages that have hot files and reports what those files move to the heap,
// apart from what escapes.txt accepts. Root is the folder of the repository on disk. The compiler's
// notes come from the build cache when nothing changed.
func Escapes(root string, t *Tree) ([]Finding, error) {
	args := []string{"build", "-gcflags=-m"}
	for _, p := range t.Packages {
		if slices.ContainsFunc(p.Code, func(f *File) bool { return f.Hot }) {
			args = append(args, "./"+p.Dir)
		}
	}
	if len(args) == 2 {
		return nil, nil
	}
	command := exec.Command("go", args...)
	command.Dir = root
	notes, err := command.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("lint: packages with hot files do not build, see go vet: %w", err)
	}
	return t.escapes(notes, escapesText), nil
}

// escapes picks the allocations in hot files out of the compiler's notes, and complains about lines
// of the accepted list that no longer apply.
func (t *Tree) escapes(notes []byte, accepted string) []Finding {
	note := regexp.MustCompile(
		`^(\S+_hot\.go):(\d+):(\d+): (.* escapes to heap|moved to heap: .*)$`)
	allowed := acceptedEscapes(accepted)
	var found []Finding
	seen := map[Finding]bool{}
	for _, line := range lines(notes) {
		m := note.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		row, _ := strconv.Atoi(m[2]) // digits, by the pattern
		column, _ := strconv.Atoi(m[3])
		f := t.hotFile(strings.TrimPrefix(m[1], ModulePath+"/"))
		if f == nil || isConstant(m[4]) || t.inPanic(f, row, column) {
			continue
		}
		if key := f.Path + ": " + m[4]; allowed[key] != 0 {
			allowed[key] = used
			continue
		}
		hit := Finding{f.Path, row, m[4] + "; an allocation for each frame; make it a field that " +
			"is used again, or, if a cold call was inlined here, mark its function //go:noinline"}
		if !seen[hit] {
			seen[hit] = true
			found = append(found, hit)
		}
	}
	for key, line := range allowed {
		if line != used {
			found = append(found, Finding{
				"scripts/lint/escapes.txt", line,
				"no longer escapes: " + key + "; remove the line",
			})
		}
	}
	return found
}

const used = -1

// acceptedEscapes maps "path: note" to its line in the list.
func acceptedEscapes(text string) map[string]int {
	accepted := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, " # ")
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			accepted[line] = i + 1
		}
	}
	return accepted
}

func (t *Tree) hotFile(name string) *File {
	name = path.Clean(name)
	for _, p := range t.Packages {
		for _, f := range p.Code {
			if f.Path == name && f.Hot {
				return f
			}
		}
	}
	return nil
}

// isConstant reports whether a note is about a string constant, which lies in read-only memory: the
// argument of a panic in a function that was inlined.
func isConstant(note string) bool { return strings.HasPrefix(note, `"`) }

// inPanic reports whether a position lies in the argument of a panic: who panics may allocate.
func (t *Tree) inPanic(f *File, line, column int) bool {
	file := t.Fset.File(f.AST.Pos())
	if line > file.LineCount() {
		return false
	}
	at := file.LineStart(line) + token.Pos(column-1)
	inside := false
	ast.Inspect(f.AST, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" {
			inside = inside || call.Pos() <= at && at < call.End()
		}
		return true
	})
	return inside
}
