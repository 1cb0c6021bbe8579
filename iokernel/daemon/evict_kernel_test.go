package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

const (
	otherName                = "other" // a runtime beside "echo"
	otherType wire.EtherType = 0x88B8
	otherPort                = 7778

	vandals = 20 // seeds
)

// withOther adds a second runtime.
func withOther(o *Options) {
	r := o.Config.Runtimes[0]
	r.Name = otherName
	r.Endpoints = []config.Endpoint{{EtherType: uint16(otherType)}, {UDP: otherPort}}
	small(&r)
	o.Config.Runtimes = append(o.Config.Runtimes, r)
}

// book is a log to look things up in.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

// take returns what was written since the last take.
func (b *book) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.text.Reset()
	return b.text.String()
}

// client asks the echo runtime without a pause and wants every answer.
type client struct {
	conn    net.Conn
	asked   int
	longest time.Duration
	err     error
	ended   sync.WaitGroup
}

// answerWithin is what is too long for an answer, on a machine with everything on two CPUs. (guess)
const answerWithin = time.Second

func startClient(t *testing.T, l *lab.Lab) *client {
	t.Helper()
	c := &client{conn: dial(t, l, netip.AddrPortFrom(l.End(lab.B).IPv4, echoPort))}
	c.ended.Go(func() {
		for c.err == nil {
			c.err = c.ask()
		}
	})
	return c
}

func (c *client) ask() error {
	start := time.Now()
	if err := c.conn.SetDeadline(start.Add(answerWithin)); err != nil {
		return err
	}
	want, got := fmt.Appendf(nil, "question %d", c.asked), make([]byte, 64)
	if _, err := c.conn.Write(want); err != nil {
		return err
	}
	n, err := c.conn.Read(got)
	if err == nil && !bytes.Equal(got[:n], want) {
		err = fmt.Errorf("asked %q, was answered %q", want, got[:n])
	}
	c.asked++
	c.longest = max(c.longest, time.Since(start))
	return err
}

// stop ends the client and fails the test if a question was not answered.
func (c *client) stop(t *testing.T) {
	t.Helper()
	c.conn.Close()
	c.ended.Wait()
	if !strings.Contains(c.err.Error(), net.ErrClosed.Error()) {
		t.Errorf("the runtime beside it failed after %d answers: %v", c.asked, c.err)
	}
	t.Logf("%d answers beside it, the slowest after %v", c.asked, c.longest)
}

// TestHostileRuntimesAreEvicted has a process of nobody break every rule of the rings. It learns
// why it is cut off, the log says so, and a runtime beside it does not notice.
func TestHostileRuntimesAreEvicted(t *testing.T) {
	l := newLab(t, lab.PairOptions{Neighbours: true})
	log := &book{}
	d := startDaemon(t, l, func(o *Options) {
		withOther(o)
		forNobody(t, o)
		o.Log = slog.New(slog.NewTextHandler(log, nil))
	})
	runEcho(t, attach.Options{Name: "echo", Socket: d.Socket()})
	victim := startClient(t, l)
	startTraffic(t, l, otherPort)
	for _, deed := range deeds() {
		t.Run(deed.name, func(t *testing.T) {
			log.take()
			c := startChild(t, "hostile", d.Socket(), otherName, modeMediated, deed.name)
			want := "control: evicted by the iokernel: it " + deed.want.String()
			if got := c.wait(t); got != want {
				t.Errorf("it learned %q, want %q", got, want)
			}
			await(t, "detached", func() bool { return d.attachmentOf(otherName) == nil })
			wantLog := fmt.Sprintf("msg=%q runtime=%s pid=%d uid=%d reason=%q",
				"iokernel: runtime evicted", otherName, c.cmd.Process.Pid, nobody,
				deed.want.String())
			if text := log.take(); !strings.Contains(text, wantLog) {
				t.Errorf("log:\n%s\nwant %s", text, wantLog)
			}
			if err := d.conserved(); err != nil {
				t.Error(err)
			}
		})
	}
	for seed := range vandals {
		t.Run(fmt.Sprintf("%s, seed %d", vandal, seed), func(t *testing.T) {
			c := startChild(t, "hostile", d.Socket(), otherName, modeMediated, vandal,
				strconv.Itoa(seed))
			if got := c.wait(t); !strings.HasPrefix(got, "control: evicted by the iokernel: it ") {
				t.Errorf("it learned %q", got)
			}
			await(t, "detached", func() bool { return d.attachmentOf(otherName) == nil })
			if err := d.conserved(); err != nil {
				t.Error(err)
			}
		})
	}
	victim.stop(t)
}

// attachmentOf is what a runtime has, nil if it is not attached.
func (d *Daemon) attachmentOf(name string) *attachment {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.attached {
		if a.config.Name == name {
			return a
		}
	}
	return nil
}

// conserved audits the iokernel's own memory.
func (d *Daemon) conserved() (err error) {
	d.loop.Do(func() {
		p := d.queues[0].port
		err = conserved("iokernel", p.Cache().Pool(), p.Cache(), p.Lent(), d.dataplane.Held(0))
	})
	return err
}
