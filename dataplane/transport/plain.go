package transport

import (
	"github.com/dunlin-io/dunlin/core"
)

const (
	// maxPlain is the most packets outside of sessions that wait to be sent. (guess)
	maxPlain = 64
	// hintBuckets is how many peers are told apart where hints are limited, hintsPerSecond what
	// each gets: enough for a peer to notice that we have restarted, useless for a flood. (guess)
	hintBuckets    = 64
	hintsPerSecond = 10
)

// plain is a packet that belongs to no session: a handshake's message, or a hint.
type plain struct {
	to  Path
	buf []byte
}

// queuePlain copies a packet into the queue. When that is full, it is lost, as on the way.
func (e *Endpoint) queuePlain(to Path, b []byte) {
	if e.plain.n == maxPlain {
		return
	}
	// Beyond the limit if need be: calls that wait for a session may not keep it from coming about.
	buf := e.out.takeBeyond(len(b))
	copy(buf, b)
	e.plain.push(plain{to, buf})
}

// nextPlain writes the oldest of them.
func (e *Endpoint) nextPlain(dst []byte) int {
	p := e.plain.pop()
	copy(dst[p.to.headerBytes():], p.buf)
	n := encapsulate(dst, &p.to, len(p.buf))
	e.out.give(p.buf)
	e.counters.Sent++
	return n
}

// bucket limits a rate.
type bucket struct {
	at     core.Time
	tokens int
}

func (b *bucket) take(now core.Time) bool {
	const gap = core.Second / hintsPerSecond
	if now-b.at >= gap {
		b.tokens = min(hintsPerSecond, b.tokens+int(min((now-b.at)/gap, hintsPerSecond)))
		b.at = now
	}
	if b.tokens == 0 {
		return false
	}
	b.tokens--
	return true
}

// bucketOf picks a peer's bucket by its address. The limit is each peer's: a common one would tell
// one peer how often another was answered.
func bucketOf(all *[hintBuckets]bucket, p *Path) *bucket {
	h := uint32(p.Flow.Dst.Port)
	for _, b := range p.Flow.DstMAC {
		h = h*31 + uint32(b)
	}
	for _, b := range p.Flow.Dst.Addr {
		h = h*31 + uint32(b)
	}
	return &all[h%hintBuckets]
}

// sayUnknown hints to the sender of a frame that there is no such session here: it echoes what
// names the frame. Nobody may believe it.
func (e *Endpoint) sayUnknown(now core.Time, back *Path, h Header) {
	if !bucketOf(&e.hints, back).take(now) {
		return
	}
	var b [HeaderBytes]byte
	out := Header(b[:])
	out.put(TypeUnknown, h.Phase(), h.Lane(), h.Session(), h.Counter(), 0)
	e.queuePlain(*back, b[:])
	e.counters.HintsSent++
}

// handleUnknown takes such a hint: when it echoes a frame that really is out, the peer is asked for
// a sign of life, in the session, which nobody else can give.
func (e *Endpoint) handleUnknown(now core.Time, back *Path, h Header) Reason {
	if h.Length() != 0 || !bucketOf(&e.looks, back).take(now) {
		return e.drop(ReasonHint) // to look for the session takes as long as there are sessions
	}
	for _, s := range e.sessions {
		if s == nil || s.peer != h.Session() || s.state != sessionOpen ||
			s.path.Flow.DstMAC != back.Flow.DstMAC {
			continue
		}
		l := s.lane(h.Lane())
		if l == nil || !l.flight.known(h.Counter()) ||
			l.flight.at(h.Counter()).state == sentSettled || !s.hints.take(now) {
			break
		}
		e.counters.HintsTaken++
		s.lanes[0].ping = true
		s.lanes[0].schedule(now)
		return OK
	}
	return e.drop(ReasonHint)
}
