package magazine

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// truth knows where each object is.
type truth struct {
	t      *rapid.T
	depot  *Depot[uint32]
	caches []*Cache[uint32]
	hand   []uint32 // taken by Get
	away   []uint32 // given away by Reap
	gave   int      // magazines, by the last Reap

	unneeded int // the least number of full magazines since the last Reap
}

// audit demands that every object is in exactly one place.
func (m *truth) audit() {
	m.t.Helper()
	all := slices.Concat(m.hand, m.away, slices.Collect(m.depot.Objects))
	for _, c := range m.caches {
		held := slices.Collect(c.Objects)
		if len(held) != c.Count() {
			m.t.Fatalf("a cache counts %d and yields %d", c.Count(), len(held))
		}
		all = append(all, held...)
	}
	slices.Sort(all)
	for i, o := range all {
		if o != uint32(i) {
			m.t.Fatalf("object %d is lost or in two places: %d", i, all)
		}
	}
	if len(all) != cap(m.hand) {
		m.t.Fatalf("%d objects of %d", len(all), cap(m.hand))
	}
	mags := 0
	for _, s := range []*stack{&m.depot.full, &m.depot.partial, &m.depot.empty, &m.depot.bare} {
		for at := uint32(s.head.Load()); at != 0; at = uint32(m.depot.next[at-1].Load()) {
			mags++
			mag := &m.depot.mags[at-1]
			if s == &m.depot.bare != (mag.objects == nil) ||
				(s == &m.depot.full || s == &m.depot.partial) != (mag.count > 0) {
				m.t.Fatalf("magazine %+v in the wrong stack", mag)
			}
		}
	}
	if mags+2*len(m.caches) != len(m.depot.mags) {
		m.t.Fatalf("%d magazines in the depot, %d caches, %d in all", mags, len(m.caches),
			len(m.depot.mags))
	}
}

func (m *truth) get(c *Cache[uint32]) {
	o, ok := c.Get()
	m.unneeded = min(m.unneeded, m.full())
	if ok {
		m.hand = append(m.hand, o)
	} else if c.Count() > 0 || m.depot.Stored() > 0 {
		m.t.Fatalf("no object, but cache has %d and depot %d", c.Count(), m.depot.Stored())
	}
}

// step makes one random move.
func (m *truth) step(below func(n int) int) {
	c := m.caches[below(len(m.caches))]
	m.gave = 0
	switch op := below(13); {
	case op == 12:
		before := len(m.away)
		n := m.depot.Reap(m.give)
		if n != len(m.away)-before || m.gave != m.unneeded {
			m.t.Fatalf("gave %d in %d magazines, said %d; %d were not needed",
				len(m.away)-before, m.gave, n, m.unneeded)
		}
		m.unneeded = m.full()
	case op == 11:
		stored, before := m.depot.Stored(), len(m.away)
		if n := m.depot.ReapAll(m.give); n != stored || n != len(m.away)-before ||
			m.depot.Stored() != 0 {
			m.t.Fatalf("gave %d, said %d, had %d", len(m.away)-before, n, stored)
		}
	case op == 10:
		c.traded(true)
	case op == 9:
		before := c.Count() + m.depot.Stored()
		if c.Drain(); c.Count() != 0 || m.depot.Stored() != before {
			m.t.Fatalf("drained %d, cache keeps %d, depot has %d",
				before, c.Count(), m.depot.Stored())
		}
	case op >= 5:
		from := &m.hand
		if op == 8 {
			from = &m.away
		}
		for n := min(below(30), len(*from)); n > 0; n-- {
			at := below(len(*from))
			c.Put((*from)[at])
			m.unneeded = min(m.unneeded, m.full())
			*from = slices.Delete(*from, at, at+1)
		}
	case op == 4: // a burst
		for range m.depot.Rounds() + 1 {
			m.get(c)
		}
	default:
		m.get(c)
	}
}

func (m *truth) give(objects []uint32) {
	m.away = append(m.away, objects...)
	m.gave++
}

// full counts the full magazines in the depot.
func (m *truth) full() (n int) {
	for at := uint32(m.depot.full.head.Load()); at != 0; at = uint32(m.depot.next[at-1].Load()) {
		n++
	}
	return n
}

// TestModel compares any sequence of operations with the plain truth: an object is in one hand, in
// one cache, in the depot or was given away, and Get fails only when its cache and the depot are
// empty.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{
			Objects: rapid.IntRange(1, 200).Draw(t, "objects"),
			Rounds:  rapid.IntRange(1, 17).Draw(t, "rounds"),
			Caches:  rapid.IntRange(1, 5).Draw(t, "caches"),
			Lazy:    rapid.Bool().Draw(t, "lazy"),
		}
		c.GrowTo = c.Rounds * rapid.IntRange(1, 5).Draw(t, "growth")
		d, caches := newFullOf(t, c)
		m := &truth{t: t, depot: d, caches: caches, hand: make([]uint32, 0, c.Objects)}
		m.unneeded = m.full()
		d.period.Add(1)
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			m.unneeded = min(m.unneeded, m.full())
			m.step(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "below") })
			m.audit()
		}
	})
}
