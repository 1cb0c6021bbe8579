package bpf

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The committed objects are what the pinned compiler makes of the sources today. The commands are
// read from gen.go, so that this is what `go generate` would do.
func TestObjectsAreCurrent(t *testing.T) {
	for _, tool := range []string{"clang-19", "llvm-strip-19"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT COMPARED: the committed BPF objects are used as they are, since the "+
				"pinned compiler is not installed (%v)", err)
		}
	}
	out := t.TempDir()
	commands := generateCommands(t)
	if len(commands) == 0 {
		t.Fatal("gen.go has no go:generate line")
	}
	for _, words := range commands {
		args := append([]string{"run", bpf2go, "-output-dir", out}, words...)
		command := exec.Command("go", args...)
		command.Env = append(os.Environ(), "GOPACKAGE=bpf")
		if text, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, text)
		}
	}

	fresh := generatedFiles(t, out)
	if committed := generatedFiles(t, "."); len(committed) != len(fresh) {
		t.Errorf("generated files here: %q, made by gen.go: %q", committed, fresh)
	}
	for _, name := range fresh {
		want, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what the source compiles to: run `make bpf`", name)
		}
	}
}

const bpf2go = "github.com/cilium/ebpf/cmd/bpf2go"

// generateCommands are the arguments that each go:generate line gives to bpf2go: those of the
// -command line, which defines the word, and the line's own.
func generateCommands(t *testing.T) (commands [][]string) {
	file, err := parser.ParseFile(token.NewFileSet(), "gen.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	common := ""
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if line, ok := strings.CutPrefix(comment.Text, "//go:generate -command bpf2go "); ok {
				common, ok = strings.CutPrefix(line, "go run "+bpf2go+" ")
				if !ok {
					t.Fatalf("gen.go: unexpected command: %s", line)
				}
			} else if line, ok := strings.CutPrefix(comment.Text, "//go:generate bpf2go "); ok {
				commands = append(commands, strings.Fields(common+" "+line))
			}
		}
	}
	return commands
}

func generatedFiles(t *testing.T, folder string) (names []string) {
	paths, err := filepath.Glob(filepath.Join(folder, "*_bpf*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}
