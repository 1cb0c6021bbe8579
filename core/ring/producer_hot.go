package ring

// Producer is the writing end. Reserve, Set what was reserved, Submit.
type Producer[T Entry] struct {
	words[T]
	next     uint32 // our producer index; the shared one follows at Submit
	consumed uint32 // the consumer's index as last seen and believed
	broken   bool
}

// NewProducer returns the producer end of the ring of n entries at o in mem. It starts at the
// producer index that stands there, and refuses indices that cannot be.
func NewProducer[T Entry](mem []byte, o Offsets, n uint32) (Producer[T], error) {
	w, err := lay[T](mem, o, n)
	if err != nil {
		return Producer[T]{}, err
	}
	p := Producer[T]{words: w, next: w.producer.Load(), consumed: w.consumer.Load()}
	if p.next-p.consumed > n { // or Reserve would hand out more than there is
		return Producer[T]{}, nonsense(p.next, p.consumed, n)
	}
	return p, nil
}

// Reserve returns how many of want entries are free. It looks at the consumer's index only when the
// last look does not suffice.
func (p *Producer[T]) Reserve(want uint32) uint32 {
	size := p.mask + 1
	if free := size - (p.next - p.consumed); free >= want {
		return want
	}
	p.look()
	return min(want, size-(p.next-p.consumed))
}

// look takes over the consumer's index if it lies between the last one and ours.
func (p *Producer[T]) look() {
	c := p.consumer.Load()
	if c-p.consumed > p.next-p.consumed {
		p.broken = true
		return
	}
	p.consumed = c
}

// Set writes the i-th entry after the last submitted one; i is below what Reserve returned.
func (p *Producer[T]) Set(i uint32, v T) { p.entries[(p.next+i)&p.mask] = v }

// Submit publishes the next n entries.
func (p *Producer[T]) Submit(n uint32) {
	p.next += n
	p.producer.Store(p.next)
}

// Outstanding is how many submitted entries the consumer has not released yet, looked at now.
func (p *Producer[T]) Outstanding() uint32 {
	p.look()
	return p.next - p.consumed
}

// NeedWakeup reports whether the consumer announced that it sleeps. Ask after Submit.
func (p *Producer[T]) NeedWakeup() bool { return p.flags.Load()&FlagNeedWakeup != 0 }

// Broken reports whether the consumer's index ever was one it cannot have.
func (p *Producer[T]) Broken() bool { return p.broken }

// Unreleased is how many submitted entries the consumer had not released at the last look.
func (p *Producer[T]) Unreleased() uint32 { return p.next - p.consumed }

// Size is the number of entries.
func (p *Producer[T]) Size() uint32 { return p.mask + 1 }
