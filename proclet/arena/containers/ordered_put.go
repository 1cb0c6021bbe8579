package containers

import (
	"cmp"

	"github.com/dunlin-io/dunlin/proclet/arena"
)

// Put sets the value of a key.
func (m *OrderedMap[K, V]) Put(h *arena.Heap, key K, value V) error {
	if m.n == 0 {
		return m.plant(h, key, value)
	}
	var p path[K, V]
	ref := m.descend(h, key, &p)
	l := ref.Get(h)
	at := lower(l.keys[:l.n], key)
	if at < int(l.n) && cmp.Compare(l.keys[at], key) == 0 {
		ref.Mut(h).values[at] = value
		return nil
	}
	if l.n < fan {
		ref.Mut(h).insert(at, key, value)
	} else if err := m.split(h, &p, ref, at, key, value); err != nil {
		return err
	}
	m.n++
	m.epoch++
	return nil
}

// plant makes the first leaf.
func (m *OrderedMap[K, V]) plant(h *arena.Heap, key K, value V) error {
	leaves, err := arena.TypeIn[leaf[K, V]](h)
	if err != nil {
		return err
	}
	ref, err := leaves.New(h)
	if err != nil {
		return err
	}
	ref.Mut(h).insert(0, key, value)
	m.root, m.first, m.n = child[K, V]{leaf: ref}, ref, 1
	m.epoch++
	return nil
}

func (l *leaf[K, V]) insert(at int, key K, value V) {
	copy(l.keys[at+1:l.n+1], l.keys[at:l.n])
	copy(l.values[at+1:l.n+1], l.values[at:l.n])
	l.keys[at], l.values[at] = key, value
	l.n++
}

// spares are the nodes that a split needs. They are allocated before anything is changed, so that a
// full arena leaves the tree as it was.
type spares[K cmp.Ordered, V any] struct {
	leaf   arena.Ref[leaf[K, V]]
	inners [maxHeight]arena.Ref[inner[K, V]] // by height; the topmost becomes the root
}

// spare allocates for a split of a leaf and of the full nodes above it.
func (m *OrderedMap[K, V]) spare(h *arena.Heap, p *path[K, V]) (s spares[K, V], err error) {
	leaves, err := arena.TypeIn[leaf[K, V]](h)
	if err != nil {
		return s, err
	}
	inners, err := arena.TypeIn[inner[K, V]](h)
	if err != nil {
		return s, err
	}
	if s.leaf, err = leaves.New(h); err != nil {
		return s, err
	}
	for height := uint64(1); ; height++ {
		if height <= m.height && p[height].node.Get(h).n < fan {
			return s, nil
		}
		if s.inners[height], err = inners.New(h); err != nil {
			break
		}
		if height > m.height {
			return s, nil
		}
	}
	must(s.leaf.Free(h))
	for _, ref := range s.inners {
		if !ref.IsNil() {
			must(ref.Free(h))
		}
	}
	return s, err
}

// split puts an entry into a leaf that is full.
func (m *OrderedMap[K, V]) split(
	h *arena.Heap, p *path[K, V], ref arena.Ref[leaf[K, V]], at int, key K, value V,
) error {
	s, err := m.spare(h, p)
	if err != nil {
		return err
	}
	left, right := ref.Mut(h), s.leaf.Mut(h)
	keep := fan / 2
	if at == fan && left.next.IsNil() {
		keep = fan // keys come in rising order: full leaves
	}
	right.n = uint64(copy(right.keys[:], left.keys[keep:]))
	copy(right.values[:], left.values[keep:])
	left.n = uint64(keep)
	clear(left.keys[keep:]) // what is not there is zero, as in the rest of the arena
	clear(left.values[keep:])
	right.next, left.next = left.next, s.leaf
	if at < keep || at == keep && keep < fan {
		left.insert(at, key, value)
	} else {
		right.insert(at-keep, key, value)
	}
	m.raise(h, p, &s, right.keys[0], child[K, V]{leaf: s.leaf})
	return nil
}

// raise puts a new child and the least key below it into the node above, and splits that if it is
// full, and so on.
func (m *OrderedMap[K, V]) raise(
	h *arena.Heap, p *path[K, V], s *spares[K, V], key K, c child[K, V],
) {
	for height := uint64(1); height <= m.height; height++ {
		node, at := p[height].node.Mut(h), p[height].at
		if node.n < fan {
			node.insert(at, key, c)
			return
		}
		key = node.split(s.inners[height].Mut(h), at, key, c)
		c = child[K, V]{inner: s.inners[height]}
	}
	m.height++
	ref := s.inners[m.height]
	root := ref.Mut(h)
	root.n, root.keys[0] = 1, key
	root.children[0], root.children[1] = m.root, c
	m.root = child[K, V]{inner: ref}
}

// insert puts a key, and the child behind it, at a place.
func (b *inner[K, V]) insert(at int, key K, c child[K, V]) {
	copy(b.keys[at+1:b.n+1], b.keys[at:b.n])
	copy(b.children[at+2:b.n+2], b.children[at+1:b.n+1])
	b.keys[at], b.children[at+1] = key, c
	b.n++
}

// split moves half of a full node to another and inserts into either. The key between the two goes
// up.
func (b *inner[K, V]) split(right *inner[K, V], at int, key K, c child[K, V]) (up K) {
	var keys [fan + 1]K
	var children [fan + 2]child[K, V]
	copy(keys[:], b.keys[:at])
	keys[at] = key
	copy(keys[at+1:], b.keys[at:])
	copy(children[:], b.children[:at+1])
	children[at+1] = c
	copy(children[at+2:], b.children[at+1:])
	const mid = (fan + 1) / 2
	clear(b.keys[:])
	clear(b.children[:])
	copy(b.keys[:], keys[:mid])
	copy(b.children[:], children[:mid+1])
	b.n = mid
	right.n = uint64(copy(right.keys[:], keys[mid+1:]))
	copy(right.children[:], children[mid+1:])
	return keys[mid]
}
