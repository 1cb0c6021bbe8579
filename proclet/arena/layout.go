package arena

// A slot begins with the header; everything in it is a number, and every place is an offset from
// the slot's start, counted in units of 8 bytes. So the bytes mean the same at any address.
const (
	unitBytes  = 8
	wordShift  = 3 // log2 of unitBytes
	pageUnits  = PageBytes / unitBytes
	magic      = 0x616e657261_6e6c64 // "dlnarena", as little-endian bytes
	version    = 1
	headerRoom = 2048 // bytes: the header, and room for it to grow without moving the parts
)

// Limits of a slot, in bytes.
const (
	MinCap     = 64 << 10 // smallest slot: below, the header would be more than a thirtieth of it
	MaxCap     = 32 << 30 // 2^32 units: what the 32 bits of a Ref's offset can say
	DefaultCap = 64 << 20
)

// header is the first bytes of a slot.
type header struct {
	magic   uint64
	version uint32
	capLog  uint32 // log2 of the cap in bytes
	seed    uint64 // of hashes in this arena; drawn by whoever made it
	_       uint64
	system  part
	user    part
}

// part is the account of one of the two heaps of an arena. All offsets and sizes are units.
//
//	start      bump            high        ready      end
//	│ blocks ──>│ rest: dirty    │ rest: zero            │
//
// A block is a word that says its size and generation, and its payload behind it. The generation is
// odd in a live block, and in its Ref, and even in a free one, the first word of whose payload is
// the next of its class. Blocks lie without gaps from start to bump.
//
// Of each small class one block, the one that was freed last, is not in the list but in front of
// it. The place in front remembers its block when that is live again: so who frees and allocates in
// turn writes the block's first word and nothing else.
type part struct {
	start uint64
	end   uint64 // how far bump may go: the cap
	bump  uint64
	high  uint64 // from here on no byte was ever written, at least bump
	ready uint64 // how far bump may go before the slow path is asked: populated up to here
	taken uint64 // in all blocks that left the lists or the rest, first words included
	freed uint64 // in all blocks that went into a list
	kept  uint64 // what freed was when the free runs were last merged
	root  uint64 // a Ref: where its owner begins to look
	gen   uint32 // of the last allocation: odd; goes on after a Reset
	_     uint32
	front [smallClasses]uint32 // the block in front, as the offset of its first word; 0: none
	heads [classes]uint32      // the first in the list, as the offset of its payload; 0: none
}

// used is everything between start and bump.
func (p *part) used() uint64 { return p.bump - p.start }

// loose is what went into lists since the last merge.
func (p *part) loose() uint64 { return p.freed - p.kept }

// The word in front of a block.
const (
	sizeMask = 1<<32 - 1 // units of the payload
	genShift = 32
	liveBit  = 1 << genShift // generations of live blocks are odd
)

// Size classes. Up to smallClasses units each size is a class of its own, so that nothing is lost
// to rounding; above, four to each doubling, and a class holds blocks of at least its size.
const (
	smallClasses = 64 // units: up to 512 bytes
	smallLog     = 6  // log2 of smallClasses
	stepLog      = 2  // four classes to a doubling: a quarter is lost at worst
	classes      = smallClasses + (32-smallLog)<<stepLog
)
