package iokernel

import (
	"fmt"
	"slices"

	"github.com/dunlin-io/dunlin/dataplane"
)

// flowSlots is the size of the table from flow hashes to workers, as in a NIC's RSS indirection.
const flowSlots = 128

// RuntimeConfig describes a runtime that attaches. Everything in it comes from the iokernel's own
// configuration, nothing from the runtime.
type RuntimeConfig struct {
	Name      string
	Layout    dataplane.Layout
	Memory    []byte // Layout.Bytes, shared with the runtime, sealed against shrinking
	Endpoints []Endpoint
	Wakers    []Waker // one for each worker
}

// Runtime is an attached runtime, as the iokernel sees it.
type Runtime struct {
	name      string
	endpoints []Endpoint
	pool      *dataplane.Pool // for addressing only: its frames are the runtime's
	ports     []*port
	flows     [flowSlots]uint8 // index of the worker
	cut       bool             // broke a rule: not served any more
	counts    RuntimeCounters
}

// RuntimeCounters are what a runtime's packets came to. They belong to the Dataplane's thread.
type RuntimeCounters struct {
	PortCounters        // of all its ports
	Switched     uint64 // of the sent, those that never saw the interface
	Drops        [DropCount]uint64
}

// PortCounters are what one worker's packets came to. They belong to the Dataplane's thread.
type PortCounters struct {
	RxPackets, RxBytes uint64 // into the port
	TxPackets, TxBytes uint64 // out of it, to the NIC or to a neighbour on this host
	Wakes              uint64
}

// Eviction names a runtime that was cut off and why.
type Eviction struct {
	Runtime   *Runtime
	Violation Violation
}

// Attach adds a runtime. Its memory must be freshly laid out: all chunks are the runtime's.
func (d *Dataplane) Attach(c RuntimeConfig) (*Runtime, error) {
	if len(d.runtimes) >= MaxRuntimes {
		return nil, fmt.Errorf("iokernel: attach %s: %d runtimes are attached, which is the limit",
			c.Name, MaxRuntimes)
	}
	if len(c.Wakers) != c.Layout.Workers {
		return nil, fmt.Errorf("iokernel: attach %s: %d wakers for %d workers",
			c.Name, len(c.Wakers), c.Layout.Workers)
	}
	if uint64(len(c.Memory)) < c.Layout.Bytes {
		return nil, fmt.Errorf("iokernel: attach %s: memory of %d bytes, its layout takes %d",
			c.Name, len(c.Memory), c.Layout.Bytes)
	}
	if err := d.table.conflict(c.Endpoints); err != nil {
		return nil, fmt.Errorf("iokernel: attach %s: %w", c.Name, err)
	}
	pool, err := dataplane.NewPool(c.Layout.FrameMemory(c.Memory), dataplane.PoolConfig{
		ChunkBytes: c.Layout.ChunkBytes, Caches: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("iokernel: attach %s: %w", c.Name, err)
	}
	r := &Runtime{name: c.Name, endpoints: slices.Clone(c.Endpoints), pool: pool}
	ledger := make([]place, c.Layout.Chunks)
	for w := range c.Layout.Workers {
		far, err := c.Layout.FarRings(c.Memory, w)
		if err != nil {
			return nil, fmt.Errorf("iokernel: attach %s: %w", c.Name, err)
		}
		r.ports = append(r.ports, &port{
			far: far, runtime: r, number: uint8(w), waker: c.Wakers[w],
			ledger: ledger,
			back:   make([]uint64, c.Layout.RingEntries),
		})
	}
	for i := range r.flows {
		r.flows[i] = uint8(i % len(r.ports))
	}
	for _, p := range r.ports {
		q := d.idlest()
		q.ports = append(q.ports, p)
	}
	d.dirty = slices.Grow(d.dirty, d.ports())
	d.runtimes = append(d.runtimes, r)
	d.table.rebuild(d.runtimes)
	return r, nil
}

// idlest returns the queue with the fewest ports, the first of several. A port's packets all go out
// on one queue, which keeps each flow's order.
func (d *Dataplane) idlest() *queue {
	return slices.MinFunc(d.queues, func(a, b *queue) int { return len(a.ports) - len(b.ports) })
}

// ports counts the ports of all runtimes.
func (d *Dataplane) ports() (n int) {
	for _, q := range d.queues {
		n += len(q.ports)
	}
	return n
}

// Detach removes a runtime and with it everything that refers to its memory: nothing of the
// iokernel's was ever in it. It does nothing for a runtime that is not attached. An eviction that
// was not reported yet still will be.
func (d *Dataplane) Detach(r *Runtime) {
	i := slices.Index(d.runtimes, r)
	if i < 0 {
		return
	}
	d.runtimes = slices.Delete(d.runtimes, i, i+1)
	for _, q := range d.queues {
		q.leave(r)
	}
	d.table.rebuild(d.runtimes)
	r.counts = r.Counters() // they outlive the ports
	r.ports, r.pool = nil, nil
}

// evict cuts a runtime off: its rings are not looked at again. The control plane learns of it
// through NextEviction, tells the runtime's process why, and detaches.
func (d *Dataplane) evict(r *Runtime, v Violation) {
	if r.cut {
		return
	}
	r.cut = true
	for _, p := range r.ports {
		p.cut = true
		if p.broken() { // what was noticed first is a consequence of it
			v = ViolationIndex
		}
	}
	d.table.rebuild(d.runtimes)
	d.evicted = append(d.evicted, Eviction{r, v})
	if d.notify != nil {
		d.notify()
	}
}

// NextEviction returns the oldest eviction that was not reported yet.
func (d *Dataplane) NextEviction() (Eviction, bool) {
	if len(d.evicted) == 0 {
		return Eviction{}, false
	}
	e := d.evicted[0]
	d.evicted = slices.Delete(d.evicted, 0, 1)
	return e, true
}

// Name is the name that the runtime attached under.
func (r *Runtime) Name() string { return r.name }

// Counters returns the counts; those of the ports are summed up here.
func (r *Runtime) Counters() RuntimeCounters {
	c := r.counts
	for _, p := range r.ports {
		c.RxPackets += p.counts.RxPackets
		c.RxBytes += p.counts.RxBytes
		c.TxPackets += p.counts.TxPackets
		c.TxBytes += p.counts.TxBytes
		c.Wakes += p.counts.Wakes
	}
	return c
}

// PortCounters returns a copy of one worker's counts.
func (r *Runtime) PortCounters(worker int) PortCounters { return r.ports[worker].counts }

// PortDepth is what lies in a worker's rings now, seen from the iokernel.
type PortDepth struct {
	Fill uint32 // empty chunks that it gave
	Rx   uint32 // received and not yet taken
	Tx   uint32 // to transmit
}

// Depths returns the depths of a runtime's ports, of none once it is detached.
func (r *Runtime) Depths() []PortDepth {
	depths := make([]PortDepth, len(r.ports))
	for i, p := range r.ports {
		depths[i] = PortDepth{
			Fill: p.far.Fill.Waiting(), Rx: p.far.Rx.Outstanding(),
			Tx: p.far.Tx.Waiting(),
		}
	}
	return depths
}
