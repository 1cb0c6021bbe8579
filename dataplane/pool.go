package dataplane

import (
	"fmt"
	"math/bits"

	"github.com/dunlin-io/dunlin/core/invariant"
	"github.com/dunlin-io/dunlin/core/magazine"
)

// MinChunkBytes and MaxChunkBytes bound a chunk: the sizes that AF_XDP takes in aligned mode.
const (
	MinChunkBytes = 2048
	MaxChunkBytes = 4096
)

// magazineGrowth is how many bursts a magazine may grow to when threads meet at the depot often
// (guess: it is then visited a quarter as often).
const magazineGrowth = 4

// magazineRounds is the frames in a magazine: one burst, and more under contention, but so few that
// all caches together cannot keep more than a quarter of the pool from the one that needs frames.
func magazineRounds(chunks, caches int) (rounds, growTo int) {
	most := max(chunks/(8*caches), 1)
	return min(MaxBurst, most), min(magazineGrowth*MaxBurst, most)
}

// PoolConfig describes a frame memory.
type PoolConfig struct {
	ChunkBytes int // 2048 or 4096
	Caches     int // most caches, one for each thread that runs a worker or a port
}

// Pool is a frame memory: equal chunks of bytes, given out by number through per-worker caches.
type Pool struct {
	mem    []byte
	shift  uint
	count  uint32
	caches int // most caches
	depot  *magazine.Depot[uint32]
	owner  []uint8 // under invariants: 1 while free
}

// NewPool divides mem into chunks, all free. The pool keeps mem; whoever mapped it unmaps it last.
func NewPool(mem []byte, c PoolConfig) (*Pool, error) {
	if c.ChunkBytes != MinChunkBytes && c.ChunkBytes != MaxChunkBytes {
		return nil, fmt.Errorf("dataplane: chunk of %d bytes: want %d or %d",
			c.ChunkBytes, MinChunkBytes, MaxChunkBytes)
	}
	n := len(mem) / c.ChunkBytes
	if n < 1 || n > MaxChunks || len(mem)%c.ChunkBytes != 0 {
		return nil, fmt.Errorf("dataplane: frame memory of %d bytes: want 1 to %d times %d",
			len(mem), MaxChunks, c.ChunkBytes)
	}
	if c.Caches < 1 || c.Caches > MaxWorkers {
		return nil, fmt.Errorf("dataplane: pool with %d caches: want 1 to %d", c.Caches, MaxWorkers)
	}
	rounds, growTo := magazineRounds(n, c.Caches)
	depot, err := magazine.New[uint32](magazine.Config{
		Objects: n, Caches: c.Caches + 1, Rounds: rounds, GrowTo: growTo,
	})
	if err != nil {
		return nil, fmt.Errorf("dataplane: pool: %w", err)
	}
	p := &Pool{
		mem: mem, shift: uint(bits.TrailingZeros(uint(c.ChunkBytes))), count: uint32(n),
		caches: c.Caches, depot: depot,
	}
	if invariant.Enabled {
		p.owner = make([]uint8, n)
	}
	seed, err := p.Cache()
	if err != nil {
		return nil, err
	}
	for i := n - 1; i >= 0; i-- { // the lowest come out first
		seed.Free(uint32(i))
	}
	seed.Drain()
	return p, nil
}

// Cache returns a new cache for one thread.
func (p *Pool) Cache() (*Cache, error) {
	c, err := p.depot.Cache()
	if err != nil {
		return nil, fmt.Errorf("dataplane: pool: %w", err)
	}
	return &Cache{pool: p, magazines: c}, nil
}

// Chunks is the number of chunks.
func (p *Pool) Chunks() int { return int(p.count) }

// ChunkBytes is the size of a chunk.
func (p *Pool) ChunkBytes() int { return 1 << p.shift }

// Stored counts the free frames in the depot, for an audit while no cache trades.
func (p *Pool) Stored() int { return p.depot.Stored() }
