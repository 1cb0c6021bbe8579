package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/iokernel"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

const (
	mediatedDeaths = 200
	directDeaths   = 30
	restarts       = 50
	livelyReplies  = 5 // a runtime that answered so often is in the middle of its traffic
)

// forNobody lets processes of nobody attach.
func forNobody(t *testing.T, o *Options) {
	t.Helper()
	dir := filepath.Dir(o.Config.Control.Socket)
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil { // t.TempDir is for us alone
			t.Fatal(err)
		}
	}
	o.Config.Control.Group = config.ID(nobody)
	for i := range o.Config.Runtimes {
		r := &o.Config.Runtimes[i]
		r.UIDs = append(r.UIDs, config.ID(nobody))
	}
}

// resources are what a process has of the kernel's and of Go's.
type resources struct {
	files      int
	maps       int // of memory shared with runtimes, and of sockets' rings
	goroutines int
}

func (r resources) String() string {
	return fmt.Sprintf("%d files, %d shared mappings, %d goroutines", r.files, r.maps, r.goroutines)
}

func resourcesNow(t *testing.T) (r resources) {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	shared := strings.Count(string(maps), "/memfd:dunlin") + strings.Count(string(maps), "socket:[")
	return resources{files: len(files), maps: shared, goroutines: runtime.NumGoroutine()}
}

// awaitResources waits until there are no more than before.
func awaitResources(t *testing.T, what string, before resources) {
	t.Helper()
	var now resources
	defer func() {
		if t.Failed() {
			t.Logf("%s: before %v, now %v", what, before, now)
		}
	}()
	await(t, what+" leaves nothing", func() bool {
		now = resourcesNow(t)
		return now.files <= before.files && now.maps <= before.maps &&
			now.goroutines <= before.goroutines
	})
}

// theAttachment is what is attached, nil if nothing is.
func (d *Daemon) theAttachment() *attachment {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.attached {
		return a
	}
	return nil
}

// incarnations are the runtimes that a mediated test attached and lost, and the account over them.
type incarnations struct {
	d    *Daemon
	seen []*iokernel.Runtime
}

// balance says why the iokernel's counters do not add up between two polls, over all incarnations.
func (n *incarnations) balance() (err error) {
	n.d.loop.Do(func() {
		q, nic := n.d.dataplane.QueueCounters(0), n.d.queues[0].port
		var rx, tx uint64
		for _, r := range n.seen {
			c := r.Counters()
			rx += c.RxPackets + c.Drops[iokernel.DropNoFill] + c.Drops[iokernel.DropRxFull] +
				c.Drops[iokernel.DropTooLong]
			tx += c.TxPackets - c.Switched
		}
		held := n.d.dataplane.Held(0)
		from := rx + q.Drops[iokernel.DropMalformed] + q.Drops[iokernel.DropNoEndpoint]
		sent := nic.Counters().TxPackets
		switch {
		case from != q.RxPackets || q.RxPackets != nic.Counters().RxPackets:
			err = fmt.Errorf("%d packets came, %d were received, %d are named",
				nic.Counters().RxPackets, q.RxPackets, from)
		case tx != q.TxPackets || tx != sent+uint64(held):
			err = fmt.Errorf("%d packets left runtimes, %d went to the NIC, %d wait, %d counted",
				tx, sent, held, q.TxPackets)
		default:
			err = conserved("iokernel", nic.Cache().Pool(), nic.Cache(), nic.Lent(), held)
		}
	})
	return err
}

// lives has a runtime attach, answer, and die in the middle of it, many times.
type lives struct {
	t       *testing.T
	d       *Daemon
	mode    string
	traffic *traffic
}

// answering waits until replies come, and returns the attachment.
func (v *lives) answering(who string) *attachment {
	v.t.Helper()
	before := v.traffic.replies.Load()
	await(v.t, who+" answers", func() bool {
		return v.traffic.replies.Load() >= before+livelyReplies
	})
	return v.d.theAttachment()
}

// killed is a process that gets SIGKILL.
func (v *lives) killed() *attachment {
	v.t.Helper()
	c := startChild(v.t, "echo", v.d.Socket(), "echo", v.mode)
	a := v.answering("the child")
	c.kill()
	return a
}

// closed is a runtime whose control connection ends while it goes on as if nothing had happened.
func (v *lives) closed() *attachment {
	v.t.Helper()
	r, err := openRaw(v.d.Socket(), "echo", v.mode == modeDirect)
	if err != nil {
		v.t.Fatal(err)
	}
	if err := r.makeWorker(func(q *dataplane.Request) { q.Turn() }); err != nil {
		v.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	a := v.answering("the runtime")
	if err := r.client.Close(); err != nil {
		v.t.Error(err)
	}
	v.gone()
	cancel()
	running.Wait()
	if err := r.close(); err != nil {
		v.t.Error(err)
	}
	return a
}

// gone waits until the iokernel has let go.
func (v *lives) gone() {
	v.t.Helper()
	await(v.t, "detached", func() bool { return v.d.theAttachment() == nil })
}

func testDeaths(t *testing.T, mode string, deaths int) {
	l := newLab(t, lab.PairOptions{})
	d := startDaemon(t, l, func(o *Options) {
		forNobody(t, o)
		o.Log = nil // 200 times the same
		r := &o.Config.Runtimes[0]
		small(r)
		if mode == modeDirect {
			r.AllowDirect, r.Queue = true, 0
		}
	})
	v := &lives{t, d, mode, startTraffic(t, l, echoPort)}
	var before resources
	seen := &incarnations{d: d}
	for i := range deaths + 2 {
		die := v.killed
		if i%2 == 1 {
			die = v.closed
		}
		a := die()
		v.gone()
		switch {
		case i == 1: // what is made once is made
			before = resourcesNow(t)
		case i > 1:
			awaitResources(t, fmt.Sprintf("death %d", i), before)
		}
		if n := d.steering.registered(); n > 0 {
			t.Errorf("after death %d, the program still takes %d endpoints", i, n)
		}
		if mode == modeDirect {
			continue
		}
		seen.seen = append(seen.seen, a.runtime)
		if err := seen.balance(); err != nil {
			t.Fatalf("after death %d: %v", i, err)
		}
	}
}

// registered is how many endpoints the program takes.
func (s *steering) registered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.types) + len(s.addresses)
}

func TestRuntimesDieMediated(t *testing.T) { testDeaths(t, modeMediated, mediatedDeaths) }

func TestRuntimesDieDirect(t *testing.T) { testDeaths(t, modeDirect, directDeaths) }
