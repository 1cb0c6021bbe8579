package swarm

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file anew")

// TestGoodput holds the golden table of goodput by loss and by fan-in, and what it promises.
func TestGoodput(t *testing.T) {
	rows, err := GoodputTable(1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if rows[i].Worse() {
			t.Errorf("less than is held: %+v", rows[i])
		}
	}
	var table bytes.Buffer
	if err := WriteGoodput(&table, rows); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "goodput.txt")
	if *rewrite {
		if err := os.WriteFile(path, table.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(want, table.Bytes()) {
		t.Errorf("%s differs from what was measured (%v); if that is wanted: go test -rewrite. "+
			"Got:\n%s", path, err, table.Bytes())
	}
}
