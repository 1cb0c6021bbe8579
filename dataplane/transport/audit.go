package transport

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
)

// Audit counts everything and compares it with the books, for tests and simulators. It also looks
// whether what waits is woken in time: other timers mostly come soon after and hide that it is not.
func (e *Endpoint) Audit(now core.Time) error {
	held, words := 0, 0
	for i := range e.events.n {
		held += cap(e.events.ring[(e.events.head+i)&(len(e.events.ring)-1)].buf)
	}
	held += cap(e.given.buf)
	kept := 0
	for i := range e.plain.n {
		kept += cap(e.plain.ring[(e.plain.head+i)&(len(e.plain.ring)-1)].buf)
	}
	for _, s := range e.sessions {
		if s == nil {
			continue
		}
		live, mine, begun := 0, 0, 0
		for _, l := range s.lanes {
			n, bytes, err := l.audit()
			if err == nil && l.sleepsIn(now) {
				err = fmt.Errorf("bulk may go at %d, and nobody wakes it", l.congestion.paceAt)
			}
			if err != nil {
				return fmt.Errorf("transport: session %#x lane %d: %w", uint64(s.id), l.number, err)
			}
			live, mine = live+n, mine+bytes
			owed := e.owed(l)
			if s.state == sessionOpen && l.granted-l.charged+owed != e.laneCredit {
				return fmt.Errorf("transport: session %#x lane %d: credit of %d, %d open, %d owed",
					uint64(s.id), l.number, e.laneCredit, l.granted-l.charged, owed)
			}
			for _, o := range l.outs {
				words += 8 * cap(o.words)
				if o.state != outFree && o.kind != recordReply {
					begun++
				}
			}
			for _, in := range l.partials {
				held, words = held+cap(in.buf), words+8*cap(in.words)
			}
		}
		if live != s.live || mine != s.kept || begun != s.begun {
			return fmt.Errorf("transport: session %#x: %d transfers with %d bytes, %d begun here, "+
				"booked %d, %d, %d", uint64(s.id), live, mine, begun, s.live, s.kept, s.begun)
		}
		if s.held > e.peerBytes || s.held < 0 {
			return fmt.Errorf("transport: session %#x holds %d bytes of %d", uint64(s.id), s.held,
				e.peerBytes)
		}
		kept += mine
	}
	if held != e.in.used || kept != e.out.used || words != e.words.used {
		return fmt.Errorf("transport: buffers of %d, %d, %d bytes are out, booked %d, %d, %d",
			held, kept, words, e.in.used, e.out.used, e.words.used)
	}
	return nil
}

// owed is the credit of what came on a lane and was not taken from it yet.
func (e *Endpoint) owed(l *lane) (n uint64) {
	for _, in := range l.partials {
		n += cost(in.kind, in.total)
	}
	for i := range e.events.n {
		if q := &e.events.ring[(e.events.head+i)&(len(e.events.ring)-1)]; q.lane == l {
			n += q.cost
		}
	}
	if e.given.lane == l {
		n += e.given.cost
	}
	return n
}

// sleepsIn reports whether bulk waits for its pace, and nothing wakes the lane then.
func (l *lane) sleepsIn(now core.Time) bool {
	at := l.congestion.paceAt
	return at > now && !l.inBulk && l.bulkWaits() && l.admits() &&
		(l.timer.place == 0 || l.timer.at > at)
}

// audit returns how many transfers and requests of the lane live, and the bytes they keep.
func (l *lane) audit() (live, kept int, err error) {
	partial := 0
	for _, o := range l.outs {
		if o.state == outFree {
			continue
		}
		live++
		if o.owned {
			kept += cap(o.buf)
		}
		if o.partial {
			partial++
		}
		if o.held && !o.overlaps() {
			return 0, 0, fmt.Errorf("write %d is held, and overlaps none before it", o.slot)
		}
	}
	for i := range l.requests {
		if l.requests[i].open {
			live++
		}
	}
	flying, losts, bytes := 0, 0, int64(0)
	for i := range l.flight.ring {
		switch s := &l.flight.ring[i]; s.state {
		case sentFlying:
			flying, bytes = flying+1, bytes+int64(s.bytes)
			if s.counter < l.flight.oldest {
				return 0, 0, fmt.Errorf("frame %d flies, the oldest is %d", s.counter,
					l.flight.oldest)
			}
		case sentLost:
			losts++
		}
	}
	switch f := &l.flight; {
	case flying != f.flying || bytes != f.bytes || losts != f.losts:
		err = fmt.Errorf("%d frames with %d bytes fly and %d are lost, booked %d, %d, %d",
			flying, bytes, losts, f.flying, f.bytes, f.losts)
	case partial != l.partial:
		err = fmt.Errorf("%d partial transfers, booked %d", partial, l.partial)
	case l.used > l.limit && l.limit > 0:
		err = fmt.Errorf("%d of %d credit used", l.used, l.limit)
	case l.charged > l.granted || l.granted-l.charged > l.e.laneCredit:
		err = fmt.Errorf("charged %d of %d granted, the lane has %d", l.charged, l.granted,
			l.e.laneCredit)
	}
	return live, kept, err
}
