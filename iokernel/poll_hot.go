package iokernel

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// Poll takes one burst from every queue and one from every worker. Its unit of work is frames moved.
func (d *Dataplane) Poll(core.Time) (work int) {
	for _, q := range d.queues {
		work += d.receive(q)
	}
	for _, r := range d.runtimes {
		for _, p := range r.ports {
			if !r.cut {
				work += d.transmit(r, p)
			}
		}
	}
	for _, q := range d.queues {
		work += q.send()
	}
	if work > 0 {
		for _, r := range d.runtimes {
			for _, p := range r.ports {
				p.publish()
			}
		}
	}
	d.polls++
	return work
}

// Next is at once while packets wait for a link that was full, otherwise never: all else is input.
func (d *Dataplane) Next(now core.Time) core.Time {
	for _, q := range d.queues {
		if q.backlog > 0 {
			return now
		}
	}
	return core.Never
}

// receive steers one burst of a queue.
func (d *Dataplane) receive(q *queue) int {
	n := q.link.Recv(q.burst[:])
	for at := 0; at < n; {
		k := dataplane.Segments(q.burst[at:n])
		packet := q.burst[at : at+k]
		total := 0
		for _, f := range packet {
			total += f.Bytes()
		}
		q.counts.RxPackets++
		q.counts.RxBytes += uint64(total)
		first := q.cache.Pool().Bytes(packet[0])
		if p, reason := wire.Parse(first, total); reason != wire.OK {
			q.counts.Drops[DropMalformed]++
		} else if r := d.table.find(first, p); r == nil {
			q.counts.Drops[DropNoEndpoint]++
		} else {
			d.give(r, q.cache.Pool(), packet, first, p, total)
		}
		q.cache.FreeAll(packet)
		at += k
	}
	return n
}

// give delivers a packet to the worker of r that its flow belongs to. The frames stay the caller's.
func (d *Dataplane) give(r *Runtime, pool *dataplane.Pool, packet []dataplane.Frame, first []byte,
	p wire.Packet, total int,
) {
	worker := r.ports[r.flows[wire.FlowHash(first, p)%flowSlots]]
	drop, v := worker.deliver(pool, packet)
	if v != ViolationNone {
		d.evict(r, v)
	}
	if drop != DropNone {
		r.counts.Drops[drop]++
		return
	}
	r.counts.RxPackets++
	r.counts.RxBytes += uint64(total)
}

// transmit takes one burst of packets from a worker. It stops where a packet is not complete yet,
// where the queue has no room or no frame left, and where the worker does not reap its completions:
// then the rest stays in the worker's ring.
func (d *Dataplane) transmit(r *Runtime, p *port) int {
	n := p.far.Tx.Peek(dataplane.MaxBurst)
	if n == 0 {
		if p.far.Tx.Broken() {
			d.evict(r, ViolationIndex)
		}
		return 0
	}
	if len(d.queues) == 0 {
		return d.discard(r, p, n)
	}
	q := d.queues[int(p.number)%len(d.queues)]
	taken := uint32(0)
	for taken < n && q.backlog+dataplane.MaxSegments <= maxOut {
		k, v := p.packet(taken, n)
		if v != ViolationNone {
			d.evict(r, v)
			break
		}
		if k == 0 && taken == 0 {
			p.far.Tx.Waiting() // the packet's end may have been published since the last look
		}
		if k == 0 || p.far.Completion.Reserve(p.done+k) < p.done+k || !d.take(r, p, q, k) {
			break
		}
		taken += k
	}
	if p.far.Completion.Broken() {
		d.evict(r, ViolationIndex)
	}
	if taken > 0 {
		p.far.Tx.Release(taken)
	}
	return int(taken)
}

// packet copies the descriptors of the packet that begins at entry at, checks them, and returns how
// many they are; 0 if it is not complete among the n that wait. From here on only the copies are
// used: the runtime may write the entries at any time.
func (p *port) packet(at, n uint32) (uint32, Violation) {
	for k := uint32(0); at+k < n; k++ {
		if k == dataplane.MaxSegments {
			return 0, ViolationSegments
		}
		d := p.far.Tx.At(at + k)
		f, ok := p.runtime.pool.FrameAt(d.Addr, d.Len)
		switch {
		case !ok:
			return 0, ViolationAddress
		case d.Len == 0 || d.Options&^ring.OptionMore != 0:
			return 0, ViolationOptions
		case !p.returned(f.Index) || p.inHand(k, f.Index):
			return 0, ViolationDuplicate
		}
		if d.Options&ring.OptionMore == 0 {
			p.sent[k] = f
			return k + 1, ViolationNone
		}
		f.Len |= dataplane.FrameMore
		p.sent[k] = f
	}
	return 0, ViolationNone
}

// inHand reports whether the chunk is among the first k of the packet in hand.
func (p *port) inHand(k, chunk uint32) bool {
	for _, f := range p.sent[:k] {
		if f.Index == chunk {
			return true
		}
	}
	return false
}

// take copies the packet of k frames in p.sent into frames of the queue, gives the worker its own
// back, and routes the copy. It reports false, with nothing taken, when the queue has no frames left.
func (d *Dataplane) take(r *Runtime, p *port, q *queue, k uint32) bool {
	out := q.out[q.backlog : q.backlog+int(k)]
	total := 0
	for i, f := range p.sent[:k] {
		index, ok := q.cache.Alloc()
		if !ok {
			q.cache.FreeAll(out[:i])
			q.counts.NoFrames++
			return false
		}
		total += copy(q.cache.Pool().Chunk(index), r.pool.Bytes(f))
		out[i] = dataplane.Frame{Index: index, Len: f.Len}
	}
	for _, f := range p.sent[:k] {
		p.complete(f)
	}
	d.route(r, q, out, total)
	return true
}

// complete stages a chunk on the worker's completion ring.
func (p *port) complete(f dataplane.Frame) {
	p.ledger[f.Index] = place{p.completed + uint64(p.done), inCompletion, p.number}
	p.far.Completion.Set(p.done, p.runtime.pool.Addr(f))
	p.done++
}

// route sends a packet that was copied from r to the NIC, to a runtime of this host, or nowhere.
// Where it goes to the NIC it stays in the queue's out; otherwise its frames are freed.
func (d *Dataplane) route(r *Runtime, q *queue, packet []dataplane.Frame, total int) {
	first := q.cache.Pool().Bytes(packet[0])
	p, reason := wire.Parse(first, total)
	drop := DropSendMalformed
	if total > d.mtu+wire.EthernetBytes {
		drop = DropSendTooLong
	} else if reason == wire.OK {
		drop = d.maySend(r, first, p)
	}
	if drop == DropNone && wire.Ethernet(first).Dst() == d.mac {
		if to := d.table.find(first, p); to != nil {
			d.give(to, q.cache.Pool(), packet, first, p, total)
			r.counts.Switched++
		} else {
			drop = DropNoLocal
		}
	} else if drop == DropNone {
		q.backlog += len(packet)
		q.counts.TxPackets++
		q.counts.TxBytes += uint64(total)
		r.counts.TxPackets++
		r.counts.TxBytes += uint64(total)
		return
	}
	q.cache.FreeAll(packet)
	if drop != DropNone {
		r.counts.Drops[drop]++
		return
	}
	r.counts.TxPackets++
	r.counts.TxBytes += uint64(total)
}

// discard takes a worker's packets when there is no queue to send them on.
func (d *Dataplane) discard(r *Runtime, p *port, n uint32) int {
	taken := uint32(0)
	for taken < n {
		k, v := p.packet(taken, n)
		if v != ViolationNone {
			d.evict(r, v)
		}
		if k == 0 || p.far.Completion.Reserve(p.done+k) < p.done+k {
			break
		}
		for _, f := range p.sent[:k] {
			p.complete(f)
		}
		r.counts.Drops[DropNoQueue]++
		taken += k
	}
	p.far.Tx.Release(taken)
	return int(taken)
}

// send hands what waits to the link.
func (q *queue) send() int {
	if q.backlog == 0 {
		q.link.Flush() // for what the link could not send earlier
		return 0
	}
	n := q.link.Send(q.out[:q.backlog])
	q.link.Flush()
	if n < q.backlog {
		q.counts.TxFull++
	}
	q.backlog = copy(q.out[:], q.out[n:q.backlog])
	return n
}
