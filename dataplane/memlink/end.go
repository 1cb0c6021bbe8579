package memlink

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
)

// Recv implements dataplane.Link.
func (e *End) Recv(dst []dataplane.Frame) (n int) {
	for n < len(e.rx) {
		k := dataplane.Segments(e.rx[n:])
		if n+k > len(dst) {
			break
		}
		n += copy(dst[n:], e.rx[n:n+k])
	}
	e.rx = e.rx[:copy(e.rx, e.rx[n:])]
	return n
}

// Send implements dataplane.Link.
func (e *End) Send(src []dataplane.Frame) int {
	n := min(len(src), cap(e.tx)-len(e.tx))
	for n > 0 && src[n-1].More() {
		n--
	}
	for _, f := range src[:n] {
		if !f.More() {
			e.path.counts.Sent++
		}
	}
	e.tx = append(e.tx, src[:n]...)
	return n
}

// Flush implements dataplane.Link.
func (e *End) Flush() { e.published = len(e.tx) }

// Pending implements dataplane.Link. What was flushed is the wire's business.
func (e *End) Pending() bool { return len(e.rx) > 0 || e.published < len(e.tx) }

// Poll implements core.Poller.
func (w *Wire) Poll(now core.Time) int {
	return w.a.transmit(now) + w.b.transmit(now) + w.a.arrive(now) + w.b.arrive(now)
}

// Next implements core.Poller.
func (w *Wire) Next(now core.Time) core.Time {
	if w.a.published > 0 || w.b.published > 0 {
		return now
	}
	return min(w.a.path.next(), w.b.path.next())
}

// transmit puts what was flushed on the wire, and frees its frames.
func (e *End) transmit(now core.Time) (packets int) {
	pool := e.cache.Pool()
	rest := e.tx[:e.published]
	for len(rest) > 0 {
		n := dataplane.Segments(rest)
		b := e.path.buffer()
		for _, f := range rest[:n] {
			b = append(b, pool.Bytes(f)...)
		}
		e.path.offer(now, b)
		e.cache.FreeAll(rest[:n])
		rest = rest[n:]
		packets++
	}
	e.tx = e.tx[:copy(e.tx, e.tx[e.published:])]
	e.published = 0
	return packets
}

// arrive puts what is due into the other end's receive queue.
func (e *End) arrive(now core.Time) (packets int) {
	for e.path.next() <= now {
		b := e.path.pop()
		e.deliver(b)
		e.path.recycle(b)
		packets++
	}
	return packets
}

// deliver copies one packet into chunks of the other end's pool, or counts why not.
func (e *End) deliver(b []byte) {
	to, c := e.peer, &e.path.counts
	room := to.cache.Pool().ChunkBytes() - headroomBytes
	n := (len(b) + room - 1) / room
	switch {
	case n == 0:
		c.Empty++
		return
	case n > dataplane.MaxSegments:
		c.TooLong++
		return
	case len(to.rx)+n > cap(to.rx):
		c.QueueFull++
		return
	}
	first := len(to.rx)
	for len(b) > 0 {
		index, ok := to.cache.Alloc()
		if !ok {
			to.cache.FreeAll(to.rx[first:])
			to.rx = to.rx[:first]
			c.NoFrame++
			return
		}
		k := copy(to.cache.Pool().Chunk(index)[headroomBytes:], b)
		b = b[k:]
		f := dataplane.Frame{Index: index, Off: headroomBytes, Len: uint16(k)}
		if len(b) > 0 {
			f.Len |= dataplane.FrameMore
		}
		to.rx = append(to.rx, f)
	}
	c.Received++
}
