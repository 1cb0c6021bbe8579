package containers

import (
	"iter"

	"github.com/dunlin-io/dunlin/proclet/arena"
)

// Map is a hash table with open addressing. Keys are integers, bools, and arrays and structs of
// them without gaps; for strings see Dict. Equal arenas with equal histories iterate in the same
// order.
//
// Growing moves all entries at once, into a table of twice the size: a Put in a map of a million
// entries can take tens of milliseconds. Reserve does that at a better time.
type Map[K comparable, V any] struct {
	span arena.Span[group[K, V]] // a power of two of groups
	n    uint64
	left uint64 // slots that may still be used for the first time: an eighth stays free
}

// Len is how many entries there are.
func (m *Map[K, V]) Len() int { return int(m.n) }

// Get is the value of a key, and whether there is one.
func (m *Map[K, V]) Get(h *arena.Heap, key K) (value V, ok bool) {
	if s := m.find(h, key); s != nil {
		return s.value, true
	}
	return value, false
}

// At is the value of a key, for reading, where it lies; nil if there is none.
func (m *Map[K, V]) At(h *arena.Heap, key K) *V {
	if s := m.find(h, key); s != nil {
		return &s.value
	}
	return nil
}

// MutAt is the value of a key, for writing; nil if there is none.
func (m *Map[K, V]) MutAt(h *arena.Heap, key K) *V {
	s := m.find(h, key)
	if s == nil {
		return nil
	}
	arena.Wrote(h, s)
	return &s.value
}

// find is the slot of a key, or nil. It is written without calls: a processor waits for the memory
// of several lookups at once if they are short.
func (m *Map[K, V]) find(h *arena.Heap, key K) *slot[K, V] {
	g := m.span.View(h)
	at, control := split(hashKey(h.Seed(), &key))
	mask := uint64(len(g) - 1)
	for step := uint64(1); step <= uint64(len(g)); step++ { // triangular: meets each group once
		group := &g[at&mask]
		for match := matches(group.control, control); match != 0; match &= match - 1 {
			if s := &group.slots[first(match)&(slots-1)]; s.key == key {
				return s
			}
		}
		if empties(group.control) != 0 {
			return nil
		}
		at += step
	}
	return nil
}

// Put sets the value of a key.
func (m *Map[K, V]) Put(h *arena.Heap, key K, value V) error {
	if s := m.find(h, key); s != nil {
		arena.Wrote(h, s)
		s.value = value
		return nil
	}
	if m.left == 0 {
		if err := m.grow(h, 1); err != nil {
			return err
		}
	}
	m.add(h, hashKey(h.Seed(), &key), key, value)
	return nil
}

// add puts in a key that is not there. There is room.
func (m *Map[K, V]) add(h *arena.Heap, hash uint64, key K, value V) {
	table := groups[K, V](m.span.View(h))
	at, in := table.vacant(hash)
	group := &table[at]
	arena.Wrote(h, group)
	_, control := split(hash)
	shift := in * 8
	if group.control>>shift&0xFF != gone { // it is used for the first time
		m.left--
	}
	group.control = group.control&^(0xFF<<shift) | control<<shift
	group.slots[in] = slot[K, V]{key: key, value: value}
	m.n++
}

// Delete removes a key. It reports whether it was there.
func (m *Map[K, V]) Delete(h *arena.Heap, key K) bool {
	table := groups[K, V](m.span.View(h))
	if len(table) == 0 {
		return false
	}
	at, in, ok := table.place(hashKey(h.Seed(), &key), key)
	if ok {
		m.vacate(h, &table[at], in)
	}
	return ok
}

// vacate takes out the entry in a slot.
func (m *Map[K, V]) vacate(h *arena.Heap, group *group[K, V], in int) {
	arena.Wrote(h, group)
	mark := uint64(gone)
	if empties(group.control) != 0 { // no probe ever went beyond this group
		mark = 0
		m.left++
	}
	group.control = group.control&^(0xFF<<(in*8)) | mark<<(in*8)
	group.slots[in] = slot[K, V]{} // what is not there is zero, as in the rest of the arena
	m.n--
}

// place is where a key lies.
func (g groups[K, V]) place(hash uint64, key K) (at uint64, in int, ok bool) {
	at, control := split(hash)
	mask := uint64(len(g) - 1)
	for step := uint64(1); step <= mask+1; step++ {
		at &= mask
		for match := matches(g[at].control, control); match != 0; match &= match - 1 {
			if in = first(match); g[at].slots[in].key == key {
				return at, in, true
			}
		}
		if empties(g[at].control) != 0 {
			break
		}
		at += step
	}
	return 0, 0, false
}

// Reserve makes room for n more entries.
func (m *Map[K, V]) Reserve(h *arena.Heap, n int) error {
	if n <= 0 || uint64(n) <= m.left {
		return nil
	}
	return m.grow(h, uint64(n))
}

// grow makes room for n more entries, of any number that there is none for.
func (m *Map[K, V]) grow(h *arena.Heap, n uint64) error {
	if err := checkPlain[K](); err != nil {
		return err
	}
	return m.rehash(h, n, hashPlain[K])
}

// rehash moves the entries to a new table that has room for n more: of the same size if enough
// slots of this one are only spoiled by deleted keys, larger else.
func (m *Map[K, V]) rehash(h *arena.Heap, n uint64, hash func(*arena.Heap, *K) uint64) error {
	size := uint64(max(1, m.span.Len()))
	for room(size)-room(size)/8 < m.n+n && size < arena.MaxCap {
		size *= 2
	}
	span, err := allocate[group[K, V]](h, int(size))
	if err != nil {
		return err
	}
	into := groups[K, V](span.Mut(h))
	for i, old := 0, m.span.View(h); i < len(old); i++ {
		for full := old[i].control & highBits; full != 0; full &= full - 1 {
			s := &old[i].slots[first(full)]
			sum := hash(h, &s.key)
			at, in := into.vacant(sum)
			_, control := split(sum)
			into[at].control |= control << (in * 8)
			into[at].slots[in] = *s
		}
	}
	if m.span.Len() > 0 {
		must(m.span.Free(h))
	}
	m.span, m.left = span, room(size)-m.n
	return nil
}

// room is how many slots of a table may be used: seven of eight, and all but one of a single group.
func room(size uint64) uint64 { return size * slots / 8 * 7 }

// Free gives the memory back. The Map is empty then, and can be used again.
func (m *Map[K, V]) Free(h *arena.Heap) {
	if m.span.Len() > 0 {
		must(m.span.Free(h))
	}
	*m = Map[K, V]{}
}

// All are the entries, in no particular order. Entries may be deleted and values set meanwhile.
func (m *Map[K, V]) All(h *arena.Heap) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		span := m.span
		for i := range span.Len() {
			for in := range slots {
				unchanged(m.span == span)
				group := span.At(h, i)
				if group.control>>(in*8)&used == 0 {
					continue
				}
				if s := &group.slots[in]; !yield(s.key, s.value) {
					return
				}
			}
		}
	}
}
