// Package vmem hands out ranges of integers: addresses, slot numbers, ids. It is the general
// resource allocator of Bonwick and Adams (Magazines and Vmem, USENIX 2001). It touches no memory
// but its own books: what a range stands for is the caller's.
//
//	span 1  [ span | allocated | free | allocated | slab | free ]   boundary tags by address
//	span 2  [ span | allocated .............. | free ]              (the parent's)
//	                                  │            │
//	free lists by power of two:  2^k ─┴─> ... 2^m ─┘     a bitmap says which have something
//	allocated, by address:       hash table
//	slab                         2^n quanta that a quantum cache cuts into equal objects
//
// Each address of a span is in exactly one segment, and two free segments are never neighbours:
// freeing merges at once, because each tag knows its neighbours. A free segment of n addresses is
// in list log2(n), so the first one of the next list always fits (instant fit), and a bit scan
// finds it. Alloc and Free therefore take a time that does not depend on how much there is, with
// three exceptions: when no list guarantees a fit, the one list that may have one is searched;
// for constraints that no early candidate meets, all are; and BestFit always searches a list.
//
// Small sizes go through quantum caches: one for each of the first multiples of the quantum, which
// takes slabs from the arena and cuts them up, so that small and large ranges do not fragment each
// other, and a small Alloc and Free is a bit in a word.
//
// An arena may have a parent. It imports a span from it when it has no room, and returns the span
// as soon as nothing of it is in use.
//
// An arena belongs to one thread, together with its parents. Nothing allocates once as many
// segments as ever before have tags (Config.Segments makes them at once).
package vmem

import (
	"errors"
	"fmt"
	"math"
)

// Limits of an arena.
const (
	// MaxCaches is the largest size that may be cached, in quanta: its slab of 64 quanta is the
	// most that one word can account for.
	MaxCaches = 16

	// MaxTags bounds the books of an arena: segments and spans (guess: 10 GiB of tags).
	MaxTags = 1 << 28
)

// Fit is how a free segment is chosen.
type Fit uint8

const (
	InstantFit Fit = iota // one that surely fits, at once
	BestFit               // the smallest that fits, found by searching one list
)

// Errors, to be matched with errors.Is.
var (
	ErrFull       = errors.New("no free segment fits")
	ErrSize       = errors.New("size is 0 or too large")
	ErrConstraint = errors.New("constraint cannot be met")
	ErrDoubleFree = errors.New("range is free already")
	ErrForeign    = errors.New("range was not allocated here")
	ErrWrongSize  = errors.New("size is not the one that was allocated")
	ErrSpan       = errors.New("span is empty, unaligned, or overlaps")
	ErrTags       = errors.New("too many segments")
)

// Config describes an arena.
type Config struct {
	Name    string // in errors
	Quantum uint64 // power of two: sizes are rounded up to it, spans begin and end on it; 0 is 1
	Fit     Fit
	Caches  int // sizes of 1 to Caches quanta are cached, 0 to MaxCaches

	Parent      *Arena // where spans are imported from; may be nil
	ImportBytes uint64 // least that is imported at once, if the parent has it

	Segments int // tags to make at once, so that nothing allocates up to that many segments
}

// Arena is a set of spans of integers, parts of which are allocated.
type Arena struct {
	tags     []tag  // index 0 is nobody
	spare    uint32 // recycled tags, linked by fwd
	spares   int
	maxTags  int        // MaxTags, but for tests
	lists    [64]uint32 // free segments of 2^i to 2^(i+1)-1 addresses
	nonEmpty uint64     // bit i: lists[i] has something
	table    table
	quantum  uint64
	shift    uint // log2 of quantum
	fit      Fit

	caches      [MaxCaches + 1]cache // by multiple of the quantum; 0 is unused
	cachedBytes uint64               // sizes up to this are cached; 0 none
	slabBytes   uint64
	slabs       []slab // index 0 is nobody
	spareSlab   uint32 // recycled slabs, linked by fwd

	spans     []uint32 // tags of all spans by address
	size      uint64   // addresses in all spans
	allocated uint64   // of them handed out, in segments or objects
	held      uint64   // of them in slabs and not handed out
	imported  uint64   // of them imported

	parent      *Arena
	importBytes uint64

	name    string
	full    error // ErrFull with our name: it is too frequent to be made each time
	tooMany error // ErrTags
	badSize error // ErrSize
}

// New returns an arena without spans.
func New(c Config) (*Arena, error) {
	if c.Quantum == 0 {
		c.Quantum = 1
	}
	if !powerOfTwo(c.Quantum) {
		return nil, fmt.Errorf("vmem: arena %s: quantum %d is not a power of two",
			c.Name, c.Quantum)
	}
	if c.Caches < 0 || c.Caches > MaxCaches || c.Segments < 0 || c.Segments > MaxTags/2 ||
		c.Fit > BestFit {
		return nil, fmt.Errorf("vmem: arena %s: %d caches, %d segments, fit %d: "+
			"want 0 to %d, %d, %d",
			c.Name, c.Caches, c.Segments, c.Fit, MaxCaches, MaxTags/2, BestFit)
	}
	a := &Arena{
		quantum: c.Quantum, shift: log2(c.Quantum), fit: c.Fit,
		parent: c.Parent, importBytes: c.ImportBytes, maxTags: MaxTags,
		name:    c.Name,
		full:    fmt.Errorf("vmem: arena %s: %w", c.Name, ErrFull),
		tooMany: fmt.Errorf("vmem: arena %s: %w: %d", c.Name, ErrTags, MaxTags),
		badSize: fmt.Errorf("vmem: arena %s: %w", c.Name, ErrSize),
	}
	if err := a.makeCaches(uint64(c.Caches)); err != nil {
		return nil, err
	}
	a.tags = make([]tag, 1, c.Segments+minTags)
	a.table.init(c.Segments)
	a.growTags(cap(a.tags) - 1)
	return a, nil
}

// makeCaches lays out the quantum caches of the first n multiples of the quantum. A slab has at
// least three objects of the largest size, as in the paper, and so wastes at most a quarter.
func (a *Arena) makeCaches(n uint64) error {
	if n == 0 {
		return nil
	}
	quanta := uint64(1) << log2Up(3*n)
	if quanta > math.MaxUint64>>1>>a.shift {
		return fmt.Errorf("vmem: arena %s: quantum %d is too large to be cached", a.name, a.quantum)
	}
	a.slabBytes = quanta << a.shift
	a.cachedBytes = n << a.shift
	for i := uint64(1); i <= n; i++ {
		objects := quanta / i
		a.caches[i] = cache{objects: uint32(objects), all: math.MaxUint64 >> (64 - objects)}
	}
	a.slabs = make([]slab, 1, 16)
	return nil
}

// Add gives the arena the addresses from start to start+size-1. Both must be multiples of the
// quantum. The range may end at the top of all integers. Spans side by side stay two spans: no
// segment reaches from one into the other.
func (a *Arena) Add(start, size uint64) error {
	if size == 0 || (start|size)&(a.quantum-1) != 0 || start+(size-1) < start ||
		a.size+size < a.size {
		return fmt.Errorf("vmem: arena %s: span of %d at %#x with quantum %d: %w",
			a.name, size, start, a.quantum, ErrSpan)
	}
	at, free := a.spanPlace(start, size)
	if !free {
		return fmt.Errorf("vmem: arena %s: span of %d at %#x: another is there: %w",
			a.name, size, start, ErrSpan)
	}
	if !a.reserve() {
		return a.tooMany
	}
	a.insertSpan(at, start, size, span)
	return nil
}

// Name is the arena's name.
func (a *Arena) Name() string { return a.name }

// Quantum is what all sizes are multiples of.
func (a *Arena) Quantum() uint64 { return a.quantum }

// Size is how many addresses all spans have.
func (a *Arena) Size() uint64 { return a.size }

// Allocated is how many addresses are handed out, sizes rounded up to the quantum.
func (a *Arena) Allocated() uint64 { return a.allocated }

// Held is how many addresses the quantum caches keep in slabs, for small sizes only.
func (a *Arena) Held() uint64 { return a.held }

// Imported is how many addresses came from the parent.
func (a *Arena) Imported() uint64 { return a.imported }
