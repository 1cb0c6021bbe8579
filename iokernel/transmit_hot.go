package iokernel

import (
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// transmit takes packets from a worker of which n descriptors wait. It stops where its share ends,
// where a packet is not complete yet, where the queue has no room or no frame left, and where the
// worker does not reap its completions: then the rest stays in the worker's ring. A runtime may be
// cut off by its own packet, if it sent it to itself.
func (d *Dataplane) transmit(p *port, q *queue, n, share uint32) (taken uint32) {
	wasFull := p.full
	p.stuck, p.full = 0, false
	for taken < min(n, share) && q.hasRoom() && !p.cut {
		k, v := p.packet(taken, n)
		if v != ViolationNone {
			d.evict(p.runtime, v)
			break
		}
		if k == 0 { // its end is beyond the burst, if something came before it, or not published
			if taken == 0 {
				p.stuck = n
			}
			break
		}
		if p.far.Completion.Reserve(p.done+k) < p.done+k {
			p.stuck, p.full = p.far.Tx.Waiting()-taken, true
			break
		}
		if !d.take(p, q, k) {
			break
		}
		taken += k
		q.budget -= int(k)
	}
	if p.far.Tx.Broken() || p.far.Completion.Broken() {
		d.evict(p.runtime, ViolationIndex)
	}
	if taken > 0 {
		p.far.Tx.Skip(taken)
		p.took = true
		d.touch(p)
	}
	if p.full && !wasFull && p.far.Rx.NeedWakeup() {
		p.ring() // asleep, it would never reap
	}
	return taken
}

// packet copies the descriptors of the packet that begins at entry at, checks them, and returns how
// many they are; 0 if it is not complete among the n that wait. From here on only the copies are
// used: the runtime may write the entries at any time.
func (p *port) packet(at, n uint32) (uint32, Violation) {
	for k := uint32(0); at+k < n; k++ {
		d := p.far.Tx.At(at + k)
		f, ok := p.runtime.pool.FrameAt(d.Addr, d.Len)
		more := d.Options&ring.OptionMore != 0
		switch {
		case !ok:
			return 0, ViolationAddress
		case d.Len == 0 || d.Options&^ring.OptionMore != 0:
			return 0, ViolationOptions
		case !p.returned(f.Index) || p.inHand(k, f.Index):
			return 0, ViolationDuplicate
		case more && k+1 == dataplane.MaxSegments:
			return 0, ViolationSegments
		}
		p.sent[k] = f
		if !more {
			return k + 1, ViolationNone
		}
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

// take takes the packet of k frames in p.sent: it copies it into frames of the queue, gives the
// worker its own back, and routes the copy. It reports false, with nothing taken, when the queue
// has too few frames left.
func (d *Dataplane) take(p *port, q *queue, k uint32) bool {
	r := p.runtime
	total := bytesOf(p.sent[:k])
	drop := d.refuse(q, total)
	var packet []dataplane.Frame
	if drop == DropNone {
		if packet = q.load(r.pool, p.sent[:k], total); packet == nil {
			q.dry = true
			q.counts.NoFrames++
			return false
		}
	}
	for _, f := range p.sent[:k] {
		p.complete(f)
	}
	if drop == DropNone {
		drop = d.route(r, q, packet, total)
	}
	if drop != DropNone {
		r.counts.Drops[drop]++
		return true
	}
	p.counts.TxPackets++
	p.counts.TxBytes += uint64(total)
	return true
}

// refuse reports why a packet of so many bytes need not even be copied.
func (d *Dataplane) refuse(q *queue, total int) Drop {
	switch {
	case q.cache == nil:
		return DropNoQueue
	case total > d.mtu+wire.EthernetBytes,
		segments(total, q.cache.Pool().ChunkBytes()) > dataplane.MaxSegments:
		return DropSendTooLong
	}
	return DropNone
}

// load copies a packet out of a runtime's memory into as few frames of the queue's own as hold it,
// at the end of out; nil when too few are free. Its headers are in one piece then, and however it
// was cut up, the link gets no more frames than the packet's length asks for.
func (q *queue) load(pool *dataplane.Pool, sent []dataplane.Frame, total int) []dataplane.Frame {
	own := q.cache.Pool()
	chunkBytes := own.ChunkBytes()
	out := q.out[q.backlog : q.backlog+segments(total, chunkBytes)]
	src := source{pool: pool, packet: sent}
	for i := range out {
		index, ok := q.cache.Alloc()
		if !ok {
			q.cache.FreeAll(out[:i])
			return nil
		}
		n := min(total, chunkBytes)
		src.copyTo(own.Chunk(index)[:n])
		total -= n
		out[i] = dataplane.Frame{Index: index, Len: uint16(n)}
		if total > 0 {
			out[i].Len |= dataplane.FrameMore
		}
	}
	return out
}

// route sends a packet that was copied from r to the NIC, to a runtime of this host, or nowhere.
// Where it goes to the NIC it stays in the queue's out; otherwise its frames are freed.
func (d *Dataplane) route(r *Runtime, q *queue, packet []dataplane.Frame, total int) Drop {
	first := q.cache.Pool().Bytes(packet[0])
	drop := DropSendMalformed
	p, reason := wire.Parse(first, total)
	if reason == wire.OK {
		drop = d.maySend(r, first, p)
	}
	if drop == DropNone && wire.Ethernet(first).Dst() != d.mac {
		q.backlog += len(packet)
		q.counts.TxPackets++
		q.counts.TxBytes += uint64(total)
		return DropNone
	}
	if drop == DropNone {
		if to := d.table.findLocal(first, p); to != nil {
			d.give(to, q.cache.Pool(), packet, wire.FlowHash(first, p), total)
			r.counts.Switched++
		} else {
			drop = DropNoLocal
		}
	}
	q.cache.FreeAll(packet)
	return drop
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
