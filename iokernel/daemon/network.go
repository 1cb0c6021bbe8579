package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/neigh"
	"github.com/dunlin-io/dunlin/xdp"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// busyPollMicroseconds is how long a kick may poll the device. (guess: about what a device's queue
// takes to process a burst)
const busyPollMicroseconds = 20

// queue is one NIC queue that the iokernel serves, with its private frame memory. It is the waiter
// that wakes the loop for received frames.
type queue struct {
	number int
	memory *mem.Memory
	socket *xdp.Socket
	port   *dataplane.Port
}

func (q *queue) FD() int       { return q.socket.FD() }
func (q *queue) Arm(bool)      {} // the kernel wakes whoever polls
func (q *queue) Pending() bool { return q.port.Pending() }
func (q *queue) Drain()        {}

// openNetwork opens what belongs to the interface's network namespace.
func (d *Daemon) openNetwork() error {
	c := &d.o.Config
	features, err := xdp.Probe(c.Interface)
	if err != nil {
		return fmt.Errorf("iokernel: %w (set `interface` to one that exists here)", err)
	}
	if d.guards, err = openGuards(c); err != nil {
		return err
	}
	frags := c.XDP.Jumbo == config.Auto &&
		(features.MultiBuffer.OK || features.MTU > dataplane.DefaultMTU)
	d.steer, err = bpf.LoadSteer(bpf.SteerOptions{
		Queues: features.Queues, MAC: features.MAC,
		Frags: frags,
	})
	if err != nil {
		return err
	}
	d.steering = newSteering(d.steer)
	d.nic, err = xdp.Open(xdp.Options{
		Interface: c.Interface, Program: d.steer, Frags: frags,
		Mode: xdpMode(c.XDP.Mode), AllowDefaultRoute: c.AllowDefaultRoute,
	})
	if err != nil {
		return err
	}
	if err := d.openQueues(features); err != nil {
		return err
	}
	d.neigh, err = neigh.Open(c.Interface)
	return err
}

func xdpMode(m config.XDPMode) xdp.Mode {
	switch m {
	case config.XDPNative:
		return xdp.Native
	case config.XDPGeneric:
		return xdp.Generic
	}
	return xdp.Auto
}

// openQueues opens the queues that the iokernel serves. One that somebody else holds is reported
// and left out; only if none is left the daemon cannot go on.
func (d *Daemon) openQueues(f xdp.Features) error {
	numbers, err := d.queueNumbers(f)
	if err != nil {
		return err
	}
	var busy []error
	for _, n := range numbers {
		err := d.openQueue(n)
		var held *xdp.BusyError
		switch {
		case errors.As(err, &held):
			d.log.Error("iokernel: a queue is left out", "err", err)
			busy = append(busy, err)
		case err != nil:
			return err
		}
	}
	if len(d.queues) == 0 && len(numbers) > 0 {
		return errors.Join(busy...)
	}
	return nil
}

// queueNumbers are the queues to serve: those of the configuration, less those of direct runtimes.
func (d *Daemon) queueNumbers(f xdp.Features) ([]int, error) {
	c := &d.o.Config
	numbers := slices.Clone(c.XDP.Queues.List)
	if c.XDP.Queues.All {
		numbers = nil
		for n := range f.Queues {
			numbers = append(numbers, n)
		}
	}
	for _, r := range c.Runtimes {
		if !r.AllowDirect || r.Queue == config.NoQueue {
			continue
		}
		if r.Queue+r.Workers > f.Queues {
			return nil, fmt.Errorf("iokernel: runtime %s: queues %d to %d, but %s has %d queues",
				r.Name, r.Queue, r.Queue+r.Workers-1, c.Interface, f.Queues)
		}
		numbers = slices.DeleteFunc(numbers, func(n int) bool {
			return n >= r.Queue && n < r.Queue+r.Workers
		})
	}
	return numbers, nil
}

func (d *Daemon) openQueue(number int) error {
	x := &d.o.Config.XDP
	memory, err := mem.Create(fmt.Sprintf("dunlin-nic-%d", number), x.Frames*x.ChunkBytes)
	if err != nil {
		return err
	}
	q := &queue{number: number, memory: memory}
	q.socket, err = d.nic.OpenSocket(number, memory.Bytes,
		d.socketOptions("iokernel", x.RingEntries, x.ChunkBytes))
	if err != nil {
		return errors.Join(err, memory.Close())
	}
	d.queues = append(d.queues, q) // from here on closeNetwork closes it
	pool, err := dataplane.NewPool(memory.Bytes,
		dataplane.PoolConfig{ChunkBytes: x.ChunkBytes, Caches: 1})
	if err != nil {
		return err
	}
	cache, err := pool.Cache()
	if err != nil {
		return err
	}
	q.port, err = q.socket.Port(cache, dataplane.PortConfig{})
	if err != nil {
		return err
	}
	return d.nic.Register(q.socket, number)
}

func (d *Daemon) socketOptions(name string, entries, chunkBytes int) xdp.SocketOptions {
	n := uint32(entries)
	o := xdp.SocketOptions{
		Name: name, ChunkBytes: chunkBytes,
		Rings:    sock.Sizes{Fill: n, Completion: n, Rx: n, Tx: n},
		CopyOnly: d.o.Config.XDP.ZeroCopy == config.Off,
	}
	if d.o.Config.XDP.BusyPoll {
		o.BusyPoll.Microseconds = busyPollMicroseconds
	}
	return o
}

// closeNetwork closes what openNetwork opened, the program first.
func (d *Daemon) closeNetwork() error {
	var errs []error
	if d.nic != nil {
		errs = append(errs, d.nic.Close())
	}
	for _, q := range d.queues {
		errs = append(errs, q.memory.Close())
	}
	if d.steer != nil {
		errs = append(errs, d.steer.Close())
	}
	return errors.Join(append(errs, d.guards.close())...)
}

// Line says in one line what the iokernel runs on, with the reason of each step down.
func (d *Daemon) Line() string {
	f := d.nic.Features()
	copies := "copy"
	var numbers []int
	frames := 0
	for _, q := range d.queues {
		numbers = append(numbers, q.number)
		frames += q.port.Cache().Pool().Chunks()
		if q.socket.ZeroCopy() {
			copies = "zero-copy"
		}
	}
	idle := "spins"
	if d.spin != core.Never {
		idle = fmt.Sprintf("parks after %v", time.Duration(d.spin))
	}
	buffers := "single-buffer"
	if d.nic.Frags() {
		buffers = "multi-buffer"
	}
	line := fmt.Sprintf("%s (%s, MTU %d): XDP %s, %s, %s, queues %s of %d, %d frames of %d B, "+
		"CPU %d, %s", f.Interface, f.Driver, f.MTU, d.nic.Mode(), copies, buffers,
		config.FormatList(numbers),
		f.Queues, frames, d.o.Config.XDP.ChunkBytes, d.cpu, idle)
	var why []string
	for _, fb := range d.nic.Fallbacks() {
		why = append(why, fb.String())
	}
	if len(why) > 0 {
		line += "; " + strings.Join(why, "; ")
	}
	return line + d.lending.line(&d.o.Config)
}
