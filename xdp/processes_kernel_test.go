package xdp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// roleEnv makes the test binary play a part in a process of its own, until its standard input ends.
const roleEnv = "DUNLIN_XDP_TEST_ROLE"

const nobody = 65534

func TestMain(m *testing.M) {
	role, ok := map[string]func() error{
		"hold":  func() error { return nil }, // of what it inherited
		"echo":  playEcho,
		"serve": playServe,
		"limit": playLimit,
	}[os.Getenv(roleEnv)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := role(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}

// child is a process that plays a part.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
}

// start starts a child in the namespace of side and returns it with its first line of output.
func start(t *testing.T, l *lab.Lab, side lab.Side, role string, cred *syscall.SysProcAttr,
	files ...*os.File,
) (*child, string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{roleEnv + "=" + role}
	cmd.ExtraFiles = files
	cmd.SysProcAttr = cred
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(side, cmd); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd, stdin, bufio.NewReader(stdout)}
	t.Cleanup(c.stop)
	line, _ := c.out.ReadString('\n')
	return c, strings.TrimSuffix(line, "\n")
}

// stop ends the child and waits for it. A second stop does nothing.
func (c *child) stop() {
	c.stdin.Close()
	c.cmd.Wait()
}

// kill ends the child at once.
func (c *child) kill() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

// inherited is the n-th file that start was given.
func inherited(n int) *os.File { return os.NewFile(uintptr(3+n), fmt.Sprintf("inherited %d", n)) }

var handedRings = sock.Sizes{Fill: rigRing, Completion: rigRing, Rx: rigRing, Tx: rigRing}

// playEcho works a socket and memory that it was handed, without any privilege, by a port. It says
// what it may not do and goes on to echo.
func playEcho() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	if os.Getuid() != nobody || !bytes.Contains(status, []byte("CapEff:\t0000000000000000\n")) {
		return fmt.Errorf("uid %d, with capabilities", os.Getuid())
	}
	if fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW, 0); err == nil {
		unix.Close(fd)
		return errors.New("opened an AF_XDP socket of its own")
	}
	m, err := mem.Map(inherited(1), rigChunks*MaxChunkBytes)
	if err != nil {
		return err
	}
	s, err := sock.Open(inherited(0), handedRings)
	if err != nil {
		return err
	}
	pool, err := dataplane.NewPool(m.Bytes,
		dataplane.PoolConfig{ChunkBytes: MaxChunkBytes, Caches: 1})
	if err != nil {
		return err
	}
	cache, err := pool.Cache()
	if err != nil {
		return err
	}
	port, err := s.Port(cache, dataplane.PortConfig{FillChunks: rigFill})
	if err != nil {
		return err
	}
	go func() {
		burst := make([]dataplane.Frame, dataplane.MaxBurst)
		for {
			n := port.Recv(burst)
			for _, f := range burst[:n] {
				b := pool.Bytes(f)
				for i := range 6 {
					b[i], b[6+i] = b[6+i], b[i]
				}
			}
			cache.FreeAll(burst[port.Send(burst[:n]):n])
			port.Flush()
			if n == 0 {
				unix.Poll([]unix.PollFd{{Fd: int32(s.FD()), Events: unix.POLLIN}}, 10)
			}
		}
	}()
	return nil
}

// TestUnprivileged: a process of nobody's, without capabilities, works a socket that root opened.
func TestUnprivileged(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			l := newLab(t, lab.PairOptions{})
			a := open(t, l, lab.A, setup{mode: mode})
			program, m := redirect(t, 1, false), memory(t, rigChunks, MaxChunkBytes)
			var i *Interface
			var c *child
			in(t, l, lab.B, func() (err error) {
				i, err = Open(Options{Interface: l.End(lab.B).Name, Program: program, Mode: mode})
				return err
			})
			defer func() {
				if err := i.Close(); err != nil {
					t.Error(err)
				}
			}()
			in(t, l, lab.B, func() error {
				s, err := i.OpenSocket(0, m.Bytes, SocketOptions{Rings: handedRings})
				if err != nil {
					return err
				}
				if err := i.Register(s, 0); err != nil {
					return err
				}
				var line string
				c, line = start(t, l, lab.B, "echo", &syscall.SysProcAttr{
					Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
				}, s.File(), m.File())
				if line != "ready" {
					return errors.New(line)
				}
				return s.Close() // the child has its own copy
			})
			for n := range 1000 {
				want := frame(l, lab.A, n, minFrame+n%1400)
				a.send(a.write(want)...)
				got := a.recv(rigTimeout)
				want = append(append(bytes.Clone(want[6:12]), want[:6]...), want[12:]...)
				if !bytes.Equal(got, want) {
					t.Fatalf("packet %d came back as %d bytes", n, len(got))
				}
			}
			c.stop()
		})
	}
}

// TestHolderIsNamed: a queue whose socket another process still holds is reported with that
// process, and nobody else, while the other queue opens.
func TestHolderIsNamed(t *testing.T) {
	l := newLab(t, lab.PairOptions{Queues: 2})
	m := memory(t, rigChunks, MaxChunkBytes)
	program := redirect(t, 2, false)
	openOn := func(i *Interface, queue int) (s *Socket, err error) {
		err = l.In(lab.B, func() error {
			s, err = i.OpenSocket(queue, m.Bytes, SocketOptions{})
			return err
		})
		return s, err
	}
	openInterface := func() (i *Interface) {
		in(t, l, lab.B, func() (err error) {
			i, err = Open(Options{Interface: l.End(lab.B).Name, Program: program})
			return err
		})
		return i
	}
	first := openInterface()
	var holders [2]*child
	for queue := range holders {
		s, err := openOn(first, queue)
		if err != nil {
			t.Fatal(err)
		}
		var line string
		if holders[queue], line = start(t, l, lab.B, "hold", nil, s.File()); line != "ready" {
			t.Fatal(line)
		}
	}
	if err := first.Close(); err != nil { // as an iokernel that goes before its runtimes
		t.Fatal(err)
	}
	holders[0].stop()

	second := openInterface()
	defer second.Close()
	if _, err := openOn(second, 0); err != nil {
		t.Errorf("a queue that nobody holds: %v", err)
	}
	began := time.Now()
	_, err := openOn(second, 1)
	var busy *BusyError
	if !errors.As(err, &busy) || !errors.Is(err, unix.EBUSY) {
		t.Fatalf("a queue that is held: %v", err)
	}
	if d := time.Since(began); d < bindPatience {
		t.Errorf("gave up after %v", d)
	}
	want := holders[1].cmd.Process.Pid
	if len(busy.Holders) != 1 || busy.Holders[0].PID != want || !busy.Holders[0].Certain ||
		!strings.Contains(err.Error(), "queue 1: held by process "+strconv.Itoa(want)+" (") {
		t.Errorf("%v, want process %d", err, want)
	}
	holders[1].stop()
	if _, err := openOn(second, 1); err != nil {
		t.Errorf("after the holder left: %v", err)
	}
}

// playServe holds an interface until it ends.
func playServe() error {
	p, err := bpf.LoadRedirect(1, false)
	if err != nil {
		return err
	}
	i, err := Open(Options{Interface: "dl1", Program: p})
	if err != nil {
		return err
	}
	m, err := mem.Create("umem", rigChunks*MaxChunkBytes)
	if err != nil {
		return err
	}
	s, err := i.OpenSocket(0, m.Bytes, SocketOptions{})
	if err != nil {
		return err
	}
	return i.Register(s, 0)
}

// TestKilled: a process that is killed leaves nothing that the next one trips on.
func TestKilled(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	for range 3 {
		c, line := start(t, l, lab.B, "serve", nil)
		if line != "ready" {
			t.Fatal(line)
		}
		if f := probe(t, l, lab.B); f.Attached == nil {
			t.Error("nothing is attached")
		}
		c.kill()
		for began := time.Now(); probe(t, l, lab.B).Attached != nil; time.Sleep(time.Millisecond) {
			if time.Since(began) > rigTimeout {
				t.Fatal("the program outlived its process")
			}
		}
	}
	a, b := open(t, l, lab.A, setup{mode: Native}), open(t, l, lab.B, setup{mode: Native})
	stream(t, l, a, b, lab.A, 0, rigBatch, minFrame)
}

// playLimit registers more memory than it may lock.
func playLimit() error {
	const most = 64 << 10
	limit := unix.Rlimit{Cur: most, Max: most}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return err
	}
	m, err := mem.Create("umem", 4*most)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := registerMemory(fd, m.Bytes[:most/2], MaxChunkBytes, 0, 0); err != nil {
		return fmt.Errorf("half of what may be locked: %w", err)
	}
	if fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	return registerMemory(fd, m.Bytes, MaxChunkBytes, 0, 0)
}

func TestMemoryLimit(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	const rawSockets = 13 // CAP_NET_RAW, and nothing else
	c, line := start(t, l, lab.A, "limit", &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody},
		AmbientCaps: []uintptr{rawSockets},
	})
	const want = "no buffer space available: 262144 bytes are more than RLIMIT_MEMLOCK leaves"
	if !strings.HasPrefix(line, want) {
		t.Errorf("registering memory over the limit: %q", line)
	}
	c.stop()
}
