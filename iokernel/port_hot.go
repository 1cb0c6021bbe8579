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

// deliver copies a packet from pool's frames into chunks that the worker gave, and stages them on its
// receive ring. The frames stay the caller's.
func (p *port) deliver(pool *dataplane.Pool, packet []dataplane.Frame) (Drop, Violation) {
	chunkBytes := p.runtime.pool.ChunkBytes()
	need, total := len(packet), 0
	for _, f := range packet {
		total += f.Bytes()
	}
	if need > 1 || total > chunkBytes {
		if need = (total + chunkBytes - 1) / chunkBytes; need > dataplane.MaxSegments {
			return DropTooLong, ViolationNone
		}
	}
	if p.far.Fill.Peek(uint32(need)) < uint32(need) &&
		p.far.Fill.Waiting() < uint32(need) { // Peek may have seen the end of an older look
		if p.far.Fill.Broken() {
			return DropNoFill, ViolationIndex
		}
		return DropNoFill, ViolationNone
	}
	if p.far.Rx.Reserve(p.staged+uint32(need)) < p.staged+uint32(need) {
		if p.far.Rx.Broken() {
			return DropRxFull, ViolationIndex
		}
		return DropRxFull, ViolationNone
	}
	src := source{pool: pool, packet: packet}
	for i := range need {
		f, v := p.take(p.far.Fill.At(uint32(i)))
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
		p.ledger[f] = place{p.received + uint64(p.staged) + uint64(i), inRx, p.number}
		p.far.Rx.Set(p.staged+uint32(i), d)
	}
	p.staged += uint32(need)
	p.far.Fill.Release(uint32(need))
	return DropNone, ViolationNone
}

// take checks a chunk that the worker gave on its fill ring.
func (p *port) take(addr uint64) (chunk uint32, v Violation) {
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

// publish makes what was staged visible to the worker, and wakes it if it sleeps.
func (p *port) publish() {
	if p.done > 0 {
		p.far.Completion.Submit(p.done)
		p.completed += uint64(p.done)
		p.done = 0
	}
	if p.staged == 0 {
		return
	}
	p.far.Rx.Submit(p.staged)
	p.received += uint64(p.staged)
	p.staged = 0
	if p.far.Rx.NeedWakeup() {
		p.runtime.counts.Wakes++
		p.waker.Signal()
	}
}
