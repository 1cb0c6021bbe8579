package vmem

// table finds allocated segments by their first address. It is Litwin's linear hashing (VLDB 1980):
// the table grows by one bucket at a time, whose entries come from one other, so no Alloc has to
// move all entries. Chains are linked through the tags. It never shrinks.
type table struct {
	buckets []uint32 // tag at the head of each chain
	count   int
	half    uint32 // the largest power of two that is at most the buckets
}

// minBuckets is what a table starts with (guess: a cache line's worth).
const minBuckets = 16

// hash spreads addresses, whose low bits are often all alike: Fibonacci hashing (Knuth, vol. 3,
// 6.4).
func (a *Arena) hash(start uint64) uint32 {
	return uint32((start >> a.shift) * 0x9E3779B97F4A7C15 >> 32)
}

// bucket is the chain of that hash.
func (t *table) bucket(hash uint32) uint32 {
	i := hash & (2*t.half - 1)
	if i >= uint32(len(t.buckets)) {
		i -= t.half
	}
	return i
}

// enter puts an allocated segment into the table.
func (a *Arena) enter(i uint32) {
	t := &a.table
	if t.count >= len(t.buckets) {
		a.split()
	}
	b := t.bucket(a.hash(a.tags[i].start))
	a.tags[i].fwd = t.buckets[b]
	t.buckets[b] = i
	t.count++
}

// find returns the allocated segment that begins at start, or 0.
func (a *Arena) find(start uint64) uint32 {
	i := a.table.buckets[a.table.bucket(a.hash(start))]
	for i != 0 && a.tags[i].start != start {
		i = a.tags[i].fwd
	}
	return i
}

// remove takes segment i, which is in the table, out of it.
func (a *Arena) remove(i uint32) {
	t := &a.table
	at := &t.buckets[t.bucket(a.hash(a.tags[i].start))]
	for *at != i {
		at = &a.tags[*at].fwd
	}
	*at = a.tags[i].fwd
	t.count--
}

// split adds a bucket and moves to it what belongs there.
func (a *Arena) split() {
	t := &a.table
	n := uint32(len(t.buckets))
	if n == 2*t.half {
		t.half = n
	}
	from := n - t.half
	chain := t.buckets[from]
	t.buckets[from] = 0
	t.grow()
	for chain != 0 {
		i := chain
		chain = a.tags[i].fwd
		b := t.bucket(a.hash(a.tags[i].start))
		a.tags[i].fwd = t.buckets[b]
		t.buckets[b] = i
	}
}
