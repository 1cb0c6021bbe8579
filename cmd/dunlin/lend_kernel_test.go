package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// runAsBatch is a best-effort runtime that attaches again and again, as a program of its own.
const runAsBatch = "batch"

// busyPoller always has something to compute.
type busyPoller struct{ sum uint64 }

func (b *busyPoller) Poll(core.Time) int {
	for range 2000 {
		b.sum = b.sum*6364136223846793005 + 1442695040888963407
	}
	return 1
}

func (b *busyPoller) Next(now core.Time) core.Time { return now }

// playBatch computes on whatever cores it is lent, until its input ends.
func playBatch(socket string) int {
	for {
		rt, err := attach.Open(attach.Options{Name: runAsBatch, Socket: socket})
		if err != nil {
			fmt.Println("batch: waits:", err)
			time.Sleep(20 * time.Millisecond)
			continue
		}
		for w := range rt.Workers() {
			rt.Add(w, &busyPoller{})
		}
		fmt.Println("batch: attached")
		err = rt.Run(context.Background())
		fmt.Println("batch: ended:", err)
		if !errors.Is(err, attach.ErrGone) {
			return 1
		}
	}
}

// lendingHost is a host whose iokernel, on CPU 0, lends CPU 1 to echo and to batch.
func lendingHost(t *testing.T) *host {
	t.Helper()
	allowed, err := pin.Allowed()
	if err != nil {
		t.Fatal(err)
	}
	if !allowed.IsSet(0) || !allowed.IsSet(1) {
		t.Skipf("needs CPUs 0 and 1, and may use %v", allowed)
	}
	return newHost(t, fmt.Sprintf(`    class: lc
    reserved: 1
  - {name: %s, class: be, uids: [%d]}
cpu: 0
cores: {lend: "1"}
`, runAsBatch, nobody))
}

// cores asks who has which core, as root.
func (h *host) cores(t *testing.T) control.Cores {
	t.Helper()
	c, err := control.Dial(h.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := c.Cores(0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sharedMemory is how many mappings a process has of memory that it shares with an iokernel.
func sharedMemory(t *testing.T, p *process) int {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), "/memfd:dunlin")
}

// keepAsking has the core move: LC is asked every 200 us, and BE has it in between.
func keepAsking(t *testing.T, h *host) {
	t.Helper()
	conn, err := h.dial("udp", netip.AddrPortFrom(h.lab.End(lab.B).IPv4, echoPort).String())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			// While no iokernel guards the port, the kernel refuses; only our end counts.
			if _, err := conn.Write(make([]byte, 64)); errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(200 * time.Microsecond)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-ended })
}

// TestIokernelIsKilledWhileItLends ends an iokernel by force at random moments while a core moves
// between two runtimes. Both notice, wherever they sleep, attach to the next one, and have of the
// dead one neither files nor memory.
func TestIokernelIsKilledWhileItLends(t *testing.T) {
	const kills = 4
	seed := uint64(time.Now().UnixNano())
	t.Logf("the moments are of seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	h := lendingHost(t)
	iokernel := h.iokernel(t)
	lc := h.echo(t, "--reconnect")
	be := h.start(t, nobody, runAsBatch, h.socket)
	keepAsking(t, h)
	var files, maps [2]int
	nextLC, nextBE := 0, 0
	for i := range kills {
		_, nextLC = lc.await(t, nextLC, "ready: echo serves")
		_, nextBE = be.await(t, nextBE, "batch: attached")
		h.moves(t)
		for k, p := range []*process{lc, be} {
			n, m := descriptors(t, p), sharedMemory(t, p)
			if i > 0 && (n != files[k] || m != maps[k]) {
				t.Errorf("after kill %d, %s has %d files and %d mappings, before it had %d and %d", i,
					p.name, n, m, files[k], maps[k])
			}
			files[k], maps[k] = n, m
		}
		nap(time.Duration(random.Int64N(int64(2 * time.Millisecond))))
		iokernel.signal(unix.SIGKILL)
		iokernel.wait(t, -1)
		_, nextLC = lc.await(t, nextLC, "trying again in")
		_, nextBE = be.await(t, nextBE, "batch: ended:")
		h.noProgram(t)
		iokernel = h.iokernel(t)
	}
	_, _ = lc.await(t, nextLC, "ready: echo serves")
	_, _ = be.await(t, nextBE, "batch: attached")
	h.moves(t)
	h.exchange(t, h.lab.End(lab.B).IPv4, 20)
}

// moves waits until both runtimes have had the core from the iokernel of now, and wants the times
// to add up.
func (h *host) moves(t *testing.T) {
	t.Helper()
	var r control.Cores
	wait(t, "the core to move between both", func() bool {
		r = h.cores(t)
		for _, u := range r.Runtimes {
			if u.Grants < 10 || u.Time < core.Millisecond {
				return false
			}
		}
		return len(r.Runtimes) == 2
	})
	sum := core.Time(0)
	for _, o := range r.Cores[0].Times {
		sum += o.Time
	}
	if sum != r.Uptime {
		t.Errorf("the times add up to %d ns, and %d have passed: %v", sum, r.Uptime,
			r.Cores[0].Times)
	}
}

// TestServiceCapabilitiesToLend runs an iokernel that lends cores as an ordinary user with the
// capabilities of docs/iokernel.service: it demotes workers of another user, and the core moves.
// With one less it does not start, and says what would fail.
func TestServiceCapabilitiesToLend(t *testing.T) {
	h := lendingHost(t)
	if err := os.Chown(h.dir, stranger, nobody); err != nil {
		t.Fatal(err)
	}
	start := func(more ...uintptr) *process {
		return h.startWith(t, nil, &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: stranger, Gid: nobody},
			AmbientCaps: append([]uintptr{
				unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_BPF, unix.CAP_PERFMON,
				unix.CAP_IPC_LOCK,
			}, more...),
		}, "iokernel", "--config", h.config)
	}
	for _, has := range []uintptr{unix.CAP_KILL, unix.CAP_SYS_NICE} {
		p := start(has)
		p.wait(t, 3)
		if !p.wrote("lends cores and lacks [CAP_") {
			t.Errorf("it says:\n%s", strings.Join(p.output(), "\n"))
		}
	}
	p := start(unix.CAP_SYS_NICE, unix.CAP_KILL)
	p.await(t, 0, "iokernel: dl1")
	h.echo(t)
	be := h.start(t, nobody, runAsBatch, h.socket)
	be.await(t, 0, "batch: attached")
	keepAsking(t, h)
	h.moves(t)
	stat, err := os.ReadFile(loopThread(t, be, "worker0") + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	if got := policyOf(t, string(stat)); got != unix.SCHED_IDLE {
		t.Errorf("the worker of BE has policy %d, want SCHED_IDLE", got)
	}
	p.signal(unix.SIGTERM)
	p.wait(t, 0)
}
