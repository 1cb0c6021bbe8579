package arena

import "math/bits"

// A slot's size is a power of two, its class. A superblock is a run of slots of one class, side by
// side: small ones share the tables that map them.
const (
	slotClasses = 20      // 64 KiB to 32 GiB
	blockBytes  = 4 << 20 // of a superblock, or one slot if that is larger: two page tables' worth
	blockSlots  = 64      // most slots of a superblock: one bit of a word each

	minSlotLog = 16
)

// What an array's length below says: the classes are those that an arena can have.
var (
	_ [MinCap]struct{}     = [1 << minSlotLog]struct{}{}
	_ [MaxCap]struct{}     = [1 << (minSlotLog + slotClasses - 1)]struct{}{}
	_ [blockSlots]struct{} = [blockBytes / MinCap]struct{}{}
)

// slotClass is the smallest class whose slots have size bytes.
func slotClass(size int64) (class int, ok bool) {
	if size <= 0 || size > MaxCap {
		return 0, false
	}
	return max(0, bits.Len64(uint64(size-1))-minSlotLog), true
}

// slotBytes is the size of a class's slots.
func slotBytes(class int) int64 { return MinCap << class }

// slotsOf is how many slots a superblock of a class has.
func slotsOf(class int) int { return int(max(1, blockBytes/slotBytes(class))) }
