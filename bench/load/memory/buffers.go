package memory

import (
	"fmt"
	"math/bits"
	"sync"

	"github.com/dunlin-io/dunlin/core/magazine"
	"github.com/dunlin-io/dunlin/proclet/arena"
)

// Buffers that any worker may free: magazines over slots of the store.
//
//	cache of a worker, by class <──> depot <── a slot of the store, cut into buffers of one class
//
// A buffer is its offset in the window, which is a multiple of 64, and its class in the low bits.
const (
	bufferClasses = 4 // 64, 128, 256 and 512 bytes: no two buffers share a cache line
	bufferUnit    = 64
	bufferSlot    = 256 << 10 // cut at a time: what a slot keeps warm
	bufferMost    = 1 << 16   // of a class
	bufferRounds  = 64        // objects of a magazine
	bufferGrowTo  = 512
)

type buffer uint64

// buffers is the shared part.
type buffers struct {
	depots [bufferClasses]*magazine.Depot[buffer]
	caches []*bufferCache

	mu    sync.Mutex // of cutting
	cut   [bufferClasses]int
	slots []lent
}

// bufferCache is one worker's part.
type bufferCache struct {
	shared *buffers
	local  *arena.Local
	worker int
	window []byte
	caches [bufferClasses]*magazine.Cache[buffer]
}

// newBuffers returns the caches of so many workers.
func (b *bench) newBuffers(workers int) ([]*bufferCache, error) {
	s := &buffers{}
	caches := make([]*bufferCache, workers)
	for w := range caches {
		caches[w] = &bufferCache{
			shared: s, local: b.locals[w], worker: w, window: b.window.Pages().Bytes(),
		}
	}
	for class := range s.depots {
		d, err := magazine.New[buffer](magazine.Config{
			Objects: bufferMost, Caches: workers, Rounds: bufferRounds, GrowTo: bufferGrowTo,
			Lazy: true,
		})
		if err != nil {
			return nil, err
		}
		s.depots[class] = d
		for _, c := range caches {
			if c.caches[class], err = d.Cache(); err != nil {
				return nil, err
			}
		}
	}
	s.caches = caches
	b.buffers = append(b.buffers, s)
	return caches, nil
}

// audit checks that every buffer is in exactly one place: in a cache, in a magazine of a depot, or
// with one of the holders, each of which yields its own.
func (s *buffers) audit(holders ...func(yield func(buffer) bool)) error {
	seen := make(map[buffer]struct{})
	twice := buffer(0)
	found := [bufferClasses]int{}
	count := func(x buffer) bool {
		if _, ok := seen[x]; ok {
			twice = x
		}
		seen[x] = struct{}{}
		found[x%bufferUnit]++
		return true
	}
	for class, d := range s.depots {
		d.Objects(count)
		for _, c := range s.caches {
			c.caches[class].Objects(count)
		}
	}
	for _, each := range holders {
		each(count)
	}
	if twice != 0 {
		return fmt.Errorf("memory: buffer %#x is in two places", twice)
	}
	if found != s.cut {
		return fmt.Errorf("memory: of buffers by class %v were found, and %v were cut", found,
			s.cut)
	}
	return nil
}

// bufferClass is the class of buffers of n bytes, at least 1 and at most 512.
func bufferClass(n int) int { return bits.Len(uint(n-1) / bufferUnit) }

// remark says what a pattern took at most: buffers, over what its blocks had asked for.
func (s *buffers) remark(name string, liveBytes int) string {
	cut := 0
	for class, n := range s.cut {
		cut += n * bufferUnit << class
	}
	return fmt.Sprintf("%s: %d KiB of buffers for %d KiB that live at a time, %.2f (slots are cut "+
		"by %d KiB)", name, cut>>10, liveBytes>>10, float64(cut)/float64(liveBytes), bufferSlot>>10)
}

// get takes a buffer of n bytes at least.
func (c *bufferCache) get(n int) buffer {
	class := bufferClass(n)
	if b, ok := c.caches[class].Get(); ok {
		return b
	}
	return c.refill(class)
}

// refill cuts a slot into buffers.
//
//go:noinline
func (c *bufferCache) refill(class int) buffer {
	size := bufferUnit << class
	s := c.shared
	s.mu.Lock()
	s.cut[class] += bufferSlot / size
	n := s.cut[class]
	s.mu.Unlock()
	if n > bufferMost {
		panic(fmt.Sprintf("memory: %d buffers of %d bytes in use", n, size))
	}
	slot, err := c.local.Create(bufferSlot)
	must(err)
	s.mu.Lock()
	s.slots = append(s.slots, lent{slot, c.worker})
	s.mu.Unlock()
	for off := slot.Off(); off < slot.Off()+bufferSlot; off += int64(size) {
		c.caches[class].Put(buffer(off) | buffer(class))
	}
	b, _ := c.caches[class].Get()
	return b
}

// put gives a buffer back, whoever got it.
func (c *bufferCache) put(b buffer) { c.caches[b%bufferUnit].Put(b) }

// bytes is a buffer's first word and what follows.
func (c *bufferCache) bytes(b buffer) []byte {
	off := b &^ (bufferUnit - 1)
	return c.window[off : off+bufferUnit : off+bufferUnit]
}
