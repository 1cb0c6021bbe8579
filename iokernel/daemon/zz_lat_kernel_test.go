package daemon_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/daemon"
	"github.com/dunlin-io/dunlin/xdp"
)

type gen struct {
	port       *dataplane.Port
	cache      *dataplane.Cache
	dst, src   wire.MAC
	sent       core.Time
	out        bool
	window     int
	inflight   int
	n          int
	samples    []int64
	done       chan struct{}
	buf        [64]dataplane.Frame
	start, end core.Time
}

func (g *gen) Next(now core.Time) core.Time { return now }
func (g *gen) Poll(now core.Time) int {
	if len(g.samples) >= g.n {
		if g.done != nil {
			g.end = now
			close(g.done)
			g.done = nil
		}
		return 0
	}
	if g.start == 0 {
		g.start = now
	}
	k := g.port.Recv(g.buf[:])
	for i := 0; i < k; i++ {
		g.samples = append(g.samples, int64(now-g.sent))
		g.cache.Free(g.buf[i].Index)
		g.inflight--
	}
	m := 0
	for g.inflight < g.window && m < 64 {
		ix, ok := g.cache.Alloc()
		if !ok {
			break
		}
		b := g.cache.Pool().Chunk(ix)
		wire.PutEthernet(b, g.dst, g.src, 0x88B5)
		binary.LittleEndian.PutUint64(b[14:], uint64(now))
		g.buf[m] = dataplane.Frame{Index: ix, Len: 64}
		m++
		g.inflight++
	}
	if m > 0 {
		s := g.port.Send(g.buf[:m])
		for _, f := range g.buf[s:m] {
			g.cache.Free(f.Index)
			g.inflight--
		}
		g.sent = now
		g.port.Flush()
	}
	return k + m
}

func TestZZ(t *testing.T) {
	pin.Procs(3)
	for _, window := range []int{1} {
		for round := 0; round < 4; round++ {
			for _, mode := range []string{"direct", "mediated"} {
				run(t, mode, window)
			}
		}
	}
}

func run(t *testing.T, mode string, window int) {
	l, err := lab.New(lab.PairOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var d *daemon.Daemon
	c := config.Default()
	c.Interface = l.End(lab.B).Name
	c.Poll = config.PollAdaptive
	c.CPU = 0
	c.Control.Socket = t.TempDir() + "/s"
	r := config.DefaultRuntime()
	r.Name = "echo"
	r.UIDs = []config.Account{config.ID(0)}
	r.CPUs = []int{1}
	r.Endpoints = []config.Endpoint{{EtherType: 0x88B5}}
	if mode == "direct" {
		r.AllowDirect, r.Queue = true, 0
	}
	if os.Getenv("SMALL") != "" {
		r.RingEntries, r.Frames = 64, 256
		c.XDP.RingEntries, c.XDP.Frames = 64, 256
	}
	c.Runtimes = []config.Runtime{r}
	d, err = daemon.Start(daemon.Options{Config: c, Inside: func(f func() error) error { return l.In(lab.B, f) }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rt, err := attach.Open(attach.Options{Name: "echo", Socket: d.Socket(), Direct: mode == "direct", Spin: attach.SpinFor(core.Never)})
	if err != nil {
		t.Fatal(err)
	}
	rt.HandleRaw(0x88B5, func(r *dataplane.Request) { r.Turn() })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rt.Run(ctx) }()
	var p *dataplane.Port
	var cache *dataplane.Cache
	var nic *xdp.Interface
	l.In(lab.A, func() error {
		prog, err := bpf.LoadRedirect(1, false)
		if err != nil {
			t.Fatal(err)
		}
		nic, err = xdp.Open(xdp.Options{Interface: l.End(lab.A).Name, Program: prog})
		if err != nil {
			t.Fatal(err)
		}
		m, err := mem.Create("gen", 4096*256)
		if err != nil {
			t.Fatal(err)
		}
		s, err := nic.OpenSocket(0, m.Bytes, xdp.SocketOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pool, _ := dataplane.NewPool(m.Bytes, dataplane.PoolConfig{ChunkBytes: 4096, Caches: 1})
		cache, _ = pool.Cache()
		p, err = s.Port(cache, dataplane.PortConfig{FillChunks: 64})
		if err != nil {
			t.Fatal(err)
		}
		return nic.Register(s, 0)
	})
	g := &gen{port: p, cache: cache, dst: l.End(lab.B).MAC, src: l.End(lab.A).MAC, window: window, n: 200000,
		done: make(chan struct{})}
	g.samples = make([]int64, 0, g.n+300)
	fin := g.done
	loop, host := d.Loop(), d.Host()
	if mode == "mediated" {
		loop.Do(func() { host.Add(g) })
	} else {
		h := core.NewHost(g)
		var err error
		loop, err = pin.New(pin.Options{CPU: 0, Spin: core.Never, Host: h})
		if err != nil {
			t.Fatal(err)
		}
		go loop.Run()
	}
	<-fin
	if mode == "mediated" {
		loop.Do(func() { host.Remove(g) })
	} else {
		loop.Stop()
	}
	cancel()
	<-done
	s := g.samples
	slices.Sort(s)
	fmt.Printf("window %d %s p50 %d p90 %d p99 %d p999 %d  rate %.0f/s\n", window, mode, s[len(s)/2], s[len(s)*9/10], s[len(s)*99/100], s[len(s)*999/1000],
		float64(len(s))/float64(g.end-g.start)*1e9)
	nic.Close()
}
