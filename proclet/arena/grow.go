package arena

// How the rest of a part becomes ready. Constants are units.
const (
	minStep     = (64 << 10) / unitBytes // populated at once: a call costs as much as some pages
	maxStep     = (1 << 20) / unitBytes  // a millisecond of page faults
	stepShare   = 8                      // of what is used, in between
	mergeShare  = 8                      // merge when that share of what is used was freed since
	reuseShare  = 4                      // look into larger classes when that share is free
	scanBlocks  = 8                      // blocks of one class that are looked at for a fit
	smallestGap = 2                      // a block: its first word, and a payload
)

// allocSlow finds a block when its class has none and the rest that is ready is used up: in larger
// classes or merged runs when much is free, in more of the rest, and, with no rest left, wherever
// there is room. 0: there is none.
func (h *Heap) allocSlow(units, align uint64) link {
	p := h.part
	need := units + 1
	if free := p.used() - h.live(); free >= need && free*reuseShare >= p.used() {
		if l := h.reuse(units, align, smallClasses); l != 0 {
			return l
		}
		if p.loose()*mergeShare >= p.used() {
			h.merge()
			if l := h.reuse(units, align, smallClasses); l != 0 {
				return l
			}
		}
	}
	if first := h.bumpTo(units, align); first+units <= p.end {
		if first+units > p.ready {
			h.makeReady(first + units)
		}
		return h.extend(first, units)
	}
	if l := h.reuse(units, align, 0); l != 0 || p.loose() == 0 {
		return l
	}
	h.merge()
	if first := h.bumpTo(units, align); first+units <= p.end {
		h.makeReady(first + units)
		return h.extend(first, units)
	}
	return h.reuse(units, align, 0)
}

// reuse takes the smallest free block with room for units at an alignment, of the class least or
// above.
func (h *Heap) reuse(units, align uint64, least uint32) link {
	p := h.part
	want := units
	if align > 1 {
		want += align + 1 // the gap in front: at most align, and one if that were a unit
	}
	if want >= 1<<32 {
		return 0
	}
	floor := classOf(want)
	if at := h.scan(max(floor, least), want); at != 0 {
		return h.cut(at, units, align)
	}
	for c := max(floor+1, least); c < classes; c++ {
		if p.heads[c] != 0 {
			return h.cut(h.pop(c), units, align)
		}
	}
	return 0
}

// scan takes a block of at least units out of the first few of a class.
func (h *Heap) scan(c uint32, units uint64) uint64 {
	p := h.part
	before := uint64(0)
	at := uint64(p.heads[c])
	for range scanBlocks {
		if at == 0 {
			return 0
		}
		h.believe(at, c)
		next := *h.word(at)
		if *h.word(at - 1)&sizeMask >= units {
			if before == 0 {
				p.heads[c] = uint32(next)
			} else {
				*h.word(before) = next & 0xFFFF_FFFF
				h.noteBlock(before, 1)
			}
			return at
		}
		before, at = at, next&0xFFFF_FFFF
	}
	return 0
}

// makeReady populates the rest up to an offset and some more, so that page faults come in batches.
// That it cannot be populated is no error: it will fault when it is touched.
func (h *Heap) makeReady(to uint64) {
	p := h.part
	step := min(max(p.used()/stepShare, minStep), maxStep)
	to = (to + step + pageUnits - 1) / pageUnits * pageUnits
	to = min(to, p.end)
	h.arena.populate(int64(p.ready)*unitBytes, int64(to)*unitBytes)
	p.ready = to
	h.noteHeader()
}

// merge joins neighbouring free blocks, gives those before the rest back to it, and builds the
// lists anew, each in rising order. It reads the first word of every block.
func (h *Heap) merge() {
	p := h.part
	h.settleFront()
	p.heads = [classes]uint32{}
	var last [classes]uint32 // of each list that is being built
	at, end := p.start+1, p.bump+1
	for at < end {
		next, live := h.after(at)
		if live {
			at = next
			continue
		}
		for next < end {
			behind, live := h.after(next)
			if live {
				break
			}
			next = behind
		}
		if next == end {
			p.bump = at - 1
			break
		}
		h.enlist(&last, at, next-at-1)
		at = next
	}
	p.kept = p.freed
	h.noteUnits(0, p.high)
}

// after is where the payload of the block behind the one at an offset begins, and whether that one
// is live.
func (h *Heap) after(at uint64) (next uint64, live bool) {
	word := *h.word(at - 1)
	units := word & sizeMask
	if units == 0 || at+units > h.part.bump {
		corrupt(at)
	}
	return at + units + 1, word&liveBit != 0
}

// settleFront puts the blocks that are in front of the lists into them, and forgets the live ones.
func (h *Heap) settleFront() {
	for class, first := range h.part.front {
		if first != 0 && *h.word(uint64(first))&liveBit == 0 {
			h.list(uint64(first)+1, uint64(class)+1, uint32(class))
		}
	}
	h.part.front = [smallClasses]uint32{}
}

// enlist appends a free block to the list of its class. A run as long as a whole slot of the
// largest kind cannot be: there is a header in front of it.
func (h *Heap) enlist(last *[classes]uint32, at, units uint64) {
	c := classOf(units)
	*h.word(at - 1) = *h.word(at - 1)&^sizeMask | units
	*h.word(at) = 0
	if last[c] == 0 {
		h.part.heads[c] = uint32(at)
	} else {
		*h.word(uint64(last[c])) = at
	}
	last[c] = uint32(at)
}
