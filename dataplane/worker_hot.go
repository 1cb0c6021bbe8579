package dataplane

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/invariant"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// Poll implements core.Poller: one turn.
func (w *Worker) Poll(now core.Time) (work int) {
	w.pace.learn(now)
	if w.queued > 0 {
		work = w.send()
		if w.queued > 0 {
			w.counts.Blocked++
			w.link.Flush()
			return work
		}
	}
	room := w.pace.bound(w.burst)
	n := w.link.Recv(w.in[:room])
	if n == 0 {
		pending := w.link.Pending()
		if pending {
			n = w.recvLonger(room)
		}
		if n == 0 {
			w.burst = 1
			if work > 0 || pending {
				w.link.Flush()
			}
			return work
		}
	}
	w.adapt(n, room)
	w.pace.spend(now, n)
	w.serve(now, w.in[:n])
	if w.queued > 0 {
		w.send()
	}
	w.link.Flush()
	return work + n
}

// recvLonger looks for a packet of more frames than there was room for. With a bound on the turn it
// takes no more than twice the room that the packet needs.
func (w *Worker) recvLonger(room int) (n int) {
	for n == 0 && room < MaxSegments {
		if w.pace.turn == 0 {
			room = MaxSegments
		} else {
			room = min(2*room, MaxSegments)
		}
		n = w.link.Recv(w.in[:room])
	}
	return n
}

// Next implements core.Poller: at once while something waits.
func (w *Worker) Next(now core.Time) core.Time {
	if w.queued > 0 || w.link.Pending() {
		return now
	}
	return core.Never
}

// adapt counts a burst of n frames where there was room for so many, and sets B for the next one.
func (w *Worker) adapt(n, room int) {
	w.counts.Bursts++
	w.counts.Frames += uint64(n)
	last := 1
	for last < n && w.in[n-last-1].More() {
		last++
	}
	if n+last > room {
		w.burst = min(2*max(n, room), w.limit)
	} else {
		w.burst = n
	}
}

// serve runs each packet to completion.
func (w *Worker) serve(now core.Time, frames []Frame) {
	for len(frames) > 0 {
		n := Segments(frames)
		invariant.Check(n > 0, "link split a packet of frames", uint64(len(frames)), 0)
		w.counts.Packets++
		if reason := w.serveOne(now, frames[:n]); reason != OK {
			w.counts.Dropped[reason]++
			w.cache.FreeAll(frames[:n])
		}
		frames = frames[n:]
	}
}

// serveOne gives one packet to its endpoint. Unless it returns OK, its frames are still ours.
func (w *Worker) serveOne(now core.Time, frames []Frame) Reason {
	first := w.pool.Bytes(frames[0])
	total := len(first)
	if len(frames) > 1 {
		if total = w.gather(frames); total == 0 {
			return ReasonEmptySegment
		}
	}
	p, malformed := wire.Parse(first, total)
	if malformed != wire.OK {
		return Reason(malformed)
	}
	if reason := w.admit(first, p); reason != OK {
		return reason
	}
	at := w.endpoints.find(first, p)
	if at < 0 {
		return ReasonNoEndpoint
	}
	r := &w.request
	r.now, r.packet, r.first, r.frames = now, p, first, frames
	r.outcome, r.reason, r.parts = open, OK, 1
	if len(frames) > 1 {
		r.cutPadding()
	}
	if w.verify && p.Kind != wire.KindRaw && !wire.VerifyUDP(first, p, r.tail()...) {
		return ReasonBadChecksum
	}
	w.endpoints.list[at].handler(r)
	return w.finish(r)
}

// gather lists the segments of a packet and returns its length, or 0 if a segment is empty: the
// kernel would not send such a one, nor give its frame back.
func (w *Worker) gather(frames []Frame) (total int) {
	for i, f := range frames {
		b := w.pool.Bytes(f)
		if len(b) == 0 {
			return 0
		}
		w.segments[i] = b
		total += len(b)
	}
	return total
}

// finish books what the handler decided.
func (w *Worker) finish(r *Request) Reason {
	switch r.outcome {
	case turned:
		w.turn(r)
	case replied:
		if r.packet.Kind != wire.KindRaw {
			wire.UpdateUDPChecksum(w.pool.Bytes(r.reply), r.answer)
		}
		w.queue(r.reply)
		w.cache.FreeAll(r.frames)
	case taken:
		w.counts.Silent++
		return OK
	default:
		if r.reason != OK {
			return r.reason
		}
		w.counts.Silent++
		w.cache.FreeAll(r.frames)
		return OK
	}
	w.counts.Replies++
	return OK
}

// turn sends the request's frames back, without what lay behind its payload.
func (w *Worker) turn(r *Request) {
	wire.Turn(r.first, r.packet)
	if r.packet.Kind != wire.KindRaw {
		wire.UpdateUDPChecksum(r.first, r.packet, r.tail()...)
	}
	left := r.packet.Len()
	for i, f := range r.frames {
		n := min(left, f.Bytes())
		left -= n
		if i >= r.parts {
			w.cache.Free(f.Index)
			continue
		}
		f.Len = uint16(n)
		if i+1 < r.parts {
			f.Len |= FrameMore
		}
		w.queue(f)
	}
}

// queue appends a frame to what the link gets; there is room for what a burst can cause.
func (w *Worker) queue(f Frame) {
	w.out[w.queued] = f
	w.queued++
}

// send gives the link what it takes of the queue, and returns how many frames.
func (w *Worker) send() int {
	n := w.link.Send(w.out[:w.queued])
	if n < w.queued {
		copy(w.out[:], w.out[n:w.queued])
	}
	w.queued -= n
	if w.queued == 0 {
		w.sends = 0
	}
	return n
}
