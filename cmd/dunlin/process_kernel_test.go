package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/cmd/internal/service"
)

// runAs names the variable by which this test binary becomes one of the programs: the tests start
// real processes, with users and signals of their own, and nothing has to be built beside it.
const runAs = "RUN_AS"

// runAsContestant is dunlin as a benchmark starts it, which sees to its end and needs its input.
const runAsContestant = "contestant"

func TestMain(m *testing.M) {
	program := os.Getenv(runAs)
	if program != "" && program != runAsContestant {
		go func() { // the tests hold the other end: whoever outlived them would keep a namespace
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1)
		}()
	}
	switch program {
	case "":
		os.Exit(m.Run())
	case "dunlin", runAsContestant:
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	case "iokernel":
		os.Exit(service.Main(os.Args[1:], os.Stdout, os.Stderr))
	case runAsBatch:
		os.Exit(playBatch(os.Args[1]))
	}
	panic(runAs + "=" + program)
}

const (
	echoPort = 7777
	nobody   = 65534 // may attach as echo
	stranger = 65533 // may not

	// patience is how long anything may take that is not timed: a stalled machine is not a mistake.
	patience = 10 * time.Second
	// glance is between two looks at something that is about to happen.
	glance = 2 * time.Millisecond
)

// newLab makes two namespaces, or skips where nobody may.
func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	l, err := lab.New(lab.PairOptions{})
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("needs root for network namespaces: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// publicDir is a folder that every user may enter, unlike t.TempDir.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dunlin-test-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// host is a namespace with a configuration for an iokernel on the lab's end B.
type host struct {
	lab    *lab.Lab
	dir    string
	config string // file
	socket string
}

// newHost writes the configuration: one runtime, echo, that nobody may attach as. more is appended.
func newHost(t *testing.T, more string) *host {
	t.Helper()
	l := newLab(t)
	h := &host{lab: l, dir: publicDir(t)}
	h.config, h.socket = filepath.Join(h.dir, "iokernel.yaml"), filepath.Join(h.dir, "iokernel.sock")
	h.configure(t, fmt.Sprintf(`
interface: %s
poll: adaptive
control: {socket: %s, group: %d}
runtimes:
  - name: echo
    uids: [%d]
    endpoints: [{udp: %d}, {ethertype: 0x88B5}]
%s`, l.End(lab.B).Name, h.socket, nobody, nobody, echoPort, more))
	return h
}

func (h *host) configure(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(h.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// process is a program under test. Its output is kept, line by line.
type process struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{}
	code  int  // valid after ended
	idle  bool // it has what others leave of a CPU

	mu    sync.Mutex
	lines []string
	rest  []byte // of a line that is not complete
	grown chan struct{}
}

// Write takes output; it is the process's stdout and stderr.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	for {
		line, rest, ok := bytes.Cut(p.rest, []byte("\n"))
		if !ok {
			break
		}
		p.lines, p.rest = append(p.lines, string(line)), rest
	}
	close(p.grown)
	p.grown = make(chan struct{})
	return len(b), nil
}

// output is all lines so far.
func (p *process) output() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// patience is how long it may take for something that is not timed.
func (p *process) patience() time.Duration {
	if p.idle {
		return 6 * patience
	}
	return patience
}

// wrote reports whether text is in the output, which need not have lines.
func (p *process) wrote(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Contains(p.rest, []byte(text)) ||
		slices.ContainsFunc(p.lines, func(l string) bool { return strings.Contains(l, text) })
}

// await waits for a line that holds text, from the given line on, and returns it and the next
// line's number.
func (p *process) await(t *testing.T, from int, text string) (string, int) {
	t.Helper()
	late := time.After(p.patience())
	for {
		p.mu.Lock()
		lines, grown := p.lines, p.grown
		p.mu.Unlock()
		for i := from; i < len(lines); i++ {
			if strings.Contains(lines[i], text) {
				return lines[i], i + 1
			}
		}
		select {
		case <-grown:
		case <-p.ended:
			t.Fatalf("%s ended with %d and did not say %q:\n%s", p.name, p.code, text,
				strings.Join(p.output(), "\n"))
		case <-late:
			t.Fatalf("%s did not say %q within %v:\n%s", p.name, text, p.patience(),
				strings.Join(p.output(), "\n"))
		}
	}
}

// start starts a program in B, as the given user, whose process then has no capability.
func (h *host) start(t *testing.T, uid uint32, program string, args ...string) *process {
	t.Helper()
	return h.startWith(t, nil, &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uid, Gid: uid},
	}, program, args...)
}

func (h *host) startWith(t *testing.T, env []string, attr *syscall.SysProcAttr, program string,
	args ...string,
) *process {
	t.Helper()
	p := &process{name: program, ended: make(chan struct{}), grown: make(chan struct{})}
	p.cmd = exec.Command("/proc/self/exe", args...)
	p.cmd.Env = append(append(os.Environ(), runAs+"="+program), env...)
	p.cmd.Dir = "/"
	p.cmd.SysProcAttr = attr
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.WaitDelay = patience
	lifeline, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.lab.Start(lab.B, p.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the code says it
		p.code = p.cmd.ProcessState.ExitCode()
		lifeline.Close()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.signal(unix.SIGKILL)
		<-p.ended
		if t.Failed() {
			t.Logf("%s said:\n%s", program, strings.Join(p.output(), "\n"))
		}
	})
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) } // fails if it has ended

// wait waits for the end and checks the exit code; killed processes have -1.
func (p *process) wait(t *testing.T, code int) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(p.patience()):
		t.Fatalf("%s did not end within %v", p.name, p.patience())
	}
	if p.code != code {
		t.Errorf("%s ended with %d, want %d", p.name, p.code, code)
	}
}

// iokernel starts one as root and waits until it serves.
func (h *host) iokernel(t *testing.T, args ...string) *process {
	t.Helper()
	p := h.start(t, 0, "iokernel", append([]string{"--config", h.config}, args...)...)
	p.await(t, 0, "iokernel: "+h.lab.End(lab.B).Name)
	return p
}

// echo starts dunlin echo without privilege and waits until it serves.
func (h *host) echo(t *testing.T, args ...string) *process {
	t.Helper()
	p := h.start(t, nobody, "dunlin", append([]string{"echo", "--socket", h.socket}, args...)...)
	p.await(t, 0, "ready: echo serves")
	return p
}
