package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// sample is a report with every kind of row: made from a seed, so that the golden files stay.
func sample() *Report {
	random := rand.New(rand.NewPCG(7, 7))
	series := func(name string, loop Loop, rate uint64, frame int, base float64) *Series {
		s := NewSeries(Key{Name: name, Loop: loop, Rate: rate, Bytes: frame, Unit: Nanoseconds})
		for range 9 {
			samples := make([]uint32, 200)
			for i := range samples {
				samples[i] = uint32(base * (1 + random.ExpFloat64()/10))
			}
			s.AddLatencies(samples, Faults{})
		}
		return s
	}
	floor := series("floor/raw", Closed, 0, 64, 3000)
	direct := series("dunlin/direct/raw", Closed, 0, 64, 3200)
	slow := series("kernel/udp-block", Open, 10_000, 1400, 80_000)
	slow.faults[2] = Faults{Lost: 1, Corrupt: 2}
	slow.AddSpent(Spent{Process: "udp-block", Ns: 123_456})
	stream := NewSeries(Key{Name: "kernel/tcp-alone", Loop: Stream, Bytes: 65536, Unit: Bytes})
	for n := range 9 {
		stream.AddRate(int64(1_500_000_000+n*1000), Faults{})
	}
	share := NewSeries(Key{Name: "be-share/20", Loop: Open, Bytes: 64, Unit: Parts, PerUnit: 1e6})
	for n := range 9 {
		share.AddRate(int64(800_000+n*1000), Faults{})
	}
	fine := NewSeries(Key{Name: "arena/pair/64", Loop: Closed, Unit: Nanoseconds, PerUnit: 1000})
	fine.AddLatencies([]uint32{3_500, 3_625, 4_000}, Faults{})
	level, _ := NewLevel(share, P50, Goal{AtLeast: 0.75})
	further, _ := NewDifference(direct, floor, P50, Goal{AtMost: 4000})
	ratio, _ := NewRatio(direct, floor, P50, Goal{AtMost: 1.1})
	other, _ := NewRatio(direct, floor, P99, Goal{AtMost: 0.5})
	return &Report{
		Suite:  "latency",
		Commit: "0123456789ab",
		Machine: Machine{
			Kernel: "6.18.0", CPU: "Some <CPU> & Co", CPUs: 2, Allowed: "0-1",
			Placement:  "generator and iokernel on CPU 0, echo on CPU 1",
			Hypervisor: true, Clocksource: "tsc", Go: "go1.26", XDP: "native XDP, copy",
		},
		Run:   Run{Seed: 7, Rounds: 9, RowNs: 1e8, WarmupNs: 1e7, DurationNs: 12_345_678_901},
		Notes: []string{"asavie/raw left out: no reason at all"},
		Rows: []Row{
			floor.Row(), direct.Row(), slow.Row(), stream.Row(), share.Row(), fine.Row(),
		},
		Ratios:      []Ratio{ratio, other, level},
		Differences: []Difference{further},
		Timeline: &Timeline{Title: "two runtimes on one core", Ns: 100_000, Cores: []Lane{{
			Name: "CPU 1", Spans: []Span{
				{"batch", 0, 30_000, "free"},
				{"echo", 32_000, 45_000, "frames wait"},
				{"batch", 47_000, 100_000, "lent, not needed"},
			},
		}}},
		Processes: []Process{{
			Name: "echo", PID: 42, UID: 65534, Capabilities: "0000000000000000",
			Threads: []Thread{{TID: 42, Name: "worker", CPU: 1, Allowed: "1", Policy: "other"}},
		}},
	}
}

func golden(t *testing.T, name string, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s differs from what was written; if that is wanted: go test -rewrite. Got:\n%s",
			path, b.Bytes())
	}
	return b.Bytes()
}

func TestTable(t *testing.T) {
	golden(t, "table.txt", sample().WriteTable)
}

func TestTableOfACompleteRun(t *testing.T) {
	r := sample()
	r.Complete = true
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "NOT COMPLETE") {
		t.Error("a complete run says that it is not")
	}
}

func TestJSON(t *testing.T) {
	text := golden(t, "report.json", sample().WriteJSON)
	var back struct {
		Suite, Commit string
		Machine       map[string]any
		Rows          []map[string]any
		Ratios        []map[string]any
	}
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	for _, field := range strings.Fields("name loop rate bytes unit p50 p90 p99 p999 max count lost") {
		if _, ok := back.Rows[0][field]; !ok {
			t.Errorf("a row has no field %q", field)
		}
	}
	for _, field := range strings.Fields("name metric value") {
		if _, ok := back.Ratios[0][field]; !ok {
			t.Errorf("a ratio has no field %q", field)
		}
	}
}

// The page must be well formed and ask for nothing from elsewhere.
func TestPage(t *testing.T) {
	text := golden(t, "page.html", sample().WriteHTML)
	for _, bad := range []string{"<script", "<link", "src=", "http://", "https://", "@import", "url("} {
		if bytes.Contains(text, []byte(bad)) {
			t.Errorf("the page has %q", bad)
		}
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = false
	d.AutoClose = xml.HTMLAutoClose
	d.Entity = xml.HTMLEntity
	lines := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well formed: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
			lines++
		}
	}
	if lines != 4 { // one a latency row
		t.Errorf("the page draws %d distributions, want 4", lines)
	}
}

func TestNamesInAChartDoNotOverlap(t *testing.T) {
	lines := make([]line, 10)
	for i := range lines {
		lines[i].medium = plotBottom - 3 // all at the bottom
	}
	spread(lines)
	seen := map[string]bool{}
	for _, l := range lines {
		if seen[l.LabelY] || l.labelY < plotTop || l.labelY > plotBottom {
			t.Errorf("name at %s overlaps or lies outside", l.LabelY)
		}
		seen[l.LabelY] = true
	}
}

// Less than nothing is within a limit from above: a difference may be negative.
func TestGoals(t *testing.T) {
	for _, c := range []struct {
		goal  Goal
		value float64
		want  Verdict
	}{
		{Goal{}, 1, Shown},
		{Goal{AtMost: 4}, 4, Met},
		{Goal{AtMost: 4}, 4.1, Missed},
		{Goal{AtMost: 4}, -1, Met},
		{Goal{AtLeast: 2}, 2, Met},
		{Goal{AtLeast: 2}, 1.9, Missed},
	} {
		if got := c.goal.judge(c.value); got != c.want {
			t.Errorf("%v against %q: %v, want %v", c.value, c.goal, got, c.want)
		}
	}
}
