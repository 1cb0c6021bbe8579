package magazine

import (
	"sync"
	"sync/atomic"
	"testing"
)

// TestOvertakenPop plays the interleaving that a stack without tags gets wrong: A reads head and
// what is below it, B pops both and pushes the first again, A exchanges. Without the tag A would
// make the magazine that B holds the head.
func TestOvertakenPop(t *testing.T) {
	next := make([]atomic.Uint32, 3)
	var s stack
	for i := range uint32(3) {
		s.push(next, i)
	}

	old := s.head.Load() // A has read 2 on top
	below := next[uint32(old)-1].Load()

	if n, _ := s.pop(next); n != 2 { // B
		t.Fatalf("popped %d", n)
	}
	held, _ := s.pop(next)
	s.push(next, 2)

	if uint32(s.head.Load()) != uint32(old) {
		t.Fatal("the interleaving does not bring back the same top")
	}
	if s.replace(old, below) {
		t.Fatalf("an overtaken pop succeeded: %d is on the stack and in B's hand", held)
	}
	if n, ok := s.pop(next); !ok || n != 2 {
		t.Errorf("popped %d, %v, want 2", n, ok)
	}
	if n, ok := s.pop(next); !ok || n != 0 {
		t.Errorf("popped %d, %v, want 0", n, ok)
	}
	if n, ok := s.pop(next); ok {
		t.Errorf("popped %d from an empty stack", n)
	}
}

// An overtaken push must not lose what was pushed in between.
func TestOvertakenPush(t *testing.T) {
	next := make([]atomic.Uint32, 2)
	var s stack
	old := s.head.Load() // A will push 0 onto nothing
	next[0].Store(uint32(old))
	s.push(next, 1) // B
	if s.replace(old, 0+1) {
		t.Fatal("an overtaken push succeeded: 1 is lost")
	}
}

// TestTagWraps shows that a tag at its end only starts over.
func TestTagWraps(t *testing.T) {
	next := make([]atomic.Uint32, 1)
	var s stack
	s.head.Store(0xFFFF_FFFF << 32)
	s.push(next, 0)
	if n, ok := s.pop(next); !ok || n != 0 || s.head.Load()>>32 != 1 {
		t.Errorf("popped %d, %v, head %#x", n, ok, s.head.Load())
	}
}

// TestHammer runs workers against one depot. Each object's owner is exchanged on give and on take,
// so an object in two hands shows at once, and an audit at the end counts all.
func TestHammer(t *testing.T) {
	const (
		objects = 300
		workers = 4
		turns   = 20_000
		free    = 0
	)
	d, caches := newFull(t, objects, 8, workers)
	owner := make([]atomic.Uint32, objects)
	var wg sync.WaitGroup
	for w := range uint32(workers) {
		wg.Go(func() {
			c := caches[w]
			var hand []uint32
			random := w + 1
			for range turns {
				random = random*1664525 + 1013904223 // Knuth's; its high bits are good enough
				switch r := random >> 24; {
				case r < 4:
					c.Drain()
				case r < 130:
					o, ok := c.Get()
					if !ok {
						continue
					}
					if !owner[o].CompareAndSwap(free, w+1) {
						t.Errorf("object %d is %d's and was given to %d", o, owner[o].Load()-1, w)
						return
					}
					hand = append(hand, o)
				case len(hand) > 0:
					o := hand[len(hand)-1]
					hand = hand[:len(hand)-1]
					if !owner[o].CompareAndSwap(w+1, free) {
						t.Errorf("object %d left %d's hand", o, w)
						return
					}
					c.Put(o)
				}
			}
			for _, o := range hand {
				owner[o].Store(free)
				c.Put(o)
			}
			c.Drain()
		})
	}
	wg.Wait()
	if got := d.Stored(); got != objects {
		t.Fatalf("%d objects are stored, %d were put", got, objects)
	}
	seen := make([]bool, objects)
	for range objects {
		o, ok := caches[0].Get()
		if !ok || seen[o] {
			t.Fatalf("object %d: there %v, seen before %v", o, ok, seen[o])
		}
		seen[o] = true
	}
}
