package dataplane

import "github.com/dunlin-io/dunlin/dataplane/wire"

// Payload is the payload in the first segment: all of it unless the packet has several. Of a raw
// packet it includes the padding to 60 bytes, which Ethernet cannot tell apart. It may be written.
func (r *Request) Payload() []byte {
	end := min(len(r.first), r.packet.Len())
	return r.first[r.packet.Payload:end:end]
}

// PayloadLen is the payload's length over all segments.
func (r *Request) PayloadLen() int { return int(r.packet.PayloadLen) }

// Segments is how many pieces the payload lies in: 1, or up to MaxSegments for a packet longer than
// a chunk.
func (r *Request) Segments() int { return r.parts }

// Segment is the i-th piece of the payload; the first is Payload and may be empty. It may be
// written.
func (r *Request) Segment(i int) []byte {
	if i == 0 {
		return r.Payload()
	}
	return r.worker.segments[:r.parts][i]
}

// CopyPayload copies the payload of all segments to dst and returns how many bytes fitted.
func (r *Request) CopyPayload(dst []byte) (n int) {
	for i := 0; i < r.parts; i++ {
		n += copy(dst[n:], r.Segment(i))
	}
	return n
}

// MaxReply is the longest reply that Reply can build: it lies in one frame, within the link's MTU.
func (r *Request) MaxReply() int { return r.worker.longest - int(r.packet.Payload) }

// Reply takes a frame for a reply of n bytes to the sender and returns the bytes, zeroed, to fill.
// It returns nil if n is above MaxReply, if the pool has no frame or if the sender named no port to
// reply to; the reason is counted when the handler returns, unless it finds another answer. One
// request has one reply: another Reply or Turn panics.
func (r *Request) Reply(n int) []byte {
	if !r.answerable() {
		return nil
	}
	if uint(n) > uint(r.MaxReply()) {
		r.reason = ReasonReplyTooLong
		return nil
	}
	index, ok := r.worker.cache.Alloc()
	if !ok {
		r.reason = ReasonNoFrame
		return nil
	}
	b := r.worker.pool.Chunk(index)
	if r.packet.Kind == wire.KindRaw {
		wire.PutEthernet(b, r.SourceMAC(), r.DestinationMAC(), r.packet.EtherType)
		r.answer = r.packet
		r.answer.PayloadLen = uint32(n)
	} else {
		flow := wire.FlowOf(r.first, r.packet)
		flow = flow.Turned()
		r.answer = wire.PutUDP(b, &flow, n)
	}
	r.reply = Frame{Index: index, Len: uint16(r.answer.Len())}
	r.outcome, r.reason = replied, OK
	body := b[r.answer.Payload:r.answer.Len():r.answer.Len()]
	clear(body)
	return body
}

// Trim shortens the reply to its first n bytes, for a handler that asked for room before it knew.
func (r *Request) Trim(n int) {
	if r.outcome != replied || uint(n) > uint(r.answer.PayloadLen) {
		panicTrim(n, int(r.answer.PayloadLen), r.outcome == replied)
	}
	if r.packet.Kind == wire.KindRaw {
		r.answer.PayloadLen = uint32(n)
	} else {
		r.answer = wire.SetUDPLengths(r.worker.pool.Bytes(r.reply), r.answer, n)
	}
	r.reply.Len = uint16(r.answer.Len())
}

// Turn answers with the request's own frames, payload as it stands when the handler returns: a
// reply of the same length without a copy, of any number of segments. It reports false, and counts
// why, if the sender named no port to reply to.
func (r *Request) Turn() bool {
	if !r.answerable() {
		return false
	}
	r.outcome, r.reason = turned, OK
	return true
}

// Decline drops the request and counts it as declined. It takes back a Reply or Turn.
func (r *Request) Decline() {
	if r.outcome == replied {
		r.worker.cache.Free(r.reply.Index)
	}
	r.outcome, r.reason = declined, ReasonDeclined
}

// Take hands the request's frames over to the caller, for a thread that has another worker of the
// same pool: he frees each of the n through his cache. They hold the payload and nothing else; dst
// has room for MaxSegments. Nothing is answered.
func (r *Request) Take(dst []Frame) (n int) {
	if r.outcome != open {
		panicAnswered(r.outcome)
	}
	r.outcome, r.reason = taken, OK
	for i, f := range r.frames {
		if i >= r.parts {
			r.worker.cache.Free(f.Index)
			continue
		}
		if i == 0 {
			f.Off += r.packet.Payload
			f.Len = uint16(len(r.Payload()))
		} else {
			f.Len = uint16(len(r.worker.segments[i]))
		}
		if i+1 < r.parts {
			f.Len |= FrameMore
		}
		dst[i] = f
	}
	return r.parts
}

// answerable reports whether the request can have an answer, and panics if it has one.
func (r *Request) answerable() bool {
	if r.outcome != open {
		panicAnswered(r.outcome)
	}
	if r.packet.Kind == wire.KindRaw {
		return true
	}
	if wire.UDP(r.first[r.packet.L4:r.packet.Payload]).SrcPort() == 0 {
		r.reason = ReasonNoReturn
		return false
	}
	return true
}

// tail is the payload in the further segments.
func (r *Request) tail() [][]byte { return r.worker.segments[1:r.parts] }

// cutPadding cuts what lies behind the payload off the segments that the worker gathered.
func (r *Request) cutPadding() {
	w := r.worker
	left := r.packet.Len() - len(r.first)
	for r.parts < len(r.frames) && left > 0 {
		b := w.segments[r.parts]
		n := min(left, len(b))
		w.segments[r.parts] = b[:n:n]
		left -= n
		r.parts++
	}
}
