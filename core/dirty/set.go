package dirty

import (
	"slices"
	"sort"
)

// span is a range of bytes [from, to), never empty.
type span struct{ from, to int64 }

// set is a set of bytes, as spans in rising order that neither overlap nor touch. Finding one takes
// a binary search; adding one in the middle moves those behind it.
type set struct{ spans []span }

// first is the index of the first span that ends at or behind at; touching counts.
func (s *set) first(at int64) int {
	return sort.Search(len(s.spans), func(i int) bool { return s.spans[i].to >= at })
}

// add puts [from, to) in.
func (s *set) add(from, to int64) {
	if from >= to {
		return
	}
	i := s.first(from)
	j := i
	for j < len(s.spans) && s.spans[j].from <= to {
		from, to = min(from, s.spans[j].from), max(to, s.spans[j].to)
		j++
	}
	s.spans = slices.Replace(s.spans, i, j, span{from, to})
}

// remove takes [from, to) out.
func (s *set) remove(from, to int64) {
	if from >= to {
		return
	}
	i := s.first(from + 1)
	j := i
	var rest [2]span // what stays of the first and of the last span that is hit
	n := 0
	for j < len(s.spans) && s.spans[j].from < to {
		if hit := s.spans[j]; hit.from < from {
			rest[n] = span{hit.from, from}
			n++
		}
		if hit := s.spans[j]; hit.to > to {
			rest[n] = span{to, hit.to}
			n++
		}
		j++
	}
	s.spans = slices.Replace(s.spans, i, j, rest[:n]...)
}

// within appends the parts of the set that lie in [from, to).
func (s *set) within(from, to int64, dst []span) []span {
	for i := s.first(from + 1); i < len(s.spans) && s.spans[i].from < to; i++ {
		hit := s.spans[i]
		dst = append(dst, span{max(from, hit.from), min(to, hit.to)})
	}
	return dst
}

// holds reports whether all of [from, to) is in the set.
func (s *set) holds(from, to int64) bool {
	i := s.first(from + 1)
	return i < len(s.spans) && s.spans[i].from <= from && to <= s.spans[i].to
}

// touches reports whether any of [from, to) is in the set.
func (s *set) touches(from, to int64) bool {
	i := s.first(from + 1)
	return from < to && i < len(s.spans) && s.spans[i].from < to
}
