package load

import (
	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// Poll implements core.Poller.
func (g *Generator) Poll(now core.Time) (work int) {
	if !g.running {
		return 0
	}
	if !g.begun {
		g.warm = now + g.warmup
		g.end = g.warm + g.measure
		g.begin(now)
	}
	n := g.link.Recv(g.got[:])
	for _, seq := range g.got[:n] {
		g.reply(now, seq)
	}
	sent := 0
	if g.sending(now) {
		sent = g.send(now)
	}
	if n+sent == 0 {
		g.idle(now)
	}
	return n + sent
}

// begin sets the first times.
func (g *Generator) begin(now core.Time) {
	g.begun = true
	if g.loop == report.Open {
		g.gaps.begin(now)
		g.due[0], g.drawn = now, 1
	}
}

// draw has the times of up to want requests that are due by then, and returns how many.
func (g *Generator) draw(until core.Time, want int) (due int) {
	for due < want && g.due[due] <= until {
		if due++; due == g.drawn {
			if due == len(g.due) {
				break
			}
			g.due[due] = g.due[due-1] + g.gaps.next(g.due[due-1])
			g.drawn++
		}
	}
	return due
}

// sent moves on by n requests.
func (g *Generator) sent(n int) {
	if n == g.drawn { // which draw has not let happen but when all there is room for were due
		g.due[0] = g.due[n-1] + g.gaps.next(g.due[n-1])
		g.drawn = 1
		return
	}
	copy(g.due[:], g.due[n:g.drawn])
	g.drawn -= n
}

// sending reports whether requests of this run are still to be sent: of an open loop all that were
// due in time, even if the time is over.
func (g *Generator) sending(now core.Time) bool {
	if g.loop == report.Open {
		return g.due[0] < g.end
	}
	return now < g.end
}

// reply books one reply.
func (g *Generator) reply(now core.Time, seq uint64) {
	if seq-g.first >= g.next-g.first { // not of this run
		if seq >= g.next && now >= g.warm {
			g.faults.Corrupt++ // Damaged, or a number that was never sent
		}
		return
	}
	s := &g.slots[seq&g.mask]
	if s.seq == seq && s.state == waiting {
		s.state = answered
		g.outstanding--
		if now >= g.warm && now < g.end {
			g.replies++
		}
		if s.at >= g.warm && g.loop != report.Window && g.count < len(g.samples) {
			g.samples[g.count] = nanoseconds(now - s.at)
			g.count++
		}
		return
	}
	switch {
	case now < g.warm:
	case s.seq == seq && s.state == answered:
		g.faults.Duplicate++
	default:
		g.faults.Late++
	}
}

// send sends what the loop allows now.
func (g *Generator) send(now core.Time) int {
	if g.next-g.oldest > g.mask-burst { // do not run over a slot in use
		g.settle(now)
		if g.next-g.oldest > g.mask-burst {
			return 0
		}
	}
	want := min(g.window-g.outstanding, burst)
	if g.loop == report.Open {
		want = g.draw(min(now, g.end-1), want)
	}
	if want == 0 {
		return 0
	}
	n := g.link.Send(g.next, want)
	for i := range n {
		at := now
		if g.loop == report.Open {
			at = g.due[i]
		}
		g.slots[g.next&g.mask] = slot{seq: g.next, at: at, state: waiting}
		g.next++
	}
	if g.loop == report.Open && n > 0 {
		g.sent(n)
	}
	g.outstanding += n
	return n
}

// idle gives up what is overdue and ends the run when nothing is left to wait for.
func (g *Generator) idle(now core.Time) {
	if g.outstanding > 0 {
		g.settle(now)
	}
	if now >= g.end && g.outstanding == 0 && !g.sending(now) || g.stop.Load() {
		g.running = false
		if g.done != nil {
			g.done()
		}
	}
}

// settle moves oldest past everything that is answered or overdue.
func (g *Generator) settle(now core.Time) {
	for g.oldest != g.next {
		s := &g.slots[g.oldest&g.mask]
		if s.state == waiting {
			if now-s.at <= g.giveUp {
				return
			}
			s.state = lost
			g.outstanding--
			if s.at >= g.warm {
				g.faults.Lost++
			}
		}
		g.oldest++
	}
}
