package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
)

// peerArgument makes this test binary a peer, as `dunlin bench peer` is one.
const peerArgument = "-be-a-peer"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == peerArgument {
		fmt.Fprintln(os.Stderr, RunPeer(os.Args[2]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func needMachine(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: network namespaces and XDP programs need CAP_SYS_ADMIN and CAP_NET_ADMIN")
	}
	if allowed, err := pin.Allowed(); err != nil || allowed.Count() < minCPUs {
		t.Skipf("CPUs %v (%v): both ends of the wire poll, so each needs one", allowed, err)
	}
}

func kernelOptions(rows string) Options {
	return Options{
		Self: []string{"/proc/self/exe", peerArgument}, Rows: regexp.MustCompile(rows),
		Rounds: 2, Measure: 5 * core.Millisecond, Warmup: core.Millisecond, Rate: 10_000, Window: 64,
		Seed: 1,
	}
}

// children are the processes whose parent we are.
func children(t *testing.T) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range stats {
		name, fields, err := stat(path)
		if err == nil && fields[1] == fmt.Sprint(os.Getpid()) {
			found = append(found, path+" "+name)
		}
	}
	return found
}

// left reports what a benchmark has left behind.
func left(t *testing.T) {
	t.Helper()
	if c := children(t); len(c) > 0 {
		t.Errorf("processes are left: %v", c)
	}
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("%s%d-*", dirPrefix, os.Getpid())))
	if err != nil || len(dirs) > 0 {
		t.Errorf("directories are left: %v (%v)", dirs, err)
	}
}

func TestFloorOnARealPair(t *testing.T) {
	needMachine(t)
	s, err := Latency(t.Context(), kernelOptions("^floor/raw closed"))
	if err != nil {
		t.Fatal(err)
	}
	left(t)
	r := s.Report
	if len(r.Rows) != 2 {
		t.Fatalf("%d rows, want 64 B and 1,400 B", len(r.Rows))
	}
	for _, row := range r.Rows {
		if row.Count < 100 || row.P50 <= 0 || row.P99 < row.P50 || row.Max < row.P99 || row.Faults.Any() {
			t.Errorf("row %+v", row)
		}
		if len(row.Rounds) != 2 || len(row.CPU) != 2 || row.CPU[1].Parked || row.CPU[1].Ns == 0 {
			t.Errorf("rounds %+v, CPU %+v", row.Rounds, row.CPU)
		}
	}
	if !r.Complete {
		t.Errorf("not complete: %v", r.Notes)
	}
	for _, p := range r.Processes[1:] {
		if p.UID != nobody || strings.Trim(p.Capabilities, "0") != "" {
			t.Errorf("%s runs as uid %d with capabilities %s", p.Name, p.UID, p.Capabilities)
		}
	}
}

// Two contestants: while one runs, the other is stopped.
func TestProcessesOfOtherRowsAreParked(t *testing.T) {
	needMachine(t)
	s, err := Latency(t.Context(), kernelOptions("^(floor/raw|kernel/udp-spin) closed 64"))
	if err != nil {
		t.Fatal(err)
	}
	left(t)
	for _, row := range s.Report.Rows {
		for _, c := range row.CPU[1:] {
			if c.Parked == (c.Process == row.Name+" server" || c.Process == "floor echo" && row.Name == "floor/raw") {
				t.Errorf("%s: process %s parked: %v", row.Name, c.Process, c.Parked)
			}
			if c.Parked && c.Ns > 0 {
				t.Errorf("%s: parked process %s used %d ns", row.Name, c.Process, c.Ns)
			}
		}
	}
}

// Every transport and driver that needs nothing but this package, once.
func TestAllContestantsOfThisPackage(t *testing.T) {
	needMachine(t)
	o := kernelOptions("^(asavie|kernel|go)")
	// Long enough that a machine busy with other tests runs everybody in it.
	o.Rounds, o.Measure = 1, 50*core.Millisecond
	s, err := Latency(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	left(t)
	if len(s.Report.Rows) != 5*4+2 {
		t.Errorf("%d rows", len(s.Report.Rows))
	}
	for _, row := range s.Report.Rows {
		if row.P50 <= 0 || row.Corrupt+row.Duplicate > 0 {
			t.Errorf("row %+v", row)
		}
	}
	for key, d := range s.Distributions() {
		if key.Unit != report.Nanoseconds || d.Count() == 0 {
			t.Errorf("%+v: %d samples", key, d.Count())
		}
	}
}

func TestThroughput(t *testing.T) {
	needMachine(t)
	o := kernelOptions("^(floor/raw|kernel)")
	o.Measure = 50 * core.Millisecond
	s, err := Throughput(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	left(t)
	if len(s.Report.Rows) != 2 {
		t.Errorf("%d rows, want the floor and the kernel's batches", len(s.Report.Rows))
	}
	for _, row := range s.Report.Rows {
		if row.Unit != report.Frames || row.P50 < 1000 || row.Faults.Any() {
			t.Errorf("row %+v", row)
		}
	}
}

// A server that dies in the middle ends the benchmark with an error that names it, and leaves
// nothing.
func TestServerThatDies(t *testing.T) {
	needMachine(t)
	s, err := newSite(kernelOptions(""))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	up, err := upFloor(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := up[0].await(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := up[0].children[0]
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.ended
	w := &row{
		series: report.NewSeries(report.Key{}), plan: closed(core.Millisecond), entrant: up[0],
	}
	if err := s.one(t.Context(), w); !errors.Is(err, os.ErrProcessDone) ||
		!strings.Contains(err.Error(), "floor echo") {
		t.Errorf("error %v, want one that names the process", err)
	}
	if err := s.close(); err != nil {
		t.Errorf("close: %v", err)
	}
	left(t)
}

// What cannot start says why.
func TestServerThatCannotStart(t *testing.T) {
	needMachine(t)
	s, err := newSite(kernelOptions(""))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	c, err := s.peer(peer{Kind: "nonsense"}, birth{name: "nonsense", cpu: s.cpus.server, uid: nobody})
	if err != nil {
		t.Fatal(err)
	}
	<-c.ended
	if err := c.alive(); err == nil || !strings.Contains(err.Error(), "unknown kind") {
		t.Errorf("error %v, want what the process said", err)
	}
}

func TestParkedProcessDoesNotRun(t *testing.T) {
	needMachine(t)
	allowed, err := pin.Allowed()
	if err != nil {
		t.Fatal(err)
	}
	cpu := allowed.List()[1]
	n := newNursery()
	defer n.close()
	c, err := n.start(birth{name: "spinner", command: []string{
		"/proc/self/exe", peerArgument,
		`{"Kind":"udp-spin","At":"127.0.0.1:0"}`,
	}, cpu: cpu})
	if err != nil {
		t.Fatal(err)
	}
	defer c.end(false)
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		spent, err := c.spent()
		if err != nil {
			t.Fatal(err)
		}
		if spent > 20*core.Millisecond { // it spins
			break
		}
		if time.Since(start) > 5*time.Second {
			t.Fatal("the process does not run")
		}
	}
	if err := c.park(); err != nil {
		t.Fatal(err)
	}
	before, _ := c.spent()
	time.Sleep(20 * time.Millisecond)
	if after, err := c.spent(); err != nil || after != before {
		t.Errorf("parked, it used %d ns (%v)", after-before, err)
	}
	if err := c.resume(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if after, err := c.spent(); err != nil || after == before {
		t.Errorf("resumed, it used nothing (%v)", err)
	}
	if affinity := new(unix.CPUSet); unix.SchedGetaffinity(c.pid(), affinity) != nil ||
		affinity.Count() != 1 || !affinity.IsSet(cpu) {
		t.Errorf("it may run on %d CPUs", affinity.Count())
	}
}

// SIGINT ends the context: in the middle of a row, of each kind of driver.
func TestInterrupt(t *testing.T) {
	needMachine(t)
	for _, rows := range []string{"floor/raw closed 64", "go/udp closed 64", "kernel/tcp-alone"} {
		ctx, interrupt := context.WithCancel(t.Context())
		o := kernelOptions("^" + rows)
		o.Measure = 20 * core.Second
		o.Progress = func(format string, _ ...any) {
			if strings.HasPrefix(format, "round") {
				time.AfterFunc(50*time.Millisecond, interrupt)
			}
		}
		start := time.Now()
		if _, err := Latency(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want that of the context", rows, err)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s: it took %v to end", rows, d)
		}
		left(t)
		interrupt()
	}
}
