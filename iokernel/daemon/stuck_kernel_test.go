package daemon

import (
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/cores"
)

// evictTest is a deadline within which a thread that is not stopped gets to run, whatever else the
// machine does.
const evictTest = 500 * core.Millisecond

// stopOwner stops an LC runtime while BE has the core, and has frames come for it: the core is
// granted to it and not taken up.
func stopOwner(t *testing.T, d *Daemon, lc *child) {
	t.Helper()
	awaitIdle(t, "BE has the core", func() bool { return user(coresOf(t, d), batchName).Held == 1 })
	if err := lc.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// A runtime that does not take its core up is evicted where the configuration says so. It learns
// why when it goes on; log and metrics have it; the runtime beside it goes on.
func TestStuckRuntimeIsEvicted(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	log := &book{}
	d := startDaemon(t, l, func(o *Options) {
		lendingOptions(t, o)
		k := &o.Config.Cores
		k.EvictStuck, k.YieldDeadline, k.StuckDeadline = true, 20*core.Millisecond, evictTest
		o.Log = slog.New(slog.NewTextHandler(log, nil))
	})
	lc := startChild(t, "echo", d.Socket(), "echo", modeMediated)
	conn := dialEcho(t, l)
	ask(t, conn)
	startChild(t, "compute", d.Socket(), batchName, modeMediated)
	stopOwner(t, d, lc)
	startTraffic(t, l, echoPort)
	awaitIdle(t, "LC is evicted", func() bool { return d.attachmentOf("echo") == nil })

	had := user(coresOf(t, d), batchName).Time
	awaitIdle(t, "BE goes on", func() bool {
		return user(coresOf(t, d), batchName).Time > had+core.Millisecond
	})
	if err := coresAddUp(coresOf(t, d)); err != nil {
		t.Error(err)
	}
	if err := lc.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	const why = "its worker on CPU 1 did not "
	words := lc.wait(t)
	if !strings.Contains(words, "evicted by the iokernel: "+why) ||
		!strings.Contains(words, "within 500ms") {
		t.Errorf("it learned %q", words)
	}
	want := fmt.Sprintf("level=ERROR msg=%q runtime=echo pid=%d uid=%d cpu=%d thread=",
		"iokernel: runtime evicted", lc.cmd.Process.Pid, nobody, lentCPU)
	if text := log.take(); !strings.Contains(text, want) || !strings.Contains(text, "state=T") ||
		!strings.Contains(text, why) || strings.Count(text, "runtime evicted") != 1 {
		t.Errorf("log:\n%s\nwant one line with %s", text, want)
	}
	if n := d.evictedFor(t, "echo", stuckReason); n != 1 {
		t.Errorf("the metrics have %d evictions, want 1", n)
	}
	startChild(t, "echo", d.Socket(), "echo", modeMediated)
	ask(t, conn)
}

// evictedFor is how often a runtime was evicted for a reason, as the metrics say.
func (d *Daemon) evictedFor(t *testing.T, name, reason string) (n uint64) {
	t.Helper()
	s, err := d.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Runtimes {
		for _, c := range r.Evictions {
			if r.Name == name && c.Reason == reason {
				n += c.Count
			}
		}
	}
	return n
}

// Where it is not to be evicted, it stays attached, is offered its core again and again, and the log
// has a line a second at most, which says how many it stands for.
func TestStuckRuntimeIsLoggedSeldom(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	log := &book{}
	d := startDaemon(t, l, func(o *Options) {
		lendingOptions(t, o)
		o.Log = slog.New(slog.NewTextHandler(log, nil))
	})
	lc := startChild(t, "echo", d.Socket(), "echo", modeMediated)
	conn := dialEcho(t, l)
	ask(t, conn)
	startChild(t, "compute", d.Socket(), batchName, modeMediated)
	stopOwner(t, d, lc)
	startTraffic(t, l, echoPort)
	reports := func() uint64 { return user(coresOf(t, d), "echo").Stuck }
	awaitIdle(t, "it is stuck many times", func() bool { return reports() >= 30 })
	before := strings.Count(log.peek(), stuckLine)
	awaitIdle(t, "another line", func() bool { return strings.Count(log.peek(), stuckLine) > before })
	text, suppressed := log.take(), 0
	last := time.Time{}
	for _, line := range stuckPattern.FindAllStringSubmatch(text, -1) {
		at, err := time.Parse(time.RFC3339, line[1])
		if err != nil {
			t.Fatal(err)
		}
		if gap := at.Sub(last); gap < stuckEvery-2*time.Millisecond { // the text is in ms
			t.Errorf("a line %v after another:\n%s", gap, text)
		}
		n, err := strconv.Atoi(line[2])
		if err != nil {
			t.Fatal(err)
		}
		last, suppressed = at, suppressed+n
	}
	if n := reports(); suppressed < 10 || uint64(suppressed) > n {
		t.Errorf("the lines stand for %d reports beside themselves, of %d:\n%s", suppressed, n, text)
	}
	if d.attachmentOf("echo") == nil {
		t.Error("it was evicted")
	}
	if err := lc.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	ask(t, conn)
}

const stuckLine = `msg="iokernel: a worker is stuck" runtime=echo`

// stuckPattern finds the lines about the runtime "echo", which two messages can begin, in a log.
var stuckPattern = regexp.MustCompile(
	`time=(\S+) level=\S+ msg="iokernel: a worker [^"]*" runtime=echo .* suppressed=(\d+)`)

// peek is what take would return, left there.
func (b *book) peek() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// The rate of the log, in its own time.
func TestStuckLog(t *testing.T) {
	s, now := stuckLog{}, time.Unix(1000, 0)
	for _, step := range []struct {
		after      time.Duration // since the step before
		admitted   bool
		suppressed uint64
	}{
		{0, true, 0},
		{0, false, 0},
		{stuckEvery - 2, false, 0},
		{1, false, 0},
		{1, true, 3},
		{stuckEvery, true, 0},
		{1, false, 0},
		{100 * stuckEvery, true, 1},
	} {
		now = now.Add(step.after)
		if n, ok := s.admit(now); ok != step.admitted || n != step.suppressed {
			t.Errorf("%v: admitted %v, for %d suppressed; want %v, %d", now.Unix(), ok, n,
				step.admitted, step.suppressed)
		}
	}
}

// Who could run and is not let is not to blame, unless somebody waits for the core that it keeps.
func TestWhoIsStarved(t *testing.T) {
	for _, state := range []byte{'R', 'S', 'D', 'T', 'Z', 0} {
		for fault, excused := range map[cores.Fault]bool{
			cores.Keeps: false, cores.Stays: true, cores.Misses: true,
		} {
			w := stuckWorker{cpu: 3, state: state, fault: fault}
			if got := w.starved(); got != (excused && state == 'R') {
				t.Errorf("state %q, %v: starved: %v", stateName(state), &w, got)
			}
		}
	}
}
