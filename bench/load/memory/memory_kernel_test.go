package memory

import (
	"encoding/binary"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/bench/load"
	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
)

// small is a run of all rows that ends soon.
func small() sizes { return sizes{entries: 1 << 12, heap: 32 << 20} }

func run(t *testing.T, rows string) *report.Report {
	t.Helper()
	if allowed, err := pin.Allowed(); err != nil || allowed.Count() < maxWorkers {
		t.Skipf("CPUs %v (%v): each of two threads needs one", allowed, err)
	}
	o := load.Options{
		Rounds: 2, Measure: core.Millisecond, Warmup: 100 * core.Microsecond, Seed: 1,
		Rows: regexp.MustCompile(rows),
	}
	r, err := alloc(t.Context(), o, small()) // audits after each row, and at the end
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every row is measured, or named in a note that says why not; audits pass after each.
func TestEveryRow(t *testing.T) {
	r := run(t, "")
	notes := strings.Join(r.Notes, "\n")
	complete := true
	for _, w := range rows() {
		i := slices.IndexFunc(r.Rows, func(x report.Row) bool { return x.Name == w.name })
		if i < 0 {
			complete = false
			if !strings.Contains(notes, w.name) {
				t.Errorf("%s is neither measured nor in the notes: %s", w.name, notes)
			}
			continue
		}
		if x := r.Rows[i]; x.P50 <= 0 || x.Max < x.P50 || x.Count < 2 || len(x.Rounds) != 2 {
			t.Errorf("row %+v", x)
		}
	}
	if r.Complete != complete {
		t.Errorf("complete %v, want %v", r.Complete, complete)
	}
	for _, x := range r.Rows {
		// Hoard's bound: a third above live, and what is constant besides.
		if x.Name == "store/blowup" && (x.P50 < 1 || x.P50 > 2) {
			t.Errorf("the store has %v times the pages of live arenas", x.P50)
		}
	}
	if len(r.Ratios) < 10 {
		t.Errorf("ratios %+v", r.Ratios)
	}
}

// Where there is no C compiler or no library, the rows are left out, which the report says with
// what to install.
func TestPeersThatAreMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("CC", "")
	r := run(t, "^(arena|mimalloc)/pair/64 ")
	notes := strings.Join(r.Notes, "\n")
	if r.Complete || len(r.Rows) != 1 || !strings.Contains(notes, "left out: mimalloc/pair/64") ||
		!strings.Contains(notes, "apt-get install gcc") {
		t.Errorf("rows %+v, complete %v, notes %s", r.Rows, r.Complete, notes)
	}
	_, err := (allocator{"other", "libno-such-malloc.so*", "apt-get install it"}).find()
	if err == nil || !strings.Contains(err.Error(), "apt-get install it") {
		t.Errorf("a library that is nowhere: %v", err)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	good := load.Options{Rounds: 1, Measure: core.Millisecond}
	for name, change := range map[string]func(*load.Options){
		"no rounds":      func(o *load.Options) { o.Rounds = 0 },
		"no time":        func(o *load.Options) { o.Measure = 0 },
		"a past warm-up": func(o *load.Options) { o.Warmup = -1 },
		"no row":         func(o *load.Options) { o.Rows = regexp.MustCompile("^nothing$") },
	} {
		o := good
		change(&o)
		if _, err := Alloc(t.Context(), o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A row that measures something else than it says would be worse than none: containers hold what
// was put, an arena that is filled is full, and a buffer is nobody else's.
func TestRowsDoWhatTheySay(t *testing.T) {
	if allowed, err := pin.Allowed(); err != nil || allowed.Count() < maxWorkers {
		t.Skipf("CPUs %v (%v): each of two threads needs one", allowed, err)
	}
	b, err := newBench(small())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}()
	f, err := b.fixtures()
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(f.n) {
		x, ok := f.hashed().Get(f.heap, key(i))
		if !ok || x != f.goMap()[key(i)] {
			t.Fatalf("entry %d: %d, %v", i, x, ok)
		}
		if _, ok := f.sorted().Get(f.heap, key(i)); !ok {
			t.Fatalf("the ordered map lacks entry %d", i)
		}
	}
	caches, err := b.newBuffers(maxWorkers)
	if err != nil {
		t.Fatal(err)
	}
	const n = 3 * bufferSlot / bufferUnit
	var live []buffer
	for i := range n {
		at := caches[i%2].get(falseBytes)
		binary.LittleEndian.PutUint64(caches[0].bytes(at), uint64(i))
		live = append(live, at)
	}
	for i, at := range live {
		if got := binary.LittleEndian.Uint64(caches[1].bytes(at)); got != uint64(i) {
			t.Fatalf("buffer %d is buffer %d as well", i, got)
		}
		caches[(i+1)%2].put(at) // freed by the other
	}
	if err := caches[0].shared.audit(); err != nil {
		t.Error(err)
	}
	caches[0].put(live[0])
	if err := caches[0].shared.audit(); err == nil {
		t.Error("a buffer that was put twice passes the audit")
	}
	_, _ = caches[0].caches[0].Get() // take it out again: the store gets its slots back
}
