package sensor

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
)

const ms = core.Millisecond

func TestTopology(t *testing.T) {
	tests := []struct {
		tree string
		cpu  int
		want int // -1: none
	}{
		{"smt", 0, 2},
		{"smt", 2, 0},
		{"smt", 3, 1},
		{"smt", 4, -1}, // offline
		{"smt", 9, -1}, // not there
		{"smt4", 0, 1},
		{"smt4", 3, 0},
		{"single", 1, -1},
	}
	for _, test := range tests {
		topology, err := ReadTopology(os.DirFS("testdata/"+test.tree), []int{0, 1, 2, 3, 4, 9})
		if err != nil {
			t.Fatal(err)
		}
		got, ok := topology.Sibling(test.cpu)
		if ok != (test.want >= 0) || ok && got != test.want {
			t.Errorf("%s: sibling of CPU %d: got %d, %v, want %d", test.tree, test.cpu, got, ok,
				test.want)
		}
	}
	if _, ok := (Topology{}).Sibling(0); ok {
		t.Error("nothing was read, and CPU 0 has a sibling")
	}
	broken := fstest.MapFS{"cpu0/topology/thread_siblings_list": {Data: []byte("0;1")}}
	if _, err := ReadTopology(broken, []int{0}); err == nil || !strings.Contains(err.Error(), "CPU 0") {
		t.Errorf("broken list: %v", err)
	}
}

// TestOnline: it is read anew each time.
func TestOnline(t *testing.T) {
	got, err := Online(os.DirFS("testdata/smt"))
	if want := []int{0, 1, 2, 3, 6}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	root := fstest.MapFS{"online": {Data: []byte("0-1\n")}}
	if got, _ = Online(root); len(got) != 2 {
		t.Errorf("got %v", got)
	}
	root["online"] = &fstest.MapFile{Data: []byte("0\n")}
	if got, _ = Online(root); len(got) != 1 {
		t.Errorf("one went offline: got %v", got)
	}
	if _, err = Online(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
}

func TestParseList(t *testing.T) {
	for text, want := range map[string][]int{
		"": nil, "\n": nil, "3": {3}, "0-2,8\n": {0, 1, 2, 8}, "8,0-1,1": {0, 1, 8},
	} {
		if got, err := parseList(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"a", "1-", "-1", "3-1", "0-9999999999", "0-8192", "1,,2", "1-2-3"} {
		if got, err := parseList(text); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestResctrlSums(t *testing.T) {
	r, err := OpenResctrl(os.DirFS("testdata/resctrl"))
	if err != nil {
		t.Fatal(err)
	}
	counts, err := r.read()
	if err != nil {
		t.Fatal(err)
	}
	var sum uint64
	for _, n := range counts {
		sum += n
	}
	// Monitoring groups are in their control group's counts already.
	if sum != 1234 || len(counts) != 4 {
		t.Errorf("got %d of %v, want 1234", sum, counts)
	}
}

// machine is a resctrl tree whose counts a test changes.
type machine fstest.MapFS

func (m machine) set(path, text string) {
	m[path] = &fstest.MapFile{Data: []byte(text + "\n")}
}

func newMachine(t *testing.T) (machine, *Resctrl) {
	t.Helper()
	m := machine{}
	m.set("info/L3_MON/mon_features", "llc_occupancy mbm_total_bytes")
	m.set("mon_data/mon_L3_00/mbm_total_bytes", "1000000")
	m.set("mon_data/mon_L3_01/mbm_total_bytes", "0")
	r, err := OpenResctrl(fstest.MapFS(m))
	if err != nil {
		t.Fatal(err)
	}
	return m, r
}

func TestResctrlRate(t *testing.T) {
	m, r := newMachine(t)
	expect := func(now core.Time, want uint64) {
		t.Helper()
		if got, err := r.BytesPerSecond(now); err != nil || got != want {
			t.Errorf("at %d ms: got %d, %v, want %d", now/ms, got, err, want)
		}
	}
	if _, err := r.BytesPerSecond(100 * ms); !errors.Is(err, ErrNoRate) {
		t.Errorf("the first: %v", err)
	}
	m.set("mon_data/mon_L3_00/mbm_total_bytes", "1500000")
	m.set("mon_data/mon_L3_01/mbm_total_bytes", "250000")
	expect(110*ms, 75_000_000)
	expect(110*ms, 75_000_000) // at the same time: the same

	for _, word := range []string{"Unavailable", "Error", "Unassigned"} {
		m.set("mon_data/mon_L3_01/mbm_total_bytes", word)
		if _, err := r.BytesPerSecond(115 * ms); !errors.Is(err, ErrNotNow) ||
			!strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
	m.set("mon_data/mon_L3_00/mbm_total_bytes", "2000000")
	m.set("mon_data/mon_L3_01/mbm_total_bytes", "750000")
	expect(130*ms, 50_000_000) // since 110 ms

	m.set("batch/mon_data/mon_L3_00/mbm_total_bytes", "123456789") // a new group begins to count
	expect(140*ms, 0)
	m.set("batch/mon_data/mon_L3_00/mbm_total_bytes", "123466789")
	expect(150*ms, 1_000_000)
	m.set("batch/mon_data/mon_L3_00/mbm_total_bytes", "5") // made anew
	m.set("mon_data/mon_L3_00/mbm_total_bytes", "2010000")
	expect(160*ms, 1_000_000)
	delete(m, "batch/mon_data/mon_L3_00/mbm_total_bytes") // and gone
	expect(170*ms, 0)

	m.set("mon_data/mon_L3_00/mbm_total_bytes", "12 apples")
	if _, err := r.BytesPerSecond(180 * ms); err == nil {
		t.Error("12 apples were counted")
	}
	delete(m, "mon_data/mon_L3_00/mbm_total_bytes")
	delete(m, "mon_data/mon_L3_01/mbm_total_bytes")
	if _, err := r.BytesPerSecond(190 * ms); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unmounted meanwhile: %v", err)
	}
}

func TestResctrlUnavailable(t *testing.T) {
	for tree, want := range map[string]string{
		"no-such-tree": "CONFIG_X86_CPU_RESCTRL",
		"unmounted":    "not mounted",
		"alloconly":    "monitors no caches",
		"occupancy":    `monitors ["llc_occupancy"], not memory traffic`,
	} {
		_, err := OpenResctrl(os.DirFS("testdata/" + tree))
		var u *Unavailable
		if !errors.As(err, &u) || u.Sensor != "resctrl" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", tree, err, want)
		}
		if mount := strings.Contains(want, "mounted"); u != nil && mount != (u.Remedy != "") {
			t.Errorf("%s: the remedy is %q", tree, u.Remedy)
		}
	}
}

// tape is a Counter that replays.
type tape struct {
	counts []Count
	err    error
	closed int
}

func (p *tape) Read() (Count, error) {
	if p.err != nil {
		return Count{}, p.err
	}
	c := p.counts[0]
	p.counts = p.counts[1:]
	return c, nil
}

func (p *tape) Close() error { p.closed++; return nil }

func TestPerfRate(t *testing.T) {
	const base, ms64 uint64 = math.MaxUint64 - 6700, uint64(ms)
	whole := &tape{counts: []Count{
		{base, 0, 0},
		{base + 5000, 10 * ms64, 10 * ms64},
		{base + 6000, 20 * ms64, 15 * ms64}, // half of the time
		{base + 6000, 30 * ms64, 15 * ms64}, // not at all
		{base + 6500, 40 * ms64, 20 * ms64}, // 5 of 20 ms
		{299, 50 * ms64, 30 * ms64},         // base + 7000, wrapped
	}}
	offline := &Unavailable{Sensor: "perf", Why: "CPU 2 is offline"}
	p, err := OpenPerf(func(cpu int) (Counter, error) {
		switch cpu {
		case 1:
			return whole, nil
		case 3:
			return &tape{err: unix.EIO}, nil
		}
		return nil, offline
	}, []int{1, 2, 3, 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.PerSecond(100*ms, 1); !errors.Is(err, ErrNoRate) {
		t.Errorf("the first: %v", err)
	}
	for _, step := range []struct {
		now  core.Time
		want uint64
	}{{110 * ms, 500_000}, {110 * ms, 500_000}, {120 * ms, 200_000}} {
		if got, err := p.PerSecond(step.now, 1); err != nil || got != step.want {
			t.Errorf("at %d ms: got %d, %v, want %d", step.now/ms, got, err, step.want)
		}
	}
	if _, err := p.PerSecond(130*ms, 1); !errors.Is(err, ErrNotNow) {
		t.Errorf("while others have the counter: %v", err)
	}
	if got, err := p.PerSecond(140*ms, 1); err != nil || got != 100_000 {
		t.Errorf("since 120 ms: got %d, %v, want 100000", got, err)
	}
	if got, err := p.PerSecond(150*ms, 1); err != nil || got != 50_000 {
		t.Errorf("over a wrap: got %d, %v, want 50000", got, err)
	}
	if _, err := p.PerSecond(150*ms, 2); !errors.Is(err, offline) {
		t.Errorf("CPU 2: %v", err)
	}
	if _, err := p.PerSecond(150*ms, 3); !errors.Is(err, unix.EIO) {
		t.Errorf("CPU 3: %v", err)
	}
	if _, err := p.PerSecond(150*ms, 7); err == nil {
		t.Error("CPU 7 was never opened")
	}
	if err := p.Close(); err != nil || whole.closed != 1 {
		t.Errorf("close: %v, %d times", err, whole.closed)
	}
}

func TestPerfUnavailable(t *testing.T) {
	for err, want := range map[unix.Errno]string{
		unix.EACCES: "CAP_PERFMON", unix.EPERM: "CAP_PERFMON", unix.ENOSYS: "CONFIG_PERF_EVENTS",
		unix.ENODEV: "CPU 5 is offline", unix.EMFILE: "open files", unix.EBUSY: "another program",
		unix.ENOENT: "no counter", unix.EOPNOTSUPP: "virtual machine", unix.EINVAL: "no counter",
		unix.EIO: "CPU 5: input/output error",
	} {
		_, got := OpenPerf(func(cpu int) (Counter, error) { return nil, explain(cpu, err) }, []int{5})
		var u *Unavailable
		if !errors.As(got, &u) || u.Sensor != "perf" || !strings.Contains(u.Why, want) ||
			!errors.Is(got, err) {
			t.Errorf("%v: got %v, want %q", err, got, want)
		}
	}
	if _, err := OpenPerf(OpenCounter, nil); err == nil {
		t.Error("opened for no CPU")
	}
}

func TestScript(t *testing.T) {
	broken := errors.New("broken")
	s := Script{
		Traffic: []Reading{{At: 10, Value: 1}, {At: 20, Err: broken}, {At: 30, Value: 3}},
		Missed:  map[int][]Reading{2: {{At: 10, Value: 7}}},
	}
	for _, step := range []struct {
		now  core.Time
		want uint64
		err  error
	}{{9, 0, ErrNoRate}, {10, 1, nil}, {19, 1, nil}, {20, 0, broken}, {31, 3, nil}} {
		if got, err := s.BytesPerSecond(step.now); got != step.want || !errors.Is(err, step.err) {
			t.Errorf("at %d: got %d, %v, want %d, %v", step.now, got, err, step.want, step.err)
		}
	}
	if got, err := s.PerSecond(11, 2); got != 7 || err != nil {
		t.Errorf("CPU 2: got %d, %v", got, err)
	}
	if _, err := s.PerSecond(11, 0); !errors.Is(err, ErrNoRate) {
		t.Errorf("CPU 0: %v", err)
	}
}

// The sensors are what users declare.
var (
	_ Memory = (*Resctrl)(nil)
	_ Memory = Script{}
	_ Misses = (*Perf)(nil)
	_ Misses = Script{}
)
