package arena

import (
	"fmt"
	"math/bits"
	"reflect"
)

// Options of an arena. The zero value is an arena of plain bytes that nobody watches.
type Options struct {
	// System is how many bytes the system part has, header excluded; 0 means DefaultSystem. The
	// user part begins at the next page. It cannot change later.
	System int64

	// Seed is for the hashes of this arena; draw it at random, or an adversary who knows it can
	// choose keys that collide. Equal seeds and operations give equal bytes.
	Seed uint64

	// Dirty says that the first so many bytes of the slot may hold anything; the rest must be zero.
	// What the arena hands out is zero in any case.
	Dirty int64

	// Populated says that the first so many bytes are backed by pages already.
	Populated int64

	// Memory, if it is there, is asked to populate and drop pages; the slot lies at Off in it.
	// Tracker, if it is there, is told what changed, at the same offsets.
	Memory  Memory
	Tracker Tracker
	Off     int64
}

// DefaultSystem bytes bring the user part to the second page: enough for the inbox and the call
// record of a small proclet.
const DefaultSystem = PageBytes - headerRoom

// Arena is a handle to the arena in a slot. It belongs to one thread at a time: the worker that
// runs the proclet.
type Arena struct {
	slot    []byte
	head    *header
	user    Heap
	system  Heap
	memory  Memory
	tracker Tracker
	off     int64 // of the slot, in memory and tracker

	proven map[reflect.Type]struct{} // types that were found to hold no pointer: see TypeIn
}

// New makes an empty arena in a slot, whose size is its cap: a power of two from MinCap to MaxCap.
// It writes the header and nothing else.
func New(slot []byte, o Options) (*Arena, error) {
	a := new(Arena)
	if err := a.Format(slot, o); err != nil {
		return nil, err
	}
	return a, nil
}

// Format is New into a handle that is used again.
func (a *Arena) Format(slot []byte, o Options) error {
	if err := checkSlot(slot); err != nil {
		return err
	}
	size := int64(len(slot))
	if o.System == 0 {
		o.System = DefaultSystem
	}
	if o.System < 0 || o.System > size/2 {
		return fmt.Errorf("%w: a system part of %d bytes in a slot of %d: want at most half",
			ErrSize, o.System, size)
	}
	if o.Dirty < 0 || o.Dirty > size || o.Populated < 0 || o.Populated > size {
		return fmt.Errorf("%w: %d dirty and %d populated bytes of %d", ErrSize, o.Dirty,
			o.Populated, size)
	}
	const first = headerRoom / unitBytes
	border := (headerRoom + uint64(o.System) + PageBytes - 1) / PageBytes * pageUnits
	h, _ := lay(slot)
	*h = header{
		magic: magic, version: version, capLog: uint32(bits.Len64(uint64(size)) - 1), seed: o.Seed,
		system: newPart(first, border, o.Dirty, int64(border)*unitBytes),
		user:   newPart(border, uint64(size)/unitBytes, o.Dirty, o.Populated),
	}
	// Generations of two arenas should not agree by accident: a Ref of one is stale in the other.
	mixed := mix(o.Seed)
	h.system.gen, h.user.gen = uint32(mixed)|1, uint32(mixed>>32)|1
	a.attach(slot, o)
	a.user.noteHeader()
	return nil
}

func newPart(start, end uint64, dirty, populated int64) part {
	dirtyUnits := uint64(dirty+unitBytes-1) / unitBytes
	return part{
		start: start, end: end, bump: start,
		high:  min(max(dirtyUnits, start), end),
		ready: min(max(uint64(populated)/pageUnits*pageUnits/unitBytes, start), end),
	}
}

// attach points the handle at a slot that has a header.
func (a *Arena) attach(slot []byte, o Options) {
	a.memory, a.tracker, a.off = o.Memory, o.Tracker, o.Off
	a.point(slot)
}

func (a *Arena) point(slot []byte) {
	h, base := lay(slot)
	a.slot, a.head = slot, h
	watch := a.tracker != nil
	a.user = Heap{slot: base, part: &h.user, watch: watch, seed: h.seed, arena: a}
	a.system = Heap{slot: base, part: &h.system, watch: watch, seed: h.seed, arena: a}
	if watch {
		a.user.settleFront()
		a.system.settleFront()
	}
}

func checkSlot(slot []byte) error {
	n := uint64(len(slot))
	if n < MinCap || n > MaxCap || n&(n-1) != 0 {
		return fmt.Errorf("%w: %d bytes: want a power of two from %d to %d", ErrSlot, n, MinCap,
			int64(MaxCap))
	}
	if !aligned(slot) {
		return fmt.Errorf("%w: it does not begin at a multiple of %d", ErrSlot, unitBytes)
	}
	return nil
}

// User is the proclet's part. Its Refs stay the same when the arena is moved or copied.
func (a *Arena) User() *Heap { return &a.user }

// System is the runtime's part: inbox, timers, call record. No Ref reaches it through User.
func (a *Arena) System() *Heap { return &a.system }

// Cap is the size of the slot in bytes.
func (a *Arena) Cap() int64 { return 1 << a.head.capLog }

// Extent is how many bytes from the slot's start mean anything: who moves an arena copies so many.
func (a *Arena) Extent() int64 { return int64(a.head.user.bump) * unitBytes }

// Dirty is how many bytes from the slot's start may be other than zero: who gives the slot to
// another owner clears or drops so many.
func (a *Arena) Dirty() int64 { return int64(a.head.user.high) * unitBytes }

// Populated is up to where pages were asked for, at least; see Options.
func (a *Arena) Populated() int64 { return int64(a.head.user.ready) * unitBytes }

// Reset frees the whole user part, in a time that does not depend on how much there is.
func (a *Arena) Reset() { a.user.reset() }

// Moved says that the arena lies in another slot now, at off of its Memory: the bytes up to Extent
// are there, the rest up to Dirty are there or zero, and everything behind is zero. A larger slot
// raises the cap; a smaller one is refused. Refs and Heaps stay valid, pointers do not.
func (a *Arena) Moved(slot []byte, off int64) error {
	if err := checkSlot(slot); err != nil {
		return err
	}
	h, _ := lay(slot) // the old slot may be somebody else's already
	if h.magic != magic || h.version != version {
		return fmt.Errorf("%w: no arena lies in it", ErrSlot)
	}
	if int64(len(slot)) < 1<<h.capLog {
		return fmt.Errorf("%w: an arena with a cap of %d bytes does not move to one of %d", ErrSlot,
			int64(1)<<h.capLog, len(slot))
	}
	a.off = off
	a.point(slot)
	h.capLog = uint32(bits.Len64(uint64(len(slot))) - 1)
	h.user.end = uint64(len(slot)) / unitBytes
	a.user.noteHeader()
	return nil
}

// CopyTo moves the arena to another slot, which must be zero, by copying what is in use.
func (a *Arena) CopyTo(slot []byte, off int64) error {
	if err := checkSlot(slot); err != nil {
		return err
	}
	if int64(len(slot)) < a.Cap() {
		return fmt.Errorf("%w: %d bytes for an arena with a cap of %d", ErrSlot, len(slot), a.Cap())
	}
	n := copy(slot, a.slot[:a.Extent()])
	if err := a.Moved(slot, off); err != nil {
		return err
	}
	a.head.user.high = uint64(n) / unitBytes
	if a.user.watch {
		a.tracker.Wrote(off, int64(n))
	}
	return nil
}

// Close ends the handle: any later use of it panics. The bytes stay as they are.
func (a *Arena) Close() { *a = Arena{} }

// populate asks for pages of the slot.
func (a *Arena) populate(from, to int64) {
	if a.memory == nil || from >= to {
		return
	}
	from = from / PageBytes * PageBytes
	// A refusal (memory is short) shows itself when the page is touched; what to do then is decided
	// there.
	_ = a.memory.Populate(a.off+from, to-from)
}
