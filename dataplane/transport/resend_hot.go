package transport

import "github.com/dunlin-io/dunlin/core"

// putLost writes what is to be sent again, of one class.
func (l *lane) putLost(now core.Time, w *builder, class int) {
	q := &l.lost[class]
	for q.n > 0 && !w.full && w.refs < maxRefs {
		r := q.front()
		if r.kind != refSegment {
			l.putAgain(w, *r)
			if !w.full {
				q.pop()
			}
			continue
		}
		if l.flies(r) {
			q.pop()
			continue
		}
		rest, ok := l.putRange(now, w, *r)
		if !ok {
			w.full = true
			return
		}
		if rest.n == 0 {
			q.pop()
			continue
		}
		*q.front() = rest
	}
}

// flies reports whether a small transfer that is to be sent again is on its way, or in the frame at
// hand: several copies were lost, and one of them is enough.
func (l *lane) flies(r *ref) bool {
	o := l.out(handle{r.slot, r.gen})
	if r.again || o == nil || o.state != outSending || o.words != nil {
		return false // or it goes in parts, and these are others
	}
	f := &l.flight
	return o.carried == f.next || f.known(o.carried) && f.at(o.carried).state == sentFlying
}

// putRange writes what of a range has not arrived, as far as there is room in the frame, and
// returns what is left of it. It reports false when nothing fits.
func (l *lane) putRange(now core.Time, w *builder, r ref) (rest ref, ok bool) {
	o := l.out(handle{r.slot, r.gen})
	if o == nil || o.state != outSending {
		return ref{}, true
	}
	from, n := int(r.from), int(r.n)
	if o.words != nil {
		a, b := blockSpan(from, n)
		begin, end := o.words.run(a, b)
		if begin == b {
			return ref{}, true
		}
		last := from + n
		from = begin * blockBytes
		n = min(end*blockBytes, last) - from
	}
	if w.count > 0 && w.route != o.route {
		return r, false
	}
	fits := segmentRoom(w.left(), o.kind, n)
	switch {
	case fits < 0 || fits == 0 && n > 0 || fits < n && w.count > 0:
		return r, false // no crumbs at the end of a frame
	case fits < o.total && !l.count(o):
		return r, false
	}
	l.putSegment(now, w, o, from, fits)
	l.e.counters.Resent++
	rest = r
	rest.from = uint32(from + fits)
	rest.n = r.from + r.n - rest.from
	return rest, true
}

// putAgain writes something else that was lost.
func (l *lane) putAgain(w *builder, r ref) {
	if w.left() < abandonBytes {
		w.full = true
		return
	}
	switch r.kind {
	case refAbandon:
		l.putEnd(w, handle{r.slot, r.gen})
	case refRefuse:
		putRefuse(w.b[w.n:], refusal{Cause(r.from), r.gen})
		w.n += refuseBytes
		w.lazy = false
		w.ref(r)
	case refDrain:
		w.say(recordDrain, refDrain)
	case refDone:
		w.say(recordDone, refDone)
	}
}

// putProbe makes the frame one that the peer acknowledges at once: it repeats the oldest that has
// not been acknowledged unless there is something new in it.
func (l *lane) putProbe(now core.Time, w *builder) {
	if l.probe == 0 || w.left() < pingBytes {
		return
	}
	l.probe--
	l.probedAt = now
	l.e.counters.Probes++
	if !w.must && l.flight.flying > 0 {
		l.repeat(now, w, l.flight.oldestBut(l.probe))
	}
	if w.left() < pingBytes {
		return
	}
	l.putPing(w)
	w.lazy = false
	if !w.must {
		w.ref(ref{kind: refPing})
	}
}

// repeat writes what an earlier frame carried. It flies twice then. From the second probe on frames
// are small, because the path may have stopped carrying large ones.
func (l *lane) repeat(now core.Time, w *builder, s *sent) {
	if l.probes > 1 {
		if most := l.s.path.room(minMTU) - HeaderBytes - TagBytes; most < len(w.b) {
			w.b = w.b[:most]
		}
	}
	for i := range s.refs[:s.count] {
		if w.refs == maxRefs || w.full || w.left() < abandonBytes+pingBytes {
			return
		}
		if r := s.refs[i]; r.kind == refSegment {
			l.putRange(now, w, r)
		} else {
			l.putAgain(w, r)
		}
	}
}

// pokeReply is called when a call comes again whose reply is under way: the caller has not seen the
// reply, and it has probed. What was sent less than a round trip ago may still be on its way.
func (l *lane) pokeReply(now core.Time, id uint64) {
	for _, o := range l.outs {
		if o.state != outSending || o.kind != recordReply || o.replyTo != id || o.bulk {
			continue
		}
		if now-o.sentAt >= l.rtt.round() && l.lost[0].n < maxFlight {
			o.sentAt = now
			l.lost[0].push(ref{
				kind: refSegment, again: true, slot: o.slot, gen: o.gen, n: uint32(o.total),
			})
		}
		return
	}
}

// wantsMTU reports whether a probe of a larger frame should go.
func (l *lane) wantsMTU(now core.Time) bool {
	return l.number == 0 && l.s.ready && l.s.state == sessionOpen && l.s.mtu.want(now)
}

// buildMTU writes a frame of the next size to try: a ping and padding.
func (l *lane) buildMTU(now core.Time, dst []byte) int {
	m := &l.s.mtu
	size := m.above()
	head := l.s.path.headerBytes()
	room := l.s.path.room(size) - HeaderBytes - TagBytes
	w := &l.e.builder
	*w = builder{b: dst[head+HeaderBytes : head+HeaderBytes+room]}
	w.n = room
	clear(w.b)
	w.b[0] = uint8(recordPing)
	w.pinged = true
	w.ref(ref{kind: refPing, n: uint32(size)})
	m.probing = true
	n := l.finish(now, dst, w, false)
	if n > 0 {
		l.flight.at(l.flight.next - 1).probe = true
	}
	return n
}
