package load

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
)

// driver carries out plans: a generator, its transport, and the thread that polls it. When ctx
// ends, so does the run, with an error.
type driver interface {
	run(ctx context.Context, p Plan) (Result, error)
}

// newThread returns a parked thread on a CPU of its own, for generators that need nothing beside
// them: what is given to Do has it for itself.
func newThread(name string, cpu int) (*pin.Loop, error) {
	l, err := pin.New(pin.Options{Name: name, CPU: cpu, Host: core.NewHost()})
	if err != nil {
		return nil, err
	}
	go l.Run() // its end is Stop's; it cannot fail on a CPU that New has found to be allowed
	return l, nil
}

// bareDriver polls a generator in the simplest loop there is, on a thread of this process.
type bareDriver struct {
	thread    *pin.Loop
	generator *Generator
}

func (d bareDriver) run(ctx context.Context, p Plan) (Result, error) {
	if err := d.generator.Begin(p, nil); err != nil {
		return Result{}, err
	}
	stop := context.AfterFunc(ctx, d.generator.Stop)
	defer stop()
	clock := pin.NewClock()
	d.thread.Do(func() {
		for d.generator.Running() {
			d.generator.Poll(clock.Now())
		}
	})
	return d.generator.Result(), ctx.Err()
}

// hostDriver polls a generator in the host of a loop that does something else as well: the
// iokernel's.
type hostDriver struct {
	loop      *pin.Loop
	host      *core.Host
	generator *Generator
}

func (d hostDriver) run(ctx context.Context, p Plan) (Result, error) {
	done := make(chan struct{})
	if err := d.generator.Begin(p, func() { close(done) }); err != nil {
		return Result{}, err
	}
	stop := context.AfterFunc(ctx, d.generator.Stop)
	defer stop()
	d.loop.Do(func() { d.host.Add(d.generator) })
	<-done
	d.loop.Do(func() { d.host.Remove(d.generator) })
	return d.generator.Result(), ctx.Err()
}

// remoteDriver has a process of ours carry out plans (see serve). One at a time.
type remoteDriver struct {
	process *child
	out     *gob.Encoder
	in      *gob.Decoder
}

func newRemoteDriver(c *child) *remoteDriver {
	return &remoteDriver{process: c, out: gob.NewEncoder(c.in), in: gob.NewDecoder(c.out)}
}

// answer is what a remote generator sends back.
type answer struct {
	Result Result
	Err    string
}

func (d *remoteDriver) run(ctx context.Context, p Plan) (Result, error) {
	if err := d.out.Encode(p); err != nil {
		return Result{}, d.failed("plan for", err)
	}
	// The plan bounds how long this takes; an interrupted run ends with its process.
	var a answer
	got := make(chan error, 1)
	go func() { got <- d.in.Decode(&a) }()
	select {
	case err := <-got:
		if err != nil {
			return Result{}, d.failed("result of", err)
		}
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	if a.Err != "" {
		return Result{}, fmt.Errorf("load: %s: %s", d.process.name, a.Err)
	}
	return a.Result, nil
}

func (d *remoteDriver) failed(what string, err error) error {
	return errors.Join(d.process.alive(), fmt.Errorf("load: %s %s: %w", what, d.process.name, err))
}

// serve is the other side of a remoteDriver: it reads plans and writes results until the plans end.
func serve(in io.Reader, out io.Writer, d driver) error {
	plans, results := gob.NewDecoder(in), gob.NewEncoder(out)
	for {
		var p Plan
		if err := plans.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("load: read plan: %w", err)
		}
		var a answer
		r, err := d.run(context.Background(), p)
		if a.Result = r; err != nil {
			a.Err = err.Error()
		}
		if err := results.Encode(a); err != nil {
			return fmt.Errorf("load: write result: %w", err)
		}
	}
}

// parkingDriver polls a generator in a loop of its own that parks when there is nothing to do, and
// so leaves the CPU to somebody else.
type parkingDriver struct {
	loop      *pin.Loop
	host      *core.Host
	generator *Generator
}

// glanceEvery is how often a parked loop is woken to notice a loss.
const glanceEvery = time.Duration(lookAfter)

func (d parkingDriver) run(_ context.Context, p Plan) (Result, error) {
	p.Patient = true
	done := make(chan struct{})
	if err := d.generator.Begin(p, func() { close(done) }); err != nil {
		return Result{}, err
	}
	d.loop.Do(func() { d.host.Add(d.generator) })
	glance := time.NewTicker(glanceEvery)
	defer glance.Stop()
	for {
		select {
		case <-done:
			d.loop.Do(func() { d.host.Remove(d.generator) })
			return d.generator.Result(), nil
		case <-glance.C:
			d.loop.Do(func() {})
		}
	}
}

// goDriver polls a generator on an ordinary goroutine.
type goDriver struct{ generator *Generator }

func (d goDriver) run(_ context.Context, p Plan) (Result, error) {
	if err := d.generator.Begin(p, nil); err != nil {
		return Result{}, err
	}
	clock := pin.NewClock()
	for d.generator.Running() {
		d.generator.Poll(clock.Now())
	}
	return d.generator.Result(), nil
}
