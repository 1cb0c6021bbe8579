package cores

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// misses are a runtime's part in the cache misses of the cores that it had.
type misses struct {
	rate policy.Reading
	had  []core.Time // by core: its time there as of the last reading
	at   core.Time   // ... which was then
}

// SetMisses is a reading of the last-level cache misses per second of each core, since the last
// one. What a core missed is shared out by who had it for how long.
func (s *Scheduler) SetMisses(now core.Time, perSecond []policy.Reading) {
	for i := range s.seats {
		s.book(now, &s.seats[i])
	}
	for _, r := range s.runtimes {
		if r != nil {
			s.shareMisses(now, r, perSecond)
		}
	}
}

// shareMisses adds up a runtime's part. Without a reading of one of its cores it is unknown: the
// sum would make it look better than the others.
func (s *Scheduler) shareMisses(now core.Time, r *Runtime, perSecond []policy.Reading) {
	m := &r.misses
	first, window := m.had == nil, now-m.at
	if first {
		m.had = make([]core.Time, len(s.seats))
	}
	m.at, m.rate = now, policy.Reading{Valid: !first && window > 0}
	var sum float64
	for i := range s.seats {
		had := s.seats[i].times[r.place]
		spent := had - m.had[i]
		m.had[i] = had
		switch {
		case spent <= 0:
		case i >= len(perSecond) || !perSecond[i].Valid:
			m.rate.Valid = false
		case window > 0:
			sum += float64(perSecond[i].Value) * float64(spent) / float64(window)
		}
	}
	if m.rate.Valid {
		m.rate.Value = uint64(sum)
	}
}
