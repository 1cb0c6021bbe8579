package iokernel

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// Poll takes one burst from every queue and gives it out, then takes up to a burst from the workers
// of every queue and sends it. Its unit of work is frames moved.
//
// What was received is published before anything is transmitted: workers begin with it while we
// copy and while the link sends, which may be a system call. Chunks that were sent go back in
// batches, or when there is nothing else to do: hardly anybody waits for them, and the store would
// hold up the next packet until the worker's core gave the line away.
func (d *Dataplane) Poll(core.Time) (work int) {
	for _, q := range d.queues {
		work += d.receive(q)
	}
	d.publish()
	for _, q := range d.queues {
		work += d.collect(q)
		work += q.send()
	}
	d.publish()
	if d.withheld > 0 {
		d.busy++
		if work == 0 || d.busy == giveBackPolls {
			work += d.settle()
		}
	}
	return work
}

// Next is at once while packets wait for a link that was full, soon while a worker must reap its
// completions first, otherwise never: all else is input.
func (d *Dataplane) Next(now core.Time) core.Time {
	if d.withheld > 0 {
		return now
	}
	next := core.Never
	for _, q := range d.queues {
		if q.backlog > 0 {
			return now
		}
		for _, p := range q.ports {
			if p.full && !p.cut {
				next = now + reapRetry
			}
		}
	}
	return next
}

// Pending reports whether a runtime's output waits that can be taken now. The queues' links are
// waiters of their own.
func (d *Dataplane) Pending() bool {
	for _, q := range d.queues {
		if q.backlog > 0 {
			return true
		}
		for _, p := range q.ports {
			if !p.cut && p.pending() {
				return true
			}
		}
	}
	return false
}

// receive steers one burst of a queue. A packet that claims to come from this very interface is
// nobody's: its reply would not leave the host but be switched, and two that reply go on for ever.
func (d *Dataplane) receive(q *queue) int {
	n := q.link.Recv(q.burst[:])
	for at := 0; at < n; {
		k := dataplane.Segments(q.burst[at:n])
		packet := q.burst[at : at+k]
		total := bytesOf(packet)
		q.counts.RxPackets++
		q.counts.RxBytes += uint64(total)
		first := q.cache.Pool().Bytes(packet[0])
		if p, reason := wire.Parse(first, total); reason != wire.OK {
			q.counts.Drops[DropMalformed]++
		} else if wire.Ethernet(first).Src() == d.mac {
			q.counts.Drops[DropOwnSource]++
		} else if r := d.table.find(first, p); r == nil {
			q.counts.Drops[DropNoEndpoint]++
		} else {
			d.give(r, q.cache.Pool(), packet, wire.FlowHash(first, p), total)
		}
		q.cache.FreeAll(packet)
		at += k
	}
	return n
}

// give delivers a packet to the worker of r that its flow belongs to. The frames stay the caller's.
func (d *Dataplane) give(r *Runtime, pool *dataplane.Pool, packet []dataplane.Frame, flow uint32,
	total int,
) {
	p := r.ports[r.flows[flow%flowSlots]]
	drop, v := p.deliver(pool, packet, total)
	if v != ViolationNone {
		d.evict(r, v)
	}
	if drop != DropNone {
		r.counts.Drops[drop]++
		return
	}
	d.touch(p)
	p.counts.RxPackets++
	p.counts.RxBytes += uint64(total)
}

// touch notes that p has something to publish.
func (d *Dataplane) touch(p *port) {
	if !p.dirty {
		p.dirty = true
		n := len(d.dirty)
		d.dirty = d.dirty[:n+1] // Attach made room for every port
		d.dirty[n] = p
	}
}

// publish makes visible to the workers what was staged for them.
func (d *Dataplane) publish() {
	for _, p := range d.dirty {
		p.dirty = false
		if !p.cut {
			d.withheld += p.publish()
		}
	}
	d.dirty = d.dirty[:0]
}

// settle gives back all sent chunks that publish withheld, and returns how many.
func (d *Dataplane) settle() (work int) {
	for _, q := range d.queues {
		for _, p := range q.ports {
			if !p.cut {
				work += p.giveBack()
			}
		}
	}
	d.withheld, d.busy = 0, 0
	return work
}

// bytesOf is the length of a packet.
func bytesOf(packet []dataplane.Frame) (total int) {
	for _, f := range packet {
		total += f.Bytes()
	}
	return total
}

// segments is how many chunks a packet of so many bytes takes.
func segments(total, chunkBytes int) int {
	if total <= chunkBytes { // nearly always; a division costs as much as a short copy
		return 1
	}
	return (total + chunkBytes - 1) / chunkBytes
}
