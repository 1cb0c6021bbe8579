package memory

import (
	"github.com/dunlin-io/dunlin/proclet/arena"
	"github.com/dunlin-io/dunlin/proclet/arena/containers"
)

// fixtures are the large maps, each made when its first row is.
type fixtures struct {
	n       int
	heap    *arena.Heap
	hash    *containers.Map[uint64, uint64]
	ordered *containers.OrderedMap[uint64, uint64]
	native  map[uint64]uint64
}

func (b *bench) fixtures() (*fixtures, error) {
	if b.maps == nil {
		a, err := b.newArena(0, 1<<30)
		if err != nil {
			return nil, err
		}
		b.maps = &fixtures{n: b.size.entries, heap: a.User()}
	}
	return b.maps, nil
}

// key is entry i's: not a row of numbers, because that is what hashes are best at.
func key(i uint64) uint64 { return i * 7 }

// hashed returns the map in an arena. It lies on Go's heap, only its head: a few words.
func (f *fixtures) hashed() *containers.Map[uint64, uint64] {
	if f.hash == nil {
		f.hash = new(containers.Map[uint64, uint64])
		for i := range uint64(f.n) {
			must(f.hash.Put(f.heap, key(i), i))
		}
	}
	return f.hash
}

func (f *fixtures) sorted() *containers.OrderedMap[uint64, uint64] {
	if f.ordered == nil {
		f.ordered = new(containers.OrderedMap[uint64, uint64])
		for i := range uint64(f.n) {
			must(f.ordered.Put(f.heap, key(f.scatter(i)), i))
		}
	}
	return f.ordered
}

func (f *fixtures) goMap() map[uint64]uint64 {
	if f.native == nil {
		f.native = map[uint64]uint64{}
		for i := range uint64(f.n) {
			f.native[key(i)] = i
		}
	}
	return f.native
}

// scatter permutes the numbers of entries, so that keys are not met in order. Entries are a power
// of two.
func (f *fixtures) scatter(i uint64) uint64 { return i * 0x9E37_79B1 & uint64(f.n-1) }

// verb is what a row does with a map.
type verb string

const (
	get     verb = "get"
	put     verb = "put"     // another value for a key that is there
	iterate verb = "iterate" // all entries, a time for each
)

// loops are what rows do with a map, as functions: the loops around them are compiled for each.
type loops struct{ get, put, iterate work }

func (l loops) of(v verb) work {
	switch v {
	case get:
		return l.get
	case put:
		return l.put
	}
	return l.iterate
}

// openMap is a row of one of the maps.
func openMap(v verb, of func(*fixtures) loops) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		f, err := b.fixtures()
		if err != nil {
			return nil, err
		}
		c := b.crew(batchOps, of(f).of(v))
		if v == iterate {
			c.batch = f.n
		}
		return c, nil
	}
}

// sum takes what a lookup gave, so that it is done.
type sum struct{ of uint64 }

func arenaMap(f *fixtures) loops {
	m, h, at, s := f.hashed(), f.heap, uint64(0), new(sum)
	return loops{
		get: func(n int) {
			total, i := uint64(0), at
			for range n {
				x, _ := m.Get(h, key(f.scatter(i)))
				total += x
				i++
			}
			at, s.of = i, s.of+total
		},
		put: func(n int) {
			for range n {
				must(m.Put(h, key(f.scatter(at)), at))
				at++
			}
		},
		iterate: func(int) {
			for _, x := range m.All(h) {
				s.of += x
			}
		},
	}
}

func goMap(f *fixtures) loops {
	m, at, s := f.goMap(), uint64(0), new(sum)
	return loops{
		get: func(n int) {
			total, i := uint64(0), at
			for range n {
				total += m[key(f.scatter(i))]
				i++
			}
			at, s.of = i, s.of+total
		},
		put: func(n int) {
			for range n {
				m[key(f.scatter(at))] = at
				at++
			}
		},
		iterate: func(int) {
			for _, x := range m {
				s.of += x
			}
		},
	}
}

func orderedMap(f *fixtures) loops {
	m, h, at, s := f.sorted(), f.heap, uint64(0), new(sum)
	return loops{
		get: func(n int) {
			total := uint64(0)
			for range n {
				x, _ := m.Get(h, key(f.scatter(at)))
				total += x
				at++
			}
			s.of += total
		},
		put: func(n int) {
			for range n {
				must(m.Put(h, key(f.scatter(at)), at))
				at++
			}
		},
		iterate: func(int) {
			for _, x := range m.All(h) {
				s.of += x
			}
		},
	}
}

// vecLength is how long vectors grow.
const vecLength = 1024

// openVec appends to a vector from nothing, and frees it: a time for each element.
func openVec(b *bench) (runner, error) {
	a, err := b.newArena(0, 1<<20)
	if err != nil {
		return nil, err
	}
	h := a.User()
	return b.whole(8*vecLength, vecLength, []work{func(n int) {
		for ; n > 0; n -= vecLength {
			var v containers.Vec[uint64]
			for i := range uint64(vecLength) {
				must(v.Append(h, i))
			}
			v.Free(h)
		}
	}}), nil
}

// openSlice is openVec on Go's heap.
func openSlice(b *bench) (runner, error) {
	var kept []uint64
	c := b.whole(4*collectBytes/16, vecLength, []work{func(n int) {
		for ; n > 0; n -= vecLength {
			var v []uint64
			for i := range uint64(vecLength) {
				v = append(v, i)
			}
			kept = v
		}
		_ = kept
	}})
	return collected{c}, nil
}

// openVecSum adds up a vector, and openSliceSum a slice.
func openVecSum(b *bench) (runner, error) {
	a, err := b.newArena(0, 1<<20)
	if err != nil {
		return nil, err
	}
	h, v, s := a.User(), new(containers.Vec[uint64]), new(sum)
	for i := range uint64(vecLength) {
		must(v.Append(h, i))
	}
	return b.whole(8*vecLength, vecLength, []work{func(n int) {
		for ; n > 0; n -= vecLength {
			total := uint64(0)
			for _, x := range v.View(h) {
				total += x
			}
			s.of += total
		}
	}}), nil
}

func openSliceSum(b *bench) (runner, error) {
	v, s := make([]uint64, vecLength), new(sum)
	return b.whole(8*vecLength, vecLength, []work{func(n int) {
		for ; n > 0; n -= vecLength {
			total := uint64(0)
			for _, x := range v {
				total += x
			}
			s.of += total
		}
	}}), nil
}
