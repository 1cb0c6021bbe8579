package containers

import (
	"cmp"

	"github.com/dunlin-io/dunlin/proclet/arena"
)

// Delete removes a key. It reports whether it was there.
func (m *OrderedMap[K, V]) Delete(h *arena.Heap, key K) bool {
	if m.n == 0 {
		return false
	}
	var p path[K, V]
	ref := m.descend(h, key, &p)
	l := ref.Get(h)
	at := lower(l.keys[:l.n], key)
	if at == int(l.n) || cmp.Compare(l.keys[at], key) != 0 {
		return false
	}
	ref.Mut(h).remove(at)
	m.n--
	m.epoch++
	switch {
	case m.n == 0:
		m.free(h, m.root, m.height)
		m.root, m.first, m.height = child[K, V]{}, arena.Ref[leaf[K, V]]{}, 0
	case m.height > 0 && l.n < leastKeys:
		m.mend(h, &p)
	}
	return true
}

func (l *leaf[K, V]) remove(at int) {
	copy(l.keys[at:], l.keys[at+1:l.n])
	copy(l.values[at:], l.values[at+1:l.n])
	l.n--
	l.keys[l.n], l.values[l.n] = *new(K), *new(V)
}

// mend joins nodes on a path that have too few keys with a neighbour, or fills them from it, from
// the leaf up.
func (m *OrderedMap[K, V]) mend(h *arena.Heap, p *path[K, V]) {
	for height := uint64(1); height <= m.height; height++ {
		node := p[height].node.Mut(h)
		at := min(p[height].at, int(node.n)-1) // the two on both sides of this key
		left, right := node.children[at], node.children[at+1]
		var joined bool
		if height == 1 {
			joined = joinLeaves(left.leaf.Mut(h), right.leaf.Mut(h), &node.keys[at])
		} else {
			joined = joinInner(left.inner.Mut(h), right.inner.Mut(h), &node.keys[at])
		}
		if !joined {
			return
		}
		if height == 1 {
			must(right.leaf.Free(h))
		} else {
			must(right.inner.Free(h))
		}
		node.remove(at)
		if node.n >= leastKeys {
			return
		}
	}
	if root := m.root.inner.Get(h); root.n == 0 {
		child := root.children[0]
		must(m.root.inner.Free(h))
		m.root = child
		m.height--
	}
}

// remove takes out a key and the child behind it.
func (b *inner[K, V]) remove(at int) {
	copy(b.keys[at:], b.keys[at+1:b.n])
	copy(b.children[at+1:], b.children[at+2:b.n+1])
	b.n--
	b.keys[b.n], b.children[b.n+1] = *new(K), child[K, V]{}
}

// joinLeaves moves all of right into left, if it fits, and reports that it did. Else it shares the
// entries out evenly, and sets the key between the two.
func joinLeaves[K cmp.Ordered, V any](left, right *leaf[K, V], between *K) (joined bool) {
	all := left.n + right.n
	if all <= fan {
		copy(left.keys[left.n:], right.keys[:right.n])
		copy(left.values[left.n:], right.values[:right.n])
		left.n, left.next = all, right.next
		return true
	}
	half := all / 2
	if left.n < half {
		n := half - left.n
		copy(left.keys[left.n:], right.keys[:n])
		copy(left.values[left.n:], right.values[:n])
		copy(right.keys[:], right.keys[n:right.n])
		copy(right.values[:], right.values[n:right.n])
	} else {
		n := left.n - half
		copy(right.keys[n:], right.keys[:right.n])
		copy(right.values[n:], right.values[:right.n])
		copy(right.keys[:n], left.keys[half:left.n])
		copy(right.values[:n], left.values[half:left.n])
	}
	left.n, right.n = half, all-half
	clear(left.keys[left.n:])
	clear(left.values[left.n:])
	clear(right.keys[right.n:])
	clear(right.values[right.n:])
	*between = right.keys[0]
	return false
}

// joinInner is joinLeaves for inner nodes: the key between the two comes down, and another goes up.
func joinInner[K cmp.Ordered, V any](left, right *inner[K, V], between *K) (joined bool) {
	all := left.n + right.n + 1
	var keys [2*fan + 1]K
	var children [2*fan + 2]child[K, V]
	copy(keys[:], left.keys[:left.n])
	keys[left.n] = *between
	copy(keys[left.n+1:], right.keys[:right.n])
	copy(children[:], left.children[:left.n+1])
	copy(children[left.n+1:], right.children[:right.n+1])
	half := all / 2
	if joined = all <= fan; joined {
		half = all
	}
	*left, *right = inner[K, V]{n: half}, inner[K, V]{}
	copy(left.keys[:], keys[:half])
	copy(left.children[:], children[:half+1])
	if !joined {
		right.n = all - half - 1
		copy(right.keys[:], keys[half+1:all])
		copy(right.children[:], children[half+1:all+1])
		*between = keys[half]
	}
	return joined
}
