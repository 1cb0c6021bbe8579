package arena

import (
	"fmt"
	"iter"
)

// Kind is what a run of bytes in a slot is.
type Kind uint8

// Kinds of runs. Each byte of a slot is in exactly one.
const (
	HeaderRun Kind = iota
	SystemLive
	SystemFree
	SystemRest
	UserLive
	UserFree
	UserRest
)

func (k Kind) String() string {
	return [...]string{
		"header", "system live", "system free", "system rest", "user live", "user free",
		"user rest",
	}[k]
}

// Run is a run of bytes: the header, a block with the word in front of it, or the rest of a part.
type Run struct {
	Off, Len int64
	Kind     Kind
}

// Walk goes through the slot from its first byte to its last, block by block. It stops at a block
// that cannot be, and then the runs do not reach the end; Audit says why.
func (a *Arena) Walk() iter.Seq[Run] {
	return func(yield func(Run) bool) {
		if !yield(Run{Len: headerRoom, Kind: HeaderRun}) {
			return
		}
		if a.system.walk(SystemLive, yield) {
			a.user.walk(UserLive, yield)
		}
	}
}

func (h *Heap) walk(live Kind, yield func(Run) bool) bool {
	for at, word := range h.blocks() {
		kind := live
		if word&liveBit == 0 {
			kind++
		}
		n := int64(word&sizeMask+1) * unitBytes
		if !yield(Run{Off: int64(at-1) * unitBytes, Len: n, Kind: kind}) {
			return false
		}
	}
	p := h.part
	if p.bump == p.end {
		return true
	}
	return yield(Run{
		Off: int64(p.bump) * unitBytes, Len: int64(p.end-p.bump) * unitBytes, Kind: live + 2,
	})
}

// blocks are the offsets of all payloads and the words in front of them.
func (h *Heap) blocks() iter.Seq2[uint64, uint64] {
	return func(yield func(at, word uint64) bool) {
		p := h.part
		for at := p.start + 1; at <= p.bump; {
			word := *h.word(at - 1)
			units := word & sizeMask
			if units == 0 || at+units > p.bump || !yield(at, word) {
				return
			}
			at += units + 1
		}
	}
}

// FreePages are the runs of whole pages of the slot in which nothing is: inside one free block,
// behind its first two words, or in the rest of the user part as far as it was written. An image
// has zeros there, whatever the memory has. Trim and Merge make them longer.
func (a *Arena) FreePages() iter.Seq2[int64, int64] {
	return func(yield func(off, n int64) bool) {
		h := &a.user
		for at, word := range h.blocks() {
			units := word & sizeMask
			if word&liveBit != 0 || units < pageUnits {
				continue
			}
			from := (at + 1 + pageUnits - 1) / pageUnits
			to := (at + units) / pageUnits
			if from < to && !yield(int64(from)*PageBytes, int64(to-from)*PageBytes) {
				return
			}
		}
		from := (h.part.bump + pageUnits - 1) / pageUnits
		to := (h.part.high + pageUnits - 1) / pageUnits
		if from < to {
			yield(int64(from)*PageBytes, int64(to-from)*PageBytes)
		}
	}
}

// Merge joins neighbouring free blocks. Allocation does it by itself when that pays.
func (h *Heap) Merge() { h.merge() }

// Audit proves that each byte of the slot is in exactly one place: that blocks follow each other
// without a gap, that each free one is in the list of its class, once, and nothing else is in a
// list, and that the account says what the blocks say. It is for tests and for images from
// elsewhere, and costs as much as reading every block, and a bit for each 8 bytes.
func (a *Arena) Audit() error {
	if err := a.head.check(uint64(len(a.slot))); err != nil {
		return err
	}
	if err := a.system.audit(); err != nil {
		return fmt.Errorf("system part: %w", err)
	}
	if err := a.user.audit(); err != nil {
		return fmt.Errorf("user part: %w", err)
	}
	return nil
}

func (h *Heap) audit() error {
	p := h.part
	free := make([]uint64, (p.used()+63)/64) // a bit for each unit: a free block begins here
	counts := [classes]uint64{}
	end, live, fronts := p.start, uint64(0), 0
	for _, first := range p.front {
		if first != 0 {
			fronts++
		}
	}
	for at, word := range h.blocks() {
		units := word & sizeMask
		end = at + units
		front := units <= smallClasses && uint64(p.front[units-1]) == at-1
		if front {
			fronts--
		}
		switch {
		case word&liveBit != 0:
			live += units + 1
		case !front:
			bit := at - 1 - p.start
			free[bit/64] |= 1 << (bit % 64)
			counts[classOf(units)]++
		}
	}
	if end != p.bump {
		return fmt.Errorf("%w: no block at offset %d", ErrImage, end*unitBytes)
	}
	if fronts != 0 {
		return fmt.Errorf("%w: %d blocks in front of lists are none", ErrImage, fronts)
	}
	if live != h.live() || p.kept > p.freed {
		return fmt.Errorf("%w: the blocks have %d live units, the account %d", ErrImage, live,
			h.live())
	}
	for c := range uint32(classes) {
		if err := h.auditList(c, counts[c], free); err != nil {
			return err
		}
	}
	return nil
}

// auditList follows the list of a class, which must have count blocks, and takes each out of free:
// so none is met twice, and a list that runs in a circle ends.
func (h *Heap) auditList(c uint32, count uint64, free []uint64) error {
	p := h.part
	at := uint64(p.heads[c])
	for ; at != 0; count-- {
		bit := at - 1 - p.start
		if at <= p.start || at >= p.bump || count == 0 || free[bit/64]&(1<<(bit%64)) == 0 {
			return fmt.Errorf("%w: the free list of class %d leads to offset %d, which is no free "+
				"block, or to too many", ErrImage, c, at*unitBytes)
		}
		if units := *h.word(at - 1) & sizeMask; classOf(units) != c {
			return fmt.Errorf("%w: the free list of class %d leads to offset %d, which has "+
				"%d units", ErrImage, c, at*unitBytes, units)
		}
		free[bit/64] &^= 1 << (bit % 64)
		if at = *h.word(at); at >= 1<<32 {
			return fmt.Errorf("%w: the free list of class %d leads out of the slot", ErrImage, c)
		}
	}
	if count != 0 {
		return fmt.Errorf("%w: %d free blocks of class %d are in no list", ErrImage, count, c)
	}
	return nil
}
