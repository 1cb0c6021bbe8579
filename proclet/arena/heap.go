package arena

// Heap is one of the two parts of an arena, from which memory is allocated: the user part, which is
// the proclet's, or the system part, which is the runtime's. A Ref of one is refused by the other.
//
// Like its arena, a Heap belongs to one thread at a time.
type Heap struct {
	slot  address
	part  *part
	watch bool // there is a tracker that wants to be told
	seed  uint64
	arena *Arena
}

// Arena is whose part this is.
func (h *Heap) Arena() *Arena { return h.arena }

// Seed is what hashes in this arena begin with.
func (h *Heap) Seed() uint64 { return h.seed }

// Live is how many bytes are in live blocks, with the 8 that each costs.
func (h *Heap) Live() int64 { return int64(h.live()) * unitBytes }

// live is what is in live blocks, in units. The block in front of a list counts as taken.
func (h *Heap) live() uint64 {
	p := h.part
	live := p.taken - p.freed
	for class, first := range p.front {
		if first != 0 && *h.word(uint64(first))&liveBit == 0 {
			live -= uint64(class) + 2
		}
	}
	return live
}

// Used is how many bytes of the part the allocator has ever handed out since the last Reset or
// merge that gave some back: live and free blocks.
func (h *Heap) Used() int64 { return int64(h.part.used()) * unitBytes }

// Room is how many bytes the part can have.
func (h *Heap) Room() int64 { return int64(h.part.end-h.part.start) * unitBytes }

// reset frees everything. The generations go on, so Refs from before do not come back to life.
func (h *Heap) reset() {
	p := h.part
	p.bump = p.start
	p.taken, p.freed, p.kept, p.root = 0, 0, 0, 0
	p.front, p.heads = [smallClasses]uint32{}, [classes]uint32{}
	h.noteHeader()
}

// alloc returns a block of at least units whose payload begins at a multiple of align units (a
// power of two), cleared.
func (h *Heap) alloc(units, align uint64) (link, error) {
	dirty := h.part.high
	l := link(0)
	if units <= smallClasses && align == 1 {
		l = h.take(units)
	} else {
		l = h.allocLarge(units, align)
	}
	if l == 0 {
		return 0, h.full(units)
	}
	h.zero(l.at(), units, dirty)
	return l, nil
}

// zero clears what of a new block may hold bytes: what lies beyond dirty was never written, and
// touching it would only make pages.
func (h *Heap) zero(at, units, dirty uint64) {
	if at >= dirty {
		return
	}
	clear(h.units(at, min(units, dirty-at)))
}

// allocLarge is alloc for what is not small or wants more than a word's alignment; not cleared.
func (h *Heap) allocLarge(units, align uint64) link {
	p := h.part
	units = roundUp(units)
	if units > 1<<32-2 {
		return 0
	}
	if align == 1 {
		if c := classFor(units); c < classes && p.heads[c] != 0 {
			return h.cut(h.pop(c), units, 1)
		}
	}
	if first := h.bumpTo(units, align); first+units <= p.ready {
		return h.extend(first, units)
	}
	return h.allocSlow(units, align)
}

// roundUp makes sizes few enough that freed blocks fit later requests: classes up to half a page,
// and multiples of half a KiB, less the word in front, above.
func roundUp(units uint64) uint64 {
	const fine, coarse = pageUnits / 2, 64 // units
	if units <= fine {
		return sizeOf(classFor(units))
	}
	return (units+coarse)/coarse*coarse - 1
}

// bumpTo is where the payload of the next block of the rest would begin. In front of an aligned one
// there may be a gap, which becomes a free block and so is not just one unit.
func (h *Heap) bumpTo(units, align uint64) uint64 {
	first := h.part.bump + 1
	if gap := -first & (align - 1); gap != 0 {
		if gap == 1 {
			gap += align
		}
		first += gap
	}
	return first
}

// extend makes a block off the rest, which has room for it.
func (h *Heap) extend(first, units uint64) link {
	p := h.part
	old := p.bump
	p.bump = first + units
	p.high = max(p.high, p.bump)
	if first-1 > old {
		h.push(old+1, first-2-old)
	}
	p.taken += units + 1
	return h.create(first, units)
}

// push makes a free block where there was none. It is not counted as freed.
func (h *Heap) push(at, units uint64) {
	c := classOf(units)
	*h.word(at - 1) = units
	*h.word(at) = uint64(h.part.heads[c])
	h.part.heads[c] = uint32(at)
	h.noteBlock(at, 1)
}

// pop takes the first block of a class, which has one.
func (h *Heap) pop(c uint32) (at uint64) {
	at = uint64(h.part.heads[c])
	h.believe(at, c)
	h.part.heads[c] = uint32(*h.word(at))
	return at
}

// believe panics unless a free block of a class lies there.
func (h *Heap) believe(at uint64, c uint32) {
	p := h.part
	if at <= p.start || at >= p.bump {
		corrupt(at)
	}
	word := *h.word(at - 1)
	units := word & sizeMask
	if units == 0 || word&liveBit != 0 || at+units > p.bump || classOf(units) != c {
		corrupt(at)
	}
}

// cut makes a block live that is in no list and has room for units at an alignment. What is left in
// front and behind goes back.
func (h *Heap) cut(at, units, align uint64) link {
	have := *h.word(at - 1) & sizeMask
	first := at
	if gap := -first & (align - 1); gap != 0 {
		if gap == 1 {
			gap += align
		}
		first += gap
		have -= gap
		h.push(at, gap-1)
	}
	if rest := have - units; rest >= 2 {
		have = units
		h.push(first+units+1, rest-1)
	}
	h.part.taken += have + 1
	return h.create(first, have)
}

//go:noinline
func corrupt(at uint64) link {
	panic(&CorruptError{Offset: int64(at) * unitBytes})
}

//go:noinline
func (h *Heap) full(units uint64) error {
	return &FullError{
		Want: int64(units) * unitBytes, Live: h.Live(), Room: h.Room(),
	}
}

// refused says why a Ref is.
//
//go:noinline
func (h *Heap) refused(l link) error { return h.refusal(l) }

func (h *Heap) refusal(l link) *RefError {
	e := &RefError{Ref: uint64(l)}
	p, first := h.part, l.at()
	switch {
	case first == 0:
		e.Why = "nil"
	case first <= p.start || first >= p.bump:
		e.Why = "outside of what is allocated"
	case *h.word(first - 1)&liveBit == 0:
		e.Why = "the block is free"
	default:
		e.Why = "no block of that generation and size begins there"
	}
	return e
}
