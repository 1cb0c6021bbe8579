package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Client is a runtime's or a tool's end of the control connection. Its calls may come from several
// goroutines; one request is under way at a time. Closing it gives back what was granted.
type Client struct {
	conn    *net.UnixConn
	replies chan reply // at most the one that call waits for
	done    chan struct{}
	failure error // why it ended; written before done is closed

	mu    sync.Mutex // held for a request and its reply
	close sync.Once
}

type reply struct {
	message message
	files   []*os.File
}

// ErrClosed is why a Client ended that was closed by its own program.
var ErrClosed = errors.New("control: closed")

// ErrGone is why a Client ended whose iokernel said nothing: it was killed, or crashed.
var ErrGone = errors.New("control: the iokernel is gone; start it again, then attach again")

// Dial connects to the iokernel at path. The errors say what to do about them.
func Dial(path string) (*Client, error) {
	conn, err := net.Dial("unixpacket", path)
	if err != nil {
		return nil, explain(path, err)
	}
	c := &Client{
		conn:    conn.(*net.UnixConn),
		replies: make(chan reply, 1),
		done:    make(chan struct{}),
	}
	go c.read()
	return c, nil
}

// explain says what a failed Dial means.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("control: no socket at %s: is the iokernel running, with this path as "+
			"control.socket? (%w)", path, err)
	case errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("control: nobody listens at %s: the iokernel was killed; start it "+
			"again (%w)", path, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("control: %s is closed to uid %d: %s (%w)", path, os.Geteuid(),
			permissions(path), err)
	}
	return fmt.Errorf("control: %w", err)
}

// permissions says whom a socket file is open to.
func permissions(path string) string {
	const advice = "join its group, or set control.group or control.mode of the iokernel"
	info, err := os.Stat(path)
	if err != nil {
		return "and so is a folder above it"
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return advice
	}
	return fmt.Sprintf("it is uid %d's and group %d's with mode %04o; %s", owner.Uid, owner.Gid,
		info.Mode().Perm(), advice)
}

// read receives until the connection ends.
func (c *Client) read() {
	c.failure = c.receiveAll()
	select {
	case r := <-c.replies: // nobody will take it any more
		closeAll(r.files)
	default:
	}
	c.close.Do(func() { c.conn.Close() }) // for the server to see, should it still be there
	close(c.done)
}

func (c *Client) receiveAll() error {
	buffer := make([]byte, MaxMessageBytes+1)
	reset := false
	for {
		m, files, err := receive(c.conn, buffer, MaxFiles)
		if errors.Is(err, unix.ECONNRESET) && !reset {
			// The server closed without reading what we wrote, because it had refused us before.
			// The kernel reports that ahead of the refusal, once.
			reset = true
			continue
		}
		switch {
		case errors.Is(err, net.ErrClosed):
			return ErrClosed
		case gone(err):
			return ErrGone
		case err != nil:
			return fmt.Errorf("control: receive: %w", err)
		}
		switch m := m.(type) {
		case *Evicted:
			closeAll(files)
			return m
		case *Refusal:
			if m.Final {
				closeAll(files)
				return m
			}
		}
		select {
		case c.replies <- reply{m, files}:
		default: // a reply that nobody took lies there already
			closeAll(files)
			return fmt.Errorf("control: the iokernel sent a %s that nobody asked for", typeOf(m))
		}
	}
}

// Done is closed when the connection has ended: the runtime has lost what it was granted.
func (c *Client) Done() <-chan struct{} { return c.done }

// Wait blocks until the connection has ended and returns why: *Evicted, *Refusal, ErrGone,
// ErrClosed.
func (c *Client) Wait() error {
	<-c.done
	return c.failure
}

// Close ends the connection; the iokernel takes back what it granted. It may be called again.
func (c *Client) Close() error {
	c.close.Do(func() { c.conn.Close() }) // a socket has nothing left to write
	<-c.done
	return nil
}

// call sends a request and waits for its reply, which may be a refusal.
func (c *Client) call(request message) (reply, error) {
	p, err := pack(request)
	if err == nil {
		err = c.conn.SetWriteDeadline(time.Now().Add(sendWithin))
	}
	if err == nil {
		err = p.send(c.conn)
	}
	if err != nil && !gone(err) && !errors.Is(err, net.ErrClosed) {
		return reply{}, err
	}
	// A broken connection is explained by what the iokernel last said, which read is about to find.
	late := time.NewTimer(replyWithin)
	defer late.Stop()
	select {
	case r := <-c.replies:
		if refusal, ok := r.message.(*Refusal); ok {
			closeAll(r.files)
			return reply{}, refusal
		}
		return r, nil
	case <-late.C:
		c.Close() // or the late reply would be taken for that of the next request
		return reply{}, fmt.Errorf("control: no answer from the iokernel within %v", replyWithin)
	case <-c.done:
		return reply{}, c.failure
	}
}

// unexpected is the error for a reply of another type than the request's.
func unexpected(r reply) error {
	closeAll(r.files)
	return fmt.Errorf("control: the iokernel answered with a %s", typeOf(r.message))
}

// Attach asks for what the configuration has for h.Runtime. The files, by name, are the caller's;
// they are close-on-exec. A refusal is a *Refusal; the client may try again.
func (c *Client) Attach(h Hello) (Grant, map[string]*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.call(&h)
	if err != nil {
		return Grant{}, nil, err
	}
	g, ok := r.message.(*Grant)
	if !ok {
		return Grant{}, nil, unexpected(r)
	}
	if len(r.files) != len(g.FDs) {
		closeAll(r.files)
		return Grant{}, nil, fmt.Errorf("control: %d files arrived of %d; is this process at its "+
			"limit of open files?", len(r.files), len(g.FDs))
	}
	files := make(map[string]*os.File, len(g.FDs))
	for i, name := range g.FDs {
		if files[name] != nil {
			closeAll(r.files)
			return Grant{}, nil, fmt.Errorf("control: two files named %q arrived", name)
		}
		files[name] = r.files[i]
	}
	return *g, files, nil
}

// Neigh asks an attached client's iokernel for a neighbour's MAC address. It may take seconds if
// the kernel has to resolve it.
func (c *Client) Neigh(addr netip.Addr) (mac MAC, found bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.call(&Neigh{Addr: addr})
	if err != nil {
		return MAC{}, false, err
	}
	n, ok := r.message.(*NeighReply)
	if !ok {
		return MAC{}, false, unexpected(r)
	}
	return n.MAC, n.Found, nil
}

// Status asks what the iokernel does. A connection that is not attached is closed by the iokernel
// after a minute without a request.
func (c *Client) Status() (Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.call(&StatusRequest{})
	if err != nil {
		return Status{}, err
	}
	s, ok := r.message.(*Status)
	if !ok {
		return Status{}, unexpected(r)
	}
	return *s, nil
}

// Threads tells an attached client's iokernel on which threads its workers run.
func (c *Client) Threads(ids []int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.call(&Threads{IDs: ids})
	if err != nil {
		return err
	}
	if _, ok := r.message.(*Done); !ok {
		return unexpected(r)
	}
	return nil
}

// Cores asks who has which core, with up to so many of the last decisions; see Status.
func (c *Client) Cores(decisions int) (Cores, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.call(&CoresRequest{Decisions: decisions})
	if err != nil {
		return Cores{}, err
	}
	s, ok := r.message.(*Cores)
	if !ok {
		return Cores{}, unexpected(r)
	}
	return *s, nil
}
