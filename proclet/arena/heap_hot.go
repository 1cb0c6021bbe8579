package arena

import "github.com/dunlin-io/dunlin/core/invariant"

// take returns a block of exactly units, at most smallClasses of them, as the offset of its payload
// and its new generation. The payload is not cleared. Offset 0: there is no room.
func (h *Heap) take(units uint64) (at, gen uint32) {
	p := h.part
	class := (units - 1) & (smallClasses - 1)
	first := uint64(p.heads[class])
	if first == 0 {
		return h.refill(units)
	}
	// What a list leads to is believed only if it is a free block of that class, inside this part:
	// its link lies in memory that a stale pointer can still write to.
	if first <= p.start || first >= p.bump || *h.word(first - 1) != units {
		corrupt(first)
	}
	p.heads[class] = uint32(*h.word(first))
	p.live += units + 1
	gen = p.gen + 1
	if gen == 0 {
		gen = 1
	}
	p.gen = gen
	*h.word(first - 1) = units | uint64(gen)<<32
	if h.arena.watch {
		h.noteBlock(first, units)
	}
	return uint32(first), gen
}

// refill is take for a class whose list is empty: a block off the rest, if there is some that is
// ready.
func (h *Heap) refill(units uint64) (at, gen uint32) {
	p := h.part
	if p.bump+units+1 > p.ready {
		return h.allocSlow(units, 1)
	}
	first := p.bump + 1
	p.bump = first + units
	p.high = max(p.high, p.bump)
	return uint32(first), h.claim(first, units)
}

// claim makes a block that is in no list live.
func (h *Heap) claim(at, units uint64) (gen uint32) {
	p := h.part
	p.live += units + 1
	gen = p.gen + 1
	if gen == 0 {
		gen = 1
	}
	p.gen = gen
	*h.word(at - 1) = units | uint64(gen)<<32
	if h.arena.watch {
		h.noteBlock(at, units)
	}
	return gen
}

// release frees the block whose payload is at an offset, if it is live under that generation.
func (h *Heap) release(at, gen uint32) bool {
	p := h.part
	first := uint64(at)
	if first <= p.start || first >= p.bump {
		return false
	}
	word := *h.word(first - 1)
	units := word & 0xFFFF_FFFF
	if word>>32 != uint64(gen) || gen == 0 || first+units > p.bump || units == 0 {
		return false
	}
	class := uint32(units) - 1
	if units > smallClasses {
		class = classOf(units)
	}
	*h.word(first - 1) = units
	*h.word(first) = uint64(p.heads[class])
	p.heads[class] = at
	p.live -= units + 1
	p.freed += units + 1
	if h.arena.watch {
		h.noteBlock(first, 1)
	}
	return true
}

// holds reports whether a Ref may be used for bytes from its offset: they lie between the start and
// the bump of this part. Under the tag invariants the block must also be the one that the Ref was
// made for.
func (h *Heap) holds(at, gen uint32, units uint64) bool {
	p := h.part
	if uint64(at) <= p.start || uint64(at)+units > p.bump {
		return false
	}
	return !invariant.Enabled || *h.word(uint64(at) - 1)>>32 == uint64(gen) && gen != 0 &&
		*h.word(uint64(at) - 1)&0xFFFF_FFFF >= units
}

// note says that the payload of a block was, or may be, written.
func (h *Heap) note(at uint32, units uint64) {
	if h.arena.watch {
		h.noteUnits(uint64(at), units)
	}
}
