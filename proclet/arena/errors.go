package arena

import (
	"errors"
	"fmt"
)

// What can go wrong, for errors.Is.
var (
	ErrFull  = errors.New("arena: full")          // the cap is reached: see FullError
	ErrSize  = errors.New("arena: bad size")      // 0, negative, or more than any slot has
	ErrAlign = errors.New("arena: bad alignment") // no power of two, or beyond a page
	ErrRef   = errors.New("arena: bad reference") // nil, stale, foreign or wild: see RefError
	ErrType  = errors.New("arena: bad type")      // one that holds a pointer: see TypeError
	ErrImage = errors.New("arena: bad image")     // bytes from elsewhere that are no arena
	ErrSlot  = errors.New("arena: bad slot")      // memory that cannot be a slot
)

// FullError says that an allocation does not fit under the cap. Nothing was changed.
type FullError struct {
	Want int64 // bytes that were asked for
	Live int64 // bytes in live blocks of this part
	Room int64 // bytes that this part can have
}

func (e *FullError) Error() string {
	return fmt.Sprintf("arena: full: no room for %d bytes: %d of %d are live", e.Want, e.Live,
		e.Room)
}

// Unwrap makes it an ErrFull.
func (e *FullError) Unwrap() error { return ErrFull }

// RefError says that a Ref does not name a live block of the heap it was used with. Free returns
// it; access panics with it, so that the proclet which made the mistake ends and nobody else.
type RefError struct {
	Ref uint64 // its generation above its offset, which counts units of 8 bytes
	Why string // if somebody looked
}

func (e *RefError) Error() string {
	why := e.Why
	if why == "" {
		why = "not in what is allocated of this heap, or freed"
	}
	return fmt.Sprintf("arena: bad reference: offset %d, generation %d: %s",
		uint64(uint32(e.Ref))*unitBytes, e.Ref>>32, why)
}

// Unwrap makes it an ErrRef.
func (e *RefError) Unwrap() error { return ErrRef }

// CorruptError is what an allocation panics with when it finds a free list that cannot be: somebody
// wrote through a pointer that he kept beyond Free. Nothing outside the arena was touched.
type CorruptError struct {
	Offset int64 // bytes from the slot's start: the block that is not what its list says
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("arena: the free list leads to offset %d, where no free block of it is: "+
		"freed memory was written to", e.Offset)
}
