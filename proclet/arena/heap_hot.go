package arena

import "github.com/dunlin-io/dunlin/core/invariant"

// link is a Ref without its type: the generation of a block above the offset of its payload.
type link uint64

func (l link) at() uint64  { return uint64(uint32(l)) }
func (l link) gen() uint64 { return uint64(l >> 32) }

// nextGen is the generation of the next block. 0 is for free ones.
func nextGen(gen uint32) uint32 {
	gen++
	if gen == 0 {
		gen = 1
	}
	return gen
}

// take returns a block of exactly units, at most smallClasses of them, not cleared; 0 if there is
// no room. Type.New has the first steps for sizes that the compiler knows.
func (h *Heap) take(units uint64) link {
	p := h.part
	class := (units - 1) & (smallClasses - 1)
	first := uint64(p.front[class])
	if first != 0 {
		p.front[class] = 0
		return h.claim(first, units)
	}
	first = uint64(p.heads[class])
	if first == 0 {
		return h.refill(units)
	}
	// What a list leads to is believed only if it is a free block of that class, inside this part:
	// its link lies in memory that a stale pointer can still write to.
	if first <= p.start || first >= p.bump || *h.word(first - 1) != units {
		return corrupt(first)
	}
	p.heads[class] = uint32(*h.word(first))
	p.taken += units + 1
	return h.claim(first, units)
}

// refill is take for a class whose list is empty: a block off the rest, if there is some that is
// ready.
func (h *Heap) refill(units uint64) link {
	p := h.part
	if p.bump+units+1 > p.ready {
		return h.allocSlow(units, 1)
	}
	first := p.bump + 1
	p.bump = first + units
	p.high = max(p.high, p.bump)
	p.taken += units + 1
	return h.claim(first, units)
}

// claim makes a block live that is in no list any more, and is counted.
func (h *Heap) claim(at, units uint64) link {
	p := h.part
	gen := nextGen(p.gen)
	p.gen = gen
	*h.word(at - 1) = units | uint64(gen)<<32
	if h.watch {
		h.noteBlock(at, units)
	}
	return link(at | uint64(gen)<<32)
}

// release frees the block that a link refers to, if it is live under that generation.
func (h *Heap) release(l link) error {
	p := h.part
	first := l.at()
	if first <= p.start || first >= p.bump {
		return h.refused(l)
	}
	word := *h.word(first - 1)
	units := word & 0xFFFF_FFFF
	if word>>32 != l.gen() || l.gen() == 0 || first+units > p.bump {
		return h.refused(l)
	}
	if units-1 >= smallClasses {
		if units == 0 {
			return h.refused(l)
		}
		*h.word(first - 1) = units
		h.list(first, units, classOf(units))
		return nil
	}
	*h.word(first - 1) = units
	class := uint32(units) - 1
	if h.watch { // so that Type.New finds no block in front and need not ask
		h.list(first, units, class)
		return nil
	}
	before := uint64(p.front[class])
	p.front[class] = uint32(first)
	if before != 0 {
		h.list(before, units, class)
	}
	return nil
}

// list puts a free block into the list of its class.
func (h *Heap) list(first, units uint64, class uint32) {
	p := h.part
	*h.word(first) = uint64(p.heads[class])
	p.heads[class] = uint32(first)
	p.freed += units + 1
	if h.watch {
		h.noteBlock(first, 1)
	}
}

// holds reports whether units from a link's offset may be used: they lie between the start and the
// bump of this part. Under the tag invariants the block must also be the one that the link was made
// for.
func (h *Heap) holds(l link, units uint64) bool {
	p := h.part
	if l.at() <= p.start || l.at()+units > p.bump {
		return false
	}
	return !invariant.Enabled || h.owns(l, units)
}

// owns reports whether a link has the generation of a live block of that size.
func (h *Heap) owns(l link, units uint64) bool {
	word := *h.word(l.at() - 1)
	return word>>32 == l.gen() && l.gen() != 0 && word&0xFFFF_FFFF >= units
}
