package attach

import (
	"fmt"
	"os"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// take takes a file out of those that came with the grant.
func take(files map[string]*os.File, name string) (*os.File, error) {
	f, ok := files[name]
	if !ok {
		return nil, fmt.Errorf("the iokernel handed out no %s", name)
	}
	delete(files, name)
	return f, nil
}

// mapMediated maps the memory shared with the iokernel and makes a port over each worker's rings.
func (rt *Runtime) mapMediated(files map[string]*os.File) error {
	file, err := take(files, control.FileMemory)
	if err != nil {
		return err
	}
	if rt.memory, err = mem.Map(file, int(rt.grant.Layout.Bytes)); err != nil {
		return err
	}
	layout, err := dataplane.ReadLayout(rt.memory.Bytes)
	if err != nil {
		return err
	}
	if layout.Workers != len(rt.grant.Workers) {
		return fmt.Errorf("the shared memory is laid out for %d workers, the iokernel grants %d",
			layout.Workers, len(rt.grant.Workers))
	}
	if file, err = take(files, control.FileDoorbell); err != nil {
		return err
	}
	rt.event = pin.OpenEvent(file)
	if err := rt.mapLoan(files); err != nil {
		return err
	}
	pool, err := dataplane.NewPool(layout.FrameMemory(rt.memory.Bytes), dataplane.PoolConfig{
		ChunkBytes: layout.ChunkBytes, Caches: layout.Workers,
	})
	if err != nil {
		return err
	}
	for i, g := range rt.grant.Workers {
		rings, err := layout.Rings(rt.memory.Bytes, i)
		if err != nil {
			return err
		}
		w := &worker{number: i, cpu: g.CPU, core: g.Core}
		if rt.loan == nil {
			if file, err = take(files, control.FileWorker(i)); err != nil {
				return err
			}
			w.wake = pin.OpenEvent(file)
		}
		rt.workers = append(rt.workers, w)
		if err := rt.wire(w, pool, func(c *dataplane.Cache, p dataplane.PortConfig) (err error) {
			w.port, err = dataplane.NewPort(rings, c, doorbell{rt.event}, p)
			return err
		}); err != nil {
			return err
		}
		w.waiter = ringWaiter{w.port, w.wake}
	}
	return rt.share()
}

// mapDirect maps the rings of the sockets that were handed over.
func (rt *Runtime) mapDirect(files map[string]*os.File) error {
	file, err := take(files, control.FileMemory)
	if err != nil {
		return err
	}
	if rt.memory, err = mem.Map(file, int(rt.grant.Layout.Bytes)); err != nil {
		return err
	}
	pool, err := dataplane.NewPool(rt.memory.Bytes, dataplane.PoolConfig{
		ChunkBytes: rt.grant.Layout.ChunkBytes, Caches: len(rt.grant.Workers),
	})
	if err != nil {
		return err
	}
	d := rt.grant.Direct
	if d == nil {
		return fmt.Errorf("the iokernel did not describe its sockets")
	}
	sizes := sock.Sizes{
		Fill: d.FillEntries, Completion: d.CompletionEntries, Rx: d.RxEntries,
		Tx: d.TxEntries,
	}
	for i, g := range rt.grant.Workers {
		if file, err = take(files, control.FileSocket(i)); err != nil {
			return err
		}
		s, err := sock.Open(file, sizes)
		if err != nil {
			return err
		}
		rt.sockets = append(rt.sockets, s)
		w := &worker{number: i, cpu: g.CPU}
		rt.workers = append(rt.workers, w)
		if err := rt.wire(w, pool, func(c *dataplane.Cache, p dataplane.PortConfig) (err error) {
			w.port, err = s.Port(c, p)
			return err
		}); err != nil {
			return err
		}
		w.waiter = socketWaiter{w.port, s}
	}
	return nil
}

// wire makes a worker's cache, its port (by makePort) and its loop.
func (rt *Runtime) wire(w *worker, pool *dataplane.Pool,
	makePort func(*dataplane.Cache, dataplane.PortConfig) error,
) error {
	cache, err := pool.Cache()
	if err != nil {
		return err
	}
	// Half of the frames are lent for receiving, half are left to transmit from.
	lend := min(int(rt.grant.Layout.RingEntries), pool.Chunks()/2/len(rt.grant.Workers))
	if err := makePort(cache, dataplane.PortConfig{FillChunks: lend}); err != nil {
		return err
	}
	w.loop, err = dataplane.NewWorker(w.port, cache, dataplane.WorkerConfig{
		MAC: wire.MAC(rt.grant.Interface.MAC), MTU: rt.grant.Interface.MTU,
		VerifyChecksums: rt.grant.VerifyChecksums, Steered: true, Turn: rt.turn(),
	})
	if err != nil {
		return err
	}
	w.host = core.NewHost(w.loop)
	w.beside = w.host
	return nil
}

// doorbell wakes the iokernel, which is on the other side of a mediated port.
type doorbell struct{ event *pin.Event }

func (d doorbell) KickTx() dataplane.Kick { d.event.Signal(); return dataplane.KickDone }
func (d doorbell) KickRx()                { d.event.Signal() }

// ringWaiter parks a worker whose port's other side is the iokernel.
type ringWaiter struct {
	port *dataplane.Port
	wake *pin.Event
}

func (w ringWaiter) FD() int       { return w.wake.FD() }
func (w ringWaiter) Arm(on bool)   { w.port.Arm(on) }
func (w ringWaiter) Pending() bool { return w.port.Pending() }
func (w ringWaiter) Drain()        { w.wake.Drain() }

// socketWaiter parks a worker on its AF_XDP socket: the kernel wakes whoever polls it.
type socketWaiter struct {
	port *dataplane.Port
	sock *sock.Socket
}

func (w socketWaiter) FD() int       { return w.sock.FD() }
func (w socketWaiter) Arm(bool)      {}
func (w socketWaiter) Pending() bool { return w.port.Pending() }
func (w socketWaiter) Drain()        {}

// nudgeWaiter wakes a worker for what other goroutines of this process have for it.
type nudgeWaiter struct{ event *pin.Event }

func (w nudgeWaiter) FD() int       { return w.event.FD() }
func (w nudgeWaiter) Arm(bool)      {}
func (w nudgeWaiter) Pending() bool { return false } // the descriptor stays readable until Drain
func (w nudgeWaiter) Drain()        { w.event.Drain() }

// waiters are what may wake the worker's loop. They compare equal each time.
func (w *worker) waiters() []pin.Waiter {
	if w.nudge == nil {
		return []pin.Waiter{w.waiter}
	}
	return []pin.Waiter{w.waiter, nudgeWaiter{w.nudge}}
}
