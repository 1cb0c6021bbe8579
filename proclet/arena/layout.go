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
// A block is a word that says its size and generation, and its payload behind it. A live block's
// generation is not 0 and is its Ref's too; a free block's is 0, and the first word of its payload
// is the next of its class. Blocks lie without gaps from start to bump.
//
// Of each small class the block that was freed last is not in the list but in front of it. Who frees
// and allocates in turn uses that place alone: no link is written or read, and nothing is counted.
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
	gen   uint32 // of the last allocation; never goes back, also not by a Reset
	_     uint32
	front [smallClasses]uint32 // the free block before the list, as the offset of its payload
	heads [classes]uint32      // the first block in the list of each class; 0: none
}

// used is everything between start and bump.
func (p *part) used() uint64 { return p.bump - p.start }

// live is what is in live blocks. Two counters that each only rise cost half of one that goes up
// and down: a processor waits for its own last store to the same place.
func (p *part) live() uint64 {
	live := p.taken - p.freed
	for class, at := range p.front {
		if at != 0 {
			live -= uint64(class) + 2
		}
	}
	return live
}

// loose is what went into lists since the last merge.
func (p *part) loose() uint64 { return p.freed - p.kept }

// Size classes. Up to smallClasses units each size is a class of its own, so that nothing is lost to
// rounding; above, four to each doubling, and a class holds blocks of at least its size.
const (
	smallClasses = 64 // units: up to 512 bytes
	smallLog     = 6  // log2 of smallClasses
	stepLog      = 2  // four classes to a doubling: a quarter is lost at worst
	classes      = smallClasses + (32-smallLog)<<stepLog
)
