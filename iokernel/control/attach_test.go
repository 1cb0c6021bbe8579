package control

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestAttach(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial()
	grant, files, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated})
	if err != nil {
		t.Fatal(err)
	}
	want := Grant{Runtime: "echo", Mode: Mediated, FDs: []string{FileMemory}}
	if d := cmp.Diff(want, grant); d != "" {
		t.Errorf("grant (-want +got):\n%s", d)
	}
	memory := files[FileMemory]
	if memory == nil || len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	defer memory.Close()
	text := make([]byte, 7)
	if _, err := memory.ReadAt(text, 0); err != nil || string(text) != "granted" {
		t.Errorf("the file holds %q (%v)", text, err)
	}
	flags, err := unix.FcntlInt(memory.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the file would leak into children: flags %#x (%v)", flags, err)
	}
	session := <-r.handler.attached
	who := session.Peer()
	if who.PID != os.Getpid() || who.UID != uint32(os.Geteuid()) || who.GID != uint32(os.Getegid()) {
		t.Errorf("peer %+v", who)
	}
	groups, err := os.Getgroups()
	if err != nil || len(groups) != len(who.Groups) {
		t.Errorf("groups %v, want %v (%v)", who.Groups, groups, err)
	}
	c.Close()
	if e := r.mustDetach(); e.session != session || e.reason != "the runtime closed its connection" {
		t.Errorf("detached: %+v", e)
	}
	r.eventually("counted", func() bool {
		n := r.server.Counters()
		return n.Connections == 1 && n.Attached == 1 && n.Detached == 1 && len(n.Refused) == 0
	})
}

func TestRequests(t *testing.T) {
	r := newRig(t, nil)
	c, _ := r.attach()
	mac, found, err := c.Neigh(netip.MustParseAddr("10.0.0.2"))
	if mac != (MAC{2, 0, 0, 0, 0, 2}) || !found || err != nil {
		t.Errorf("neighbour: %v %v %v", mac, found, err)
	}
	if _, found, err := c.Neigh(netip.MustParseAddr("10.0.0.3")); found || err != nil {
		t.Errorf("no neighbour: %v %v", found, err)
	}
	if _, _, err := c.Neigh(netip.MustParseAddr("10.0.0.99")); refusalCode(err) != CodeInternal {
		t.Errorf("failing handler: %v", err)
	}
	if s, err := c.Status(); s.Build != "test" || err != nil { // the failure has not ended the session
		t.Errorf("status: %+v %v", s, err)
	}
}

func refusalCode(err error) Code {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

// TestRefusedThenGranted: an honest mistake does not cost the connection.
func TestRefusedThenGranted(t *testing.T) {
	r := newRig(t, nil)
	busy := true
	r.handler.grantBy(func(_ context.Context, _ *Session, h Hello) (Attachment, error) {
		if busy {
			busy = false
			return Attachment{}, Refuse(CodeBusy, "pid 7 is attached as %s", h.Runtime)
		}
		return r.handler.one(h), nil
	})
	c := r.dial()
	if _, _, err := c.Attach(Hello{Runtime: "nosuch", Mode: Mediated}); refusalCode(err) != CodeDenied {
		t.Errorf("unknown runtime: %v", err)
	}
	_, _, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated})
	if refusalCode(err) != CodeBusy || !strings.Contains(err.Error(), "pid 7 is attached as echo") {
		t.Errorf("handler's refusal: %v", err)
	}
	_, files, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated})
	if err != nil {
		t.Fatal(err)
	}
	files[FileMemory].Close()
	if len(r.handler.detached) != 0 {
		t.Error("a refused attach was detached")
	}
	if n := r.server.Counters().Refused; n[CodeDenied] != 1 || n[CodeBusy] != 1 {
		t.Errorf("counted %v", n)
	}
}

func TestOutOfOrder(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial()
	if _, _, err := c.Neigh(netip.MustParseAddr("10.0.0.2")); refusalCode(err) != CodeOrder {
		t.Errorf("neighbour before attach: %v", err)
	}
	if err := c.Wait(); refusalCode(err) != CodeOrder {
		t.Errorf("connection: %v", err)
	}
	c, _ = r.attach()
	if _, _, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated}); refusalCode(err) != CodeOrder {
		t.Errorf("second attach: %v", err)
	}
	r.mustDetach()
}

func TestEvict(t *testing.T) {
	r := newRig(t, nil)
	c, session := r.attach()
	session.Evict("published a ring index that it cannot have")
	session.Evict("too late to count")
	var evicted *Evicted
	if err := c.Wait(); !errors.As(err, &evicted) ||
		evicted.Reason != "published a ring index that it cannot have" {
		t.Errorf("the client was told: %v", err)
	}
	if e := r.mustDetach(); e.session != session || e.reason != evicted.Reason {
		t.Errorf("detached: %+v", e)
	}
	if _, err := c.Status(); !errors.As(err, &evicted) {
		t.Errorf("a request after eviction: %v", err)
	}
	r.works()
}

// TestEvictWhileAttaching: an eviction that comes before Attach has returned is not lost.
func TestEvictWhileAttaching(t *testing.T) {
	r := newRig(t, nil)
	r.handler.grantBy(func(_ context.Context, s *Session, h Hello) (Attachment, error) {
		s.Evict("changed our mind")
		return r.handler.one(h), nil
	})
	c := r.dial()
	if _, files, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated}); err == nil {
		files[FileMemory].Close()
	}
	if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "changed our mind") {
		t.Errorf("the client was told: %v", err)
	}
	r.mustDetach()
}

// TestBadGrant: a grant that cannot be sent costs the session, not the server.
func TestBadGrant(t *testing.T) {
	r := newRig(t, nil)
	for want, spoil := range map[string]func(*Attachment){
		"1 files with 0 names":    func(a *Attachment) { a.Grant.FDs = nil },
		"more than 131072":        func(a *Attachment) { a.Grant.Runtime = strings.Repeat("x", MaxMessageBytes) },
		"254 files; the kernel":   func(a *Attachment) { a.Files = slices.Repeat(a.Files, MaxFiles+1) },
		"file granted: use of cl": func(a *Attachment) { a.Files = []*os.File{closedFile(t)} },
	} {
		r.handler.grantBy(func(_ context.Context, _ *Session, h Hello) (Attachment, error) {
			a := r.handler.one(h)
			spoil(&a)
			return a, nil
		})
		c := r.dial()
		_, _, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated})
		if err == nil {
			t.Errorf("%s: attached", want)
		}
		e := r.mustDetach()
		if e.session != <-r.handler.attached || !strings.Contains(e.reason, want) {
			t.Errorf("detached because: %s, want %s", e.reason, want)
		}
		c.Close()
	}
	r.handler.grantBy(nil)
	r.works()
}

func closedFile(t *testing.T) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("granted", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "granted")
	f.Close()
	return f
}

// TestStatusTooLarge: it is refused, and costs nobody an attachment.
func TestStatusTooLarge(t *testing.T) {
	r := newRig(t, nil)
	c, _ := r.attach()
	r.handler.mu.Lock()
	r.handler.status.Build = strings.Repeat("x", MaxMessageBytes)
	r.handler.mu.Unlock()
	if _, err := c.Status(); refusalCode(err) != CodeInternal {
		t.Errorf("status: %v", err)
	}
	if _, found, err := c.Neigh(netip.MustParseAddr("10.0.0.2")); !found || err != nil {
		t.Errorf("afterwards: %v %v", found, err)
	}
}

// TestDetachOnce: however many reasons a session has to end at once, it is detached once.
func TestDetachOnce(t *testing.T) {
	r := newRig(t, nil)
	for range 50 {
		c, session := r.attach()
		var both sync.WaitGroup
		both.Go(func() { session.Evict("evicted") })
		both.Go(func() { c.Close() })
		both.Wait()
		if e := r.mustDetach(); e.session != session {
			t.Fatalf("detached somebody else: %s", e.reason)
		}
	}
	r.stop()
	if len(r.handler.detached) != 0 {
		t.Errorf("%d more detached", len(r.handler.detached))
	}
}

func TestServerCloses(t *testing.T) {
	before := descriptors(t)
	r := newRig(t, nil)
	c1, s1 := r.attach()
	c2, s2 := r.attach()
	unattached := r.dial()
	if _, err := unattached.Status(); err != nil { // until then it may not have been accepted
		t.Fatal(err)
	}
	r.stop()
	for _, c := range []*Client{c1, c2, unattached} {
		if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "the iokernel is stopping") {
			t.Errorf("the client was told: %v", err)
		}
		c.Close()
	}
	if got := map[*Session]bool{r.mustDetach().session: true, r.mustDetach().session: true}; !got[s1] || !got[s2] {
		t.Error("not both were detached")
	}
	for _, name := range []string{r.path, r.path + ".lock"} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	if err := r.server.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if err := r.server.Serve(context.Background(), r.handler); err != nil {
		t.Errorf("serving again: %v", err)
	}
	r.handler.granted.Close()
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// TestNextStartsLast: while a session is still being detached, another iokernel may not start.
func TestNextStartsLast(t *testing.T) {
	r := newRig(t, nil)
	_, _ = r.attach()
	r.handler.mu.Lock() // holds up Status, and with it the end of everything
	asking := r.dial()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		asking.Status() // refused or answered: it is there to hold a handler
	}()
	r.eventually("somebody asks", func() bool { return r.handler.asked.Load() })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.server.Close()
	}()
	r.eventually("the socket is gone", func() bool {
		_, err := os.Lstat(r.path)
		return err != nil
	})
	if err := open(r.path); !errors.Is(err, ErrRunning) {
		t.Errorf("starting beside one that stops: %v", err)
	}
	r.handler.mu.Unlock()
	<-stopped
	<-asked
	if err := open(r.path); err != nil {
		t.Errorf("starting after it: %v", err)
	}
}

// TestServeEndsWithContext: handlers at work are told to stop.
func TestServeEndsWithContext(t *testing.T) {
	h := newHandler(t)
	h.grantBy(func(ctx context.Context, _ *Session, _ Hello) (Attachment, error) {
		<-ctx.Done()
		return Attachment{}, ctx.Err()
	})
	path := socketPath(t)
	s, err := Listen(Options{Path: path, Mode: 0o600, GID: -1, Policy: mine()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, h) }()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	answered := make(chan error, 1)
	go func() {
		_, _, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated})
		answered <- err
	}()
	<-h.attached
	cancel()
	if err := <-answered; err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("the client was told: %v", err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if len(h.detached) != 0 {
		t.Error("detached without being attached")
	}
}

// TestKilled: the kernel closes the connection of a killed process.
func TestKilled(t *testing.T) {
	r := newRig(t, nil)
	cmd, out := child(t, "runtime", []string{r.path}, nil)
	if line := firstLine(out); line != "attached" {
		t.Fatal(line)
	}
	session := <-r.handler.attached
	if pid := session.Peer().PID; pid != cmd.Process.Pid {
		t.Errorf("peer is pid %d, want %d", pid, cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if e := r.mustDetach(); e.session != session {
		t.Errorf("detached: %+v", e)
	}
}

// TestKilledButConnected: a process is dead although another one holds its connection open.
func TestKilledButConnected(t *testing.T) {
	r := newRig(t, nil)
	ours, theirs, err := inherit()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	cmd, out := child(t, "lender", []string{r.path}, func(c *exec.Cmd) {
		c.ExtraFiles = []*os.File{theirs}
	})
	theirs.Close()
	if line := firstLine(out); line != "attached" {
		t.Fatal(line)
	}
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := ours.ReadMsgUnix(make([]byte, 100), control)
	if err != nil {
		t.Fatal(err)
	}
	lent, err := parseFiles(control[:n])
	if err != nil || len(lent) != 1 {
		t.Fatalf("lent %v: %v", lent, err)
	}
	defer closeAll(lent)
	session := <-r.handler.attached
	if session.peer.pidfd == nil {
		t.Skip("this kernel has no pidfds (Linux 5.3)")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if e := r.mustDetach(); e.session != session || !strings.Contains(e.reason, "process is gone") {
		t.Errorf("detached: %+v", e)
	}
}

// TestConcurrentRequests: a client may be used by several goroutines.
func TestConcurrentRequests(t *testing.T) {
	r := newRig(t, nil)
	c, _ := r.attach()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			addr := netip.MustParseAddr("10.0.0.2")
			if i%2 == 1 {
				addr = addr.Next()
			}
			for range 50 {
				if _, found, err := c.Neigh(addr); err != nil || found != (i%2 == 0) {
					t.Errorf("%v: %v %v", addr, found, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestClientCloses: a request under way ends with the client.
func TestClientCloses(t *testing.T) {
	r := newRig(t, nil)
	release := make(chan struct{})
	r.handler.grantBy(func(context.Context, *Session, Hello) (Attachment, error) {
		<-release
		return r.handler.one(Hello{}), nil
	})
	c := r.dial()
	answered := make(chan error, 1)
	go func() {
		_, _, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated})
		answered <- err
	}()
	<-r.handler.attached
	c.Close()
	if err := <-answered; !errors.Is(err, ErrClosed) {
		t.Errorf("request of a closed client: %v", err)
	}
	close(release)
	r.mustDetach() // it was granted to nobody, and taken back
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Error("a closed client is not done")
	}
}

var _ io.Closer = (*Client)(nil)
