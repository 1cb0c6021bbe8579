package lint

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromisesNameTheirTests checks that each promise of the transport names a test in
// docs/RELIABILITY.md, and that each test named there exists in the simulator, the
// transport or, for real frames, the iokernel.
func TestPromisesNameTheirTests(t *testing.T) {
	const promises = 13
	exist := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, dir := range []string{"dataplane/transport", "bench/sim/swarm", "iokernel/daemon"} {
		walk := func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range declared.FindAllSubmatch(text, -1) {
				exist[string(m[1])] = true
			}
			return err
		}
		if err := filepath.WalkDir(filepath.Join(root, dir), walk); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "RELIABILITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	for i := range promises {
		name := fmt.Sprintf("B%d", i+1)
		_, row, found := strings.Cut(string(text), "\n| "+name+" ")
		row, _, _ = strings.Cut(row, "\n")
		tests := named.FindAllStringSubmatch(row, -1)
		if !found || len(tests) == 0 {
			t.Errorf("docs/RELIABILITY.md: %s names no test", name)
		}
		for _, m := range tests {
			if !exist[m[1]] {
				t.Errorf("docs/RELIABILITY.md: %s names %s, which does not exist", name, m[1])
			}
		}
	}
}
