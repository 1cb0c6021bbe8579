package dataplane

import (
	"github.com/dunlin-io/dunlin/core/invariant"
	"github.com/dunlin-io/dunlin/core/magazine"
)

// Bytes is the data of f: it panics if f reaches beyond its chunk, which only a programmer's error
// can cause, since every frame that comes from outside was checked where it came in.
func (p *Pool) Bytes(f Frame) []byte {
	at := uint(f.Off)
	chunk := p.Chunk(f.Index)
	return chunk[at : at+uint(f.Bytes())]
}

// Chunk is the whole chunk of that number.
func (p *Pool) Chunk(index uint32) []byte {
	at := uint(index) << p.shift
	return p.mem[at : at+1<<p.shift : at+1<<p.shift]
}

// Addr is where f's data begins, in bytes from the start of the frame memory: a descriptor's
// address.
func (p *Pool) Addr(f Frame) uint64 { return uint64(f.Index)<<p.shift + uint64(f.Off) }

// FrameAt is the frame of a descriptor, and whether it lies in one chunk of this memory. It is the
// check that makes a descriptor from another process safe to use.
func (p *Pool) FrameAt(addr uint64, length uint32) (Frame, bool) {
	index := addr >> p.shift
	off := addr & (1<<p.shift - 1)
	if index >= uint64(p.count) || length > 1<<p.shift || off+uint64(length) > 1<<p.shift {
		return Frame{}, false
	}
	return Frame{Index: uint32(index), Off: uint16(off), Len: uint16(length)}, true
}

// Cache is one thread's way to the free frames.
type Cache struct {
	pool      *Pool
	magazines *magazine.Cache[uint32]
}

// Alloc takes a free chunk; false when the pool has none left. Its bytes are whatever they were.
func (c *Cache) Alloc() (index uint32, ok bool) {
	index, ok = c.magazines.Get()
	if invariant.Enabled && ok {
		invariant.Check(c.pool.owner[index] == 1, "frame taken twice", uint64(index), 1)
		c.pool.owner[index] = 0
	}
	return index, ok
}

// Free gives a chunk back.
func (c *Cache) Free(index uint32) {
	invariant.Check(index < c.pool.count, "free of a frame beyond the pool",
		uint64(index), uint64(c.pool.count))
	if invariant.Enabled {
		invariant.Check(c.pool.owner[index] == 0, "frame freed twice", uint64(index), 0)
		c.pool.owner[index] = 1
	}
	c.magazines.Put(index)
}

// FreeAll gives the chunks of frames back.
func (c *Cache) FreeAll(frames []Frame) {
	for _, f := range frames {
		c.Free(f.Index)
	}
}

// Count is how many free frames this cache holds.
func (c *Cache) Count() int { return c.magazines.Count() }

// Drain hands the cache's frames to the pool, for others or for an audit.
func (c *Cache) Drain() { c.magazines.Drain() }

// Pool is the pool this cache belongs to.
func (c *Cache) Pool() *Pool { return c.pool }
