package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// twoCores is what an iokernel says that lends two CPUs to an echo server and an ordinary program.
func twoCores() control.Cores {
	return control.Cores{
		Policy: "caladan", Interval: 5 * core.Microsecond, Passes: 200_000, Uptime: core.Second,
		Cores: []control.Core{
			{
				Core: 0, CPU: 1, State: "running", Owner: "echo", Held: 12_340, Reason: "frames wait",
				Grants: 4000, Times: []control.OwnerTime{
					{Time: 100 * core.Millisecond},
					{Runtime: "echo", Time: 200 * core.Millisecond},
					{Runtime: "batch", Time: 700 * core.Millisecond},
				},
			},
			{Core: 1, CPU: 3, State: "offline", Held: core.Second},
		},
		Runtimes: []control.CoreUser{
			{
				Runtime: "echo", Class: "lc", Attached: true, Reserved: 1, Most: 2, Held: 1, Waiting: 3,
				DelayP50: 2_500, DelayP99: 14_000, Time: 200 * core.Millisecond,
				Busy: 150 * core.Millisecond, Served: 20_000, Grants: 2000, Revocations: 1999,
				Demotions: 2, Stuck: 1,
			},
			{
				Runtime: "batch", Class: "be", Attached: true, Guest: true, Most: 2,
				Time: 700 * core.Millisecond, Grants: 2000, Revocations: 2000,
			},
			{Runtime: "idle", Class: "lc"},
		},
		Decisions: []control.Decision{
			{
				Age: 12_340, Core: 0, From: "batch", To: "echo", Action: "grant",
				Reason: "frames wait", Input: "3 frames", Waiting: 3, Delay: 1_200,
			},
			{Age: core.Millisecond, Core: 1, From: "echo", Action: "park", Reason: "unused", Input: "1 ms"},
		},
		Latencies: control.CoreLatency{Detection: 3_000, HandOver: 2_800, HandOver9: 9_100},
		Wakes: control.WakeAccount{
			Wakes: 10, Signals: 2, Spent: 132_000, Longest: 31_000,
		},
		Sensors: []control.CoreSensor{
			{Name: "siblings", Available: true},
			{Name: "memory bandwidth", Why: "this kernel has no resctrl"},
		},
	}
}

// later is twoCores one half second on.
func later() control.Cores {
	s := twoCores()
	s.Uptime += core.Second / 2
	s.Passes += 100_000
	s.Wakes.Wakes++
	s.Wakes.Spent += 5 * core.Millisecond
	k := &s.Cores[0]
	k.Owner, k.Held, k.Grants = "batch", 2_000, k.Grants+1000
	k.Times = []control.OwnerTime{
		{Time: 200 * core.Millisecond},
		{Runtime: "echo", Time: 300 * core.Millisecond},
		{Runtime: "batch", Time: 1000 * core.Millisecond},
	}
	e, b := &s.Runtimes[0], &s.Runtimes[1]
	e.Held, e.Waiting, e.Time, e.Busy = 0, 0, 300*core.Millisecond, 225*core.Millisecond
	e.Served, e.Grants, e.Revocations = e.Served+10_000, e.Grants+500, e.Revocations+500
	b.Held, b.Time, b.Grants = 1, core.Second, b.Grants+500
	return s
}

func TestCoresAreWritten(t *testing.T) {
	var out strings.Builder
	if err := writeCores(&out, twoCores()); err != nil {
		t.Fatal(err)
	}
	want := `policy    caladan, every 5.00us: 200000 passes in 1.00s
moves     detected in 3.00us, handed over in 2.80us (p99 9.10us)
wake-ups  10, and 2 signals, in 132us, at most 31.0us
sensor    siblings: available
sensor    memory bandwidth: not available: this kernel has no resctrl

CORE  CPU  STATE    OWNER  FOR     WHY          GRANTS  TIME
0     1    running  echo   12.3us  frames wait  4000    batch 70%, echo 20%, nobody 10%
1     3    offline  -      1.00s   -            0       -

RUNTIME  CLASS      CORES   RESERVED  WAITING  DELAY P50  P99     TIME   BUSY   GRANTS  TAKEN  FORCED
echo     lc         1 of 2  1         3        2.50us     14.0us  200ms  150ms  2000    1999   2, stuck 1
batch    be, guest  0 of 2  0         -        -          -       700ms  -      2000    2000   0
idle     lc         not attached
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := writeDecisions(&out, twoCores()); err != nil {
		t.Fatal(err)
	}
	want = `AGO     CORE  DECISION  FROM   TO    WHY          INPUT     WAITING  DELAY
12.3us  0     grant     batch  echo  frames wait  3 frames  3        1.20us
1.00ms  1     park      echo   -     unused       1 ms      0        0ns
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// TestCoresCommand asks a server.
func TestCoresCommand(t *testing.T) {
	f := newFake(t, 1, 3)
	code, _, stderr := runHere("cores", "--socket", f.socket)
	if code == 0 || !strings.Contains(stderr, "no cores are lent") {
		t.Errorf("where no cores are lent: %d %s", code, stderr)
	}
	f.answer(twoCores())
	for _, test := range []struct {
		args string
		code exit.Code
		says string
	}{
		{"", exit.OK, "RUNTIME  CLASS"},
		{"--explain", exit.OK, "park      echo"},
		{"--explain=1", exit.OK, "grant     batch"},
		{"--explain 2", exit.OK, "park      echo"},
		{"--explain 0", exit.Usage, "want a number from 1 to 128"},
		{"--explain x", exit.Usage, "want a number from 1 to 128"},
		{"2", exit.Usage, "unknown command"},
	} {
		args := append([]string{"cores", "--socket", f.socket}, strings.Fields(test.args)...)
		code, stdout, stderr := runHere(args...)
		if code != int(test.code) || !strings.Contains(stdout+stderr, test.says) {
			t.Errorf("cores %s: %d\n%s%s", test.args, code, stdout, stderr)
		}
		if test.args == "--explain=1" && strings.Contains(stdout, "park") {
			t.Errorf("cores %s wrote more:\n%s", test.args, stdout)
		}
	}
	code, stdout, _ := runHere("cores", "--explain", "1", "-o", "json", "--socket", f.socket)
	var got control.Cores
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 {
		t.Fatalf("%v, %d: %s", err, code, stdout)
	}
	if len(got.Decisions) != 1 || got.Cores[0].Times[2].Time != 700*core.Millisecond {
		t.Errorf("got %+v", got)
	}
}

func TestShortTime(t *testing.T) {
	for in, want := range map[core.Time]string{
		0: "0ns", 999: "999ns", 1_000: "1.00us", 9_994: "9.99us", 9_996: "10.0us", 99_960: "100us",
		999_999: "1000us", core.Second: "1.00s", 59 * core.Second: "59.0s",
		90 * core.Second: "1.50min", 7200 * core.Second: "2.00h", 200 * 24 * 3600 * core.Second: "200d",
		-5: "-5ns",
	} {
		got := shortTime(in)
		if got != want || len(got) > 7 {
			t.Errorf("%d: got %q, want %q", in, got, want)
		}
	}
}
