package containers

import (
	"cmp"
	"iter"

	"github.com/dunlin-io/dunlin/proclet/arena"
)

// OrderedMap is a map in the order of its keys: a B+ tree (Comer, The Ubiquitous B-Tree, ACM
// Computing Surveys 1979), whose leaves are chained.
//
//	height 1:        inner [ 30 | 57 ]
//	                      /     |     \
//	height 0:   leaf [3..] -> [30..] -> [57..]
//
// Strings cannot be keys, because Go's point to its heap. Keys must not be added or deleted while
// the map is iterated over.
type OrderedMap[K cmp.Ordered, V any] struct {
	root   child[K, V]
	first  arena.Ref[leaf[K, V]] // with the least keys
	height uint64                // inner nodes between the root and any leaf
	n      uint64
	epoch  uint64 // of the set of keys, for iterations
}

// fan is how many keys a node has at most: a leaf of two words to an entry has 512 bytes, so that a
// search reads some 6 cache lines a level. (guess)
const (
	fan       = 30
	leastKeys = fan / 3 // a node with fewer is joined with its neighbour, or filled from it
	maxHeight = 24      // leastKeys+1 to that power is more than the units of any slot
)

type leaf[K cmp.Ordered, V any] struct {
	n      uint64
	next   arena.Ref[leaf[K, V]]
	keys   [fan]K
	values [fan]V
}

// inner has n keys and n+1 children: below children[i+1] are the keys from keys[i] on.
type inner[K cmp.Ordered, V any] struct {
	n        uint64
	keys     [fan]K
	children [fan + 1]child[K, V]
}

// child is a leaf at height 0 and an inner node above.
type child[K cmp.Ordered, V any] struct {
	leaf  arena.Ref[leaf[K, V]]
	inner arena.Ref[inner[K, V]]
}

// path is the way from the root to a leaf: at each height the inner node, and which child of it.
type path[K cmp.Ordered, V any] [maxHeight]struct {
	node arena.Ref[inner[K, V]]
	at   int
}

// Len is how many entries there are.
func (m *OrderedMap[K, V]) Len() int { return int(m.n) }

// lower is how many of the sorted keys are below a key.
func lower[K cmp.Ordered](keys []K, key K) int {
	from, to := 0, len(keys)
	for from < to {
		if mid := int(uint(from+to) / 2); cmp.Less(keys[mid], key) {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return from
}

// below is which child of a node has a key.
func (b *inner[K, V]) below(key K) int {
	at := lower(b.keys[:b.n], key)
	if at < int(b.n) && cmp.Compare(b.keys[at], key) == 0 {
		at++
	}
	return at
}

// descend finds the leaf in which a key is, or would be. The tree is not empty.
func (m *OrderedMap[K, V]) descend(h *arena.Heap, key K, p *path[K, V]) arena.Ref[leaf[K, V]] {
	at := m.root
	for height := m.height; height > 0; height-- {
		node := at.inner.Get(h)
		i := node.below(key)
		if p != nil {
			p[height].node, p[height].at = at.inner, i
		}
		at = node.children[i]
	}
	return at.leaf
}

// find is the leaf and place of a key.
func (m *OrderedMap[K, V]) find(h *arena.Heap, key K) (l arena.Ref[leaf[K, V]], at int, ok bool) {
	if m.n == 0 {
		return l, 0, false
	}
	l = m.descend(h, key, nil)
	node := l.Get(h)
	at = lower(node.keys[:node.n], key)
	return l, at, at < int(node.n) && cmp.Compare(node.keys[at], key) == 0
}

// Get is the value of a key, and whether there is one.
func (m *OrderedMap[K, V]) Get(h *arena.Heap, key K) (value V, ok bool) {
	l, at, ok := m.find(h, key)
	if !ok {
		return value, false
	}
	return l.Get(h).values[at], true
}

// MutAt is the value of a key, for writing, where it lies; nil if there is none.
func (m *OrderedMap[K, V]) MutAt(h *arena.Heap, key K) *V {
	l, at, ok := m.find(h, key)
	if !ok {
		return nil
	}
	return &l.Mut(h).values[at]
}

// Min is the entry with the least key; false if there is none.
func (m *OrderedMap[K, V]) Min(h *arena.Heap) (key K, value V, ok bool) {
	if m.n == 0 {
		return key, value, false
	}
	l := m.first.Get(h)
	return l.keys[0], l.values[0], true
}

// Max is the entry with the greatest key; false if there is none.
func (m *OrderedMap[K, V]) Max(h *arena.Heap) (key K, value V, ok bool) {
	if m.n == 0 {
		return key, value, false
	}
	at := m.root
	for range m.height {
		node := at.inner.Get(h)
		at = node.children[node.n]
	}
	l := at.leaf.Get(h)
	return l.keys[l.n-1], l.values[l.n-1], true
}

// All are the entries in the order of their keys.
func (m *OrderedMap[K, V]) All(h *arena.Heap) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { m.walk(h, m.first, 0, yield) }
}

// From are the entries with keys that are not below from, in order.
func (m *OrderedMap[K, V]) From(h *arena.Heap, from K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if l, at, _ := m.find(h, from); !l.IsNil() {
			m.walk(h, l, at, yield)
		}
	}
}

// Between are the entries with keys that are not below from and below to, in order.
func (m *OrderedMap[K, V]) Between(h *arena.Heap, from, to K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for key, value := range m.From(h, from) {
			if !cmp.Less(key, to) || !yield(key, value) {
				return
			}
		}
	}
}

func (m *OrderedMap[K, V]) walk(
	h *arena.Heap, l arena.Ref[leaf[K, V]], at int, yield func(K, V) bool,
) {
	// More leaves than there can be are a circle, in an image that somebody made up.
	limit := h.Used()/fan + 1
	for epoch := m.epoch; !l.IsNil() && limit > 0; at = 0 {
		limit--
		for ; ; at++ {
			unchanged(m.epoch == epoch)
			node := l.Get(h)
			if at >= int(node.n) {
				l = node.next
				break
			}
			if !yield(node.keys[at], node.values[at]) {
				return
			}
		}
	}
}

// Free gives the memory back. The map is empty then, and can be used again.
func (m *OrderedMap[K, V]) Free(h *arena.Heap) {
	if m.n > 0 {
		m.free(h, m.root, m.height)
	}
	*m = OrderedMap[K, V]{}
}

func (m *OrderedMap[K, V]) free(h *arena.Heap, at child[K, V], height uint64) {
	if height == 0 {
		must(at.leaf.Free(h))
		return
	}
	node := at.inner.Get(h)
	for _, c := range node.children[:node.n+1] {
		m.free(h, c, height-1)
	}
	must(at.inner.Free(h))
}
