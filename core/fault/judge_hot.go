package fault

import "github.com/dunlin-io/dunlin/core"

// Judge decides what becomes of a packet of the given length in bytes that is offered at time now.
// Every kind that is configured draws first, for lost packets too: that is what keeps the streams
// independent of each other.
func (m *Model) Judge(now core.Time, length int) Verdict {
	var v Verdict
	m.counts.Offered++
	cut, burst, loss := m.cut(now), m.burst(), m.lose()
	travel, tail := m.travel()
	after, copies := m.copies()
	late := m.reorder()
	keep := m.truncate(length)
	bit := m.corrupt(min(keep, length))
	m.clog(now)
	replay := m.replay(now)

	switch {
	case cut:
		m.strike(&v, KindCut, 1)
		return v // a cut stops the replay as well
	case burst:
		m.strike(&v, KindBurst, 1)
	case loss:
		m.strike(&v, KindLoss, 1)
	default:
		at := m.place(&v, now+travel)
		if tail {
			m.strike(&v, KindTail, 1)
		}
		if late != 0 {
			m.strike(&v, KindReorder, 1)
		}
		if keep != KeepAll {
			m.strike(&v, KindTruncate, 1)
		}
		if bit != NoBit {
			m.strike(&v, KindCorrupt, 1)
		}
		v.add(Delivery{At: at + late, Keep: keep, Bit: bit})
		for _, d := range after[:copies] {
			v.add(Delivery{At: at + late + d, Keep: KeepAll, Bit: NoBit})
		}
		if copies != 0 {
			m.strike(&v, KindDuplicate, copies)
		}
	}
	if replay.Back != 0 {
		v.add(replay)
		m.strike(&v, KindReplay, 1)
	}
	m.counts.Delivered += uint64(v.count)
	return v
}

// place is the time of a packet that keeps its place in the order: not before the one in front of
// it, and not before the end of a clog.
func (m *Model) place(v *Verdict, at core.Time) core.Time {
	if at < m.clogUntil {
		m.strike(v, KindClog, 1)
	}
	m.lastAt = max(at, m.clogUntil, m.lastAt)
	return m.lastAt
}

// strike records what happened n times to one packet.
func (m *Model) strike(v *Verdict, k Kind, n int) {
	v.Faults |= 1 << k
	m.counts.Faults[k] += uint64(n)
}
