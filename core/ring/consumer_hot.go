package ring

// Consumer is the reading end. Peek, At what was peeked, Release.
type Consumer[T Entry] struct {
	words[T]
	next     uint32 // our consumer index; the shared one follows at Release
	produced uint32 // the producer's index as last seen and believed
	broken   bool
}

// NewConsumer returns the consumer end of the ring of n entries at o in mem. It starts at the
// consumer index that stands there.
func NewConsumer[T Entry](mem []byte, o Offsets, n uint32) (Consumer[T], error) {
	w, err := lay[T](mem, o, n)
	if err != nil {
		return Consumer[T]{}, err
	}
	next := w.consumer.Load()
	return Consumer[T]{words: w, next: next, produced: next}, nil
}

// Peek returns how many entries wait, at most most. It looks at the producer's index only when
// what it saw last is used up, so a burst is taken with one read of the shared line.
func (c *Consumer[T]) Peek(most uint32) uint32 {
	if c.produced == c.next {
		c.look()
	}
	return min(most, c.produced-c.next)
}

// Waiting looks now and returns how many entries wait.
func (c *Consumer[T]) Waiting() uint32 {
	c.look()
	return c.produced - c.next
}

// Seen is how many entries waited at the last look, less those released since.
func (c *Consumer[T]) Seen() uint32 { return c.produced - c.next }

// Any reports whether entries wait, and changes nothing.
func (c *Consumer[T]) Any() bool { return c.producer.Load() != c.next }

// Unread reports whether published entries wait that were not given back, judging by the two shared
// indices alone: it may be asked by any thread, while another uses this end. Beside one that gives
// entries back just now it may say so for none. A producer's index that cannot be shows nothing.
func (c *Consumer[T]) Unread() bool {
	from := c.consumer.Load()
	n := c.producer.Load() - from
	return n-1 <= c.mask || n != 0 && c.consumer.Load() != from
}

// look takes over the producer's index if at most a ringful waits and it did not run backwards.
func (c *Consumer[T]) look() {
	p := c.producer.Load()
	if p-c.next > c.mask+1 || p-c.next < c.produced-c.next {
		c.broken = true
		return
	}
	c.produced = p
}

// At copies the i-th waiting entry; i is below what Peek returned. The copy is the caller's: the
// producer may write the entry again at any time, if it is hostile.
func (c *Consumer[T]) At(i uint32) T { return c.entries[(c.next+i)&c.mask] }

// Release gives the first n waiting entries back to the producer.
func (c *Consumer[T]) Release(n uint32) {
	c.Skip(n)
	c.Settle()
}

// Skip goes past the first n waiting entries without telling the producer: for a consumer that has
// something more urgent to do first. Settle tells it.
func (c *Consumer[T]) Skip(n uint32) { c.next += n }

// Settle gives all entries back that were skipped.
func (c *Consumer[T]) Settle() { c.consumer.Store(c.next) }

// SetNeedWakeup announces to the producer that we sleep (true) or poll (false). Look again for
// entries after announcing and before sleeping.
func (c *Consumer[T]) SetNeedWakeup(on bool) {
	if on {
		c.flags.Store(FlagNeedWakeup)
	} else {
		c.flags.Store(0)
	}
}

// Broken reports whether the producer's index ever was one it cannot have.
func (c *Consumer[T]) Broken() bool { return c.broken }

// Size is the number of entries.
func (c *Consumer[T]) Size() uint32 { return c.mask + 1 }
