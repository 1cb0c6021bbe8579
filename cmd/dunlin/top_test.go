package main

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestRates(t *testing.T) {
	r := ratesOf(twoCores(), later())
	if r.Elapsed != core.Second/2 || !near(r.Passes, 200_000) || !near(r.Wakes, 2) ||
		!near(r.Signals, 0) || !near(r.Waking, 0.01) {
		t.Errorf("got %+v", r)
	}
	k := r.Cores[0]
	if !near(k.Grants, 2000) || !near(k.Busy, 0.8) || len(k.Shares) != 3 ||
		!near(k.Shares[0].Part, 0.6) || k.Owner != "batch" {
		t.Errorf("core 0: got %+v", k)
	}
	if k = r.Cores[1]; k.Grants != 0 || k.Busy != 0 || len(k.Shares) != 0 {
		t.Errorf("core 1: got %+v", k)
	}
	e := r.Runtimes[0]
	if !near(e.Cores, 0.2) || !near(e.Busy, 0.75) || !near(e.Served, 20_000) ||
		!near(e.Grants, 1000) || !near(e.Revocations, 1000) || e.Demotions != 0 {
		t.Errorf("echo: got %+v", e)
	}
	if b := r.Runtimes[1]; !near(b.Cores, 0.6) || b.Busy != 0 || b.Held != 1 {
		t.Errorf("batch: got %+v", b)
	}
}

// TestRatesStartAnew: a runtime that attached again, and an iokernel that was started again, count
// from 0.
func TestRatesStartAnew(t *testing.T) {
	again := later()
	again.Runtimes[0].Served, again.Runtimes[0].Time = 700, 50*core.Millisecond
	r := ratesOf(twoCores(), again)
	if e := r.Runtimes[0]; !near(e.Served, 1400) || !near(e.Cores, 0.1) {
		t.Errorf("attached again: got %+v", e)
	}
	r = ratesOf(later(), twoCores()) // up for a shorter time
	if r.Elapsed != core.Second || !near(r.Runtimes[0].Served, 20_000) || !near(r.Cores[0].Busy, 0.9) {
		t.Errorf("started again: got %+v", r)
	}
	r = ratesOf(twoCores(), twoCores())
	text, err := json.Marshal(r) // infinite and NaN have no form
	if err != nil || r.Cores[0].Busy != 0 || r.Runtimes[0].Busy != 0 {
		t.Errorf("no time between: %v, %s", err, text)
	}
	r = ratesOf(twoCores(), control.Cores{Uptime: 2 * core.Second})
	if len(r.Cores) != 0 || len(r.Runtimes) != 0 {
		t.Errorf("nothing lent any more: got %+v", r)
	}
}

func TestTopText(t *testing.T) {
	got := topText(ratesOf(twoCores(), later()), usualWidth, plainPaint())
	want := `caladan, 200k passes/s, wakes 2/s, signals 0/s (1% of the time), over 500ms

RUNTIME        CLASS   HELD CORES  BUSY     P50     P99  WAIT SERVED/s GRANTS/s
echo           lc       0/2  0.20   75%  2.50us  14.0us     0      20k       1k
batch          be/run   1/2  0.60     -       -       -     -        -       1k
idle           lc    not attached

CORE  CPU STATE    OWNER              FOR  BUSY GRANTS/s  TIME
   0    1 running  batch           2.00us   80%       2k  batch 60%, nobody 20%~
   1    3 offline  -                1.00s    0%        0  -
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	long := ratesOf(twoCores(), later())
	long.Runtimes[0].Runtime = strings.Repeat("n", 32)
	long.Runtimes[0].DelayP99, long.Runtimes[0].Served = 999*core.Millisecond+900, 123_456_789
	long.Cores[0].Owner, long.Cores[0].CPU = strings.Repeat("n", 32), 255
	for _, width := range []int{40, 80, 90, 200} {
		for line := range strings.Lines(topText(long, width, plainPaint())) {
			if n := len(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("%d columns of %d: %s", n, width, line)
			}
		}
	}
	if text := topText(long, unlimited, plainPaint()); !strings.Contains(text, "batch 60%") ||
		!strings.Contains(text, strings.Repeat("n", 32)) {
		t.Errorf("without a limit something is left out:\n%s", text)
	}
}

func TestNumbersAreShort(t *testing.T) {
	for in, want := range map[float64]string{
		0: "0", 1: "1", 2.5: "2.5", 12.34: "12.3", 99.97: "100", 999.6: "1k", 1234: "1.23k",
		20_000: "20k", 999_999: "1M", 123_456_789: "123M", 5e9: "5G", 0.001: "0",
	} {
		if got := count(in); got != want || len(got) > 5 {
			t.Errorf("%g: got %q, want %q", in, got, want)
		}
	}
	for in, want := range map[float64]string{0: "0%", 0.0001: "<0.1%", 0.015: "1.5%", 0.5: "50%", 1: "100%"} {
		if got := percent(in); got != want || len(got) > 5 {
			t.Errorf("%g: got %q, want %q", in, got, want)
		}
	}
}

// send gives a model a message, and returns what came of it.
func send(t *testing.T, m topModel, msg tea.Msg) (topModel, tea.Cmd) {
	t.Helper()
	next, cmd := m.Update(msg)
	return next.(topModel), cmd
}

func TestTopModel(t *testing.T) {
	answers := []control.Cores{later()}
	m := newTopModel(func() (control.Cores, error) {
		if len(answers) == 0 {
			return control.Cores{}, errors.New("the iokernel is gone")
		}
		a := answers[0]
		answers = answers[1:]
		return a, nil
	}, time.Millisecond, plainPaint(), twoCores())
	if text := m.View().Content; !strings.Contains(text, "measuring for 1ms") || !m.View().AltScreen {
		t.Errorf("before the second look:\n%s", text)
	}
	msg := m.Init()() // the interval
	m, cmd := send(t, m, msg)
	m, cmd = send(t, m, cmd()) // the look
	if cmd == nil || m.rates == nil {
		t.Fatal("no rates, or nothing waits for the next look")
	}
	text := m.View().Content
	if !strings.Contains(text, "20k") || !strings.HasSuffix(text, "q quits") {
		t.Errorf("after the second look:\n%s", text)
	}

	m, _ = send(t, m, tea.WindowSizeMsg{Width: 60, Height: 6})
	lines := strings.Split(m.View().Content, "\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[4], "... and more") {
		t.Errorf("in 6 lines:\n%s", m.View().Content)
	}
	for _, line := range lines {
		if len(line) > 60 {
			t.Errorf("more than 60 columns: %q", line)
		}
	}

	m, cmd = send(t, m, dueMsg{})
	m, cmd = send(t, m, cmd()) // no answer: the last rates stay, and the reason is there
	if cmd == nil || !strings.Contains(m.View().Content, "the iokernel is gone") || m.rates == nil {
		t.Errorf("without an answer:\n%s", m.View().Content)
	}
	for _, key := range []tea.KeyPressMsg{{Code: 'q', Text: "q"}, {Code: 'c', Mod: tea.ModCtrl}, {Code: tea.KeyEscape}} {
		if _, cmd = send(t, m, key); cmd == nil {
			t.Errorf("%v does not end it", key)
		} else if _, quits := cmd().(tea.QuitMsg); !quits {
			t.Errorf("%v does not end it", key)
		}
	}
	if _, cmd = send(t, m, tea.KeyPressMsg{Code: 'x', Text: "x"}); cmd != nil {
		t.Error("x does something")
	}
}

// TestColours: they are looks only.
func TestColours(t *testing.T) {
	r := ratesOf(twoCores(), later())
	plain, coloured := topText(r, 80, plainPaint()), topText(r, 80, colourPaint())
	if !strings.Contains(coloured, "\x1b[") || strings.Contains(plain, "\x1b") {
		t.Errorf("got\n%s\nand\n%s", coloured, plain)
	}
}

// TestTopCommand: what is no terminal gets one table, or JSON.
func TestTopCommand(t *testing.T) {
	f := newFake(t, 1, 3)
	ask := func(args ...string) (int, string, string) {
		f.answer(twoCores(), later())
		return runHere(append([]string{"top", "--socket", f.socket, "--interval=100ms"}, args...)...)
	}
	code, stdout, stderr := ask()
	if code != 0 || strings.Count(stdout, "RUNTIME") != 1 || strings.Contains(stdout, "\x1b") {
		t.Errorf("%d %s\n%s", code, stderr, stdout)
	}
	code, stdout, _ = ask("--once", "-o", "json")
	var r rates
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 {
		t.Fatalf("%v, %d: %s", err, code, stdout)
	}
	if strings.Count(stdout, "\n") != 1 || !near(r.Runtimes[0].Served, 20_000) || r.Time.IsZero() {
		t.Errorf("got %s", stdout)
	}
	if code, _, stderr = runHere("top", "--interval=1ms"); code != 2 || !strings.Contains(stderr, "want 100ms or more") {
		t.Errorf("a short interval: %d %s", code, stderr)
	}
}
