package load

import (
	"encoding/binary"

	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// maxKicks bounds the system calls of one burst: 64 descriptors at the 32 that one takes by
// default, and some for a completion ring that was full.
const maxKicks = 8

// kick has the kernel transmit what was published.
func (e *end) kick() {
	e.unsent = false
	for range maxKicks {
		switch e.bell.KickTx() {
		case dataplane.KickDone:
			return
		case dataplane.KickAgain:
			if e.rings.Tx.Outstanding() == 0 {
				return
			}
		case dataplane.KickBlocked:
			e.unsent = true
			return
		case dataplane.KickDown:
			e.down = true
			return
		}
	}
	e.unsent = e.rings.Tx.Outstanding() > 0
}

// lend puts the next n chunks into circulation.
func (e *end) lend(n uint32) {
	n = e.rings.Fill.Reserve(n)
	for i := range n {
		e.rings.Fill.Set(i, uint64(e.lent+i)*chunkBytes)
	}
	e.rings.Fill.Submit(n)
	e.lent += n
}

// crowd lends as many chunks again when the frames that wait hold a quarter of those lent. It looks
// only after a full burst.
func (e *end) crowd(n uint32) {
	if n == burst && e.lent < ringEntries && (n+e.rings.Rx.Waiting())*4 >= e.lent {
		e.lend(min(e.lent, ringEntries-e.lent))
	}
}

// Send implements Transport.
func (c *frameClient) Send(seq uint64, n int) int {
	if c.count < n {
		c.reap()
	}
	n = min(n, c.count)
	n = int(c.rings.Tx.Reserve(uint32(n)))
	for i := range n {
		c.count--
		chunk := c.free[c.count]
		putPayload(c.memory[chunk+uint64(c.header.bytes):chunk+uint64(c.frame)], seq+uint64(i))
		c.rings.Tx.Set(uint32(i), descriptor(chunk, c.frame))
	}
	if n > 0 {
		c.rings.Tx.Submit(uint32(n))
		c.kick()
	}
	return n
}

// Recv implements Transport.
func (c *frameClient) Recv(dst []uint64) (got int) {
	n := c.rings.Rx.Peek(uint32(min(len(dst), burst)))
	if n == 0 {
		c.idle()
		return 0
	}
	for i := range n {
		d := c.rings.Rx.At(i)
		seq, ours := c.check(d)
		if ours {
			dst[got] = seq
			got++
		}
		c.spare[c.spares+i] = chunkOf(d.Addr)
	}
	c.rings.Rx.Release(n)
	c.crowd(n)
	if c.spares += n; c.spares > burst {
		c.refill()
	}
	return got
}

// check reads the number of the reply in a frame. A frame of another protocol is not ours.
func (c *frameClient) check(d ring.Desc) (seq uint64, ours bool) {
	b := c.memory[d.Addr : d.Addr+uint64(d.Len)]
	h := &c.header
	if len(b) < wire.EthernetBytes || b[12] != h.ethernet[12] || b[13] != h.ethernet[13] {
		return 0, false
	}
	if len(b) != c.frame || [wire.EthernetBytes]byte(b) != h.ethernet {
		return Damaged, true
	}
	if h.udp && [flowBytes]byte(b[flowAt:]) != h.flow {
		return Damaged, true
	}
	return checkPayload(b[h.bytes:]), true
}

// idle is the upkeep, done while a reply is on its way.
func (c *frameClient) idle() {
	switch {
	case c.unsent:
		c.kick()
	case c.spares > 0:
		c.refill()
	case c.count < ringEntries:
		c.reap()
	}
}

// refill lends the spare chunks to the kernel. The fill ring has room for all chunks there are.
func (c *frameClient) refill() {
	n := c.rings.Fill.Reserve(c.spares)
	for i := range n {
		c.rings.Fill.Set(i, c.spare[c.spares-1-i])
	}
	c.rings.Fill.Submit(n)
	c.spares -= n
}

// reap takes sent chunks back.
func (c *frameClient) reap() {
	n := c.rings.Completion.Peek(ringEntries)
	for i := range n {
		c.free[c.count] = chunkOf(c.rings.Completion.At(i))
		c.count++
	}
	if n > 0 {
		c.rings.Completion.Release(n)
	}
}

// poll sends back what has arrived and returns how many frames.
func (e *frameEcho) poll() uint32 {
	n := e.rings.Rx.Peek(burst)
	if n == 0 {
		if e.unsent {
			e.kick()
		}
		if e.owed > 0 {
			e.recycle()
		}
		return 0
	}
	n = e.rings.Tx.Reserve(n)
	for i := range n {
		d := e.rings.Rx.At(i)
		turnAround(e.memory[d.Addr : d.Addr+uint64(d.Len)])
		e.rings.Tx.Set(i, d)
	}
	e.rings.Tx.Submit(n)
	e.kick()
	e.rings.Rx.Release(n)
	e.crowd(n)
	if e.owed += n; e.owed >= burst { // no idle turn may come for long
		e.recycle()
	}
	return n
}

// turnAround swaps the Ethernet addresses. A frame too short to have any stays as it is.
func turnAround(b []byte) {
	if len(b) < wire.EthernetBytes {
		return
	}
	w := (*[wire.EthernetBytes]byte)(b)
	dst, src := binary.LittleEndian.Uint64(w[0:8]), binary.LittleEndian.Uint64(w[6:14])
	const address = 1<<48 - 1
	binary.LittleEndian.PutUint64(w[0:8], src&address|dst<<48)
	binary.LittleEndian.PutUint32(w[8:12], uint32(dst>>16))
}

// recycle lends sent chunks to the kernel again.
func (e *frameEcho) recycle() {
	n := e.rings.Completion.Peek(ringEntries)
	if n == 0 {
		return
	}
	e.owed -= n
	n = e.rings.Fill.Reserve(n)
	for i := range n {
		e.rings.Fill.Set(i, chunkOf(e.rings.Completion.At(i)))
	}
	e.rings.Fill.Submit(n)
	e.rings.Completion.Release(n)
}
