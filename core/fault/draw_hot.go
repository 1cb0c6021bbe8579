package fault

import (
	"math/bits"
	"math/rand/v2"

	"github.com/dunlin-io/dunlin/core"
)

// stream is the randomness of one kind of fault. Its methods use only operations that give the
// same bits on every machine.
type stream struct{ pcg rand.PCG }

// unit is uniform in [0, 1).
func (s *stream) unit() float64 { return float64(s.pcg.Uint64()>>11) / (1 << 53) }

// chance is true with probability p: never for 0, always for 1.
func (s *stream) chance(p float64) bool { return s.unit() < p }

// upTo is uniform from 0 to n, both included. The bias of the multiplication is below 2^-20 for
// anything a Config may hold.
func (s *stream) upTo(n uint64) uint64 {
	hi, _ := bits.Mul64(s.pcg.Uint64(), n+1)
	return hi
}

// span is uniform from a to b, both included.
func (s *stream) span(a, b core.Time) core.Time { return a + core.Time(s.upTo(uint64(b-a))) }

// The methods below each draw for one kind of fault, a fixed number of values if it is configured
// and none if it is not.

// travel is the time a packet takes if nothing stands in its way, and whether the heavy tail made
// it longer.
func (m *Model) travel() (t core.Time, tail bool) {
	c := &m.config.Delay
	t = c.Fixed
	if c.Jitter == 0 && c.TailProbability == 0 {
		return t, false
	}
	s := &m.streams[KindTail]
	t += s.span(0, c.Jitter)
	tail = s.chance(c.TailProbability)
	u := 1 - s.unit() // in (0, 1]: the inverse of Pareto's distribution function divides by it
	if !tail {
		return t, false
	}
	long := float64(c.Tail) / u
	if long >= float64(c.TailMax) {
		return t + c.TailMax, true
	}
	return t + core.Time(long), true
}

// cut reports whether the path is cut, after an outage may have begun.
func (m *Model) cut(now core.Time) bool {
	m.cutUntil = m.outage(KindCut, &m.config.Cut, now, m.cutUntil)
	return now < m.cutUntil
}

// clog lets a clog begin.
func (m *Model) clog(now core.Time) {
	m.clogUntil = m.outage(KindClog, &m.config.Clog, now, m.clogUntil)
}

// outage is the end of the outage in force: the given one, or a later one that begins now.
func (m *Model) outage(k Kind, o *Outage, now, until core.Time) core.Time {
	if o.Start == 0 {
		return until
	}
	s := &m.streams[k]
	begins, lasts := s.chance(o.Start), s.span(o.Shortest, o.Longest)
	switch {
	case !begins:
		return until
	case o.Longest == core.Never:
		return core.Never
	default:
		return max(until, now+lasts)
	}
}

// burst steps the Gilbert-Elliott chain and reports whether it loses the packet. A step into the
// bad state takes high draws and a step out of it low ones, so that a chain with a lower Enter is
// never bad where the other is good, as long as Enter+Leave <= 1.
func (m *Model) burst() bool {
	c := &m.config.Burst
	if c.Enter == 0 {
		m.bad = false // a burst ends with the configuration that it came from
		return false
	}
	s := &m.streams[KindBurst]
	step, lost := s.unit(), s.chance(c.Loss)
	if m.bad {
		m.bad = step >= c.Leave
	} else {
		m.bad = step >= 1-c.Enter
	}
	return m.bad && lost
}

func (m *Model) lose() bool {
	return m.config.Loss > 0 && m.streams[KindLoss].chance(m.config.Loss)
}

// copies is how much later than the packet each of count extra copies comes.
func (m *Model) copies() (after [MaxExtraCopies]core.Time, count int) {
	c := &m.config.Duplicate
	if c.Probability == 0 {
		return after, 0
	}
	s := &m.streams[KindDuplicate]
	hit, more := s.chance(c.Probability), int(s.upTo(uint64(c.Copies-1)))
	for i := range after {
		after[i] = s.span(0, c.Spread)
	}
	if hit {
		count = 1 + more
	}
	return after, count
}

// reorder is how much a packet is delayed beyond its place, at least 1 ns if it is.
func (m *Model) reorder() (late core.Time) {
	c := &m.config.Reorder
	if c.Probability == 0 {
		return 0
	}
	s := &m.streams[KindReorder]
	hit, late := s.chance(c.Probability), s.span(1, c.Delay)
	if !hit {
		return 0
	}
	return late
}

// truncate is how many bytes of a packet to keep.
func (m *Model) truncate(length int) (keep int) {
	c := &m.config.Truncate
	if c.Probability == 0 {
		return KeepAll
	}
	s := &m.streams[KindTruncate]
	hit, part := s.chance(c.Probability), s.pcg.Uint64()
	if !hit || length <= c.Floor {
		return KeepAll
	}
	hi, _ := bits.Mul64(part, uint64(length-c.Floor))
	return c.Floor + int(hi)
}

// corrupt is the bit to flip in a packet of which so many bytes are kept.
func (m *Model) corrupt(length int) (bit int) {
	if m.config.Corrupt == 0 {
		return NoBit
	}
	s := &m.streams[KindCorrupt]
	hit, part := s.chance(m.config.Corrupt), s.pcg.Uint64()
	if !hit || length <= 0 {
		return NoBit
	}
	hi, _ := bits.Mul64(part, uint64(length)*8)
	return int(hi)
}

// replay is an older packet to deliver, or one with Back 0 if there is none.
func (m *Model) replay(now core.Time) Delivery {
	c := &m.config.Replay
	if c.Probability == 0 {
		return Delivery{}
	}
	s := &m.streams[KindReplay]
	hit, part, after := s.chance(c.Probability), s.pcg.Uint64(), s.span(0, c.Spread)
	older := min(m.counts.Offered-1, uint64(c.Depth))
	if !hit || older == 0 {
		return Delivery{}
	}
	hi, _ := bits.Mul64(part, older)
	at := max(now+m.config.Delay.Fixed+after, m.clogUntil)
	return Delivery{At: at, Back: 1 + int(hi), Keep: KeepAll, Bit: NoBit}
}
