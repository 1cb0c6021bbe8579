package transport

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// smallReserve is how many bytes of frames small transfers may have in flight beyond the window:
// they do not wait for bulk to be acknowledged. (guess: 50 calls)
const smallReserve = 8 << 10

// NextFrame writes the next frame to send, from its Ethernet header on, and returns its length; 0
// means that there is none now. dst must have room for MaxFrame bytes.
func (e *Endpoint) NextFrame(now core.Time, dst []byte) (n int) {
	if e.plain.n > 0 {
		return e.nextPlain(dst)
	}
	for e.urgent.head != nil {
		l := e.urgent.head
		if n = l.build(now, dst, false); n > 0 {
			l.schedule(now)
			return n
		}
		e.urgent.pop()
		l.arm(now)
	}
	for e.bulk.head != nil {
		l := e.bulk.pop()
		if !l.congestion.due(now) {
			l.arm(now)
			continue
		}
		if n = l.build(now, dst, true); n > 0 {
			l.schedule(now)
			return n
		}
		l.arm(now)
	}
	return 0
}

// builder is a frame that is being written.
type builder struct {
	b      []byte // the body's room
	n      int
	route  uint64
	full   bool // takes no more segments
	must   bool // something must arrive
	lazy   bool
	acked  bool // holds an acknowledgement
	pinged bool // asks for one at once
	count  int  // segments
	small  bool // some of small transfers
	refs   int
	list   [maxRefs]ref
}

// start begins a frame. What is behind refs in the list stays: nobody reads it.
func (w *builder) start(room []byte) {
	w.b, w.n, w.route = room, 0, 0
	w.full, w.must, w.lazy, w.acked, w.pinged = false, false, true, false, false
	w.count, w.small, w.refs = 0, false, 0
}

// hold is how long the peer may keep the acknowledgement.
func (w *builder) hold() core.Time {
	switch {
	case w.pinged:
		return clockGrain
	case w.lazy:
		return replyHold
	}
	return ackHold
}

func (w *builder) left() int { return len(w.b) - w.n }

// ref notes that something in the frame must arrive.
func (w *builder) ref(r ref) {
	w.list[w.refs] = r
	w.refs++
	w.must = true
}

// say writes a record that is its kind and nothing else, and must arrive.
func (w *builder) say(k recordKind, r refKind) {
	w.b[w.n] = uint8(k)
	w.n++
	w.lazy = false
	w.ref(ref{kind: r})
}

// build writes one frame of the lane: everything urgent, or one with bulk. It returns 0 if there is
// nothing to say.
func (l *lane) build(now core.Time, dst []byte, bulk bool) int {
	s := l.s
	if s.state != sessionOpen && s.state != sessionClosing {
		return 0
	}
	if l.flight.full() { // the oldest is too far behind for any acknowledgement
		l.lose(now, l.flight.at(l.flight.oldest))
	}
	if !bulk && l.wantsMTU(now) {
		return l.buildMTU(now, dst)
	}
	head := s.path.headerBytes()
	room := s.path.room(s.mtu.now) - HeaderBytes - TagBytes
	w := &l.e.builder
	w.start(dst[head+HeaderBytes : head+HeaderBytes+room])
	if s.state == sessionClosing {
		l.putClose(w)
	} else {
		l.putControls(now, w)
		if bulk {
			l.putBulk(now, w)
		} else {
			l.putSmall(now, w)
			l.putProbe(now, w)
		}
	}
	if w.n == 0 || !w.must && !l.received.ready(now) && s.state != sessionClosing {
		return 0
	}
	return l.finish(now, dst, w, bulk)
}

// finish seals the frame and remembers it.
func (l *lane) finish(now core.Time, dst []byte, w *builder, bulk bool) int {
	s := l.s
	counter, phase, ok := l.tx.Take()
	if !ok {
		s.fail(now, CauseKeys)
		return 0
	}
	head := s.path.headerBytes()
	h := Header(dst[head : head+HeaderBytes])
	h.put(TypeData, phase, l.number, s.peer, counter, w.route)
	h.setLength(w.n + TagBytes)
	sealed := l.tx.Seal(dst[head+HeaderBytes:head+HeaderBytes+w.n], h.Bound())
	n := encapsulate(dst, &s.path, HeaderBytes+len(sealed))

	l.flight.next = counter
	r := l.flight.record(now)
	r.count, r.bulk, r.lazy = uint8(w.refs), bulk, w.lazy
	copy(r.refs[:w.refs], w.list[:w.refs])
	if w.acked {
		l.received.sent()
		l.told = l.granted
	}
	if w.must {
		if l.flight.flying == 0 {
			l.silence.begin(now)
		}
		r.silent = l.silence.mark(now)
		l.flight.fly(r, n)
		if !l.expecting {
			l.expecting, l.stuck, l.progress = true, now, now
		}
		l.lastSent, l.lastHold = now, w.hold()
	}
	if w.small {
		l.congestion.beside(now)
	}
	if bulk {
		l.congestion.paced(now, n, l.rtt.round())
	}
	l.e.counters.Sent++
	return n
}

// encapsulate writes the headers before ours.
func encapsulate(dst []byte, p *Path, n int) int {
	if !p.UDP {
		wire.PutEthernet(dst, p.Flow.DstMAC, p.Flow.SrcMAC, wire.EtherTypeDunlin)
		return wire.EthernetBytes + n
	}
	packet := wire.PutUDP(dst, &p.Flow, n)
	wire.UpdateUDPChecksum(dst[:packet.Len()], packet)
	return packet.Len()
}

// putControls writes the acknowledgement, if one waits, and what the peer must hear of.
func (l *lane) putControls(now core.Time, w *builder) {
	r := &l.received
	if r.any && (r.waiting > 0 || r.due) {
		l.e.ack.credit = l.granted
		r.fill(now, &l.e.ack)
		w.n += putAck(w.b[w.n:], &l.e.ack)
		w.acked = true
	}
	if l.drain {
		w.say(recordDrain, refDrain)
		l.drain = false
	}
	if l.done {
		w.say(recordDone, refDone)
		l.done = false
	}
	for l.ends.n > 0 && w.refs < maxRefs-2 && w.left() >= abandonBytes {
		l.putEnd(w, l.ends.pop())
	}
	for l.refused.n > 0 && w.refs < maxRefs-2 && w.left() >= refuseBytes {
		x := l.refused.pop()
		putRefuse(w.b[w.n:], x)
		w.n += refuseBytes
		w.lazy = false
		w.ref(ref{kind: refRefuse, from: uint32(x.cause), gen: x.id})
	}
	if l.askCredit || l.ping {
		w.b[w.n] = uint8(recordPing)
		if l.askCredit {
			w.b[w.n] = uint8(recordBlocked)
			l.e.counters.CreditProbes++
		}
		w.n += pingBytes
		w.pinged = true
		w.ref(ref{kind: refPing})
		w.lazy, l.askCredit, l.ping = false, false, false
	}
}

func (l *lane) putEnd(w *builder, h handle) {
	o := l.out(h)
	if o == nil || o.state != outEnding {
		return
	}
	putAbandon(w.b[w.n:], abandon{of: o.kind, total: uint32(o.total), id: o.id})
	w.n += abandonBytes
	w.lazy = false
	w.ref(ref{kind: refAbandon, slot: h.slot, gen: h.gen})
}

func (l *lane) putClose(w *builder) {
	if l.s.bye == 0 {
		return
	}
	l.s.bye--
	w.b[0], w.b[1] = uint8(recordClose), uint8(l.s.cause)
	w.n = closeBytes
}

// admits reports whether another frame of bulk may fly.
func (l *lane) admits() bool {
	return l.congestion.admits(l.flight.bytes) && !l.flight.spread()
}

// smallRoom reports whether another small frame may fly.
func (l *lane) smallRoom() bool {
	return l.flight.flying == 0 ||
		l.flight.bytes < l.congestion.window+smallReserve && !l.flight.spread()
}

// putSmall writes small transfers, those to send again first.
func (l *lane) putSmall(now core.Time, w *builder) {
	if l.lost[0].n == 0 && l.small.n == 0 {
		return
	}
	if !l.smallRoom() {
		l.congestion.hold()
		return
	}
	l.putLost(now, w, 0)
	for l.small.n > 0 && !w.full && w.refs < maxRefs {
		o := l.out(*l.small.front())
		if o == nil || o.state != outQueued {
			l.small.pop()
			continue
		}
		if w.count > 0 && w.route != o.route || !l.mayOpen(o) {
			return
		}
		if o.total+segmentHeader(o.kind) > w.left() {
			if w.count == 0 { // frames have become smaller
				o.bulk = true
				l.waiting.push(l.small.pop())
			}
			return
		}
		l.small.pop()
		l.open(now, o)
		l.putSegment(now, w, o, 0, o.total)
		o.next = o.total
	}
}

// putBulk writes one segment of a large transfer.
func (l *lane) putBulk(now core.Time, w *builder) {
	if !l.admits() {
		l.congestion.hold()
		return
	}
	if l.flight.flying == 0 {
		l.congestion.held = true // after idling, too, one frame follows the other
	}
	// Every other frame may be a repair. A peer without memory refuses the first parts of some
	// transfers until it has the last parts of others: repairs alone would keep it so.
	if l.repaired = !l.repaired; l.repaired || !l.fresh() {
		l.putLost(now, w, 1)
	}
	for !w.full && w.refs < maxRefs && l.beginBulk(now) {
		o := l.out(*l.active.front())
		if o == nil || o.state != outSending || o.next >= o.total {
			l.active.pop()
			continue
		}
		if w.count > 0 && w.route != o.route {
			break
		}
		n := segmentRoom(w.left(), o.kind, o.total-o.next)
		if n <= 0 {
			break
		}
		l.putSegment(now, w, o, o.next, n)
		o.next += n
		h := l.active.pop()
		if o.next < o.total {
			l.active.push(h)
		}
	}
	if l.active.n > 0 || l.lost[1].n > 0 {
		l.congestion.limited = true // by its pace: whoever loses frames has few in flight
	}
	l.askAck(w)
}

// fresh reports whether a transfer under way has bytes that were never sent.
func (l *lane) fresh() bool {
	for l.active.n > 0 {
		if o := l.out(*l.active.front()); o != nil && o.state == outSending && o.next < o.total {
			return true
		}
		l.active.pop()
	}
	return false
}

// askAck asks for an acknowledgement at once: four times a window, and when nothing more may go.
func (l *lane) askAck(w *builder) {
	if w.count == 0 || w.left() < pingBytes {
		return
	}
	c := &l.congestion
	l.unasked += int64(w.n)
	if l.unasked < c.window/4 && (l.active.n > 0 || l.lost[1].n > 0) &&
		c.admits(l.flight.bytes+c.frame) {
		return
	}
	l.putPing(w)
}

func (l *lane) putPing(w *builder) {
	w.b[w.n] = uint8(recordPing)
	w.n += pingBytes
	w.pinged = true
	l.unasked = 0
}

// beginBulk opens waiting transfers while there is room, and reports whether any is being sent.
func (l *lane) beginBulk(now core.Time) bool {
	for l.waiting.n > 0 && l.active.n < MaxPartial/2 {
		o := l.out(*l.waiting.front())
		if o == nil || o.state != outQueued {
			l.waiting.pop()
			continue
		}
		if !l.mayOpen(o) {
			break
		}
		if !l.count(o) {
			break
		}
		l.open(now, o)
		l.active.push(l.waiting.pop())
	}
	return l.active.n > 0
}

// count begins to count which blocks of a transfer have arrived; false when memory is short.
func (l *lane) count(o *outbound) bool {
	if o.words == nil {
		if o.words = l.e.words.take(blockWords(o.total)); o.words == nil {
			return false
		}
		clear(o.words)
		_, o.left = blockSpan(0, o.total)
	}
	return true
}

// segmentRoom is how many of n bytes fit into a segment in so much room.
func segmentRoom(room int, k recordKind, n int) int {
	room -= segmentHeader(k)
	if n <= room {
		return n
	}
	return room / blockBytes * blockBytes
}

// putSegment writes bytes [from, from+n) of a transfer. There is room.
func (l *lane) putSegment(now core.Time, w *builder, o *outbound, from, n int) {
	g := &l.e.segment
	*g = segment{
		kind: o.kind, headerLen: o.headerLen, flags: o.flags, offset: uint32(from), id: o.id,
		total: uint32(o.total), token: o.token, region: o.region, at: o.at,
	}
	if o.kind == recordCall {
		g.token = o.token64()
		g.remaining = uint32(min(max(o.deadline-now, 0)/core.Microsecond, 1<<32-1))
	}
	copy(putSegment(w.b[w.n:], g, n), o.buf[from:from+n])
	w.n += segmentHeader(o.kind) + n
	o.carried = l.flight.next
	w.route = o.route
	w.count++
	w.small = w.small || !o.bulk
	if o.kind != recordReply {
		w.lazy = false
	}
	w.ref(ref{
		kind: refSegment, bulk: o.bulk, slot: o.slot, gen: o.gen,
		from: uint32(from), n: uint32(n),
	})
}
