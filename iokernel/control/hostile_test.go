package control

import (
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestGarbage: whatever is no message gets one refusal, the end, and a count; others do not notice.
func TestGarbage(t *testing.T) {
	r := newRig(t, nil)
	bystander, _ := r.attach()
	want := map[Code]uint64{}
	for text, code := range badMessages() {
		conn := r.raw()
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if refusal := r.refused(conn); refusal.Code != code {
			t.Errorf("%.80q: refused with %v, want code %s", text, refusal, code)
		}
		conn.Close()
		want[code]++
	}
	got := r.server.Counters().Refused
	for code, n := range want {
		if got[code] != n {
			t.Errorf("%d counted as %s, want %d", got[code], code, n)
		}
	}
	if _, found, err := bystander.Neigh(netip.MustParseAddr("10.0.0.2")); !found || err != nil {
		t.Errorf("a bystander is hit: %v %v", found, err)
	}
	r.works()
}

// TestGarbageWhileAttached: it costs the attachment, because who speaks nonsense is not trusted.
func TestGarbageWhileAttached(t *testing.T) {
	r := newRig(t, nil)
	conn := r.raw()
	if err := send(conn, &Hello{Runtime: "echo", Mode: Mediated}, nil); err != nil {
		t.Fatal(err)
	}
	_, files, err := receive(conn, make([]byte, MaxMessageBytes+1), 1)
	if err != nil {
		t.Fatal(err)
	}
	closeAll(files)
	if _, err := conn.Write([]byte("{")); err != nil {
		t.Fatal(err)
	}
	if refusal := r.refused(conn); refusal.Code != CodeMalformed {
		t.Errorf("refused with %v", refusal)
	}
	if e := r.mustDetach(); !strings.Contains(e.reason, "not a message") {
		t.Errorf("detached because: %s", e.reason)
	}
}

// TestEmptyMessage: the kernel does not tell it from the end of the connection.
func TestEmptyMessage(t *testing.T) {
	r := newRig(t, nil)
	conn := r.raw()
	if _, err := conn.Write(nil); err != nil { // a packet of no bytes
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after an empty message: %d bytes, %v; want the end", n, err)
	}
	r.works()
}

// TestSilence: who connects and says nothing is shut out, and told.
func TestSilence(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Silence = 20 * time.Millisecond })
	if refusal := r.refused(r.raw()); refusal.Code != CodeSilent {
		t.Errorf("refused with %v", refusal)
	}
	c := r.dial()
	if err := c.Wait(); refusalCode(err) != CodeSilent {
		t.Errorf("a client was told: %v", err)
	}
	if _, _, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated}); refusalCode(err) != CodeSilent {
		t.Errorf("attaching too late: %v", err)
	}
	if n := r.server.Counters().Refused[CodeSilent]; n != 2 {
		t.Errorf("%d counted", n)
	}
	if !strings.Contains(r.log.String(), "code=silent") {
		t.Errorf("not logged:\n%s", r.log)
	}
}

// TestSilenceOnceAttached: an attached runtime has nothing to say for days.
func TestSilenceOnceAttached(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Silence = 100 * time.Millisecond })
	c, _ := r.attach()
	select {
	case <-c.Done():
		t.Errorf("cut off: %v", c.Wait())
	case <-time.After(300 * time.Millisecond):
	}
}

// TestDefaultSilence: without an option it is the 2 s that the documentation says.
func TestDefaultSilence(t *testing.T) {
	r := newRig(t, nil)
	began := time.Now()
	r.refused(r.raw())
	if d := time.Since(began); d < silence || d > silence+patience/2 {
		t.Errorf("cut off after %v, want %v", d, silence)
	}
}

// TestFilesSentToUs: they are refused, and none of them ever enters our table.
func TestFilesSentToUs(t *testing.T) {
	r := newRig(t, nil)
	r.works()
	before := descriptors(t)
	fds := make([]int, MaxFiles)
	for i := range fds {
		fds[i] = int(os.Stderr.Fd())
	}
	hello, err := encode(&Hello{Runtime: "echo", Mode: Mediated})
	if err != nil {
		t.Fatal(err)
	}
	for _, count := range []int{1, MaxFiles} {
		conn := r.raw()
		if _, _, err := conn.WriteMsgUnix(hello, unix.UnixRights(fds[:count]...), nil); err != nil {
			t.Fatal(err)
		}
		if refusal := r.refused(conn); refusal.Code != CodeFiles {
			t.Errorf("%d files: refused with %v", count, refusal)
		}
		conn.Close()
	}
	if n := r.server.Counters().Refused[CodeFiles]; n != 2 {
		t.Errorf("%d counted", n)
	}
	r.eventually("as many descriptors as before", func() bool { return descriptors(t) <= before })
	r.works()
}

// TestFlood: one user's connections are bounded; when some close, there is room again.
func TestFlood(t *testing.T) {
	r := newRig(t, nil)
	var open []*net.UnixConn
	for range maxConnsPerUID {
		open = append(open, r.raw())
	}
	refusal := r.refused(r.raw())
	if refusal.Code != CodeBusy || !strings.Contains(refusal.Message, "connections open, which is the limit") {
		t.Errorf("one more: %v", refusal)
	}
	for _, conn := range open {
		conn.Close()
	}
	r.eventually("room again", func() bool {
		c, err := Dial(r.path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = c.Status()
		return err == nil
	})
	r.works()
	if n := strings.Count(r.log.String(), "control: refused"); n > 10*refusalsPerSecond {
		t.Errorf("%d lines logged", n)
	}
}

// TestRefusalLog: what one client can make us log is bounded, and what was left out is counted.
func TestRefusalLog(t *testing.T) {
	r := newRig(t, nil)
	l := &r.server.refusals
	now := time.Unix(1000, 0)
	for range 5 * refusalsPerSecond {
		l.add(now, Credentials{}, Refuse(CodeDenied, "no"))
	}
	if n := strings.Count(r.log.String(), "control: refused"); n != refusalsPerSecond {
		t.Errorf("%d lines in one second, want %d", n, refusalsPerSecond)
	}
	l.add(now.Add(time.Second), Credentials{}, Refuse(CodeDenied, "no"))
	if text := r.log.String(); !strings.Contains(text, "unlogged=40") {
		t.Errorf("the next second does not say what was left out:\n%s", text)
	}
}

// TestDeafClient: who asks and does not listen is cut off; the server's goroutine is not held.
func TestDeafClient(t *testing.T) {
	r := newRig(t, nil)
	r.handler.mu.Lock()
	r.handler.status.Build = strings.Repeat("x", MaxMessageBytes/2)
	r.handler.mu.Unlock()
	conn := r.raw()
	var err error
	for err == nil { // until the server's answers have filled our buffer, and our requests its
		err = send(conn, &StatusRequest{}, nil)
	}
	if !gone(err) {
		t.Errorf("asking: %v, want to be cut off", err)
	}
	r.works()
}

// impostor listens where a client dials, and does what it is told to.
func impostor(t *testing.T, act func(conn *net.UnixConn)) *Client {
	t.Helper()
	path := socketPath(t)
	l, err := net.Listen("unixpacket", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	acted := make(chan struct{})
	go func() {
		defer close(acted)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		act(conn.(*net.UnixConn))
	}()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		<-acted
	})
	return c
}

// TestBadServer: a client believes a server no more than it must, and leaks nothing.
func TestBadServer(t *testing.T) {
	heard := func(conn *net.UnixConn) { conn.Read(make([]byte, MaxMessageBytes)) }
	for name, test := range map[string]struct {
		act  func(*net.UnixConn)
		want string
	}{
		"killed": {func(conn *net.UnixConn) { heard(conn) }, ErrGone.Error()},
		"garbage": {func(conn *net.UnixConn) {
			heard(conn)
			conn.Write([]byte("\x00\x01"))
		}, "not a message"},
		"fewer files than names": {func(conn *net.UnixConn) {
			heard(conn)
			send(conn, &Grant{FDs: []string{"a", "b"}}, []*os.File{os.Stderr})
			heard(conn)
		}, "1 files arrived of 2"},
		"one name for two files": {func(conn *net.UnixConn) {
			heard(conn)
			send(conn, &Grant{FDs: []string{"a", "a"}}, []*os.File{os.Stderr, os.Stderr})
			heard(conn)
		}, `two files named "a"`},
		"another answer": {func(conn *net.UnixConn) {
			heard(conn)
			send(conn, &Status{}, []*os.File{os.Stderr})
			heard(conn)
		}, "answered with a status_reply"},
		"answers that nobody asked for": {func(conn *net.UnixConn) {
			send(conn, &Status{}, nil)
			send(conn, &Status{}, nil)
			heard(conn)
		}, ""}, // whichever comes first: the wrong answer, or too many
	} {
		t.Run(name, func(t *testing.T) {
			before := descriptors(t)
			c := impostor(t, test.act)
			_, _, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			c.Close()
			// The listener and, for a moment, the impostor's end are still open.
			for deadline := time.Now().Add(patience); descriptors(t) > before+1; {
				if time.Now().After(deadline) {
					t.Fatalf("%d descriptors, %d before", descriptors(t), before)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
}
