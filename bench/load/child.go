package load

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
)

// nursery starts processes so that none outlives this one: the kernel kills each when the thread
// that started it ends, so one thread starts them all, and it ends with the process only.
type nursery struct {
	jobs chan func()
}

func newNursery() *nursery {
	n := &nursery{jobs: make(chan func())}
	go func() {
		runtime.LockOSThread() // for good: the thread must not end before the process
		for job := range n.jobs {
			job()
		}
	}()
	return n
}

// close ends the thread. All children must be dead.
func (n *nursery) close() { close(n.jobs) }

// birth says how to start a process.
type birth struct {
	name    string   // in reports and messages
	command []string //
	env     []string // in addition to ours
	files   []*os.File
	input   bool                     // wants pipes as standard input and output
	cpu     int                      // all it may run on; anyCPU: what we may
	uid     int                      // and gid; 0 leaves it root, with all capabilities
	inside  func(func() error) error // enters its network namespace; nil: ours
	family  bool                     // starts processes of its own, which stop when it does
}

// child is a process of ours.
type child struct {
	name   string
	cmd    *exec.Cmd
	stderr *tail
	in     io.WriteCloser
	out    io.ReadCloser
	ended  chan struct{}
	err    error // after ended
	parked bool
	family bool
}

func (n *nursery) start(b birth) (*child, error) {
	c := &child{name: b.name, stderr: new(tail), ended: make(chan struct{}), family: b.family}
	c.cmd = exec.Command(b.command[0], b.command[1:]...)
	c.cmd.Env = append(os.Environ(), b.env...)
	c.cmd.Dir = "/"
	c.cmd.ExtraFiles = b.files
	c.cmd.Stderr = c.stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	if b.uid != 0 {
		id := uint32(b.uid)
		c.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: id, Gid: id}
	}
	var err error
	if b.input {
		if c.in, err = c.cmd.StdinPipe(); err != nil {
			return nil, fmt.Errorf("load: start %s: %w", b.name, err)
		}
		if c.out, err = c.cmd.StdoutPipe(); err != nil {
			return nil, fmt.Errorf("load: start %s: %w", b.name, err)
		}
	}
	if b.inside == nil {
		b.inside = func(f func() error) error { return f() }
	}
	result := make(chan error)
	n.jobs <- func() { result <- b.inside(func() error { return onCPU(b.cpu, c.cmd.Start) }) }
	if err := <-result; err != nil {
		return nil, fmt.Errorf("load: start %s: %w", b.name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// anyCPU leaves a process where we may run: it pins its threads itself.
const anyCPU = -1

// onCPU runs f on the calling thread, which is confined to one CPU meanwhile: processes started by
// f inherit that.
func onCPU(cpu int, f func() error) error {
	if cpu == anyCPU {
		return f()
	}
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	only.Set(cpu)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("confine to CPU %d: %w", cpu, err)
	}
	err := f()
	return errors.Join(err, unix.SchedSetaffinity(0, &before))
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// A goneError says that a process ended by itself.
type goneError struct {
	name string
	end  error // nil if it ended in order
	said string
}

func (e *goneError) Error() string {
	how := "in order"
	if e.end != nil {
		how = e.end.Error()
	}
	if e.said == "" {
		return fmt.Sprintf("load: %s has ended: %s; it said nothing", e.name, how)
	}
	return fmt.Sprintf("load: %s has ended: %s; it said: %s", e.name, how, e.said)
}

// Is makes it an os.ErrProcessDone.
func (e *goneError) Is(target error) bool { return target == os.ErrProcessDone }

// alive is nil while the process lives, and says how it ended afterwards.
func (c *child) alive() error {
	select {
	case <-c.ended:
		return &goneError{c.name, c.err, strings.TrimSpace(c.stderr.String())}
	default:
		return nil
	}
}

// Waits for the kernel to stop a process: it does so within microseconds of a thread's next
// instruction in user mode. (guess: a thousand times that)
const (
	stopPatience = time.Second
	stopPause    = 50 * time.Microsecond
)

// park stops the process and returns when none of its threads runs any more.
func (c *child) park() error {
	if c.parked {
		return nil
	}
	if err := c.signal(unix.SIGSTOP); err != nil {
		return err
	}
	for start := time.Now(); ; time.Sleep(stopPause) {
		switch all, err := stopped(c.pid()); {
		case err != nil:
			return errors.Join(c.alive(), err)
		case all:
			c.parked = true
			return nil
		case time.Since(start) > stopPatience:
			return fmt.Errorf("load: %s (pid %d) does not stop", c.name, c.pid())
		}
	}
}

// resume lets the process run again.
func (c *child) resume() error {
	if !c.parked {
		return c.alive()
	}
	c.parked = false
	return errors.Join(c.alive(), c.signal(unix.SIGCONT))
}

func (c *child) signal(s syscall.Signal) error {
	if c.family {
		for _, pid := range descendants(c.pid()) {
			_ = unix.Kill(pid, s) // it may have ended
		}
	}
	if err := c.cmd.Process.Signal(s); err != nil {
		return errors.Join(c.alive(), fmt.Errorf("load: %v to %s: %w", s, c.name, err))
	}
	return nil
}

// spent is the CPU time that the process has used.
func (c *child) spent() (core.Time, error) { return cpuTime(c.pid()) }

// endPatience is how long a process may take to end in order. (guess: an iokernel takes 20 ms)
const endPatience = 2 * time.Second

// end has the process end: in order if it does so in time, else by force.
func (c *child) end(inOrder bool) error {
	select {
	case <-c.ended:
		return nil // alive has told, if anybody asked
	default:
	}
	if inOrder {
		_ = c.cmd.Process.Signal(unix.SIGTERM) // it may have ended just now
		_ = c.signal(unix.SIGCONT)
		select {
		case <-c.ended:
			return nil
		case <-time.After(endPatience):
		}
	}
	if c.family { // nobody else would end those
		for _, pid := range descendants(c.pid()) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	_ = c.cmd.Process.Kill()
	<-c.ended
	if inOrder {
		return fmt.Errorf("load: %s did not end on SIGTERM within %v and was killed", c.name,
			endPatience)
	}
	return nil
}

// tail keeps the end of what a process says.
type tail struct {
	mu sync.Mutex
	b  []byte
}

// tailBytes is enough for an error message, or the top of a goroutine's stack.
const tailBytes = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if extra := len(t.b) - tailBytes; extra > 0 {
		t.b = append(t.b[:0], t.b[extra:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
