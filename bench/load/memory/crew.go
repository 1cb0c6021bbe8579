package memory

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
)

// work does n operations.
type work func(n int)

const (
	// batchOps is how many operations lie between two readings of the clock: these cost some 50 ns,
	// and the shortest operations 3. (measured: 0.4 %)
	batchOps = 4096
	// picos is picoseconds of a nanosecond: samples of short operations are whole numbers too.
	picos = 1000
	// mostSamples bounds the samples of a worker and round. (a batch of the shortest operations
	// takes 12 us)
	mostSamples = 1 << 16
)

// crew is works that run at the same time, one on each thread.
type crew struct {
	b      *bench
	works  []work
	batch  int
	before []func() // done on each worker's thread before a round
	rooms  [][]uint32
}

func (b *bench) crew(batch int, works ...work) *crew {
	return &crew{b: b, works: works, batch: batch}
}

// whole is a crew whose batches are a multiple of what a work does at a time.
func (b *bench) whole(batch, multiple int, works []work) *crew {
	return b.crew((batch+multiple-1)/multiple*multiple, works...)
}

// run returns picoseconds of an operation for each batch, of all workers.
func (c *crew) run(warm, measure core.Time) ([]uint32, error) {
	if c.rooms == nil { // the caller sorts and keeps nothing of it
		for range c.works {
			c.rooms = append(c.rooms, make([]uint32, 0, 1024))
		}
	}
	for worker, f := range c.before {
		c.b.threads[worker].Do(f)
	}
	var ready atomic.Int32
	var all sync.WaitGroup
	for worker := range c.works {
		all.Go(func() {
			c.b.threads[worker].Do(func() { c.measure(worker, &ready, warm, measure) })
		})
	}
	all.Wait()
	var samples []uint32
	for _, room := range c.rooms {
		samples = append(samples, room...)
	}
	return samples, nil
}

// measure is one worker's part, on its thread. It begins when all workers are there.
func (c *crew) measure(worker int, ready *atomic.Int32, warm, measure core.Time) {
	samples, f := c.rooms[worker][:0], c.works[worker]
	for ready.Add(1); int(ready.Load()) < len(c.works); { // the others are about to
	}
	clock := pin.NewClock()
	now := clock.Now()
	begin, end := now+warm, now+warm+measure
	for (now < end || len(samples) == 0) && len(samples) < mostSamples {
		start := clock.Now()
		f(c.batch)
		now = clock.Now()
		if start >= begin {
			samples = append(samples, sample(now-start, float64(c.batch)))
		}
	}
	c.rooms[worker] = samples
}

// sample is picoseconds of each of n operations that took some time.
func sample(t core.Time, n float64) uint32 {
	return uint32(min(float64(t)*picos/n, math.MaxUint32))
}

// draws is a generator of random numbers, xorshift64* as in driver.c. No two workers' share a cache
// line.
type draws struct {
	state uint64
	_     [120]byte
}

func random(seed int) *draws { return &draws{state: uint64(seed)} }

func (d *draws) next() uint64 {
	d.state ^= d.state >> 12
	d.state ^= d.state << 25
	d.state ^= d.state >> 27
	return d.state * 0x2545_F491_4F6C_DD1D
}
