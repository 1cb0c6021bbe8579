package dataplane_test

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// newCostly is a worker with a bound on its turn, under a load that never ends.
func newCostly(t *testing.T, bound core.Time, c *costly, packet []byte, segment int) (
	step func(), taken func() int,
) {
	t.Helper()
	l := &scriptedLink{cache: newCache(t, 1024)}
	w, err := dataplane.NewWorker(l, l.cache, dataplane.WorkerConfig{Turn: bound})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.HandleRaw(wire.EtherTypeDunlin, c.spend); err != nil {
		t.Fatal(err)
	}
	step = func() {
		for len(l.input) < 100 {
			l.wait(t, packet, segment)
		}
		c.turn(w)
		l.rooms = l.rooms[:0]
		l.cache.FreeAll(l.out)
		l.out = l.out[:0]
	}
	return step, func() int { return l.taken[len(l.taken)-1] }
}

// A worker takes as many requests in a turn as fit into its bound, whatever they cost, and one that
// fits into none.
func TestTurnIsBounded(t *testing.T) {
	const bound = 20 * core.Microsecond
	packet := request(t, "raw", pattern(50))
	for _, cost := range []core.Time{100, 500, 1000, 3000, 10_000, 19_999, 20_001, 100_000} {
		c := costly{cost: cost}
		step, taken := newCostly(t, bound, &c, packet, chunkBytes)
		for range 20 {
			step()
		}
		want := min(dataplane.MaxBurst, max(1, int(bound/cost)))
		if c.most > max(bound, cost) || taken() != want {
			t.Errorf("requests of %d ns: the longest turn took %d, the last one %d of them; want %d",
				cost, c.most, taken(), want)
		}
	}
}

// When requests become dear, one turn is too long; the next keeps to the bound again. When they
// become cheap again, turns grow over some tens of them.
func TestTurnAfterAJump(t *testing.T) {
	const bound = 20 * core.Microsecond
	c := costly{cost: 200}
	step, taken := newCostly(t, bound, &c, request(t, "raw", pattern(50)), chunkBytes)
	for range 20 {
		step()
	}
	if taken() != dataplane.MaxBurst {
		t.Fatalf("%d cheap requests in a turn", taken())
	}
	c.cost, c.most = 5000, 0
	step()
	if want := core.Time(dataplane.MaxBurst) * 5000; c.most != want {
		t.Errorf("the turn of the jump took %d ns, want %d", c.most, want)
	}
	c.most = 0
	for range 10 {
		step()
	}
	if c.most > bound || taken() != 4 {
		t.Errorf("after the jump: %d ns and %d requests in a turn", c.most, taken())
	}
	c.cost = 200
	grew := 0
	for ; taken() < dataplane.MaxBurst && grew < 100; grew++ {
		step()
	}
	if grew > 30 {
		t.Errorf("%d turns until bursts are full again", grew)
	}
	c.most = 0
	c.now += core.Second // the thread had no core for a while: one dear turn that was none
	step()
	if step(); c.most > bound {
		t.Errorf("after a pause a turn took %d ns", c.most)
	}
}

// A packet of more frames than fit into the turn is taken whole all the same, and not much with it.
func TestTurnTakesWholePackets(t *testing.T) {
	c := costly{cost: 30_000}
	packet := request(t, "raw", pattern(5*segmentBytes-20))
	step, taken := newCostly(t, 20*core.Microsecond, &c, packet, segmentBytes)
	for range 20 {
		step()
		if n := taken(); n != 5 {
			t.Fatalf("%d frames in a turn, want a packet of 5", n)
		}
	}
}

func TestNegativeTurnIsRefused(t *testing.T) {
	cache := newCache(t, 16)
	l := &scriptedLink{cache: cache}
	if _, err := dataplane.NewWorker(l, cache, dataplane.WorkerConfig{Turn: -1}); err == nil {
		t.Error("a worker with turns of -1 ns")
	}
}
