package daemon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
)

// roleEnv makes the test binary play a runtime in a process of its own, by the name of a role. Its
// arguments are the control socket, the runtime's name and the mode, and what the role wants.
const roleEnv = "DUNLIN_DAEMON_TEST_ROLE"

// nobody is the user and group of those processes: no capabilities, nothing on the machine is
// theirs.
const nobody = 65534

const (
	modeMediated = "mediated"
	modeDirect   = "direct"
	modeSolo     = "solo"
	ready        = "ready" // a child's first line
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	a := os.Args
	if err := play(role, a[1], a[2], a[3] == modeDirect, a[4:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func play(role, socket, name string, direct bool, args []string) error {
	switch role {
	case "echo":
		return playEcho(socket, name, direct, echoPort)
	case "other":
		return playEcho(socket, name, direct, otherPort)
	case "compute", "deaf":
		return playCompute(socket, name, role == "deaf")
	case "requeue", "robber":
		return playRequeue(socket, name, role == "robber")
	case "liar":
		return playLiar(socket, name, args[0], args[1])
	case "hostile":
		return playHostile(socket, name, args[0], args[1:])
	case "server":
		return playServer(socket, name)
	case "caller":
		return playCaller(socket, name, args)
	}
	return fmt.Errorf("no role %s", role)
}

func playEcho(socket, name string, direct bool, port uint16) error {
	rt, err := attach.Open(attach.Options{Name: name, Socket: socket, Direct: direct})
	if err != nil {
		return err
	}
	if err := rt.HandleUDP(port, func(r *dataplane.Request) { r.Turn() }); err != nil {
		return err
	}
	fmt.Println(ready)
	return rt.Run(context.Background())
}

// child is a process that plays a role.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	input io.WriteCloser
}

// startChild starts a role as nobody and waits until it says that it is ready. What is left of it
// ends with the test.
func startChild(t *testing.T, role, socket, name, mode string, args ...string) *child {
	t.Helper()
	// The child's own executable, which it may run wherever the test binary lies.
	cmd := exec.Command("/proc/self/exe", append([]string{socket, name, mode}, args...)...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	who := &syscall.Credential{Uid: nobody, Gid: nobody}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, lines: bufio.NewScanner(out), input: in}
	t.Cleanup(func() { c.kill() })
	if line := c.line(); line != ready {
		t.Fatalf("%s as %s: %s", role, name, line)
	}
	return c
}

// line is the next line of the child, empty at its end.
func (c *child) line() string {
	c.lines.Scan()
	return c.lines.Text()
}

// kill ends the child by SIGKILL, if it still runs, and takes it off the process table.
func (c *child) kill() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill() // it may have ended: then Wait says how
		_ = c.cmd.Wait()
	}
}

// wait waits for the child to end and returns its last words.
func (c *child) wait(t *testing.T) string {
	t.Helper()
	late := time.AfterFunc(quietTimeout, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	var words []string
	for line := c.line(); line != ""; line = c.line() {
		words = append(words, line)
	}
	if err := c.cmd.Wait(); err != nil {
		words = append(words, err.Error())
	}
	return strings.Join(words, "\n")
}
