package iokernel

import (
	"encoding/binary"
	"testing"

	"github.com/dunlin-io/dunlin/core/ring"
)

// hostile is a runtime that writes into the shared memory what it likes.
type hostile struct {
	*guest
	t testing.TB
}

func newHostile(r *rig, s shape, endpoints ...Endpoint) *hostile {
	return &hostile{r.attachMemory("hostile", s, endpoints...), r}
}

func (h *hostile) ring(kind int) shared { return sharedRing(h.guest, 0, kind) }

// addr is where a chunk begins.
func (h *hostile) addr(chunk int) uint64 { return uint64(chunk * h.layout.ChunkBytes) }

// putAddr writes an entry of the fill ring.
func (h *hostile) putAddr(entry uint32, addr uint64) {
	at := entriesWord + int(entry%h.layout.RingEntries)*ring.AddrBytes
	binary.NativeEndian.PutUint64(h.ring(fillRing)[at:], addr)
}

// putDesc writes an entry of the tx ring.
func (h *hostile) putDesc(entry uint32, d ring.Desc) {
	b := h.ring(txRing)[entriesWord+int(entry%h.layout.RingEntries)*ring.DescBytes:]
	binary.NativeEndian.PutUint64(b, d.Addr)
	binary.NativeEndian.PutUint32(b[8:], d.Len)
	binary.NativeEndian.PutUint32(b[12:], d.Options)
}

// fill publishes chunks [from, to) on the fill ring.
func (h *hostile) fill(from, to int) {
	next := h.ring(fillRing).get(producerWord)
	for chunk := from; chunk < to; chunk++ {
		h.putAddr(next, h.addr(chunk))
		next++
	}
	h.ring(fillRing).set(producerWord, next)
}

// tx publishes descriptors on the tx ring.
func (h *hostile) tx(descs ...ring.Desc) {
	next := h.ring(txRing).get(producerWord)
	for _, d := range descs {
		h.putDesc(next, d)
		next++
	}
	h.ring(txRing).set(producerWord, next)
}

// reap consumes all that was completed, takeRx all that was received.
func (h *hostile) reap()   { h.consume(completionRing) }
func (h *hostile) takeRx() { h.consume(rxRing) }

func (h *hostile) consume(kind int) {
	h.ring(kind).set(consumerWord, h.ring(kind).get(producerWord))
}

// packet is a descriptor of a good packet that it writes into a chunk.
func (h *hostile) packet(chunk, n int) ring.Desc {
	copy(h.mem[h.layout.Frames+h.addr(chunk):], rawPacket(peerMAC, hostMAC, typeA, n, chunk))
	return ring.Desc{Addr: h.addr(chunk), Len: uint32(n)}
}
