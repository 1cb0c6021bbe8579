package arena

import "fmt"

// Slot is a handle to memory for one arena. It is a value; whoever has it passes it on together
// with the arena. After Destroy it is refused.
type Slot struct {
	cell *cell
	life uint32
}

// SlotError says which slot was refused.
type SlotError struct {
	Off int64 // in the window; -1 if it is none of ours
	Err error // ErrDead or ErrForeign
}

func (e *SlotError) Error() string { return fmt.Sprintf("%v: at %#x", e.Err, e.Off) }

// Unwrap is the reason.
func (e *SlotError) Unwrap() error { return e.Err }

//go:noinline
func slotError(s Slot, why error) error {
	if s.cell == nil {
		return &SlotError{Off: -1, Err: why}
	}
	return &SlotError{Off: s.cell.start(), Err: why}
}

// Live reports whether the slot was not destroyed.
func (s Slot) Live() bool { return s.cell != nil && s.cell.life.Load() == s.life }

// Bytes is the slot's memory, zero where nobody has written since Create. Its length is the cap.
func (s Slot) Bytes() []byte {
	off, n := s.cell.start(), s.Cap()
	return s.cell.block.store.bytes[off : off+n : off+n]
}

// Off is the slot's place in the window, and in the tracker's.
func (s Slot) Off() int64 { return s.cell.start() }

// Cap is its size in bytes, a power of two.
func (s Slot) Cap() int64 { return slotBytes(int(s.cell.block.class)) }

// Populated is how many bytes from the start have pages: using them costs no fault.
func (s Slot) Populated() int64 { return s.cell.populated }

// Memory is the window for the slot's owner: like the store's, but what is populated through it is
// counted.
func (s Slot) Memory() Memory { return s.cell }

// Options fills in what an arena must know of its slot.
func (s Slot) Options(o Options) Options {
	o.Memory, o.Off = s.cell, s.Off()
	o.Dirty, o.Populated = 0, s.cell.populated
	return o
}

// Bytes is the whole window.
func (c *cell) Bytes() []byte { return c.block.store.bytes }

// Populate populates and counts.
func (c *cell) Populate(off, n int64) error {
	if err := c.block.store.memory.Populate(off, n); err != nil {
		return err
	}
	c.grow(off + n - c.start())
	return nil
}

// grow says that the slot has pages up to there.
func (c *cell) grow(populated int64) {
	if populated > c.populated {
		c.block.grown.Add(populated - c.populated)
		c.populated = populated
	}
}

// Drop drops; what is counted is what lies before the last page that is there.
func (c *cell) Drop(off, n int64) error {
	if err := c.block.store.memory.Drop(off, n); err != nil {
		return err
	}
	if from := off - c.start(); off+n-c.start() >= c.populated && from < c.populated {
		c.block.grown.Add(from - c.populated)
		c.populated = from
	}
	return nil
}

// Protect is the window's.
func (c *cell) Protect(off, n int64, on bool) error {
	return c.block.store.memory.Protect(off, n, on)
}
