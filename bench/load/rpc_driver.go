package load

import (
	"context"
	"fmt"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
)

// rpcDriver has a client call, or write, or both.
type rpcDriver struct {
	turner    turner
	client    *rpcClient
	generator *Generator
	beside    bool // calls beside writes
}

func (d *rpcDriver) run(ctx context.Context, p Plan) (Result, error) {
	if err := d.client.connect(d.turner); err != nil {
		return Result{}, err
	}
	defer d.client.settle(d.turner)
	if p.Loop == report.Stream {
		return d.write(ctx, p)
	}
	done := make(chan struct{})
	if err := d.generator.Begin(p, func() { close(done) }); err != nil {
		return Result{}, err
	}
	stop := context.AfterFunc(ctx, d.generator.Stop)
	defer stop()
	if d.beside {
		d.turner.do(d.client.beginBulk)
	}
	d.turner.generate(d.generator, done)
	if d.beside {
		d.client.endBulk(d.turner)
	}
	return d.generator.Result(), ctx.Err()
}

// write counts the bytes that are in place at the server within the measured time.
func (d *rpcDriver) write(ctx context.Context, p Plan) (Result, error) {
	r, err := d.measure(ctx, p)
	d.client.endBulk(d.turner)
	r.Faults.Lost = d.client.failed
	return r, err
}

// measure begins writes, and leaves them under way.
func (d *rpcDriver) measure(ctx context.Context, p Plan) (Result, error) {
	c := d.client
	if c.region == 0 {
		return Result{}, fmt.Errorf("load: the server gives no memory to write to")
	}
	d.turner.do(c.beginBulk)
	d.turner.await(p.Warmup, func() bool { return ctx.Err() != nil })
	begun, before := c.now, c.written
	d.turner.await(p.Measure, func() bool { return ctx.Err() != nil })
	return Result{Replies: c.written - before, Elapsed: c.now - begun}, ctx.Err()
}

// turner is the thread of a client. What do is given has the client's time; await polls the client
// until something is so (asked on that thread) or time is over, generate until a generator is done.
type turner interface {
	do(f func())
	await(patience core.Time, so func() bool) bool
	generate(g *Generator, done <-chan struct{})
}

// bareTurner polls in the simplest loop there is.
type bareTurner struct {
	thread *pin.Loop
	clock  pin.Clock
	client *rpcClient
}

func (t bareTurner) do(f func()) {
	t.thread.Do(func() {
		t.client.now = t.clock.Now()
		f()
	})
}

func (t bareTurner) await(patience core.Time, so func() bool) (is bool) {
	t.do(func() {
		end := t.client.now + patience
		for is = so(); !is && t.client.now < end; is = so() {
			t.client.now = t.clock.Now()
			t.client.poll()
		}
	})
	return is
}

func (t bareTurner) generate(g *Generator, _ <-chan struct{}) {
	t.do(func() {
		for g.Running() {
			t.client.now = t.clock.Now()
			g.Poll(t.client.now)
		}
	})
}

// hostTurner polls in the iokernel's loop.
type hostTurner struct {
	loop   *pin.Loop
	host   *core.Host
	clock  pin.Clock
	client *rpcClient
}

func (t hostTurner) do(f func()) {
	t.loop.Do(func() {
		t.client.now = t.clock.Now()
		f()
	})
}

func (t hostTurner) await(patience core.Time, so func() bool) bool {
	p := &patient{client: t.client, so: so, done: make(chan struct{})}
	p.end = t.clock.Now() + patience
	t.during(p, p.done)
	return p.is
}

func (t hostTurner) generate(g *Generator, done <-chan struct{}) {
	t.during(rpcPoller{t.client, g}, done)
}

// during has p among the pollers until it is done.
func (t hostTurner) during(p core.Poller, done <-chan struct{}) {
	t.loop.Do(func() { t.host.Add(p) })
	<-done
	t.loop.Do(func() { t.host.Remove(p) })
}

// patient polls a client until something is so.
type patient struct {
	client   *rpcClient
	so       func() bool
	end      core.Time
	is, over bool
	done     chan struct{}
}

// Poll implements core.Poller.
func (p *patient) Poll(now core.Time) int {
	if p.over {
		return 0
	}
	p.client.now = now
	p.client.poll()
	if p.is = p.so(); p.is || now >= p.end {
		p.over = true
		close(p.done)
	}
	return 1
}

// Next implements core.Poller.
func (p *patient) Next(now core.Time) core.Time { return now }

// rpcPoller gives a client the time, and then its generator.
type rpcPoller struct {
	client    *rpcClient
	generator *Generator
}

// Poll implements core.Poller.
func (p rpcPoller) Poll(now core.Time) int {
	p.client.now = now
	return p.generator.Poll(now)
}

// Next implements core.Poller.
func (p rpcPoller) Next(now core.Time) core.Time { return p.generator.Next(now) }
