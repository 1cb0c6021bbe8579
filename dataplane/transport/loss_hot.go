package transport

import (
	"math/bits"

	"github.com/dunlin-io/dunlin/core"
)

// Loss recovery. Each frame has a number that never repeats, so an acknowledgement says which
// sending of something arrived, not only that it did (as in RFC 9002).
//
//	a later frame arrived, and a reordering window has passed     RACK, RFC 8985: lost, send again
//	nothing arrived for about two round trips                     probe, RFC 8985: one frame again
//	... nor for a time-out                                        all lost, window of one frame
//	a frame that counted as lost is acknowledged                  undo (Eifel, RFC 3522)
const (
	// reorderShare is the reordering window as a fraction of the shortest round trip (RFC 8985).
	reorderShare = 4
	// mostReorder bounds its growth, and calmRounds is after how many rounds with losses that were
	// none by mistake it shrinks back (RFC 8985: 16).
	mostReorder = 8
	calmRounds  = 16
	// probesFlat is how many probes follow each other without a longer pause.
	probesFlat = 2
	// probesLate is about how many there are between two time-outs in a row. (guess)
	probesLate = 4
	// clockGrain is added to every reordering window: two readings of a clock differ by that.
	clockGrain = core.Microsecond
)

// onAck takes an acknowledgement.
func (l *lane) onAck(now core.Time, a *ack) Reason {
	f := &l.flight
	if a.largest >= f.next {
		return ReasonAck // of what was never sent
	}
	if a.credit > l.limit {
		l.limit = a.credit
		l.creditArrived()
	}
	var newest *sent
	acked, flew := int64(0), f.bytes
	floor := f.oldest
	if f.losts > 0 {
		floor = f.next - min(f.next, uint64(len(f.ring)))
	}
	for i := range a.words {
		top := a.largest - uint64(64*i)
		if uint64(64*i) > a.largest || top < floor {
			break
		}
		word := a.bits[i]
		if depth := top - floor; depth < 63 {
			word &= 1<<(depth+1) - 1
		}
		for ; word != 0; word &= word - 1 {
			s := f.at(top - uint64(bits.TrailingZeros64(word)))
			switch s.state {
			case sentFlying:
				if newest == nil {
					newest = s
				}
				acked += int64(s.bytes)
				l.arrived(now, s)
			case sentLost:
				l.late(now, s)
				acked += int64(s.bytes)
			}
			if l.s.state == sessionOver {
				return OK
			}
		}
	}
	if acked > 0 {
		l.advance(now, a, newest, acked, flew)
	}
	return OK
}

// arrived settles a frame that flew.
func (l *lane) arrived(now core.Time, s *sent) {
	l.flight.land(s, sentSettled)
	l.congestion.roundAcked++
	if !l.newestAny || s.counter > l.newest {
		l.newest, l.newestAt, l.newestAny = s.counter, s.at, true
	}
	l.credited(now, s)
}

// late settles a frame that counted as lost: it was only slow.
func (l *lane) late(now core.Time, s *sent) {
	s.state = sentSettled
	l.flight.losts--
	l.e.counters.Spurious++
	c := &l.congestion
	if c.roundLost > 0 && !s.probe {
		c.roundLost--
		c.roundAcked++
	}
	if c.onSpurious() {
		l.e.counters.Undone++
		l.timeouts = 0
	}
	if s.counter >= l.reorderEnd {
		l.reorder = min(l.reorder+1, mostReorder)
		l.reorderEnd = l.flight.next
	}
	l.calm = 0
	l.credited(now, s)
}

// credited tells the owners of what a frame carried.
func (l *lane) credited(now core.Time, s *sent) {
	if int(s.bytes) > minMTU && !s.probe {
		l.largeLost = 0
	}
	if s.probe {
		l.s.mtu.arrived(int(s.refs[0].n))
		l.s.resize()
	}
	for i := range s.refs[:s.count] {
		l.refArrived(now, &s.refs[i])
	}
}

// advance follows up on an acknowledgement that was news.
func (l *lane) advance(now core.Time, a *ack, newest *sent, acked, flew int64) {
	l.progress, l.stuck = now, now
	if l.probes > 0 && l.timeouts == 0 {
		l.e.counters.Repairs++
	}
	l.probes, l.timeouts = 0, 0
	c := &l.congestion
	if newest != nil && newest.counter == a.largest {
		l.sample(now, newest, core.Time(a.delay)*ackDelayUnit, acked, flew)
	} else {
		l.silence.heard(now, l.rtt.round(), flew, c.frame)
	}
	l.detect(now)
	if l.newestAny && l.newest >= c.roundEnd {
		if c.roundLost > 0 {
			if l.calm++; l.calm >= calmRounds {
				l.reorder, l.calm = 1, 0
			}
		}
		c.endRound(l.flight.next)
	}
	l.expecting = l.flight.flying > 0 || l.lost[0].n > 0 || l.lost[1].n > 0
}

// sample takes the round trip of a frame whose acknowledgement the peer says it held for a time,
// where so many bytes flew. A peer that lost its CPU after it had read the clock says too much;
// where that shows, the sample is left out: as the shortest round trip ever it would make a queue
// of every later one, for a minute.
func (l *lane) sample(now core.Time, s *sent, held core.Time, acked, flew int64) {
	d := now - s.at - held
	if d <= 0 {
		return
	}
	l.rtt.sample(d)
	l.silence.heard(now, d, flew, l.congestion.frame)
	quiet := l.silence.during(s.silent)
	if quiet == 0 {
		l.congestion.seen(now, d+held, int(s.bytes))
	}
	if !s.probe {
		l.congestion.onSample(now, d, quiet, int(s.bytes), acked)
	}
}

// detect declares lost what was sent before a frame that has arrived, and long enough ago.
func (l *lane) detect(now core.Time) {
	l.lossAt = core.Never
	if !l.newestAny {
		return
	}
	f := &l.flight
	window := min(l.rtt.least/reorderShare*l.reorder, l.rtt.round()) + clockGrain
	patience := max(l.rtt.latest, l.rtt.smooth) + window
	for c := f.oldest; c < l.newest && f.flying > 0; c++ {
		s := f.at(c)
		if s.state != sentFlying {
			continue
		}
		if now >= s.at+patience {
			l.blackHole(now, s)
			l.lose(now, s)
			continue
		}
		l.lossAt = s.at + patience
		return // those behind were sent later
	}
}

// blackHole counts large frames that were lost while later ones arrived; too many in a row, and the
// path carries less than it did.
func (l *lane) blackHole(now core.Time, s *sent) {
	if s.probe || int(s.bytes) <= minMTU || int(s.bytes) > l.s.mtu.frame {
		return // the last were sent before frames became smaller
	}
	if l.largeLost++; l.largeLost >= blackHole && l.s.mtu.shrink(now) {
		l.largeLost = 0
		l.e.counters.BlackHoles++
		l.s.resize()
	}
}

// lose takes a frame as lost: what it carried is to be sent again.
func (l *lane) lose(now core.Time, s *sent) {
	l.flight.land(s, sentLost)
	l.e.counters.Lost++
	if s.probe {
		l.s.mtu.vanished(now)
	} else {
		l.congestion.roundLost++
	}
	for i := range s.refs[:s.count] {
		r := s.refs[i]
		class := 0
		if r.bulk {
			class = 1
		}
		if r.kind != refPing {
			l.lost[class].push(r)
		}
	}
}

// probeAt is when the tail must be probed, and timeoutAt when all counts as lost.
func (l *lane) probeAt() core.Time {
	if l.flight.flying == 0 || l.probe > 0 {
		return core.Never
	}
	gap := l.rtt.probe(l.lastHold) << probeBackoff(l.probes)
	if l.probes > 0 && l.probes <= probesFlat { // the probe itself asked for an answer at once
		gap = l.rtt.round() + l.rtt.round()/4 + clockGrain
	}
	if l.timeouts > 0 { // it is no tail that was lost: a few until the next time-out
		gap = max(gap, l.rtt.timeout(l.timeouts)/probesLate)
	}
	return max(l.lastSent, l.progress) + gap
}

// probeBackoff doubles the pause between probes from the third on: where a third of all frames is
// lost, one probe in two is, and to wait for the third costs more than to send it.
func probeBackoff(probes uint) uint { return min(max(probes, probesFlat)-probesFlat, 16) }

func (l *lane) timeoutAt() core.Time {
	if l.flight.flying == 0 {
		return core.Never
	}
	if l.probes == 0 || l.probe > 0 {
		return core.Never // a probe goes first: whoever slept has acknowledgements to read
	}
	return max(l.progress+l.rtt.timeout(l.timeouts), l.probedAt+l.rtt.probe(ackHold))
}

// recover does what the timers of loss recovery ask for.
func (l *lane) recover(now core.Time) {
	if now >= l.lossAt {
		l.detect(now)
	}
	if l.flight.flying == 0 {
		return
	}
	if s := l.flight.at(l.flight.oldest); s.probe && l.flight.flying == 1 {
		if now >= l.probeAt() {
			l.lose(now, s) // of no consequence
		}
		return
	}
	if now >= l.timeoutAt() {
		l.e.counters.Timeouts++
		l.timeouts++
		l.probes = 0
		l.progress = now
		l.congestion.onTimeout(l.flight.next)
		f := &l.flight
		for f.flying > 0 {
			l.lose(now, f.at(f.oldest))
		}
		return
	}
	if now >= l.probeAt() {
		l.probe = 1
		if l.probes > 0 {
			l.probe = 2 // RFC 9002, section 6.2.4
		}
		l.probes++
	}
}
