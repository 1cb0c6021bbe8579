package containers

import (
	"iter"
	"reflect"

	"github.com/dunlin-io/dunlin/proclet/arena"
)

// Dict is a Map with strings as keys. It owns its keys: each is a String that is freed with its
// entry.
type Dict[V any] struct {
	table Map[String, V]
}

// Len is how many entries there are.
func (d *Dict[V]) Len() int { return d.table.Len() }

// find is where a key lies.
func (d *Dict[V]) find(h *arena.Heap, hash uint64, key string) (g *group[String, V], in int) {
	table := d.table.span.View(h)
	at, control := split(hash)
	mask := uint64(len(table) - 1)
	for step := uint64(1); step <= uint64(len(table)); step++ {
		g = &table[at&mask]
		for match := matches(g.control, control); match != 0; match &= match - 1 {
			if in = first(match); g.slots[in].key.Equal(h, key) {
				return g, in
			}
		}
		if empties(g.control) != 0 {
			break
		}
		at += step
	}
	return nil, 0
}

// Get is the value of a key, and whether there is one.
func (d *Dict[V]) Get(h *arena.Heap, key string) (value V, ok bool) {
	g, in := d.find(h, hashString(h.Seed(), key), key)
	if g == nil {
		return value, false
	}
	return g.slots[in].value, true
}

// MutAt is the value of a key, for writing, where it lies; nil if there is none.
func (d *Dict[V]) MutAt(h *arena.Heap, key string) *V {
	g, in := d.find(h, hashString(h.Seed(), key), key)
	if g == nil {
		return nil
	}
	arena.Wrote(h, &g.slots[in])
	return &g.slots[in].value
}

// Put sets the value of a key.
func (d *Dict[V]) Put(h *arena.Heap, key string, value V) error {
	hash := hashString(h.Seed(), key)
	if g, in := d.find(h, hash, key); g != nil {
		arena.Wrote(h, &g.slots[in])
		g.slots[in].value = value
		return nil
	}
	if d.table.left == 0 {
		if err := d.table.rehash(h, 1, hashText); err != nil {
			return err
		}
	}
	s, err := NewString(h, key)
	if err != nil {
		return err
	}
	d.table.add(h, hash, s, value)
	return nil
}

// Delete removes a key. It reports whether it was there.
func (d *Dict[V]) Delete(h *arena.Heap, key string) bool {
	g, in := d.find(h, hashString(h.Seed(), key), key)
	if g == nil {
		return false
	}
	s := g.slots[in].key
	d.table.vacate(h, g, in)
	s.Free(h)
	return true
}

// Reserve makes room for n more entries; their keys need room as well.
func (d *Dict[V]) Reserve(h *arena.Heap, n int) error {
	if n <= 0 || uint64(n) <= d.table.left {
		return nil
	}
	return d.table.rehash(h, uint64(n), hashText)
}

// Free gives the memory back, the keys' too. The Dict is empty then, and can be used again.
func (d *Dict[V]) Free(h *arena.Heap) {
	for key := range d.table.All(h) {
		key.Free(h)
	}
	d.table.Free(h)
}

// All are the entries, in no particular order. Entries may be deleted and values set meanwhile; a
// key is good as long as its entry.
func (d *Dict[V]) All(h *arena.Heap) iter.Seq2[String, V] { return d.table.All(h) }

// hashText hashes a key that lies in the arena.
func hashText(h *arena.Heap, key *String) uint64 {
	return hashBytes(h.Seed(), key.View(h))
}

// hashPlain hashes a key that is what it looks like.
func hashPlain[K comparable](h *arena.Heap, key *K) uint64 {
	return hashKey(h.Seed(), key)
}

// checkPlain is checkKey for the keys of a Map.
func checkPlain[K comparable]() error { return checkKey(reflect.TypeFor[K]()) }
