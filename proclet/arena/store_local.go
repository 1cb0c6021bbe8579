package arena

import "fmt"

// What a Local does when its own superblocks are not enough, or too many.

func sizeError(what string, n int64) error {
	return fmt.Errorf("%w: a %s of %d bytes: want up to %d", ErrSize, what, n, int64(MaxCap))
}

// recounts is how many superblocks a crowded worker asks for growth before it sheds any: idle bytes
// are judged by those in use, and an arena that grows does not say so to its worker. (guess: in a
// row of calls all are asked)
const recounts = 8

// shed brings back Hoard's invariant: the emptiest superblocks go to the global heap, or, if that
// has enough, their idle pages go to the system.
func (l *Local) shed() {
	s := &l.shelf
	for range min(recounts, len(s.blocks)) {
		s.cursor = (s.cursor + 1) % len(s.blocks)
		s.count(s.blocks[s.cursor])
	}
	for s.crowded(l.store.slack) {
		b := s.emptiest() // there is one: something is idle
		if l.store.shared()+b.idle > l.store.most {
			l.store.dropIdle(s, b)
			if !b.empty() {
				continue
			}
		}
		l.vacate(b)
	}
}

// vacate gives a superblock away.
func (l *Local) vacate(b *superblock) {
	l.shelf.remove(b)
	l.store.putBack(b)
}

// refill gets a superblock with a free slot of a class, or a loose slot, which is live then. A
// superblock without pages that the worker has itself is the last choice.
func (l *Local) refill(class int) (*superblock, *cell, error) {
	if l.retired {
		return nil, nil, ErrRetired
	}
	for l.mail() { // before asking others: what they have sent
		l.drain(drainMost)
		if b := l.shelf.find(class); b != nil && b.warm != 0 {
			return b, nil, nil
		}
	}
	cold := l.shelf.find(class)
	if cold != nil && l.store.shared() == 0 {
		return cold, nil, nil
	}
	b, c, err := l.store.fetch(&l.shelf, class, cold)
	if err != nil && l.Reap() > 0 { // perhaps it is in the way itself, with slots of other classes
		b, c, err = l.store.fetch(&l.shelf, class, nil)
	}
	return b, c, err
}

// drain takes back slots that other workers destroyed, most of them at most.
func (l *Local) drain(most int) {
	if l.retired {
		return // a closed inbox stays closed
	}
	if l.waiting == nil {
		l.waiting = l.shelf.inbox.take()
	}
	bytes := int64(0)
	for ; most > 0 && l.waiting != nil; most-- {
		c := l.waiting
		l.waiting, c.next = c.next, nil
		bytes += c.populated
		if c.block.owner.Load() == &l.shelf {
			l.accept(c)
		} else {
			l.send(c) // its superblock has gone to another meanwhile
		}
	}
	l.shelf.inbox.bytes.Add(-bytes)
	if l.shelf.crowded(l.store.slack) {
		l.shed()
	}
}

// send gives a destroyed slot to whoever owns its superblock, or to whoever comes first.
func (l *Local) send(c *cell) {
	for {
		owner := c.block.owner.Load()
		switch {
		case owner == &l.shelf:
			l.accept(c)
			return
		case owner == &l.store.global:
			if l.store.takeBack(c) {
				return
			}
			continue
		}
		crowded := owner.inbox.bytes.Load()+c.populated > l.store.slack
		if crowded && c.populated > 0 && l.store.loosen(c) {
			return
		}
		owner.inbox.bytes.Add(c.populated)
		if owner.inbox.push(c) {
			return
		}
		// It retires: under the lock, which takeBack waits for, its superblocks become global.
		owner.inbox.bytes.Add(-c.populated)
		if l.store.takeBack(c) {
			return
		}
	}
}

// Reap gives everything that this worker keeps idle back to the system, and says how many bytes
// that were: for when memory is short.
func (l *Local) Reap() (bytes int64) {
	for !l.retired && l.mail() {
		l.drain(drainMost)
	}
	s := &l.shelf
	for i := len(s.blocks) - 1; i >= 0; i-- {
		b := s.blocks[i]
		bytes += l.store.dropIdle(s, b)
		if b.empty() {
			l.vacate(b)
		}
	}
	return bytes
}

// Close retires a worker: what it has goes to the global heap. Slots that it lent stay live, and
// are destroyed through other Locals, or this one.
func (l *Local) Close() {
	if l.retired {
		return
	}
	for l.waiting != nil {
		l.drain(drainMost)
	}
	l.retired = true
	for c := l.store.retire(l); c != nil; {
		next := c.next
		c.next = nil
		l.send(c)
		c = next
	}
}
