package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// rawRuntime is a runtime with one worker that was made by hand from what the iokernel handed
// out, for tests that do with it what package attach never would.
type rawRuntime struct {
	client *control.Client
	grant  control.Grant
	memory *mem.Memory
	layout dataplane.Layout // mediated
	bell   *pin.Event       // mediated
	socket *sock.Socket     // direct
	files  map[string]*os.File
	cache  *dataplane.Cache
	port   *dataplane.Port
	worker *dataplane.Worker
}

// rawBell wakes the iokernel.
type rawBell struct{ event *pin.Event }

func (b rawBell) KickTx() dataplane.Kick { b.event.Signal(); return dataplane.KickDone }
func (b rawBell) KickRx()                { b.event.Signal() }

// openRaw attaches and maps.
func openRaw(socket, name string, direct bool) (_ *rawRuntime, err error) {
	r := &rawRuntime{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("attach %s by hand: %w", name, err), r.close())
		}
	}()
	if r.client, err = control.Dial(socket); err != nil {
		return nil, err
	}
	mode := control.Mediated
	if direct {
		mode = control.Direct
	}
	hello := control.Hello{Runtime: name, Mode: mode}
	if r.grant, r.files, err = r.client.Attach(hello); err != nil {
		return nil, err
	}
	if r.memory, err = mem.Map(r.take(control.FileMemory), int(r.grant.Layout.Bytes)); err != nil {
		return nil, err
	}
	if direct {
		d := r.grant.Direct
		r.socket, err = sock.Open(r.take(control.FileSocket(0)), sock.Sizes{
			Fill:       d.FillEntries,
			Completion: d.CompletionEntries, Rx: d.RxEntries, Tx: d.TxEntries,
		})
		return r, err
	}
	r.bell = pin.OpenEvent(r.take(control.FileDoorbell))
	r.layout, err = dataplane.ReadLayout(r.memory.Bytes)
	return r, err
}

// take takes a file over, which must be there.
func (r *rawRuntime) take(name string) *os.File {
	f := r.files[name]
	delete(r.files, name)
	return f
}

// makeWorker makes an honest worker with a handler over the rings.
func (r *rawRuntime) makeWorker(h dataplane.Handler) error {
	frames := r.memory.Bytes
	if r.socket == nil {
		frames = r.layout.FrameMemory(frames)
	}
	pool, err := dataplane.NewPool(frames, dataplane.PoolConfig{
		ChunkBytes: r.grant.Layout.ChunkBytes, Caches: 1,
	})
	if err != nil {
		return err
	}
	if r.cache, err = pool.Cache(); err != nil {
		return err
	}
	c := dataplane.PortConfig{FillChunks: min(int(r.grant.Layout.RingEntries), pool.Chunks()/2)}
	if r.socket != nil {
		r.port, err = r.socket.Port(r.cache, c)
	} else {
		var rings dataplane.Rings
		if rings, err = r.layout.Rings(r.memory.Bytes, 0); err == nil {
			r.port, err = dataplane.NewPort(rings, r.cache, rawBell{r.bell}, c)
		}
	}
	if err != nil {
		return err
	}
	r.worker, err = dataplane.NewWorker(r.port, r.cache, dataplane.WorkerConfig{
		MAC: wire.MAC(r.grant.Interface.MAC), MTU: r.grant.Interface.MTU,
	})
	if err != nil || h == nil {
		return err
	}
	for _, e := range r.grant.Endpoints {
		if e.EtherType != 0 {
			err = errors.Join(err, r.worker.HandleRaw(wire.EtherType(e.EtherType), h))
		} else {
			err = errors.Join(err, r.worker.HandleUDP(netip.AddrPortFrom(netip.Addr{}, e.UDP), h))
		}
	}
	return err
}

// run turns the worker, without ever sleeping, until ctx ends.
func (r *rawRuntime) run(ctx context.Context) {
	for clock := pin.NewClock(); ctx.Err() == nil; {
		r.worker.Poll(clock.Now())
	}
}

// close gives everything back. The worker must have stopped.
func (r *rawRuntime) close() error {
	var errs []error
	if r.client != nil {
		errs = append(errs, r.client.Close())
	}
	for _, f := range r.files {
		errs = append(errs, f.Close())
	}
	if r.socket != nil {
		errs = append(errs, r.socket.Close())
	}
	if r.bell != nil {
		errs = append(errs, r.bell.Close())
	}
	if r.memory != nil {
		errs = append(errs, r.memory.Close())
	}
	return errors.Join(errs...)
}
