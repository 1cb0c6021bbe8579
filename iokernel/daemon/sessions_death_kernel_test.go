package daemon

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/attach/sessions"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// What the server of another process does with a call, by its route.
const (
	routeEcho   = iota // the data comes back
	routeRegion        // the id of memory that the caller may write to
	routeSum           // the hash of that memory
	routeHold          // nothing, ever
)

const (
	writableBytes = 2 << 20
	// rushCalls are outstanding when the peer dies; one in four is held by it for ever.
	rushCalls = 16
	// Half of them end by their deadline, which is before the peer counts as dead, half by that.
	// Both are far beyond what the scheduler takes here. (guess)
	soonDeadline = 4 * core.Second
	lateDeadline = 60 * core.Second
	peerDead     = 8 * core.Second
	// rushReplies have come before the peer is killed: calls are in each state then.
	rushReplies = 200
)

// playServer is a runtime that serves until it is killed. It says its key.
func playServer(socket, name string) error {
	rt, err := attach.Open(attach.Options{Name: name, Socket: socket})
	if err != nil {
		return err
	}
	memory := make([]byte, writableBytes)
	s, err := sessions.Open(rt, sessions.Options{},
		func(now core.Time, e *transport.Endpoint, ev transport.Event) {
			if ev.Kind != transport.EventRequest {
				return
			}
			data := ev.Data
			switch ev.Route {
			case routeRegion:
				id, err := e.Register(ev.Session, memory, transport.RightWrite)
				if err != nil {
					return // the caller notices
				}
				data = binary.BigEndian.AppendUint64(nil, uint64(id))
			case routeSum:
				sum := sha256.Sum256(memory)
				data = sum[:]
			case routeHold:
				return
			}
			_ = e.Reply(now, ev.Request, ev.Header, data) // the caller notices
		})
	if err != nil {
		return err
	}
	key := s.Key()
	fmt.Println(ready)
	fmt.Println(hex.EncodeToString(key[:]))
	return rt.Run(context.Background())
}

// caller is a runtime that is told on its standard input whom to reach. It says how that went.
type caller struct {
	s      *sessions.Sessions
	path   transport.Path
	id     transport.SessionID
	events chan transport.Event // Data copied
	pace   rush                 // belongs to the worker's thread
}

// rush keeps calls outstanding until the session ends.
type rush struct {
	on           bool
	begun, ended int
	outcomes     [transport.Unknown + 1]int
	causes       map[transport.Cause]int
	late         int // ended after their deadline
	deadlines    []core.Time
}

func playCaller(socket, name string, args []string) error {
	var macs [2]wire.MAC
	for i := range macs {
		mac, err := net.ParseMAC(args[i])
		if err != nil {
			return err
		}
		macs[i] = wire.MAC(mac)
	}
	rt, err := attach.Open(attach.Options{Name: name, Socket: socket})
	if err != nil {
		return err
	}
	c := &caller{
		path:   transport.RawPath(macs[0], macs[1]),
		events: make(chan transport.Event, 4),
	}
	o := sessions.Options{Transport: transport.Config{DeadAfter: peerDead}}
	if c.s, err = sessions.Open(rt, o, c.handle); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- rt.Run(ctx) }()
	fmt.Println(ready)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		said := "done"
		if err := c.reach(in.Text()); err != nil {
			said = err.Error()
		} else {
			fmt.Println(said)
			said, err = c.rush()
			if err != nil {
				said = err.Error()
			}
		}
		fmt.Println(said)
	}
	cancel()
	return <-ended
}

// handle is on the worker's thread.
func (c *caller) handle(now core.Time, e *transport.Endpoint, ev transport.Event) {
	if c.pace.on && ev.Kind == transport.EventReply {
		c.ended(now, e, &ev)
		return
	}
	switch ev.Kind {
	case transport.EventUp, transport.EventDown, transport.EventReply, transport.EventWritten:
		ev.Data = bytes.Clone(ev.Data)
		c.events <- ev
	}
}

// await is the next event, which must be of that kind.
func (c *caller) await(kind transport.EventKind) (ev transport.Event, err error) {
	select {
	case ev = <-c.events:
	case <-time.After(time.Duration(lateDeadline)):
		return ev, fmt.Errorf("no event of kind %d within %v", kind, time.Duration(lateDeadline))
	}
	if ev.Kind != kind || ev.Outcome != transport.Done {
		return ev, fmt.Errorf("event %d, not %d: outcome %d, cause %d", ev.Kind, kind, ev.Outcome,
			ev.Cause)
	}
	return ev, nil
}

// do runs f on the worker's thread.
func (c *caller) do(f func(now core.Time, e *transport.Endpoint) error) (err error) {
	gone := c.s.Do(func(now core.Time, e *transport.Endpoint) { err = f(now, e) })
	return errors.Join(gone, err)
}

// call makes one and waits for its reply.
func (c *caller) call(route uint64, data []byte) ([]byte, error) {
	err := c.do(func(now core.Time, e *transport.Endpoint) error {
		o := transport.Order{Session: c.id, Route: route, Deadline: now + lateDeadline}
		_, err := e.Call(now, o, data)
		return err
	})
	if err != nil {
		return nil, err
	}
	ev, err := c.await(transport.EventReply)
	return ev.Data, err
}

// reach connects to the peer with that key, makes a call of the largest size and writes to it.
func (c *caller) reach(key string) error {
	p := transport.Peer{Path: c.path}
	if n, err := hex.Decode(p.Key[:], []byte(key)); err != nil || n != identity.KeyBytes {
		return fmt.Errorf("a key of %d bytes: %w", n, err)
	}
	err := c.do(func(now core.Time, e *transport.Endpoint) (err error) {
		c.id, err = e.Connect(now, p)
		return err
	})
	if err != nil {
		return err
	}
	if _, err = c.await(transport.EventUp); err != nil {
		return err
	}
	data := make([]byte, transport.MaxMessageBytes)
	for i := range data {
		data[i] = byte(i * 31 >> 3)
	}
	for _, n := range []int{64, len(data)} {
		back, err := c.call(routeEcho, data[:n])
		if err != nil || !bytes.Equal(back, data[:n]) {
			return fmt.Errorf("a call of %d bytes: %d came back: %w", n, len(back), err)
		}
	}
	region, err := c.call(routeRegion, nil)
	if err != nil || len(region) != 8 {
		return fmt.Errorf("region %x: %w", region, err)
	}
	err = c.do(func(now core.Time, e *transport.Endpoint) error {
		t := transport.Target{Region: transport.RegionID(binary.BigEndian.Uint64(region))}
		o := transport.Order{Session: c.id, Deadline: now + lateDeadline}
		_, err := e.Write(now, o, t, data[:writableBytes])
		return err
	})
	if err != nil {
		return err
	}
	if _, err := c.await(transport.EventWritten); err != nil {
		return err
	}
	sum, err := c.call(routeSum, nil)
	if want := sha256.Sum256(data[:writableBytes]); err != nil || !bytes.Equal(sum, want[:]) {
		return fmt.Errorf("the peer's memory is not what was written: %w", err)
	}
	return nil
}

// rush calls until the session ends, and says how the calls did, or what of them is wrong.
func (c *caller) rush() (string, error) {
	err := c.do(func(now core.Time, e *transport.Endpoint) error {
		c.pace = rush{on: true, causes: make(map[transport.Cause]int)}
		for range rushCalls {
			if err := c.one(now, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	ev, err := c.await(transport.EventDown)
	if err != nil {
		return "", err
	}
	r := &c.pace
	err = c.do(func(now core.Time, e *transport.Endpoint) error {
		r.on = false
		if _, err := e.Who(c.id); !errors.Is(err, transport.ErrGone) || e.Counters().Dead == 0 {
			return fmt.Errorf("no peer counts as dead: %w", err)
		}
		return e.Audit(now)
	})
	switch {
	case err != nil:
		return "", err
	case ev.Cause != transport.CauseDead:
		return "", fmt.Errorf("the session ended for cause %d", ev.Cause)
	case r.begun != r.ended || r.late > 0:
		return "", fmt.Errorf("of %d calls %d ended, %d late", r.begun, r.ended, r.late)
	case r.outcomes[transport.Unknown] == 0 || r.causes[transport.CauseDead] == 0 ||
		r.causes[transport.CauseDeadline] == 0:
		return "", fmt.Errorf("outcomes %v, causes %v", r.outcomes, r.causes)
	}
	return "survived", nil
}

// one begins a call.
func (c *caller) one(now core.Time, e *transport.Endpoint) error {
	r := &c.pace
	o := transport.Order{
		Session: c.id, Route: routeEcho, Deadline: now + lateDeadline, Tag: uint64(r.begun),
	}
	if r.begun%4 == 0 && r.begun < rushCalls {
		o.Route = routeHold
	} else if r.begun%2 == 0 {
		o.Deadline = now + soonDeadline
	}
	data := binary.BigEndian.AppendUint64(make([]byte, 56), uint64(r.begun))
	_, err := e.Call(now, o, data)
	if err == nil {
		r.begun++
		r.deadlines = append(r.deadlines, o.Deadline)
	}
	return err
}

// ended takes the end of a call and begins another one.
func (c *caller) ended(now core.Time, e *transport.Endpoint, ev *transport.Event) {
	r := &c.pace
	r.ended++
	r.outcomes[ev.Outcome]++
	// A thread that has lost its CPU tells of a deadline when it has it again.
	if now > r.deadlines[ev.Tag]+soonDeadline {
		r.late++
	}
	if ev.Outcome != transport.Done {
		r.causes[ev.Cause]++
		return
	}
	if r.outcomes[transport.Done] == rushReplies {
		fmt.Println("calling")
	}
	_ = c.one(now, e) // an error: the session is over
}

// TestPeerProcessDies: two runtimes in processes of their own, each behind an iokernel, talk; one is
// killed in the middle of calls. All calls of the other one end, by their deadline or because the
// peer is dead, as unknown or definitely failed; the peer's iokernel has all of its memory back; and
// the peer's next incarnation is reached, with another key.
func TestPeerProcessDies(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	ends := hosts(t, l, false, false)
	macs := [2][6]byte{l.End(lab.A).MAC, l.End(lab.B).MAC}
	a := startChild(t, "caller", ends[lab.A].Socket(), "echo", modeMediated,
		net.HardwareAddr(macs[0][:]).String(), net.HardwareAddr(macs[1][:]).String())
	keys := make(map[string]bool)
	for range 2 {
		b := startChild(t, "server", ends[lab.B].Socket(), "echo", modeMediated)
		key := b.line()
		if keys[key] {
			t.Fatalf("another incarnation has the same key %s", key)
		}
		keys[key] = true
		if _, err := fmt.Fprintln(a.input, key); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"done", "calling"} {
			if said := a.line(); said != want {
				t.Fatalf("the caller says %q, not %q", said, want)
			}
		}
		b.kill()
		await(t, "the dead peer detached", func() bool {
			return ends[lab.B].attachmentOf("echo") == nil
		})
		if said := a.line(); said != "survived" {
			t.Fatalf("the caller says %q", said)
		}
		for side, d := range ends {
			await(t, fmt.Sprintf("all memory of iokernel %d is in its books", side),
				func() bool { return d.conserved() == nil })
		}
	}
	if err := a.input.Close(); err != nil {
		t.Fatal(err)
	}
	if said := a.wait(t); said != "" {
		t.Errorf("the caller ended with %q", said)
	}
}
