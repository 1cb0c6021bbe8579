package magazine

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Reap leaves what was needed since the last time, and takes the rest.
func TestReapKeepsTheWorkingSet(t *testing.T) {
	const objects, rounds = 1000, 10
	d, caches := newFull(t, objects, rounds, 1)
	away := map[uint32]bool{}
	give := func(all []uint32) {
		for _, o := range all {
			if away[o] {
				t.Fatalf("%d was given away twice", o)
			}
			away[o] = true
		}
	}
	use := func(n int) { // takes n magazines from the depot, and gives them back
		hand := make([]uint32, n*rounds)
		for i := range hand {
			hand[i], _ = caches[0].Get()
		}
		for _, o := range hand {
			caches[0].Put(o)
		}
		caches[0].Drain()
	}
	if n := d.Reap(give); n != 0 {
		t.Fatalf("%d have just come and were given away", n)
	}
	use(30)
	if n := d.Reap(give); n != objects-30*rounds || len(away) != n {
		t.Errorf("%d were given away, %d said", len(away), n)
	}
	use(30)
	if n := d.Reap(give); n != 0 {
		t.Errorf("%d of the working set were given away", n)
	}
	use(10)
	if n := d.Reap(give); n != 20*rounds {
		t.Errorf("%d were given away after the working set shrank", n)
	}
	if n := d.ReapAll(give); n != 10*rounds || len(away) != objects {
		t.Errorf("%d at last, %d in all", n, len(away))
	}
}

// Reap of a lazy depot drops the memory of empty magazines, which come back when needed.
func TestReapDropsEmptyMagazines(t *testing.T) {
	d, caches := newFullOf(t, Config{Objects: 1000, Rounds: 10, Caches: 1, Lazy: true})
	furnished := func() (n int) {
		for i := range d.mags {
			if d.mags[i].objects != nil {
				n++
			}
		}
		return n
	}
	if n := furnished(); n != 102 {
		t.Errorf("%d magazines have memory, want 100 and the cache's", n)
	}
	d.ReapAll(func([]uint32) {})
	if n := furnished(); n != 2 {
		t.Errorf("%d magazines have memory, want the cache's", n)
	}
	for i := range uint32(1000) {
		caches[0].Put(i)
	}
	caches[0].Drain()
	if d.Stored() != 1000 {
		t.Errorf("%d objects are stored", d.Stored())
	}
}

// A reaper within a reaper, or beside one, gives nothing.
func TestOneReaperAtATime(t *testing.T) {
	d, _ := newFull(t, 100, 10, 1)
	times := 0
	d.ReapAll(func([]uint32) {
		times++
		if d.ReapAll(nil) != 0 || d.Reap(nil) != 0 {
			t.Error("a second reaper was let in")
		}
	})
	if times != 10 {
		t.Errorf("given %d times", times)
	}
}

// TestReapWhileOthersTrade runs workers and a reaper who puts back what it was given.
func TestReapWhileOthersTrade(t *testing.T) {
	const (
		objects = 300
		workers = 3
		turns   = 20_000
	)
	for _, lazy := range []bool{false, true} {
		d, caches := newFullOf(t, Config{
			Objects: objects, Rounds: 4, GrowTo: 16, Caches: workers + 1, Lazy: lazy,
		})
		owner := make([]atomic.Uint32, objects)
		var wg sync.WaitGroup
		var running atomic.Int32
		running.Store(workers)
		for w := range uint32(workers) {
			wg.Go(func() {
				defer running.Add(-1)
				h := hammer{cache: caches[w], owner: owner, name: w + 1, random: w + 1}
				h.run(t, turns)
			})
		}
		for turn := 0; running.Load() > 0; turn++ {
			put := func(all []uint32) {
				for _, o := range all {
					if owner[o].Load() != 0 {
						t.Errorf("%d was given away and is %d's", o, owner[o].Load())
					}
					caches[workers].Put(o)
				}
			}
			if turn%8 == 0 {
				d.ReapAll(put)
			} else {
				d.Reap(put)
			}
			caches[workers].Drain()
		}
		wg.Wait()
		auditAll(t, d, caches, objects)
	}
}
