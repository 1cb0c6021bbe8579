package iokernel

import (
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
)

// returned reports whether the runtime has the chunk: the entry that gave it back was consumed. It
// looks at the runtime's index only when the last look does not answer.
func (p *port) returned(chunk uint32) bool {
	at := p.ledger[chunk]
	if at.ring == inNone {
		return true
	}
	owner := p.runtime.ports[at.port]
	if at.ring == inRx {
		far := &owner.far.Rx
		return at.entry < owner.received-uint64(far.Unreleased()) ||
			at.entry < owner.received-uint64(far.Outstanding())
	}
	far := &owner.far.Completion
	return at.entry < owner.completed-uint64(far.Unreleased()) ||
		at.entry < owner.completed-uint64(far.Outstanding())
}

// deliver copies a packet of total bytes from pool's frames into chunks that the worker gave, and
// stages them on its receive ring. The frames stay the caller's.
func (p *port) deliver(pool *dataplane.Pool, packet []dataplane.Frame, total int) (
	Drop, Violation,
) {
	chunkBytes := p.runtime.pool.ChunkBytes()
	need := uint32(segments(total, chunkBytes))
	if need > dataplane.MaxSegments {
		return DropTooLong, ViolationNone
	}
	if fill := p.filled + need; p.far.Fill.Peek(fill) < fill &&
		p.far.Fill.Waiting() < fill { // Peek may have seen the end of an older look
		if p.far.Fill.Broken() {
			return DropNoFill, ViolationIndex
		}
		return DropNoFill, ViolationNone
	}
	if p.far.Rx.Reserve(p.staged+need) < p.staged+need {
		if p.far.Rx.Broken() {
			return DropRxFull, ViolationIndex
		}
		return DropRxFull, ViolationNone
	}
	src := source{pool: pool, packet: packet}
	for i := range need {
		f, v := p.chunkAt(p.far.Fill.At(p.filled + i))
		if v != ViolationNone {
			return DropNoFill, v
		}
		n := min(total, chunkBytes)
		src.copyTo(p.runtime.pool.Chunk(f)[:n])
		total -= n
		d := ring.Desc{Addr: uint64(f) * uint64(chunkBytes), Len: uint32(n)}
		if total > 0 {
			d.Options = ring.OptionMore
		}
		p.ledger[f] = place{p.received + uint64(p.staged+i), inRx, p.number}
		p.far.Rx.Set(p.staged+i, d)
	}
	p.staged += need
	p.filled += need
	return DropNone, ViolationNone
}

// chunkAt checks a chunk that the worker gave on its fill ring.
func (p *port) chunkAt(addr uint64) (chunk uint32, v Violation) {
	f, ok := p.runtime.pool.FrameAt(addr, 0)
	if !ok {
		return 0, ViolationAddress
	}
	if !p.returned(f.Index) {
		return 0, ViolationDuplicate
	}
	return f.Index, ViolationNone
}

// source reads the bytes of a packet's frames one after another.
type source struct {
	pool   *dataplane.Pool
	packet []dataplane.Frame
	off    int // into the first frame
}

// copyTo fills dst; the packet has that many bytes left.
func (s *source) copyTo(dst []byte) {
	for len(dst) > 0 {
		n := copy(dst, s.pool.Bytes(s.packet[0])[s.off:])
		dst = dst[n:]
		if s.off += n; s.off == s.packet[0].Bytes() {
			s.packet, s.off = s.packet[1:], 0
		}
	}
}

// complete notes a chunk for the worker's completion ring.
func (p *port) complete(f dataplane.Frame) {
	p.ledger[f.Index] = place{p.completed + uint64(p.done), inCompletion, p.number}
	p.back[p.done] = p.runtime.pool.Addr(f)
	p.done++
}

// giveBack publishes the sent chunks, and returns how many.
func (p *port) giveBack() int {
	n := p.done
	if n > 0 {
		for i, addr := range p.back[:n] {
			p.far.Completion.Set(uint32(i), addr)
		}
		p.far.Completion.Submit(n)
		p.completed += uint64(n)
		p.done = 0
	}
	return int(n)
}

// publish makes what was staged visible to the worker, and wakes it if it sleeps. It returns how
// many sent chunks it withheld, because they are too few to be worth the store.
//
// The packets go first. Each store to an index waits until the lines of all stores before it have
// come over from the worker's core, so whatever else is stored before delays them by a journey.
func (p *port) publish() (withheld int) {
	if p.staged > 0 {
		p.far.Rx.Submit(p.staged)
		p.received += uint64(p.staged)
		p.staged = 0
		p.wake()
		p.far.Fill.Release(p.filled)
		p.filled = 0
	}
	if p.took {
		p.took = false
		p.far.Tx.Settle()
	}
	if p.done >= giveBackBatch {
		p.giveBack()
	}
	return int(p.done)
}

// wake wakes the worker if it sleeps. Until it takes something it is not rung again: with unread
// packets it does not go to sleep, so the last ring is on its way, and a ring is a system call.
//
// A worker that announced its sleep may have looked once more and taken everything before we look.
// It is awake then and needs no ring; and noted as rung for what it took so far, it would not be
// rung for the next packet, for which it may sleep.
func (p *port) wake() {
	if !p.far.Rx.NeedWakeup() {
		return
	}
	unread := uint64(p.far.Rx.Outstanding())
	if unread == 0 {
		return
	}
	if taken := p.received - unread; p.rungAt != taken+1 {
		p.rungAt = taken + 1
		p.ring()
	}
}

func (p *port) ring() {
	p.counts.Wakes++
	p.waker.Signal()
}

// pending reports whether the worker published something that it was not known to be stuck with.
func (p *port) pending() bool {
	if p.stuck == 0 {
		return p.far.Tx.Any()
	}
	return p.far.Tx.Waiting() != p.stuck || p.far.Tx.Broken()
}

// broken reports whether the worker ever published an index that its ring cannot have.
func (p *port) broken() bool {
	far := &p.far
	return far.Fill.Broken() || far.Completion.Broken() || far.Rx.Broken() || far.Tx.Broken()
}
