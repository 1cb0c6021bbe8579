package magazine

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
)

// failer is what a testing.T, a testing.B and a rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// newFull returns a depot that holds the objects 0 to objects-1, put in through the first of its
// caches.
func newFull(t failer, objects, rounds, caches int) (*Depot[uint32], []*Cache[uint32]) {
	t.Helper()
	return newFullOf(t, Config{Objects: objects, Rounds: rounds, Caches: caches})
}

func newFullOf(t failer, c Config) (*Depot[uint32], []*Cache[uint32]) {
	t.Helper()
	d, err := New[uint32](c)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]*Cache[uint32], c.Caches)
	for i := range all {
		if all[i], err = d.Cache(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range c.Objects {
		all[0].Put(uint32(i))
	}
	all[0].Drain()
	return d, all
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{
		{Objects: 0, Rounds: 1, Caches: 1},
		{Objects: 1, Rounds: 0, Caches: 1},
		{Objects: 1, Rounds: MaxRounds + 1, Caches: 1},
		{Objects: 1, Rounds: 1, Caches: 0},
		{Objects: -1, Rounds: 1, Caches: 1},
		{Objects: 1, Rounds: 1, Caches: -1},
		{Objects: MaxObjects + 1, Rounds: 1, Caches: 1},
		{Objects: 1, Rounds: 1, Caches: MaxCaches + 1},
		{Objects: 1, Rounds: 2, GrowTo: 1, Caches: 1},
		{Objects: 1, Rounds: 2, GrowTo: -1, Caches: 1},
		{Objects: 1, Rounds: 2, GrowTo: MaxRounds + 1, Caches: 1},
	} {
		if _, err := New[uint32](c); err == nil {
			t.Errorf("New(%+v) succeeded", c)
		}
	}
}

func TestCachesAreLimited(t *testing.T) {
	d, _ := newFull(t, 10, 4, 3)
	for range 3 {
		if _, err := d.Cache(); err == nil {
			t.Fatal("a fourth cache of three")
		}
	}
}

// A cache that is drained after each object it gets back, as by a worker that parks often, must not
// use up the empty magazines.
func TestDrainOften(t *testing.T) {
	const objects = 256
	d, caches := newFull(t, objects, 64, 2)
	taken := make([]uint32, 0, objects)
	for range objects {
		o, ok := caches[0].Get()
		if !ok {
			t.Fatalf("no object after %d of %d", len(taken), objects)
		}
		taken = append(taken, o)
	}
	for i, o := range taken {
		caches[i%2].Put(o)
		caches[i%2].Drain()
	}
	if got := d.Stored(); got != objects {
		t.Fatalf("%d objects are stored, %d were put", got, objects)
	}
}

func TestPutBeyondTheDepotPanics(t *testing.T) {
	_, caches := newFull(t, 8, 4, 1)
	defer func() {
		if recover() == nil {
			t.Error("a depot for 8 objects in magazines of 4 took a hundred more")
		}
	}()
	for i := range uint32(100) {
		caches[0].Put(100 + i)
	}
}

func TestAllocs(t *testing.T) {
	_, caches := newFull(t, 1000, 64, 2)
	hand := make([]uint32, 500)
	if n := testing.AllocsPerRun(100, func() {
		for i := range hand {
			hand[i], _ = caches[0].Get()
		}
		for _, o := range hand {
			caches[1].Put(o)
		}
		caches[1].Drain()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A depot that is contended nearly all the time lets its magazines grow step by step to the limit,
// one that is not, or rarely, keeps them; and what was filled before goes on to be used.
func TestMagazinesGrow(t *testing.T) {
	for _, c := range []struct{ every, growTo, want int }{
		{1, 100, 100},
		{adaptTrades / adaptContended, 100, 100},
		{adaptTrades/(adaptContended-1) + 1, 100, 8},
		{1, 0, 8},
		{1000, 100, 8},
	} {
		const objects = 4096
		d, caches := newFullOf(t, Config{Objects: objects, Rounds: 8, GrowTo: c.growTo, Caches: 2})
		sizes := []int{d.Rounds()}
		for i := range 100 * adaptTrades {
			caches[i%2].traded((i/2)%c.every == 0)
			if n := d.Rounds(); n != sizes[len(sizes)-1] {
				sizes = append(sizes, n)
			}
		}
		if got := sizes[len(sizes)-1]; got != c.want || c.want > 8 && len(sizes) != 5 {
			t.Errorf("contended each %d. time: sizes %v, want %d", c.every, sizes, c.want)
		}
		hand := make([]uint32, 0, objects)
		for range 2 {
			for o, ok := caches[0].Get(); ok; o, ok = caches[0].Get() {
				hand = append(hand, o)
			}
			if len(hand) != objects {
				t.Fatalf("%d of %d objects", len(hand), objects)
			}
			for _, o := range hand {
				caches[0].Put(o)
			}
			caches[0].Drain()
			hand = hand[:0]
		}
		if n, want := d.full.settled(d.next, 1), objects/c.want; n != want {
			t.Errorf("%d magazines are full, want %d", n, want)
		}
	}
}

// Two caches that decide by the same size raise it once.
func TestGrowthIsOneStep(t *testing.T) {
	d, caches := newFullOf(t, Config{Objects: 100, Rounds: 4, GrowTo: 64, Caches: 2})
	caches[0].trades = 0
	for range adaptTrades {
		caches[0].traded(true)
		caches[1].traded(true)
	}
	if d.Rounds() != 8 {
		t.Errorf("%d rounds after one decision each", d.Rounds())
	}
	if caches[1].traded(true); caches[1].rounds != 8 || caches[1].contended != 1 {
		t.Errorf("the other counts %d contended trades from before", caches[1].contended)
	}
}

func BenchmarkGetPut(b *testing.B) {
	_, caches := newFull(b, 4096, 64, 1)
	for b.Loop() {
		o, _ := caches[0].Get()
		caches[0].Put(o)
	}
}

// BenchmarkGetPutBurst crosses magazines: 96 taken, 96 put, cost per pair.
func BenchmarkGetPutBurst(b *testing.B) {
	_, caches := newFull(b, 4096, 64, 1)
	var hand [96]uint32
	for b.Loop() {
		for i := range hand {
			hand[i], _ = caches[0].Get()
		}
		for _, o := range hand {
			caches[0].Put(o)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(hand)), "ns/pair")
}

// BenchmarkContended has each thread take and give 200 objects at a time, more than its magazines
// hold, so that all meet at the depot, whose magazines may grow or not.
func BenchmarkContended(b *testing.B) {
	for _, growTo := range []int{64, 256} {
		b.Run(fmt.Sprintf("growTo=%d", growTo), func(b *testing.B) {
			d, caches := newFullOf(b, Config{
				Objects: 1 << 14, Rounds: 64, GrowTo: growTo, Caches: runtime.GOMAXPROCS(0),
			})
			var worker atomic.Int32
			b.RunParallel(func(p *testing.PB) {
				c := caches[worker.Add(1)-1]
				var hand [200]uint32
				for p.Next() {
					for i := range hand {
						hand[i], _ = c.Get()
					}
					for _, o := range hand {
						c.Put(o)
					}
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/200, "ns/pair")
			b.ReportMetric(float64(d.Rounds()), "rounds")
		})
	}
}
