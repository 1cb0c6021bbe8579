package magazine

import (
	"testing"

	"pgregory.net/rapid"
)

// failer is what a testing.T, a testing.B and a rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// newFull returns a depot that holds the objects 0 to objects-1, put in through the first of its
// caches.
func newFull(t failer, objects, rounds, caches int) (*Depot, []*Cache) {
	t.Helper()
	d, err := New(objects, rounds, caches)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]*Cache, caches)
	for i := range all {
		if all[i], err = d.Cache(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range objects {
		all[0].Put(uint32(i))
	}
	all[0].Drain()
	return d, all
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct{ objects, rounds, caches int }{
		{0, 1, 1},
		{1, 0, 1},
		{1, MaxRounds + 1, 1},
		{1, 1, 0},
		{-1, 1, 1},
		{1, 1, -1},
		{MaxObjects + 1, 1, 1},
		{1, 1, MaxCaches + 1},
	} {
		if _, err := New(c.objects, c.rounds, c.caches); err == nil {
			t.Errorf("New(%d, %d, %d) succeeded", c.objects, c.rounds, c.caches)
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

// TestModel compares any sequence of operations with the plain truth: an object is in one hand, in
// one cache or in the depot, and Get fails only when its cache and the depot are empty.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		objects := rapid.IntRange(1, 200).Draw(t, "objects")
		rounds := rapid.IntRange(1, 17).Draw(t, "rounds")
		n := rapid.IntRange(1, 5).Draw(t, "caches")
		d, caches := newFull(t, objects, rounds, n)
		inHand := map[uint32]bool{}
		var hand []uint32

		get := func(c *Cache) {
			o, ok := c.Get()
			if !ok {
				if c.Count() > 0 || d.Stored() > 0 {
					t.Fatalf("no object, but cache has %d and depot %d", c.Count(), d.Stored())
				}
				return
			}
			if inHand[o] || o >= uint32(objects) {
				t.Fatalf("object %d was given twice or never put", o)
			}
			inHand[o] = true
			hand = append(hand, o)
		}
		put := func(c *Cache, at int) {
			c.Put(hand[at])
			delete(inHand, hand[at])
			hand[at] = hand[len(hand)-1]
			hand = hand[:len(hand)-1]
		}
		steps := rapid.IntRange(0, 400).Draw(t, "steps")
		for range steps {
			c := caches[rapid.IntRange(0, n-1).Draw(t, "cache")]
			switch op := rapid.IntRange(0, 9).Draw(t, "op"); {
			case op == 9:
				before := c.Count() + d.Stored()
				c.Drain()
				if c.Count() != 0 || d.Stored() != before {
					t.Fatalf("drained %d, cache keeps %d, depot has %d",
						before, c.Count(), d.Stored())
				}
			case op >= 5 && len(hand) > 0:
				put(c, rapid.IntRange(0, len(hand)-1).Draw(t, "at"))
			case op == 4: // a burst
				for range rounds + 1 {
					get(c)
				}
			default:
				get(c)
			}
			held := 0
			for _, c := range caches {
				held += c.Count()
			}
			if total := held + d.Stored() + len(hand); total != objects {
				t.Fatalf("%d in caches, %d in the depot, %d in hand: %d of %d",
					held, d.Stored(), len(hand), total, objects)
			}
		}
	})
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
