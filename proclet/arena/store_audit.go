package arena

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/dunlin-io/dunlin/core/vmem"
)

// Use is what a piece of a store's window is used for.
type Use uint8

// Every byte of the window is in a piece of one of these.
const (
	Vacant Use = iota // nobody's: no superblock lies there
	Idle              // a free slot
	Sent              // a slot that was destroyed: on its way to its superblock's owner, or loose
	Live              // an arena's
)

// String is the use's name.
func (u Use) String() string { return [...]string{"vacant", "idle", "sent", "live"}[u] }

// Piece is a part of a store's window.
type Piece struct {
	Off, Len  int64
	Use       Use
	Populated int64 // bytes from Off that have pages, at most
}

// Walk yields all pieces of the window in rising order: together they are exactly the window. It is
// an iter.Seq, for audits; nobody may use the store meanwhile.
func (st *Store) Walk(yield func(Piece) bool) {
	st.mu.Lock()
	blocks := st.allBlocks()
	sent := st.allSent()
	var vacant []vmem.Segment
	for g := range st.space.Walk {
		if g.State != vmem.Allocated {
			vacant = append(vacant, g)
		}
	}
	st.mu.Unlock()
	for len(blocks) > 0 || len(vacant) > 0 {
		if len(blocks) == 0 || len(vacant) > 0 && int64(vacant[0].Start) < blocks[0].off {
			if !yield(Piece{Off: int64(vacant[0].Start), Len: int64(vacant[0].Size)}) {
				return
			}
			vacant = vacant[1:]
			continue
		}
		b := blocks[0]
		blocks = blocks[1:]
		for i := range b.cells {
			c := &b.cells[i]
			p := Piece{Off: c.start(), Len: slotBytes(int(b.class)), Populated: c.populated}
			p.Use = Live
			switch {
			case b.free>>i&1 != 0:
				p.Use = Idle
			case sent[c]:
				p.Use = Sent
			}
			if !yield(p) {
				return
			}
		}
	}
}

// shelves are all heaps, the global one first.
func (st *Store) shelves() []*shelf {
	all := []*shelf{&st.global}
	for _, l := range st.locals {
		all = append(all, &l.shelf)
	}
	return all
}

// allBlocks are the superblocks of all heaps by their place in the window.
func (st *Store) allBlocks() (blocks []*superblock) {
	for _, s := range st.shelves() {
		blocks = append(blocks, s.blocks...)
	}
	slices.SortFunc(blocks, func(a, b *superblock) int { return cmp.Compare(a.off, b.off) })
	return blocks
}

// allSent are the slots in inboxes and the loose ones.
func (st *Store) allSent() map[*cell]bool {
	sent := map[*cell]bool{}
	for _, c := range st.loose {
		for ; c != nil; c = c.next {
			sent[c] = true
		}
	}
	for _, l := range st.locals {
		for _, c := range [...]*cell{l.shelf.inbox.head.Load(), l.waiting} {
			for ; c != nil; c = c.next {
				sent[c] = true
			}
		}
	}
	return sent
}

// Stats of a store, in bytes if not said otherwise.
type Stats struct {
	Live, Idle, Sent int   // slots
	Used             int64 // populated, of live slots
	Spare            int64 // populated, of all others
	Global           int64 // of Spare, what the global heap has
	Window           int64 // address space in superblocks

	Stubborn uint64 // times that the memory refused to give up or to protect pages
}

// Stats counts everything, slot by slot; nobody may use the store meanwhile.
func (st *Store) Stats() (n Stats) {
	for p := range st.Walk {
		switch p.Use {
		case Vacant:
			continue
		case Live:
			n.Live++
			n.Used += p.Populated
		case Idle:
			n.Idle++
			n.Spare += p.Populated
		case Sent:
			n.Sent++
			n.Spare += p.Populated
		}
		n.Window += p.Len
	}
	n.Global, n.Stubborn = st.globalIdle.Load(), st.stubborn.Load()
	return n
}

// Audit checks that every byte of the window is in exactly one place and that all sums are what
// they should be, and returns the first thing that is not so. Nobody may use the store meanwhile.
func (st *Store) Audit() error {
	end := int64(0)
	for p := range st.Walk {
		if p.Off != end || p.Len <= 0 {
			return fmt.Errorf("arena: audit: %v at %#x, and the piece before ends at %#x", p.Use,
				p.Off, end)
		}
		end = p.Off + p.Len
	}
	if end != int64(len(st.bytes)) {
		return fmt.Errorf("arena: audit: pieces end at %#x of %#x", end, len(st.bytes))
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := st.space.Audit(); err != nil {
		return fmt.Errorf("arena: audit: %w", err)
	}
	if st.globalIdle.Load() != st.global.idle || st.global.idle > st.most {
		return fmt.Errorf("arena: audit: global heap has %d idle bytes, says %d, and may have %d",
			st.global.idle, st.globalIdle.Load(), st.most)
	}
	sent := st.allSent()
	loose := int64(0)
	for _, c := range st.loose {
		for ; c != nil; c = c.next {
			loose += c.populated
		}
	}
	if loose != st.looseBytes.Load() || loose+st.global.idle > st.most {
		return fmt.Errorf("arena: audit: %d bytes are loose, it says %d, and with %d may have %d",
			loose, st.looseBytes.Load(), st.global.idle, st.most)
	}
	for i, s := range st.shelves() {
		if err := s.audit(sent); err != nil {
			return fmt.Errorf("arena: audit: heap %d: %w", i, err)
		}
	}
	return nil
}

// audit checks one heap's superblocks, sums and lists.
func (s *shelf) audit(sent map[*cell]bool) error {
	var used, idle int64
	listed := 0
	for i, b := range s.blocks {
		if err := b.audit(sent); err != nil {
			return fmt.Errorf("superblock at %#x: %w", b.off, err)
		}
		if b.owner.Load() != s || b.position != i {
			return fmt.Errorf("superblock at %#x is another's, or not number %d", b.off, i)
		}
		used += b.used
		idle += b.idle
		if b.list != noList {
			listed++
		}
	}
	if used != s.used || idle != s.idle {
		return fmt.Errorf("sums are %d used and %d idle, it says %d and %d", used, idle, s.used,
			s.idle)
	}
	for class := range s.lists {
		for list, b := range s.lists[class] {
			for ; b != nil; b = b.next {
				if int(b.class) != class || int(b.list) != list {
					return fmt.Errorf("superblock at %#x is in a list of others", b.off)
				}
				listed--
			}
		}
	}
	if listed != 0 {
		return errors.New("lists and superblocks differ")
	}
	return nil
}

// audit checks one superblock.
func (b *superblock) audit(sent map[*cell]bool) error {
	var used, idle int64
	var warm uint64
	for i := range b.cells {
		c := &b.cells[i]
		free := b.free>>i&1 != 0
		if live := c.life.Load()&1 != 0; live == (free || sent[c]) {
			return fmt.Errorf("slot %d: live %v, free %v, sent %v", i, live, free, sent[c])
		}
		if c.populated < 0 || c.populated > slotBytes(int(b.class)) {
			return fmt.Errorf("slot %d has %d populated bytes", i, c.populated)
		}
		if !free {
			used += c.populated
			continue
		}
		idle += c.populated
		if c.populated > 0 {
			warm |= 1 << i
		}
	}
	switch {
	case used != b.used+b.grown.Load() || idle != b.idle:
		return fmt.Errorf("slots have %d used and %d idle bytes, it says %d and %d", used, idle,
			b.used+b.grown.Load(), b.idle)
	case warm != b.warm || b.free&^b.all() != 0:
		return fmt.Errorf("%d slots have pages, it says %d", bits.OnesCount64(warm),
			bits.OnesCount64(b.warm))
	case b.list != b.place():
		return fmt.Errorf("it is in list %d, want %d", b.list, b.place())
	}
	return nil
}
