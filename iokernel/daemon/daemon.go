// Package daemon wires an iokernel to this machine: it attaches the XDP program to the interface,
// opens a socket over private frame memory for each queue, runs the pure iokernel.Dataplane on its
// own core, and serves the control socket, metrics and the service manager.
//
//	cmd/iokernel, bench, a solo application
//	      │ Start(Config)
//	      v
//	   Daemon ── loop (own core): Host{ Dataplane, whoever shares the core }
//	      ├───── control: Attach / Detach of runtimes    one goroutine for each connection
//	      ├───── evictions: from the Dataplane to the control connection
//	      ├───── neigh: addresses and link of the interface -> XDP program, Dataplane
//	      └───── metrics: snapshots, on request
//
// Everything but the loop is control plane. It reaches the Dataplane through the loop's Do, which
// runs a function between two polls. Close takes everything down again; so does the death of the
// process, because program, sockets and memory all hang on descriptors.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/iokernel"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/iokernel/metrics"
	"github.com/dunlin-io/dunlin/iokernel/neigh"
	"github.com/dunlin-io/dunlin/xdp"
)

// Options of a daemon.
type Options struct {
	Config config.Config // validated
	Log    *slog.Logger  // nil: no log
	Build  string        // version, for status and metrics

	// Inside runs a function in the network namespace of the interface; nil if that is the
	// process's.
	Inside func(func() error) error
	// Private leaves out control socket and metrics: for an iokernel inside an application.
	Private bool

	senses *senses // in tests; nil: this machine's
}

// Daemon is a running iokernel.
type Daemon struct {
	o         Options
	log       *slog.Logger
	allowed   []int // CPUs of this process
	cpu       int
	spin      core.Time
	clock     pin.Clock
	started   core.Time
	steer     *bpf.Steer
	nic       *xdp.Interface
	queues    []*queue
	dataplane *iokernel.Dataplane
	lending   *lending // nil: no cores are lent
	host      *core.Host
	loop      *pin.Loop
	steering  *steering
	guards    guards
	neigh     *neigh.Watcher
	server    *control.Server
	metrics   *metrics.Server
	evictions chan struct{} // of size 1: the Dataplane has some
	signing   *identities   // nil: no cluster
	cancel    context.CancelFunc
	running   sync.WaitGroup
	failed    chan error  // of size 1: why the daemon cannot go on
	dead      atomic.Bool // it cannot
	closing   sync.Once

	mu       sync.Mutex
	attached map[owner]*attachment
	evicted  map[string]*[iokernel.ViolationCount]uint64 // since the start, by runtime
}

// Start brings an iokernel up. On error nothing is left.
func Start(o Options) (_ *Daemon, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Inside == nil {
		o.Inside = func(f func() error) error { return f() }
	}
	d := &Daemon{
		o: o, log: o.Log, clock: pin.NewClock(), attached: map[owner]*attachment{},
		evicted:   map[string]*[iokernel.ViolationCount]uint64{},
		evictions: make(chan struct{}, 1), failed: make(chan error, 1),
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.placeLoop(); err != nil {
		return nil, err
	}
	if err := d.openLending(); err != nil {
		return nil, err
	}
	// First, so that a second iokernel learns that it is one, and not that its ports are taken.
	if err := d.listen(); err != nil {
		return nil, err
	}
	if err := d.openCluster(); err != nil {
		return nil, err
	}
	if err := o.Inside(d.openNetwork); err != nil {
		return nil, err
	}
	if err := d.buildDataplane(); err != nil {
		return nil, err
	}
	if err := d.follow(); err != nil {
		return nil, err
	}
	if err := d.openMetrics(); err != nil {
		return nil, err
	}
	d.run(ctx)
	d.log.Info("iokernel: " + d.Line())
	return d, nil
}

// placeLoop chooses the CPU and how the loop idles.
func (d *Daemon) placeLoop() error {
	allowed, err := pin.Allowed()
	if err != nil {
		return err
	}
	c := &d.o.Config
	if err := c.Machine(allowed.List()); err != nil {
		return err
	}
	d.allowed = allowed.List()
	d.cpu, d.spin = int(c.CPU), c.Spin
	if c.CPU == config.AnyCPU {
		d.cpu = d.allowed[0]
	}
	if c.Poll.Resolve(allowed.Count()) == config.PollSpin {
		d.spin = core.Never
	}
	return nil
}

// buildDataplane makes the pure part over what was opened, and the loop that runs it.
func (d *Daemon) buildDataplane() error {
	var err error
	features := d.nic.Features()
	c := iokernel.Config{MAC: features.MAC, MTU: features.MTU, Notify: func() {
		select {
		case d.evictions <- struct{}{}:
		default:
		}
	}}
	for _, q := range d.queues {
		c.Queues = append(c.Queues, iokernel.Queue{Link: q.port, Cache: q.port.Cache()})
	}
	if d.dataplane, err = iokernel.New(c); err != nil {
		return err
	}
	d.host = core.NewHost(d.dataplane)
	if d.lending != nil {
		d.host.Add(d.lending.scheduler) // behind it: what has just come is looked at at once
	}
	waiters := []pin.Waiter{runtimes{d.dataplane}}
	for _, q := range d.queues {
		waiters = append(waiters, q)
	}
	d.loop, err = pin.New(pin.Options{
		Name: "iokernel", CPU: d.cpu, Spin: d.spin, Host: d.host,
		Waiters: waiters,
	})
	return err
}

// run starts everything that was built.
func (d *Daemon) run(ctx context.Context) {
	d.started = d.clock.Now()
	d.start(func() {
		if err := d.loop.Run(); err != nil {
			d.fail(err)
		}
	})
	d.start(func() { d.watch(ctx) })
	d.start(func() { d.evict(ctx) })
	if d.lending != nil {
		d.start(func() { d.watchStuck(ctx) })
		d.start(func() { d.sense(ctx) })
	}
	if d.metrics != nil {
		d.start(func() { d.serveMetrics(ctx) })
	}
	if d.server != nil {
		d.start(func() {
			if err := d.server.Serve(ctx, handler{d}); err != nil {
				d.log.Error("iokernel: control socket failed", "err", err)
			}
		})
	}
}

func (d *Daemon) start(f func()) {
	d.running.Add(1)
	go func() {
		defer d.running.Done()
		f()
	}()
}

// Host is the host that the daemon's loop turns: others may be added to share its core, with
// Loop().Do.
func (d *Daemon) Host() *core.Host { return d.host }

// Loop is the daemon's loop.
func (d *Daemon) Loop() *pin.Loop { return d.loop }

// Wait blocks until ctx ends (nil) or the daemon cannot go on; then Close it. Call it once.
func (d *Daemon) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.failed:
		return err
	}
}

// fail has Wait return err; the first counts.
func (d *Daemon) fail(err error) {
	select {
	case d.failed <- err:
		d.dead.Store(true)
	default:
	}
}

// Close evicts the runtimes and takes everything down. It may be called more than once.
func (d *Daemon) Close() error {
	var errs []error
	d.closing.Do(func() {
		d.cancel()
		if d.server != nil {
			errs = append(errs, d.server.Close()) // detaches all sessions
		}
		if d.neigh != nil {
			d.neigh.Close()
		}
		d.evictPrivate()
		if d.loop != nil {
			d.loop.Stop()
		}
		if d.metrics != nil {
			d.metrics.Close() // Serve has closed it, unless it was never called
		}
		d.running.Wait()
		errs = append(errs, d.closeCluster())
		if d.loop != nil {
			errs = append(errs, d.loop.Close()) // if it never ran
		}
		errs = append(errs, d.closeNetwork(), d.lending.close())
	})
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("iokernel: close: %w", err)
	}
	return nil
}

// runtimes waits for what all runtimes publish; each wakes the loop by a doorbell of its own.
type runtimes struct{ dataplane *iokernel.Dataplane }

func (w runtimes) FD() int       { return -1 } // which poll ignores
func (w runtimes) Arm(on bool)   { w.dataplane.Arm(on) }
func (w runtimes) Pending() bool { return w.dataplane.Pending() }
func (w runtimes) Drain()        {}

// doorbell is one runtime's. It has one to itself, because whoever has an eventfd can also drain
// it: with one for all, a runtime could take the others' rings away.
type doorbell struct{ event *pin.Event }

func (w doorbell) FD() int       { return w.event.FD() }
func (w doorbell) Arm(bool)      {}
func (w doorbell) Pending() bool { return false } // runtimes looks at what they published
func (w doorbell) Drain()        { w.event.Drain() }

// Socket is the path of the control socket.
func (d *Daemon) Socket() string { return d.o.Config.Control.Socket }
