package load

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestPlace(t *testing.T) {
	alone := func(cpu int) []int { return []int{cpu} }
	paired := func(cpu int) []int { return []int{cpu &^ 1, cpu | 1} }
	for _, c := range []struct {
		name     string
		allowed  []int
		siblings func(int) []int
		want     placement
	}{
		{"two", []int{0, 1}, alone, placement{generator: 0, server: 1, iokernel: 0}},
		{"two of many", []int{5, 9}, alone, placement{generator: 5, server: 9, iokernel: 5}},
		{"four", []int{0, 1, 2, 3}, alone, placement{generator: 0, server: 1, iokernel: 2}},
		{
			"two cores of two threads",
			[]int{0, 1, 2, 3},
			paired,
			placement{generator: 0, server: 2, iokernel: 1},
		},
		{
			"one core of two threads",
			[]int{0, 1},
			paired,
			placement{generator: 0, server: 1, iokernel: 0},
		},
		{
			"eight",
			[]int{0, 1, 2, 3, 4, 5, 6, 7},
			paired,
			placement{generator: 0, server: 2, iokernel: 4},
		},
	} {
		if got, err := place(c.allowed, c.siblings); err != nil || got != c.want {
			t.Errorf("%s: %+v (%v), want %+v", c.name, got, err, c.want)
		}
	}
}

func TestPlaceOnOneCPU(t *testing.T) {
	if _, err := place([]int{3}, siblings); err == nil {
		t.Error("one CPU was accepted")
	}
}

func TestStatOfANameWithEverythingInIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stat")
	fields := "T"
	for i := 4; i <= 52; i++ {
		fields += fmt.Sprint(" ", i)
	}
	if err := os.WriteFile(path, []byte("42 (a) b (c) "+fields+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	name, got, err := stat(path)
	if err != nil || name != "a) b (c" || got[statState] != "T" || got[statNice] != "19" ||
		got[statCPU] != "39" || got[statPriority] != "40" || got[statPolicy] != "41" {
		t.Errorf("read %q %v (%v)", name, got, err)
	}
}

func TestStatCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stat")
	for _, text := range []string{"", "42", "42 (x", "42 (x) S 1 2"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := stat(path); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestDescribeSelf(t *testing.T) {
	p, err := describe("self", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if p.UID != os.Geteuid() || p.Capabilities == "" || len(p.Threads) == 0 {
		t.Errorf("described as %+v", p)
	}
	for _, thread := range p.Threads {
		if thread.Policy != "other" && thread.Policy != "batch" && thread.Policy != "idle" ||
			thread.Allowed == "" || thread.Name == "" {
			t.Errorf("thread %+v", thread)
		}
	}
}

func TestCPUTimeAdvances(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	x := 0
	for i := range 10_000_000 {
		x += i
	}
	after, err := cpuTime(os.Getpid())
	if err != nil || after <= before || x == 0 {
		t.Errorf("CPU time from %d to %d (%v)", before, after, err)
	}
}

func TestDirectoriesOfDeadProcessesAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const nobodys = 1 << 22 // above the kernel's largest process number
	dead := filepath.Join(os.TempDir(), fmt.Sprintf("%s%d-x", dirPrefix, nobodys))
	live := filepath.Join(os.TempDir(), fmt.Sprintf("%s%d-x", dirPrefix, os.Getpid()))
	for _, dir := range []string{dead, live} {
		if err := os.MkdirAll(filepath.Join(dir, "below"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := makeDir()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("%s: %v (%v)", dir, info, err)
	}
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("the directory of a dead process is still there (%v)", err)
	}
	if _, err := os.Stat(live); err != nil {
		t.Errorf("the directory of a live process: %v", err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var x tail
	for i := range 10_000 {
		fmt.Fprintf(&x, "%d\n", i)
	}
	s := x.String()
	if len(s) != tailBytes || s[len(s)-5:] != "9999\n" {
		t.Errorf("%d bytes that end in %q", len(s), s[len(s)-5:])
	}
}
