package memory

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/bench/report"
)

func hasRow(name string) bool {
	return slices.ContainsFunc(rows(), func(w row) bool { return w.name == name })
}

// Scripts and people look rows up by name.
func TestRowNames(t *testing.T) {
	for _, name := range []string{
		"arena/pair/64", "mimalloc/pair/64", "jemalloc/pair/64", "glibc/pair/64", "go-new/64",
		"arena/mix", "arena/mix/2", "arena/threadtest/2", "buffer/larson/2", "mimalloc/larson/2",
		"buffer/active-false/2", "buffer/passive-false/2", "store/create-destroy/64KiB",
		"store/create-fill-destroy/64KiB", "clear/64KiB", "arena-map/get/1M", "go-map/get/1M",
		"dirty/first-write", "dirty/scan/10MiB-clean", "codec/words4/encode", "store/blowup",
		"gc/no-arenas", "gc/1GiB-of-arenas",
	} {
		if !hasRow(name) {
			t.Errorf("no row %s", name)
		}
	}
	seen := map[string]bool{}
	for _, w := range rows() {
		if seen[w.name] {
			t.Errorf("two rows are %s", w.name)
		}
		seen[w.name] = true
		if k := w.key(); k.Loop != report.Batch || k.Unit == "" || k.PerUnit < 1 || w.open == nil {
			t.Errorf("row %s: %+v", w.name, k)
		}
		if codec := strings.HasPrefix(w.name, "codec/"); codec != (w.unit == report.Bytes) {
			t.Errorf("row %s is in %s", w.name, w.unit)
		}
	}
	if label := rows()[0].label(); !regexp.MustCompile(`^arena/pair/64 batch 64$`).MatchString(label) {
		t.Errorf("the first row is matched as %q", label)
	}
}

// What a pattern of C is named has to be the driver's name for it.
func TestDriverHasThePatterns(t *testing.T) {
	for _, pattern := range []string{
		"pair", "mix", "larson", "threadtest", "active-false", "passive-false", "producer-consumer",
	} {
		if !strings.Contains(string(driverSource), `"`+pattern+`"`) {
			t.Errorf("driver.c has no %s", pattern)
		}
	}
}

func TestComparisonsAreOfRows(t *testing.T) {
	goals := map[string]report.Goal{}
	for _, c := range comparisons() {
		if !hasRow(c.numerator) {
			t.Errorf("a ratio of %s, which is no row", c.numerator)
		}
		if c.denominator != "" && c.denominator != allowance && !hasRow(c.denominator) {
			t.Errorf("a ratio to %s, which is no row", c.denominator)
		}
		goals[c.numerator+":"+c.denominator] = c.goal
	}
	for name, most := range map[string]float64{
		"arena/pair/64:mimalloc/pair/64": 0.5, "dirty/first-write:": 1200,
		"dirty/scan/10MiB-clean:": 15_000, "store/create-destroy/64KiB:": 1000,
		"store/create-fill-destroy/64KiB:" + allowance: 1,
		"buffer/larson/2:mimalloc/larson/2":            1.1, "arena-map/get/1M:go-map/get/1M": 1.5,
	} {
		if goals[name] != (report.Goal{AtMost: most}) {
			t.Errorf("%s has the goal %v, want at most %v", name, goals[name], most)
		}
	}
}

// series is a row of three rounds, each with one time in nanoseconds.
func series(name string, ns ...uint32) *report.Series {
	s := report.NewSeries(report.Key{
		Name: name, Loop: report.Batch, Unit: report.Nanoseconds, PerUnit: picos,
	})
	for _, x := range ns {
		s.AddLatencies([]uint32{x * picos}, report.Faults{})
	}
	return s
}

// Goals are judged within the rounds, and what an arena may take is made of the same round's times.
func TestRatios(t *testing.T) {
	all := []*report.Series{
		series("arena/pair/64", 4, 8, 40), series("mimalloc/pair/64", 10, 20, 40),
		series("clear/64KiB", 1000, 2000, 3000), series("fill/64KiB", 200, 300, 400),
		series("store/create-fill-destroy/64KiB", 2000, 3400, 4800),
		series("store/create-destroy/64KiB", 900, 1500, 1100),
	}
	got := map[string]report.Ratio{}
	for _, x := range compare(all) {
		got[x.Name] = x
	}
	fill := "store/create-fill-destroy/64KiB:" + allowance // of 2000, 3400 and 4800
	if x := got[fill]; x.Value != 1 || x.Low != 1 || x.High != 1 || x.Verdict != report.Met {
		t.Errorf("%s: %+v", fill, x)
	}
	pair := got["arena/pair/64:mimalloc/pair/64"]
	if pair.Value != 0.4 || pair.High != 1 || pair.Verdict != report.Met {
		t.Errorf("pair: %+v", pair)
	}
	alone := got["store/create-destroy/64KiB"]
	if alone.Value != 1100 || alone.Unit != report.Nanoseconds || alone.Verdict != report.Missed {
		t.Errorf("create and destroy: %+v", alone)
	}
	if len(got) != 3 {
		t.Errorf("ratios %v, want three: the others' rows were not measured", got)
	}
}

func TestAnswersOfTheDriver(t *testing.T) {
	mi := &peer{file: "/usr/lib/libmimalloc.so.2"}
	got, err := mi.read("ok /usr/lib/libmimalloc.so.2 2 4000 4100\n")
	if err != nil || !slices.Equal(got, []uint32{4000, 4100}) {
		t.Errorf("read %v, %v", got, err)
	}
	if _, err := (&peer{}).read("ok /lib/x86_64-linux-gnu/libc.so.6 1 5"); err != nil {
		t.Errorf("the C library's own: %v", err)
	}
	for answer, says := range map[string]string{
		"":                             "no samples",
		"ok /lib/libmimalloc.so.2 0":   "no samples",
		"error what":                   "no samples",
		"ok /lib/libc.so.6 1 5":        "malloc came from /lib/libc.so.6",
		"ok /lib/libmimalloc.so.2 2 5": "2 samples, and 1 follow",
		"ok /lib/libmimalloc.so.2 1 x": "invalid syntax",
	} {
		if got, err := mi.read(answer); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q reads as %v, %v; want %q", answer, got, err, says)
		}
	}
}

func TestBufferClasses(t *testing.T) {
	for n := 1; n <= bufferUnit<<(bufferClasses-1); n++ {
		class := bufferClass(n)
		if size := bufferUnit << class; n > size || class > 0 && n <= size/2 {
			t.Fatalf("a buffer of %d bytes has class %d", n, class)
		}
	}
	if most := larsonLeast + larsonSpan - 1; bufferClass(most) >= bufferClasses {
		t.Errorf("larson's largest block, %d bytes, has no class", most)
	}
}
