package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// patience bounds every wait; what is awaited takes milliseconds.
const patience = 20 * time.Second

// roleVar makes the test binary play a process of its own; see roles_test.go.
const roleVar = "CONTROL_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(play(role))
	}
	goleak.VerifyTestMain(m)
}

// ending is one Detach.
type ending struct {
	session *Session
	reason  string
}

// handler grants one file to everybody and remembers what happened.
type handler struct {
	granted  *os.File
	attached chan *Session
	detached chan ending

	asked   atomic.Bool  // Status was called
	threads atomic.Int64 // the one that was named
	mu      sync.Mutex
	grant   grantFunc // nil: the one file
	status  Status
}

type grantFunc func(context.Context, *Session, Hello) (Attachment, error)

func (h *handler) grantBy(f grantFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.grant = f
}

func newHandler(t *testing.T) *handler {
	t.Helper()
	fd, err := unix.MemfdCreate("granted", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{
		granted: os.NewFile(uintptr(fd), "granted"), status: Status{Build: "test"}, attached: make(chan *Session, 1000),
		detached: make(chan ending, 1000),
	}
	t.Cleanup(func() { h.granted.Close() })
	if _, err := h.granted.WriteString("granted"); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *handler) Attach(ctx context.Context, s *Session, hello Hello) (Attachment, error) {
	h.attached <- s
	h.mu.Lock()
	grant := h.grant
	h.mu.Unlock()
	if grant != nil {
		return grant(ctx, s, hello)
	}
	return h.one(hello), nil
}

// one is a grant of the one file.
func (h *handler) one(hello Hello) Attachment {
	return Attachment{
		Grant: Grant{Runtime: hello.Runtime, Mode: hello.Mode, FDs: []string{FileMemory}},
		Files: []*os.File{h.granted},
	}
}

func (h *handler) Detach(s *Session, reason string) { h.detached <- ending{s, reason} }

func (h *handler) Neigh(_ context.Context, _ *Session, addr netip.Addr) (NeighReply, error) {
	switch addr {
	case netip.MustParseAddr("10.0.0.99"):
		return NeighReply{}, errors.New("netlink failed")
	case netip.MustParseAddr("10.0.0.2"):
		return NeighReply{Addr: addr, MAC: MAC{2, 0, 0, 0, 0, 2}, Found: true}, nil
	}
	return NeighReply{Addr: addr}, nil
}

func (h *handler) Threads(_ context.Context, _ *Session, ids []int) error {
	if len(ids) == 1 {
		h.threads.Store(int64(ids[0]))
		return nil
	}
	return Refuse(CodeDenied, "%d threads, and one worker", len(ids))
}

func (h *handler) Cores(_ context.Context, decisions int) (Cores, error) {
	return Cores{Policy: "test", Decisions: make([]Decision, decisions)}, nil
}

func (h *handler) Status(context.Context) (Status, error) {
	h.asked.Store(true)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status, nil
}

// rig is a server that serves.
type rig struct {
	*testing.T
	server  *Server
	handler *handler
	path    string
	log     *journal
	served  chan error
}

// journal is a log that several goroutines write and a test reads.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// mine is the policy under which this process may attach as echo.
func mine() Policy {
	return Policy{Rules: []Rule{{
		Runtime: "echo", UIDs: []uint32{uint32(os.Geteuid())},
		AllowDirect: true,
	}}, StatusUIDs: []uint32{uint32(os.Geteuid())}}
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{
		T: t, handler: newHandler(t), path: socketPath(t), log: new(journal),
		served: make(chan error, 1),
	}
	o := Options{
		Path: r.path, Mode: 0o660, GID: -1, Policy: mine(),
		Log: slog.New(slog.NewTextHandler(r.log, nil)),
	}
	if change != nil {
		change(&o)
	}
	var err error
	if r.server, err = Listen(o); err != nil {
		t.Fatal(err)
	}
	go func() { r.served <- r.server.Serve(context.Background(), r.handler) }()
	t.Cleanup(r.stop)
	return r
}

func (r *rig) stop() {
	if err := r.server.Close(); err != nil {
		r.Error(err)
	}
	if r.served != nil {
		if err := <-r.served; err != nil {
			r.Error(err)
		}
		r.served = nil
	}
}

// socketPath is short, whatever the test is called: sockets have names of 107 bytes at most.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func (r *rig) dial() *Client {
	r.Helper()
	c, err := Dial(r.path)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { c.Close() })
	return c
}

// attach dials and attaches, and closes the files.
func (r *rig) attach() (*Client, *Session) {
	r.Helper()
	c := r.dial()
	_, files, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated})
	if err != nil {
		r.Fatal(err)
	}
	for _, f := range files {
		f.Close()
	}
	return c, <-r.handler.attached
}

// raw is a connection without a Client.
func (r *rig) raw() *net.UnixConn {
	r.Helper()
	conn, err := net.Dial("unixpacket", r.path)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		r.Fatal(err)
	}
	return conn.(*net.UnixConn)
}

// mustDetach waits for the next Detach.
func (r *rig) mustDetach() ending {
	r.Helper()
	select {
	case e := <-r.handler.detached:
		return e
	case <-time.After(patience):
		r.Fatal("no detach")
		panic("unreachable")
	}
}

// refused reads one refusal and the end of the connection.
func (r *rig) refused(conn *net.UnixConn) *Refusal {
	r.Helper()
	buffer := make([]byte, MaxMessageBytes+1)
	m, _, err := receive(conn, buffer, 0)
	if errors.Is(err, unix.ECONNRESET) { // reported ahead of what was sent before
		m, _, err = receive(conn, buffer, 0)
	}
	refusal, ok := m.(*Refusal)
	if err != nil || !ok {
		r.Fatalf("received %+v, %v; want a refusal", m, err)
	}
	if _, _, err := receive(conn, buffer, 0); !gone(err) {
		r.Fatalf("after the refusal: %v, want the end", err)
	}
	return refusal
}

// works checks that the server still serves others.
func (r *rig) works() {
	r.Helper()
	c, s := r.attach()
	if err := c.Close(); err != nil {
		r.Fatal(err)
	}
	if e := r.mustDetach(); e.session != s {
		r.Errorf("somebody else was detached: %s", e.reason)
	}
}

// eventually waits for something that nobody announces.
func (r *rig) eventually(what string, ok func() bool) {
	r.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatalf("never: %s", what)
		}
	}
}

// descriptors counts this process's open files.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// send packs and sends.
func send(conn *net.UnixConn, m message, files []*os.File) error {
	p, err := pack(m, files...)
	if err != nil {
		return err
	}
	return p.send(conn)
}

// child starts this binary in a role. Its standard input ends when the test does, as does the child.
func child(t *testing.T, role string, arguments []string, change func(*exec.Cmd)) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", arguments...)
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, stdout
}

// play is what a child does.
func play(role string) int {
	if err := roles()[role](os.Args[1:]); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}
