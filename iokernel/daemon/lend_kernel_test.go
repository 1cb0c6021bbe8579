package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	be.UIDs = []config.Account{config.ID(uint32(os.Getuid()))}
	o.Config.Runtimes = append(o.Config.Runtimes, be)
	o.Log = nil
	forNobody(t, o)
}

// lend starts such an iokernel.
func lend(t *testing.T) (*lab.Lab, *Daemon) {
	t.Helper()
	l := newLab(t, lab.PairOptions{})
	return l, startDaemon(t, l, func(o *Options) { lendingOptions(t, o) })
}

// compute is a best-effort poller: a few microseconds of work, again and again. A deaf one never
// comes back.
type compute struct {
	rounds uint64
	deaf   bool
}

func (c *compute) Poll(core.Time) int {
	x := c.rounds
	for range 2000 {
		x = x*6364136223846793005 + 1442695040888963407
	}
	for c.rounds = x | 1; c.deaf; {
		runtime.KeepAlive(c)
	}
	return 1
}

func (c *compute) Next(now core.Time) core.Time { return now }

func playCompute(socket, name string, deaf bool) error {
	rt, err := attach.Open(attach.Options{Name: name, Socket: socket})
	if err != nil {
		return err
	}
	for w := range rt.Workers() {
		rt.Add(w, &compute{deaf: deaf})
	}
	fmt.Println(ready)
	return rt.Run(context.Background())
}

// coresOf asks for the state of the lent cores.
func coresOf(t *testing.T, d *Daemon) control.Cores {
	t.Helper()
	r, err := d.Cores(64)
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

func dialEcho(t *testing.T, l *lab.Lab) net.Conn {
	t.Helper()
	return dial(t, l, netip.AddrPortFrom(l.End(lab.B).IPv4, echoPort))
}

// ask sends datagrams until one is echoed, and returns how long the last one took. Those that are
// sent while nobody is attached go nowhere.
func ask(t *testing.T, conn net.Conn) time.Duration {
	t.Helper()
	b := make([]byte, 64)
	for begun := time.Now(); time.Since(begun) < quietTimeout; {
		start := time.Now()
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := conn.Read(b); err == nil {
			return time.Since(start)
		}
	}
	t.Fatalf("no answer within %v", quietTimeout)
	return 0
}

// A service that is asked now and then and a runtime that computes share a core: both get their
// part, by hand-overs, and the times add up.
func TestLendOneCore(t *testing.T) {
	l, d := lend(t)
	startChild(t, "echo", d.Socket(), "echo", modeMediated)
	startChild(t, "compute", d.Socket(), batchName, modeMediated)
	conn := dialEcho(t, l)
	ask(t, conn)
	before := coresOf(t, d)
	for range 100 {
		ask(t, conn)
		time.Sleep(5 * time.Millisecond)
	}
	c := coresOf(t, d)
	lc, be := user(c, "echo"), user(c, batchName)
	window := c.Uptime - before.Uptime
	if had := be.Time - user(before, batchName).Time; had < window/4 {
		t.Errorf("BE had the core for %d ns of %d, beside a service that is asked seldom", had,
			window)
	}
	if lc.Grants < 50 || be.Grants < 50 || lc.Served < 100 || lc.Nonsense+be.Nonsense > 0 {
		t.Errorf("lc %+v\nbe %+v", lc, be)
	}
	sum := core.Time(0)
	for _, o := range c.Cores[0].Times {
		sum += o.Time
	}
	if sum != c.Uptime {
		t.Errorf("the times add up to %d ns, and %d have passed", sum, c.Uptime)
	}
	if len(c.Decisions) == 0 || c.Decisions[0].Reason == "" || len(c.Sensors) == 0 {
		t.Errorf("decisions %v, sensors %v", c.Decisions, c.Sensors)
	}
}

// Whatever happens to the one, the other goes on, and the core is not lost.
func TestDeathsBesideALentCore(t *testing.T) {
	l, d := lend(t)
	lc := startChild(t, "echo", d.Socket(), "echo", modeMediated)
	conn := dialEcho(t, l)
	for i := range 10 {
		be := startChild(t, "compute", d.Socket(), batchName, modeMediated)
		for range 5 + i {
			ask(t, conn)
			time.Sleep(time.Millisecond)
		}
		if i%2 == 0 {
			be.kill()
			ask(t, conn)
			await(t, "BE is detached", func() bool { return !user(coresOf(t, d), batchName).Attached })
			continue
		}
		lc.kill()
		await(t, "LC is detached", func() bool { return !user(coresOf(t, d), "echo").Attached })
		had := user(coresOf(t, d), batchName).Time
		await(t, "BE goes on", func() bool {
			return user(coresOf(t, d), batchName).Time > had+core.Millisecond
		})
		lc = startChild(t, "echo", d.Socket(), "echo", modeMediated)
		ask(t, conn)
		be.kill()
		await(t, "BE is detached", func() bool { return !user(coresOf(t, d), batchName).Attached })
	}
}

// What a runtime may not ask for is refused, with what it may.
func TestLoansThatAreRefused(t *testing.T) {
	_, d := lend(t)
	_, err := attach.Open(attach.Options{Name: "echo", Socket: d.Socket(), Cores: 2})
	says(t, err, "asks for 2 cores", "can get 1 at most")
	_, err = attach.Open(attach.Options{Name: "echo", Socket: d.Socket(), Direct: true})
	says(t, err, "direct mode")

	client, err := control.Dial(d.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	says(t, client.Threads([]int{1}), "attach first")
	client, err = control.Dial(d.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, _, err = client.Attach(control.Hello{Runtime: "echo", Mode: control.Mediated}); err != nil {
		t.Fatal(err)
	}
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	says(t, client.Threads([]int{other.Process.Pid}), "is not a thread of the runtime's process")
	says(t, client.Threads([]int{unix.Gettid(), unix.Gettid()}), "2 threads", "1 workers")
	if u := user(coresOf(t, d), "echo"); !u.Attached || u.Held != 0 || u.Grants != 0 {
		t.Errorf("a runtime that never named its threads: %+v", u)
	}
}
