package arena

import "github.com/dunlin-io/dunlin/core/invariant"

// link is a Ref without its type: the generation of a block above the offset of its payload.
type link uint64

func (l link) at() uint64 { return uint64(uint32(l)) }

// take returns a block of exactly units, at most smallClasses of them, not cleared; 0 if there is
// no room. Type.New has the first steps for sizes that the compiler knows.
func (h *Heap) take(units uint64) link {
	p := h.part
	class := (units - 1) & (smallClasses - 1)
	if first := uint64(p.front[class]) + 1; *h.word(first - 1)&(liveBit|sizeMask) == units {
		return h.revive(first)
	}
	first := uint64(p.heads[class])
	if first == 0 {
		return h.refill(units)
	}
	// What a list leads to is believed only if it is a free block of that class, inside this part:
	// its link lies in memory that a stale pointer can still write to.
	if first <= p.start || first >= p.bump || *h.word(first - 1)&(liveBit|sizeMask) != units {
		return corrupt(first)
	}
	p.heads[class] = uint32(*h.word(first))
	p.taken += units + 1
	return h.revive(first)
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
	return h.create(first, units)
}

// revive makes a free block live that is in no list any more.
func (h *Heap) revive(at uint64) link { return h.create(at, *h.word(at - 1)&sizeMask) }

// create makes a live block of units, where there was none, or a free one of that size.
func (h *Heap) create(at, units uint64) link {
	gen := uint64(h.part.nextGen()) << genShift
	*h.word(at - 1) = units | gen
	if h.watch {
		h.noteBlock(at, units)
	}
	return link(gen | at)
}

// nextGen is the generation of the next live block. It does not depend on the block's last: a
// processor would have to wait for the store by which that was freed.
func (p *part) nextGen() uint32 {
	p.gen += 2
	return p.gen
}

// release frees the block that a link refers to, if it is live under that generation. Ref.Free has
// the first steps for sizes that the compiler knows.
func (h *Heap) release(l link) error {
	p := h.part
	first := l.at()
	if first <= p.start || first >= p.bump {
		return h.refused(l)
	}
	word := *h.word(first - 1)
	units := word & sizeMask
	if word>>genShift != uint64(l)>>genShift || word&liveBit == 0 || units == 0 ||
		first+units > p.bump {
		return h.refused(l)
	}
	word += liveBit
	if units > smallClasses {
		*h.word(first - 1) = word
		h.list(first, units, classOf(units))
		return nil
	}
	class := uint32(units) - 1
	front := uint64(p.front[class])
	*h.word(first - 1) = word
	switch {
	case front == first-1:
	case h.watch: // nothing is in front, so that Type.New finds nothing and need not ask
		h.list(first, units, class)
	default:
		p.front[class] = uint32(first - 1)
		if front != 0 && *h.word(front)&liveBit == 0 {
			h.list(front+1, units, class)
		}
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

// owns reports whether a link has the generation of a live block of at least that size.
func (h *Heap) owns(l link, units uint64) bool {
	word := *h.word(l.at() - 1)
	return word>>genShift == uint64(l)>>genShift && word&liveBit != 0 && word&sizeMask >= units
}
