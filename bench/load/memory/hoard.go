package memory

import (
	"sync/atomic"

	"github.com/dunlin-io/dunlin/proclet/arena"
)

// The patterns of the Hoard paper (Berger and others, ASPLOS 2000) and of Larson and Krishnan
// (ISMM 1998), with two threads. driver.c has the same.
const (
	// larsonLive is how many blocks a worker has at a time, as in the paper's runs.
	larsonLive = 1000
	// larsonLeast and larsonSpan are the sizes: 10 to 500 bytes.
	larsonLeast = 10
	larsonSpan  = 491
	// larsonVisit is how many blocks a worker replaces before it hands all of its blocks on.
	larsonVisit = 8192

	// threadtestLive is how many objects are allocated before all of them are freed.
	threadtestLive = 1000

	// falseBytes and falseWrites: an object so small that several share a cache line, and how often
	// it is written before it is freed.
	falseBytes  = 8
	falseWrites = 1000
	falseBatch  = 64
)

// shard is what workers of larson hand on.
type shard [larsonLive]buffer

// all yields the buffers of a shard.
func (s *shard) all(yield func(buffer) bool) {
	for _, at := range s {
		if at != 0 && !yield(at) {
			return
		}
	}
}

// openLarson replaces blocks at random. After each batch a worker leaves its blocks to the other,
// so that half of what it frees was allocated on another thread.
func openLarson(b *bench) (runner, error) {
	const workers = maxWorkers
	caches, err := b.newBuffers(workers)
	if err != nil {
		return nil, err
	}
	var waiting atomic.Pointer[shard] // those that no worker has
	shards := [workers + 1]shard{}
	waiting.Store(&shards[workers])
	b.audits = append(b.audits, func() error {
		return caches[0].shared.audit(shards[0].all, shards[1].all, shards[2].all)
	})
	b.remarks = append(b.remarks, func() string {
		const mean = larsonLeast + larsonSpan/2
		return caches[0].shared.remark("buffer/larson/2", (workers+1)*larsonLive*mean)
	})
	works, _ := each(workers, func(worker int) (work, error) {
		c, draw, mine := caches[worker], random(worker+1), &shards[worker]
		return func(n int) {
			live := mine
			for range n {
				x := draw.next()
				at := &live[x>>32%larsonLive]
				if *at != 0 {
					c.put(*at)
				}
				*at = c.get(larsonLeast + int(x>>16&0xFFFF*larsonSpan>>16))
				c.bytes(*at)[0] = 1
			}
			mine = waiting.Swap(live)
		}, nil
	})
	return b.crew(larsonVisit, works...), nil
}

// openGoLarson is openLarson on Go's heap: what is replaced is left to the collector.
func openGoLarson(b *bench) (runner, error) {
	type blocks [larsonLive][]byte
	var waiting atomic.Pointer[blocks]
	waiting.Store(new(blocks))
	works, _ := each(maxWorkers, func(worker int) (work, error) {
		draw, mine := random(worker+1), new(blocks)
		return func(n int) {
			for range n {
				x := draw.next()
				block := make([]byte, larsonLeast+int(x>>16&0xFFFF*larsonSpan>>16))
				block[0] = 1
				mine[x>>32%larsonLive] = block
			}
			mine = waiting.Swap(mine)
		}, nil
	})
	return collected{b.crew(2*larsonVisit, works...)}, nil
}

// openThreadtest allocates a thousand objects and frees them, in buffers.
func openThreadtest(b *bench) (runner, error) {
	caches, err := b.newBuffers(maxWorkers)
	if err != nil {
		return nil, err
	}
	b.audits = append(b.audits, func() error { return caches[0].shared.audit() })
	b.remarks = append(b.remarks, func() string {
		return caches[0].shared.remark("buffer/threadtest/2", maxWorkers*threadtestLive*objectBytes)
	})
	works, _ := each(maxWorkers, func(worker int) (work, error) {
		c, live := caches[worker], make([]buffer, threadtestLive)
		return func(n int) {
			for ; n > 0; n -= len(live) {
				for i := range live {
					live[i] = c.get(objectBytes)
					c.bytes(live[i])[0] = 1
				}
				for _, at := range live {
					c.put(at)
				}
			}
		}, nil
	})
	return b.whole(8*threadtestLive, threadtestLive, works), nil
}

// openArenaThreadtest is openThreadtest with an arena of each worker.
func openArenaThreadtest(b *bench) (runner, error) {
	objects := arena.MustRegister[object]()
	works, err := each(maxWorkers, func(worker int) (work, error) {
		a, err := b.newArena(worker, 1<<20)
		if err != nil {
			return nil, err
		}
		h, live := a.User(), make([]arena.Ref[object], threadtestLive)
		return func(n int) {
			for ; n > 0; n -= len(live) {
				for i := range live {
					r, err := objects.New(h)
					must(err)
					r.Get(h).words[0] = 1
					live[i] = r
				}
				for _, r := range live {
					must(r.Free(h))
				}
			}
		}, nil
	})
	if err != nil {
		return nil, err
	}
	return b.whole(8*threadtestLive, threadtestLive, works), nil
}

// openFalse allocates an object, writes to it many times and frees it: slow when another worker's
// object lies in the same cache line. Passive: the first objects of both come from the first
// worker, and an allocator that keeps what a thread has freed gives parts of one line to both.
//
//go:noinline
func openFalse(passive bool) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		caches, err := b.newBuffers(maxWorkers)
		if err != nil {
			return nil, err
		}
		b.audits = append(b.audits, func() error { return caches[0].shared.audit() })
		var given [maxWorkers]buffer
		works, _ := each(maxWorkers, func(worker int) (work, error) {
			c := caches[worker]
			return func(n int) {
				if given[worker] != 0 {
					c.put(given[worker])
					given[worker] = 0
				}
				for range n {
					at := c.get(falseBytes)
					bytes := c.bytes(at)
					for i := range falseWrites {
						bytes[i&(falseBytes-1)]++
					}
					c.put(at)
				}
			}, nil
		})
		c := b.crew(falseBatch, works...)
		if passive {
			c.before = []func(){func() {
				for i := range given {
					given[i] = caches[0].get(falseBytes)
				}
			}}
		}
		return c, nil
	}
}
