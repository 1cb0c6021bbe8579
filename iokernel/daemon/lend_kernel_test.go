package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// The runtimes of a machine that lends CPU 1: the echo of the other tests as lc, and one that only
// computes.
const (
	batchName = "batch"
	lentCPU   = 1
)

// lendingOptions has an iokernel on CPU 0 lend CPU 1.
func lendingOptions(t *testing.T, o *Options) {
	t.Helper()
	allowed, err := pin.Allowed()
	if err != nil {
		t.Fatal(err)
	}
	if !allowed.IsSet(0) || !allowed.IsSet(lentCPU) {
		t.Skipf("needs CPUs 0 and 1, and may use %v", allowed)
	}
	o.Config.CPU, o.Config.Cores.Lend = 0, config.Lend{List: []int{lentCPU}}
	o.Config.Poll = config.PollAdaptive
	lc := &o.Config.Runtimes[0]
	lc.Class, lc.Workers, lc.CPUs, lc.Reserved = config.ClassLC, 1, nil, 1
	be := config.DefaultRuntime()
	be.Name, be.Class = batchName, config.ClassBE
	o.Config.Runtimes = append(o.Config.Runtimes, be)
	forNobody(t, o)
}

// compute is a best-effort poller: a few microseconds of work, again and again.
type compute struct{ rounds uint64 }

func (c *compute) Poll(core.Time) int {
	x := c.rounds
	for range 2000 {
		x = x*6364136223846793005 + 1442695040888963407
	}
	c.rounds = x | 1
	return 1
}

func (c *compute) Next(now core.Time) core.Time { return now }

func playCompute(socket, name string) error {
	rt, err := attach.Open(attach.Options{Name: name, Socket: socket})
	if err != nil {
		return err
	}
	for w := range rt.Workers() {
		rt.Add(w, &compute{})
	}
	fmt.Println(ready)
	return rt.Run(context.Background())
}

// cores asks for the state of the lent cores.
func coresOf(t *testing.T, d *Daemon) control.Cores {
	t.Helper()
	r, err := handler{d}.Cores(context.Background(), 64)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func user(c control.Cores, name string) control.CoreUser {
	for _, u := range c.Runtimes {
		if u.Runtime == name {
			return u
		}
	}
	return control.CoreUser{}
}

func TestLendOneCore(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	d := startDaemon(t, l, func(o *Options) { lendingOptions(t, o) })
	startChild(t, "echo", d.Socket(), "echo", modeMediated)
	startChild(t, "compute", d.Socket(), batchName, modeMediated)
	conn := dialEcho(t, l)
	start := time.Now()
	n := 0
	for time.Since(start) < time.Second {
		ask(t, conn)
		n++
	}
	c := coresOf(t, d)
	lc, be := user(c, "echo"), user(c, batchName)
	t.Logf("%d round trips", n)
	t.Logf("%+v", c)
	if be.Time < core.Time(100*time.Millisecond) || lc.Grants < 10 {
		t.Errorf("lc %+v\nbe %+v", lc, be)
	}
	var sum core.Time
	for _, o := range c.Cores[0].Times {
		sum += o.Time
	}
	if sum != c.Uptime {
		t.Errorf("the times add up to %d, and %d have passed", sum, c.Uptime)
	}
}

func dialEcho(t *testing.T, l *lab.Lab) net.Conn {
	t.Helper()
	return dial(t, l, netip.AddrPortFrom(l.End(lab.B).IPv4, echoPort))
}

// ask sends one datagram and waits for its echo.
func ask(t *testing.T, conn net.Conn) {
	t.Helper()
	b := make([]byte, 64)
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(quietTimeout))
	if _, err := conn.Read(b); err != nil {
		t.Fatal(err)
	}
}
