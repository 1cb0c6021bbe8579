// Package attach is what an application imports: it connects to an iokernel, is handed frame memory
// and rings, and runs handlers on worker loops over them. The application needs no privilege.
//
//	rt, err := attach.Open(attach.Options{Name: "echo"})
//	...
//	err = rt.HandleUDP(7777, func(r *dataplane.Request) { r.Turn() })
//	...
//	err = rt.Run(ctx)
//
// Three modes, one option apart, and the same from there on:
//
//	mediated  (default)        frames pass through the iokernel, which shares the interface fairly
//	direct    Direct: true     the application owns a NIC queue; the configuration must allow it
//	solo      Solo: daemon     the iokernel runs inside this process, on the same core
//
// Where the iokernel lends cores (class lc or be), a mediated runtime has a worker on each of them,
// and its workers run while the core is theirs.
//
// Open, Handle and Run are for the application's goroutines. Handlers run on the workers' threads:
// one thread for each worker, pinned where the iokernel's configuration says. Two workers may call
// the same handler at the same time. The frame memory is the runtime's until Run returns.
package attach

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// DefaultSocket is where an iokernel listens unless configured otherwise.
const DefaultSocket = "/run/dunlin/iokernel.sock"

// Options say how to attach.
type Options struct {
	Name   string // the runtime's name in the iokernel's configuration
	Socket string // control socket; empty: DefaultSocket
	Direct bool   // own a NIC queue
	Cores  int    // refuse to attach if it cannot have so many cores; 0: what there is
	Solo   Solo   // an iokernel inside this process; Socket is not used then
	Spin   Spin   // when to park
}

// Spin says for how long an idle worker polls before it parks.
type Spin struct {
	set bool
	t   core.Time
}

// SpinFor polls for t before parking; core.Never never parks. The zero Spin leaves it to the
// iokernel's configuration.
func SpinFor(t core.Time) Spin { return Spin{true, t} }

// Door is the way to an iokernel's control plane: a *control.Client, or the iokernel itself.
type Door interface {
	Attach(control.Hello) (control.Grant, map[string]*os.File, error)
	Neigh(addr netip.Addr) (mac control.MAC, found bool, err error)
	Threads(ids []int) error // of the workers, where their cores come and go
	Done() <-chan struct{}   // closed when the iokernel ends the attachment, or is gone
	Wait() error             // blocks until then, and says why
	Close() error
}

// Solo is an iokernel inside this process: iokernel/daemon has one. Its workers run on its loop.
type Solo interface {
	Door() (Door, error)
	Loop() *pin.Loop
	Host() *core.Host
}

// Runtime is an attached application.
type Runtime struct {
	o       Options
	door    Door
	grant   control.Grant
	memory  *mem.Memory
	event   *pin.Event     // doorbell to the iokernel; nil in direct mode
	sockets []*sock.Socket // direct mode
	workers []*worker
	loan    *loan // nil: the workers' CPUs are theirs for good
	closers []func() error
}

// worker is one run-to-completion loop.
type worker struct {
	number int
	cpu    int
	loop   *dataplane.Worker
	port   *dataplane.Port
	host   *core.Host
	beside *core.Host // in it: pollers of the worker's thread; the host itself but for lent cores
	waiter pin.Waiter
	nudge  *pin.Event // of other goroutines of this process; nil: none asked for it
	wake   *pin.Event // nil in direct mode, and on a core that is lent
	core   int        // on a core that is lent: its line on the baton page
}

// Open attaches to the iokernel and maps what it hands out. The error says what to do.
func Open(o Options) (*Runtime, error) {
	door, err := dial(o)
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", o.Name, err)
	}
	mode := control.Mediated
	if o.Direct {
		mode = control.Direct
	}
	grant, files, err := door.Attach(control.Hello{Runtime: o.Name, Mode: mode, Cores: o.Cores})
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", o.Name, errors.Join(err, door.Close()))
	}
	rt := &Runtime{o: o, door: door, grant: grant}
	if o.Direct {
		err = rt.mapDirect(files)
	} else {
		err = rt.mapMediated(files)
	}
	for _, f := range files { // those that were not taken over
		f.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", o.Name, errors.Join(err, rt.Close()))
	}
	return rt, nil
}

func dial(o Options) (Door, error) {
	if o.Solo != nil {
		return o.Solo.Door()
	}
	if o.Socket == "" {
		o.Socket = DefaultSocket
	}
	return control.Dial(o.Socket)
}

// HandleRaw gives packets of an EtherType that the iokernel granted to h, on all workers.
func (rt *Runtime) HandleRaw(t wire.EtherType, h dataplane.Handler) error {
	for _, w := range rt.workers {
		if err := w.loop.HandleRaw(t, h); err != nil {
			return err
		}
	}
	return rt.granted(fmt.Sprintf("EtherType %v", t), func(e control.Endpoint) bool {
		return wire.EtherType(e.EtherType) == t
	})
}

// HandleUDP gives UDP packets to a port that the iokernel granted to h, on all workers.
func (rt *Runtime) HandleUDP(port uint16, h dataplane.Handler) error {
	for _, w := range rt.workers {
		if err := w.loop.HandleUDP(netip.AddrPortFrom(netip.Addr{}, port), h); err != nil {
			return err
		}
	}
	return rt.granted(fmt.Sprintf("UDP port %d", port), func(e control.Endpoint) bool {
		return e.EtherType == 0 && e.UDP == port
	})
}

func (rt *Runtime) granted(what string, is func(control.Endpoint) bool) error {
	for _, e := range rt.grant.Endpoints {
		if is(e) {
			return nil
		}
	}
	return fmt.Errorf("attach %s: %s is not among the runtime's endpoints: add it to the "+
		"iokernel's configuration", rt.o.Name, what)
}

// Grant is what the iokernel handed out.
func (rt *Runtime) Grant() control.Grant { return rt.grant }

// Workers is how many loops the runtime has.
func (rt *Runtime) Workers() int { return len(rt.workers) }

// Add lets p share a worker's thread: a client that sends requests, a timer. It is polled by that
// thread alone, also where the iokernel lends cores and another may use the worker. Before Run.
func (rt *Runtime) Add(number int, p core.Poller) {
	if rt.loan != nil {
		p = &teller{Poller: p, line: rt.loan.load.Line(number)}
	}
	rt.workers[number].beside.Add(p)
}

// Accompany has p polled behind each of a worker's turns, by the thread that gives it that turn,
// and so never beside the worker's handlers or by two threads at a time: for a poller that uses the
// worker, or that its handlers use. Where the iokernel lends cores it may be any of the runtime's
// threads, and the runtime gets a core when p's Next has come. Before Run.
func (rt *Runtime) Accompany(number int, p core.Poller) {
	if rt.loan != nil {
		rt.loan.team.Accompany(number, p)
		return
	}
	rt.workers[number].host.Add(p)
}

// Waker returns what any goroutine may call, until the runtime is closed, to have what accompanies
// a worker polled soon: it has input that did not come from the wire. A loop that sleeps is woken;
// if the runtime has no core, the iokernel is asked for one. Before Run.
func (rt *Runtime) Waker(number int) (wake func(), err error) {
	if rt.loan != nil {
		return rt.loan.waker(number, rt.event.Signal), nil
	}
	w := rt.workers[number]
	if w.nudge == nil {
		if w.nudge, err = pin.NewEvent(); err != nil {
			return nil, fmt.Errorf("attach %s: %w", rt.o.Name, err)
		}
	}
	return w.nudge.Signal, nil
}

// AtClose has f called when the runtime is closed, by Run or Close: the loops have ended then, and
// the memory is still there. The last one is called first.
func (rt *Runtime) AtClose(f func() error) { rt.closers = append(rt.closers, f) }

// Name is the runtime's name in the iokernel's configuration.
func (rt *Runtime) Name() string { return rt.o.Name }

// Worker is a worker's loop, for pollers that share its thread. Where the iokernel lends cores
// another thread may be using it: borrow it from the Seat.
func (rt *Runtime) Worker(number int) *dataplane.Worker { return rt.workers[number].loop }

// Port is the worker's port: what it counted, and what it has lent, for an audit. It belongs to the
// worker's thread while Run runs.
func (rt *Runtime) Port(number int) *dataplane.Port { return rt.workers[number].port }

// Neighbour finds the Ethernet address to send packets for addr to: its own, or its router's. It
// may block for seconds, while the kernel resolves it.
func (rt *Runtime) Neighbour(addr netip.Addr) (wire.MAC, error) {
	mac, found, err := rt.door.Neigh(addr)
	if err != nil {
		return wire.MAC{}, fmt.Errorf("attach %s: neighbour %v: %w", rt.o.Name, addr, err)
	}
	if !found {
		return wire.MAC{}, fmt.Errorf("attach %s: neighbour %v: nobody answers", rt.o.Name, addr)
	}
	return wire.MAC(mac), nil
}
