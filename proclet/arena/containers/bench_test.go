package containers

import (
	"testing"

	"github.com/dunlin-io/dunlin/proclet/arena"
)

// million is how many entries the large maps have.
const million = 1 << 20

// scatter is a permutation of the numbers below million, so that keys are not met in order.
func scatter(i int) uint64 { return uint64(i) * 0x9E37_79B1 & (million - 1) }

func BenchmarkMapGet1M(b *testing.B) {
	h := newHeap(b, make([]byte, 256<<20), arena.Options{Seed: 1})
	var m Map[uint64, uint64]
	for i := range uint64(million) {
		if err := m.Put(h, i*7, i); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	sum := uint64(0)
	for i := range b.N {
		x, _ := m.Get(h, scatter(i)*7)
		sum += x
	}
	keep(b, sum)
}

func BenchmarkGoMapGet1M(b *testing.B) {
	m := map[uint64]uint64{}
	for i := range uint64(million) {
		m[i*7] = i
	}
	b.ResetTimer()
	sum := uint64(0)
	for i := range b.N {
		sum += m[scatter(i)*7]
	}
	keep(b, sum)
}

// keep uses a result, so that it is computed.
func keep(b *testing.B, sum uint64) {
	if sum == 1 {
		b.Log(sum)
	}
}

func BenchmarkMapPutDelete(b *testing.B) {
	h := newHeap(b, make([]byte, 16<<20), arena.Options{Seed: 1})
	var m Map[uint64, uint64]
	for i := range b.N {
		if err := m.Put(h, uint64(i), 1); err != nil {
			b.Fatal(err)
		}
		if i >= 1000 {
			m.Delete(h, uint64(i-1000))
		}
	}
}

func BenchmarkGoMapPutDelete(b *testing.B) {
	m := map[uint64]uint64{}
	for i := range b.N {
		m[uint64(i)] = 1
		if i >= 1000 {
			delete(m, uint64(i-1000))
		}
	}
}

func BenchmarkVecAppend1K(b *testing.B) {
	h := newHeap(b, make([]byte, 1<<20), arena.Options{})
	for range b.N {
		var v Vec[uint64]
		for i := range uint64(1024) {
			if err := v.Append(h, i); err != nil {
				b.Fatal(err)
			}
		}
		v.Free(h)
	}
}

func BenchmarkSliceAppend1K(b *testing.B) {
	n := 0
	for range b.N {
		var v []uint64
		for i := range uint64(1024) {
			v = append(v, i)
		}
		n += len(v)
	}
	keep(b, uint64(n))
}

func BenchmarkQueuePushPop(b *testing.B) {
	h := newHeap(b, make([]byte, 1<<20), arena.Options{})
	var q Queue[uint64]
	for i := range b.N {
		if err := q.Push(h, uint64(i)); err != nil {
			b.Fatal(err)
		}
		if i >= 100 {
			q.Pop(h)
		}
	}
}

func BenchmarkOrderedGet64K(b *testing.B) {
	h := newHeap(b, make([]byte, 16<<20), arena.Options{})
	var m OrderedMap[uint64, uint64]
	for i := range uint64(1 << 16) {
		if err := m.Put(h, i, i); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	sum := uint64(0)
	for i := range b.N {
		x, _ := m.Get(h, scatter(i)&(1<<16-1))
		sum += x
	}
	keep(b, sum)
}

// Nothing but growth needs memory, and that is the arena's.
func TestAllocs(t *testing.T) {
	h := newHeap(t, make([]byte, 1<<20), arena.Options{})
	var (
		v Vec[uint64]
		q Queue[uint64]
		m Map[uint64, uint64]
		d Dict[uint64]
		o OrderedMap[uint64, uint64]
	)
	work := func() {
		for i := range uint64(200) {
			must(v.Append(h, i))
			must(q.Push(h, i))
			must(m.Put(h, i, i))
			must(d.Put(h, "key"[:i%4], i))
			must(o.Put(h, i, i))
		}
		for i := range uint64(200) {
			if x, ok := m.Get(h, i); !ok || x != i || *m.MutAt(h, i) != i || *m.At(h, i) != i {
				t.Fatal("map")
			}
			if x, ok := o.Get(h, i); !ok || x != i {
				t.Fatal("ordered map")
			}
			if _, ok := d.Get(h, "key"[:i%4]); !ok {
				t.Fatal("dict")
			}
			v.Pop(h)
			q.Pop(h)
			m.Delete(h, i)
			d.Delete(h, "none")
			o.Delete(h, i)
		}
	}
	if n := testing.AllocsPerRun(20, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
