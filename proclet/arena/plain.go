package arena

import "fmt"

// Plain is a Memory of ordinary bytes, for tests and the simulator. Its pages are all there from
// the start; dropping clears them; protection is only remembered.
type Plain struct {
	bytes     []byte
	protected []bool // by page
	Dropped   int64  // bytes given back so far
}

// NewPlain returns n bytes of Memory, a multiple of PageBytes.
func NewPlain(n int64) (*Plain, error) {
	if n <= 0 || n%PageBytes != 0 {
		return nil, fmt.Errorf("arena: plain memory of %d bytes: want a positive multiple of %d",
			n, PageBytes)
	}
	// Go aligns what is this large to its own pages of 8 KiB.
	return &Plain{bytes: make([]byte, n), protected: make([]bool, n/PageBytes)}, nil
}

// Bytes is the whole memory.
func (p *Plain) Bytes() []byte { return p.bytes }

// Populate does nothing but check the range.
func (p *Plain) Populate(off, n int64) error { return p.check("populate", off, n) }

// Drop clears the range.
func (p *Plain) Drop(off, n int64) error {
	if err := p.check("drop", off, n); err != nil {
		return err
	}
	clear(p.bytes[off : off+n])
	p.Dropped += n
	return nil
}

// Protect remembers who may touch the range; see Protected.
func (p *Plain) Protect(off, n int64, on bool) error {
	if err := p.check("protect", off, n); err != nil {
		return err
	}
	for i := off / PageBytes; i < (off+n)/PageBytes; i++ {
		p.protected[i] = on
	}
	return nil
}

// Protected reports whether the page at off is inaccessible by the last Protect.
func (p *Plain) Protected(off int64) bool { return p.protected[off/PageBytes] }

func (p *Plain) check(verb string, off, n int64) error {
	size := int64(len(p.bytes))
	if off < 0 || n < 0 || off > size || n > size-off || off%PageBytes != 0 || n%PageBytes != 0 {
		return fmt.Errorf("arena: %s [%d, +%d) of %d bytes: want whole pages inside", verb, off, n,
			size)
	}
	return nil
}
