package daemon

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/iokernel/cores"
	"github.com/dunlin-io/dunlin/xdp"
)

// attachment is what one attached runtime has.
type attachment struct {
	config  *config.Runtime
	mode    control.Mode
	peer    control.Credentials
	grant   control.Grant
	memory  *mem.Memory
	bell    *pin.Event        // mediated: the runtime wakes us by it, and nobody else
	wakes   []*pin.Bell       // mediated: we wake its workers
	runtime *iokernel.Runtime // mediated
	sockets []*xdp.Socket     // direct
	load    *mem.Memory       // lent cores: its load page
	loan    *cores.Runtime    // lent cores
	threads bool              // ... those of its workers are known
	steered bool
	cut     bool // evicted: its reason is on the way
}

// owner is who attached: a session of the control socket, or the application around a solo
// iokernel.
type owner interface{ Evict(reason string) }

// files are what goes to the runtime, with the names it finds them under.
type files struct {
	list  []*os.File
	names []string
}

func (f *files) add(name string, file *os.File) {
	f.names, f.list = append(f.names, name), append(f.list, file)
}

// attach gives a runtime what the configuration has for it.
func (d *Daemon) attach(by owner, peer control.Credentials, h control.Hello) (
	a *attachment, f files, err error,
) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a = &attachment{mode: h.Mode, peer: peer}
	for i := range d.o.Config.Runtimes {
		if r := &d.o.Config.Runtimes[i]; r.Name == h.Runtime {
			a.config = r
		}
	}
	if a.config == nil {
		return nil, f, control.Refuse(control.CodeDenied, "no runtime %q is configured", h.Runtime)
	}
	// The control socket's policy has looked at this; an application around us asks no policy.
	if most := d.workers(a.config); h.Cores < 0 || h.Cores > most {
		return nil, f, control.Refuse(control.CodeDenied, "runtime %s asks for %d cores and can "+
			"get %d at most, by its configuration", h.Runtime, h.Cores, most)
	}
	for _, o := range d.attached {
		if o.config == a.config {
			return nil, f, control.Refuse(control.CodeBusy, "runtime %s is attached already, by "+
				"pid %d: stop that one, or configure another name", h.Runtime, o.peer.PID)
		}
	}
	defer func(begun *attachment) {
		if err != nil {
			err = errors.Join(err, d.release(begun))
		}
	}(a)
	a.grant = d.grantFor(a)
	switch h.Mode {
	case control.Direct:
		f, err = d.openDirect(a)
	case control.Guest:
		f, err = d.openGuest(a)
	default:
		f, err = d.openMediated(a)
	}
	if err != nil {
		return nil, f, err
	}
	if a.runtime != nil || len(a.sockets) > 0 {
		if err = d.steering.add(a.config.Endpoints); err != nil {
			return nil, f, err
		}
		a.steered = true
	}
	a.grant.FDs = f.names
	d.attached[by] = a
	return a, f, nil
}

// grantFor is the part of a grant that does not depend on the mode.
func (d *Daemon) grantFor(a *attachment) control.Grant {
	c := a.config
	g := control.Grant{
		Runtime: c.Name, Mode: a.mode, Interface: d.interfaceNow(),
		Endpoints:       controlEndpoints(c.Endpoints),
		VerifyChecksums: d.o.Config.VerifyChecksums, Spin: d.spin,
	}
	if d.spin == core.Never {
		g.Spin = spinForever
	}
	for w := range d.workers(c) {
		worker := control.WorkerGrant{Worker: w, CPU: d.workerCPU(c, w), Core: -1, Queue: -1}
		if d.lends(c) {
			worker.CPU, worker.Core = d.lending.cpus[w], w
		}
		g.Workers = append(g.Workers, worker)
	}
	g.Loan = d.loan(a)
	return g
}

// workerCPU is where a worker runs: as configured, otherwise on the CPUs that the iokernel has not.
func (d *Daemon) workerCPU(c *config.Runtime, worker int) int {
	if n := len(c.CPUs); n > 0 {
		return c.CPUs[worker%n]
	}
	var others []int
	for _, cpu := range d.allowed {
		if cpu != d.cpu && (d.lending == nil || !slices.Contains(d.lending.cpus, cpu)) {
			others = append(others, cpu)
		}
	}
	if len(others) == 0 {
		return d.cpu
	}
	return others[worker%len(others)]
}

// openMediated makes the shared memory and attaches it to the Dataplane.
func (d *Daemon) openMediated(a *attachment) (f files, err error) {
	if len(d.queues) == 0 {
		return f, control.Refuse(control.CodeBusy, "all queues of the interface are direct "+
			"runtimes' or busy: mediated runtimes need one that the iokernel serves")
	}
	c := a.config
	layout, err := dataplane.NewLayout(dataplane.LayoutConfig{
		Workers:     d.workers(c),
		RingEntries: uint32(c.RingEntries), ChunkBytes: c.ChunkBytes, Chunks: c.Frames,
	})
	if err != nil {
		return f, err
	}
	if a.memory, err = mem.Create("dunlin-"+c.Name, int(layout.Bytes)); err != nil {
		return f, err
	}
	layout.PutHeader(a.memory.Bytes)
	f.add(control.FileMemory, a.memory.File())
	if a.bell, err = pin.NewEvent(); err != nil {
		return f, err
	}
	f.add(control.FileDoorbell, a.bell.File())
	wakers, err := d.openWakers(a, layout.Workers, &f)
	if err != nil {
		return f, err
	}
	a.grant.Layout = control.Layout{
		Workers: layout.Workers, RingEntries: layout.RingEntries,
		ChunkBytes: layout.ChunkBytes, Chunks: layout.Chunks, Bytes: layout.Bytes,
	}
	d.loop.Do(func() {
		a.runtime, err = d.dataplane.Attach(iokernel.RuntimeConfig{
			Name: c.Name, Layout: layout, Memory: a.memory.Bytes,
			Endpoints: dataplaneEndpoints(c.Endpoints), Wakers: wakers,
		})
		if err == nil {
			d.loop.AddWaiter(doorbell{a.bell})
		}
	})
	if err == nil && d.lends(c) {
		err = d.openLoan(a, &f)
	}
	return f, err
}

// openWakers makes what the iokernel wakes each worker by. Those whose cores come and go sleep on
// their baton instead.
func (d *Daemon) openWakers(a *attachment, workers int, f *files) ([]iokernel.Waker, error) {
	wakers := make([]iokernel.Waker, workers)
	for w := range wakers {
		if d.lends(a.config) {
			wakers[w] = byBaton{}
			continue
		}
		wake, err := pin.NewBell()
		if err != nil {
			return nil, err
		}
		a.wakes = append(a.wakes, wake)
		wakers[w] = wake
		f.add(control.FileWorker(w), wake.File())
	}
	return wakers, nil
}

func dataplaneEndpoints(list []config.Endpoint) []iokernel.Endpoint {
	endpoints := make([]iokernel.Endpoint, len(list))
	for i, e := range list {
		endpoints[i] = iokernel.Endpoint{
			EtherType: wire.EtherType(e.EtherType), Port: e.UDP,
			Addr: e.Address,
		}
	}
	return endpoints
}

// openDirect opens a socket on each of the runtime's queues over one memory, and hands them over.
func (d *Daemon) openDirect(a *attachment) (f files, err error) {
	c := a.config
	if !c.AllowDirect || c.Queue == config.NoQueue {
		return f, control.Refuse(control.CodeDenied, "runtime %s has no queue of its own: set "+
			"allow_direct and queue in its configuration", c.Name)
	}
	bytes := c.Frames * c.ChunkBytes
	if a.memory, err = mem.Create("dunlin-"+c.Name, bytes); err != nil {
		return f, err
	}
	f.add(control.FileMemory, a.memory.File())
	o := d.socketOptions(c.Name, c.RingEntries, c.ChunkBytes)
	for w := range c.Workers {
		var s *xdp.Socket
		err := d.o.Inside(func() (err error) {
			if w == 0 {
				s, err = d.nic.OpenSocket(c.Queue, a.memory.Bytes, o)
			} else {
				s, err = d.nic.OpenShared(c.Queue+w, a.sockets[0], o)
			}
			return err
		})
		if err != nil {
			var held *xdp.BusyError
			if errors.As(err, &held) {
				return f, control.Refuse(control.CodeBusy, "%v", err)
			}
			return f, err
		}
		a.sockets = append(a.sockets, s)
		a.grant.Workers[w].Queue = c.Queue + w
		f.add(control.FileSocket(w), s.File())
		if err := d.nic.Register(s, c.Queue+w); err != nil {
			return f, err
		}
	}
	n := uint32(c.RingEntries)
	a.grant.Layout = control.Layout{
		Workers: c.Workers, RingEntries: n, ChunkBytes: c.ChunkBytes,
		Chunks: c.Frames, Bytes: uint64(bytes),
	}
	a.grant.Direct = &control.DirectGrant{
		FillEntries: n, CompletionEntries: n,
		RxEntries: n, TxEntries: n, ZeroCopy: a.sockets[0].ZeroCopy(), NeedWakeup: true,
		MultiBuffer: d.nic.Frags(),
	}
	return f, nil
}

// release takes back what attach gave. In direct mode the queue stays bound as long as the runtime
// holds its copy of the socket; its frames pass to the kernel from here on.
func (d *Daemon) release(a *attachment) error {
	var errs []error
	if a.steered {
		errs = append(errs, d.steering.remove(a.config.Endpoints))
	}
	for _, s := range a.sockets {
		errs = append(errs, d.nic.Unregister(s.Queue()))
	}
	for i := len(a.sockets) - 1; i >= 0; i-- { // the first owns what the others share
		errs = append(errs, a.sockets[i].Close())
	}
	d.loop.Do(func() {
		d.closeLoan(a)
		if a.runtime != nil {
			d.dataplane.Detach(a.runtime)
			d.loop.RemoveWaiter(doorbell{a.bell})
		}
	})
	if a.bell != nil {
		errs = append(errs, a.bell.Close())
	}
	for _, w := range a.wakes {
		errs = append(errs, w.Close())
	}
	for _, m := range []*mem.Memory{a.memory, a.load} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("iokernel: release %s: %w", a.config.Name, err)
	}
	return nil
}

// detach ends a session's attachment.
func (d *Daemon) detach(by owner) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, ok := d.attached[by]
	if !ok {
		return nil
	}
	delete(d.attached, by)
	return d.release(a)
}
