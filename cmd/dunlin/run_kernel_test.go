package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/core/pin"
)

// ran is a dunlin run as a process of its own.
type ran struct {
	*testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr process // its Write is what waits for lines
	ended  chan struct{}
}

// startRun starts dunlin run --be with the fake iokernel.
func startRun(t *testing.T, f *fakeIokernel, args ...string) *ran {
	t.Helper()
	// Away from the terminal of whoever runs the tests: signals come from us alone.
	return startRunWith(t, f, &unix.SysProcAttr{Setsid: true}, args...)
}

func startRunWith(t *testing.T, f *fakeIokernel, attr *unix.SysProcAttr, args ...string) *ran {
	t.Helper()
	args = append([]string{"run", "--be", "--socket", f.socket}, args...)
	r := &ran{
		T: t, cmd: exec.Command("/proc/self/exe", args...), ended: make(chan struct{}),
		stderr: process{name: "dunlin run", idle: true, grown: make(chan struct{})},
	}
	r.stderr.ended = r.ended
	r.cmd.Env = append(os.Environ(), runAs+"="+runAsContestant)
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	r.cmd.WaitDelay = patience
	r.cmd.Dir = "/"
	r.cmd.SysProcAttr = attr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // the code says it
		r.stderr.code = r.cmd.ProcessState.ExitCode()
		close(r.ended)
	}()
	t.Cleanup(func() {
		_ = unix.Kill(-r.cmd.Process.Pid, unix.SIGKILL) // and what it has left; fails if it is all gone
		<-r.ended
		if t.Failed() {
			t.Logf("stdout:\n%s\nstderr:\n%s", r.stdout.String(),
				strings.Join(r.stderr.output(), "\n"))
		}
	})
	return r
}

// said is what it wrote to standard error, but for what depends on the machine.
func (r *ran) said() []string {
	return slices.DeleteFunc(r.stderr.output(), func(line string) bool {
		return strings.Contains(line, "SCHED_IDLE counts within")
	})
}

// wait waits for the end and checks the exit code.
func (r *ran) wait(code int) {
	r.Helper()
	r.stderr.wait(r.T, code)
}

// lastCPU is one that this test may use.
func lastCPU(t *testing.T) int {
	t.Helper()
	allowed, err := pin.Allowed()
	if err != nil {
		t.Fatal(err)
	}
	list := allowed.List()
	return list[len(list)-1]
}

// policyOf reads the scheduling policy out of a /proc/PID/stat.
func policyOf(t *testing.T, stat string) int {
	t.Helper()
	const field = 41 - 3 // policy; behind the name, which is in brackets, stands field 3 (proc(5))
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	policy, err := strconv.Atoi(fields[field])
	if err != nil {
		t.Fatalf("%v in %q", err, stat)
	}
	return policy
}

// TestRunSchedules: the program and what it starts run at SCHED_IDLE on the lent CPU, we do not.
func TestRunSchedules(t *testing.T) {
	t.Run("as this user", func(t *testing.T) {
		testSchedules(t, &unix.SysProcAttr{Setsid: true})
	})
	t.Run("without privilege", func(t *testing.T) { // who cannot go back from SCHED_IDLE
		if os.Getuid() != 0 {
			t.Skip("needs root to become another user; the test above had no privilege")
		}
		testSchedules(t, &unix.SysProcAttr{
			Setsid: true, Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
		})
	})
}

func testSchedules(t *testing.T, attr *unix.SysProcAttr) {
	cpu := lastCPU(t)
	f := newFake(t, cpu)
	r := startRunWith(t, f, attr, "--", "sh", "-c",
		"cat /proc/$$/stat; cat /proc/self/stat; grep Cpus_allowed_list /proc/self/status; "+
			"for k in /proc/$PPID/task/*/stat; do cat $k; done; exit 7")
	r.wait(7)
	lines := strings.Split(strings.TrimSpace(r.stdout.String()), "\n")
	if len(lines) < 4 {
		t.Fatalf("got %q", lines)
	}
	for i, who := range []string{"the shell", "its child"} {
		if got := policyOf(t, lines[i]); got != unix.SCHED_IDLE {
			t.Errorf("%s has policy %d, want SCHED_IDLE", who, got)
		}
	}
	if want := fmt.Sprintf("Cpus_allowed_list:\t%d", cpu); lines[2] != want {
		t.Errorf("got %q, want %q", lines[2], want)
	}
	for _, line := range lines[3:] {
		if got := policyOf(t, line); got != unix.SCHED_NORMAL {
			t.Errorf("a thread of dunlin itself has policy %d: %s", got, line)
		}
	}
	if why := <-f.detached; why != "the runtime closed its connection" {
		t.Errorf("detached because %s", why)
	}
	if out := r.said(); len(out) > 0 {
		t.Errorf("it said %q", out)
	}
}

// TestRunEnds: the exit code is the program's.
func TestRunEnds(t *testing.T) {
	f := newFake(t, lastCPU(t))
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args []string
		code int
		says string
	}{
		{[]string{"true"}, 0, ""},
		{[]string{"--", "false"}, 1, ""},
		{[]string{"sh", "-c", "exit 200"}, 200, ""},
		{[]string{"sh", "-c", "kill -9 $$"}, 128 + 9, ""},
		{[]string{"--", "dunlin-no-such-program"}, 127, "executable file not found"},
		{[]string{"--", "./no/such/program"}, 127, "no such file"},
		{[]string{"--", script}, 126, "permission denied"},
		{[]string{"--", filepath.Dir(script)}, 126, "permission denied"},
		{[]string{"--as", "echo", "true"}, int(exit.Denied), "run under a runtime of class be"},
		{[]string{"--as", "nobody", "true"}, int(exit.Denied), `no runtime "nobody"`},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			r := startRun(t, f, test.args...)
			r.wait(test.code)
			out := strings.Join(r.said(), "\n")
			if (test.says == "") != (out == "") || !strings.Contains(out, test.says) {
				t.Errorf("it said %q, want %q", out, test.says)
			}
		})
	}
}

func TestRunWithoutIokernel(t *testing.T) {
	f := &fakeIokernel{socket: filepath.Join(t.TempDir(), "none.sock")}
	r := startRun(t, f, "true")
	r.wait(int(exit.Absent))
	if out := r.said(); len(out) != 1 || !strings.Contains(out[0], "is the iokernel running") {
		t.Errorf("it said %q", out)
	}
}

// TestRunForwards: signals reach the program, which may have something to say to them. It is ready
// when its own child is: one that was not yet itself would take the signal for the program's.
func TestRunForwards(t *testing.T) {
	f := newFake(t, lastCPU(t))
	for _, test := range []struct {
		signal unix.Signal
		name   string
	}{{unix.SIGINT, "INT"}, {unix.SIGTERM, "TERM"}, {unix.SIGHUP, "HUP"}, {unix.SIGUSR1, "USR1"}} {
		t.Run(test.name, func(t *testing.T) {
			r := startRun(t, f, "--", "sh", "-c", "trap 'echo got >&2; kill $!; wait $!; exit 9' "+
				test.name+"; (echo ready >&2; exec sleep 60) & wait")
			r.stderr.await(t, 0, "ready")
			_ = r.cmd.Process.Signal(test.signal)
			r.stderr.await(t, 0, "got")
			r.wait(9)
		})
	}
	t.Run("unhandled", func(t *testing.T) {
		r := startRun(t, f, "--", "sh", "-c", "echo ready >&2; exec sleep 60")
		r.stderr.await(t, 0, "ready")
		_ = r.cmd.Process.Signal(unix.SIGTERM)
		r.wait(128 + 15)
	})
}

// TestRunOutlivesIokernel: the program goes on, and the user is told once.
func TestRunOutlivesIokernel(t *testing.T) {
	for _, how := range []string{"evicted", "closed"} {
		t.Run(how, func(t *testing.T) {
			f := newFake(t, lastCPU(t))
			r := startRun(t, f, "--", "sh", "-c",
				"trap 'cat /proc/$$/stat; kill $!; exit 4' TERM; sleep 60 & echo ready >&2; wait")
			r.stderr.await(t, 0, "ready")
			session := <-f.attached
			want := "the iokernel is stopping"
			if how == "evicted" {
				want = "it stole a core"
				session.Evict(want)
			} else if err := f.server.Close(); err != nil {
				t.Fatal(err)
			}
			line, _ := r.stderr.await(t, 0, want)
			if !strings.Contains(line, "goes on at SCHED_IDLE on CPUs "+fmt.Sprint(lastCPU(t))) {
				t.Errorf("it said %q", line)
			}
			_ = r.cmd.Process.Signal(unix.SIGTERM)
			r.wait(4)
			if got := policyOf(t, r.stdout.String()); got != unix.SCHED_IDLE {
				t.Errorf("then its policy was %d", got)
			}
			if out := r.said(); len(out) != 2 { // ready, and the loss
				t.Errorf("it said %q", out)
			}
		})
	}
}

// TestRunSaysWhoIsLeft: processes that outlive the program go on, and the user knows.
func TestRunSaysWhoIsLeft(t *testing.T) {
	f := newFake(t, lastCPU(t))
	r := startRun(t, f, "--", "sh", "-c", "exec >&- 2>&-; (sleep 60 & echo $! >$0) ; exit 3",
		filepath.Join(t.TempDir(), "left"))
	r.wait(3)
	text, err := os.ReadFile(r.cmd.Args[len(r.cmd.Args)-1])
	if err != nil {
		t.Fatal(err)
	}
	left, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", left))
	if err != nil || policyOf(t, string(stat)) != unix.SCHED_IDLE {
		t.Errorf("what is left: %v, %s", err, stat)
	}
	if out := r.said(); len(out) != 1 || !strings.Contains(out[0], "left processes behind") {
		t.Errorf("it said %q", out)
	}
}

// TestRunReapsStrays: what the program's dead children leave does not stay as zombies.
func TestRunReapsStrays(t *testing.T) {
	f := newFake(t, lastCPU(t))
	// The inner shell ends at once and leaves a child to dunlin, which ends soon after.
	r := startRun(t, f, "--", "sh", "-c", "sh -c '(sleep 0.02; echo stray >&2) &'; exec sleep 60")
	r.stderr.await(t, 0, "stray")
	late := time.After(patience)
	for {
		children := 0
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range tasks {
			text, _ := os.ReadFile(path) // a thread may have ended meanwhile
			children += len(strings.Fields(string(text)))
		}
		if children == 1 {
			return
		}
		select {
		case <-late:
			t.Fatalf("%d children, want the program alone", children)
		case <-time.After(glance):
		}
	}
}

func TestRunRefusesOtherClasses(t *testing.T) {
	code, _, stderr := runHere("run", "--", "true")
	if code != int(exit.Usage) || !strings.Contains(stderr, "say --be") {
		t.Errorf("without --be: %d %s", code, stderr)
	}
	if code, _, stderr = runHere("run", "--be"); code != int(exit.Usage) {
		t.Errorf("without a command: %d %s", code, stderr)
	}
}
