package arena

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-io/dunlin/core/invariant"
)

// world is a window with a few slots, one arena that is watched, and a copy of it that is kept up
// to date by what the tracker reports.
type world struct {
	memory  *Plain
	tracker *Software
	arena   *Arena
	off     int64
	owed    *Owed
	copy    []byte // as large as the largest slot
	blocks  []Span[byte]
	seed    uint64
}

const worldSlots = 4 // of the same size; the arena may have one, or two that lie side by side

func newWorld(t failer) *world {
	memory, err := NewPlain(worldSlots * MinCap)
	if err != nil {
		t.Fatal(err)
	}
	tracker, err := NewSoftware(memory)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{memory: memory, tracker: tracker}
	w.born(t, 0, MinCap, 0)
	return w
}

func (w *world) slot(off, size int64) []byte { return w.memory.Bytes()[off : off+size : off+size] }

// born makes a new arena in a slot of which the first bytes are whatever the last owner left.
func (w *world) born(t failer, off, size, dirty int64) {
	if err := w.tracker.Track(off, size); err != nil {
		t.Fatal(err)
	}
	w.seed++
	a, err := New(w.slot(off, size), Options{
		Seed: w.seed, Dirty: dirty, Memory: w.memory, Tracker: w.tracker, Off: off,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.arena, w.off, w.blocks = a, off, nil
	w.owed, w.copy = NewOwed(a), make([]byte, worldSlots*MinCap)
}

// sync brings up to limit changed pages to the copy.
func (w *world) sync(t failer, limit int) {
	if err := w.owed.Collect(); err != nil {
		t.Fatal(err)
	}
	for _, c := range w.owed.Take(nil, limit) {
		copy(w.copy[c.Off:c.Off+c.Len], w.memory.Bytes()[w.off+c.Off:])
	}
}

// compare demands that the copy, brought up to date, has the same image.
func (w *world) compare(t failer) {
	w.sync(t, 1<<30)
	slot := bytes.Clone(w.copy[:w.arena.Cap()])
	other, err := Adopt(slot, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := other.Image(nil), w.arena.Image(nil); !bytes.Equal(got, want) {
		for i := range want {
			if i >= len(got) || got[i] != want[i] {
				t.Fatalf("the image of the copy differs from byte %d of %d on", i, len(want))
			}
		}
	}
}

func (w *world) actions() map[string]func(*rapid.T) {
	kinds := MustRegister[byte]()
	pick := func(t *rapid.T) (Span[byte], bool) {
		if len(w.blocks) == 0 {
			return Span[byte]{}, false
		}
		return rapid.SampledFrom(w.blocks).Draw(t, "block"), true
	}
	return map[string]func(*rapid.T){
		"allocate": func(t *rapid.T) { // and do not write
			n := rapid.OneOf(rapid.IntRange(1, 100), rapid.IntRange(1, 20_000)).Draw(t, "n")
			if s, err := kinds.NewSpan(w.arena.User(), n); err == nil {
				w.blocks = append(w.blocks, s)
			}
		},
		"write": func(t *rapid.T) {
			if s, ok := pick(t); ok {
				i := rapid.IntRange(0, s.Len()-1).Draw(t, "i")
				*s.MutAt(w.arena.User(), i) = rapid.Byte().Draw(t, "byte")
			}
		},
		"write between two scans": func(t *rapid.T) {
			if s, ok := pick(t); ok {
				view := s.Mut(w.arena.User())
				view[0]++
				w.sync(t, 1<<30)
				view[len(view)-1]++ // nobody tells again until Settle
			}
		},
		"foreign write": func(t *rapid.T) {
			if s, ok := pick(t); ok {
				b := w.memory.Bytes()[w.off+s.Offset():][:s.Len()]
				for i := range b {
					b[i] += 3
				}
				if err := w.arena.Wrote(s.Offset(), int64(s.Len())); err != nil {
					t.Fatal(err)
				}
			}
		},
		"free": func(t *rapid.T) {
			if len(w.blocks) == 0 {
				return
			}
			i := rapid.IntRange(0, len(w.blocks)-1).Draw(t, "i")
			if err := w.blocks[i].Free(w.arena.User()); err != nil {
				t.Fatal(err)
			}
			w.blocks[i] = w.blocks[len(w.blocks)-1]
			w.blocks = w.blocks[:len(w.blocks)-1]
		},
		"reset": func(t *rapid.T) {
			if rapid.IntRange(0, 4).Draw(t, "really") == 0 {
				w.arena.Reset()
				w.blocks = nil
			}
		},
		"merge": func(*rapid.T) { w.arena.User().Merge() },
		"trim": func(t *rapid.T) {
			w.arena.Settle()
			if _, err := w.arena.Trim(); err != nil {
				t.Fatal(err)
			}
		},
		"settle": func(*rapid.T) { w.arena.Settle() },
		"sync some": func(t *rapid.T) {
			w.sync(t, rapid.IntRange(0, 8).Draw(t, "pages"))
		},
		"move": func(t *rapid.T) { // perhaps to a larger slot
			size := w.arena.Cap()
			if rapid.Bool().Draw(t, "raise") {
				size = min(2*size, worldSlots*MinCap/2)
			}
			from, to := w.off, int64(0)
			if from < worldSlots*MinCap/2 {
				to = worldSlots * MinCap / 2
			}
			w.arena.Settle()
			before := w.arena.Cap()
			clear(w.slot(to, size))
			if err := w.tracker.Track(to, size); err != nil {
				t.Fatal(err)
			}
			if err := w.arena.CopyTo(w.slot(to, size), to); err != nil {
				t.Fatal(err)
			}
			if err := w.tracker.Untrack(from, before); err != nil {
				t.Fatal(err)
			}
			w.off = to
		},
		"recycle": func(t *rapid.T) { // the slot is not scrubbed: the next arena is told so
			if rapid.IntRange(0, 4).Draw(t, "really") == 0 {
				off, size, dirty := w.off, w.arena.Cap(), w.arena.Dirty()
				if err := w.tracker.Untrack(off, size); err != nil {
					t.Fatal(err)
				}
				w.arena.Close()
				w.born(t, off, size, dirty)
			}
		},
		"compare": func(t *rapid.T) { w.compare(t) },
		"":        func(t *rapid.T) { audit(t, w.arena) },
	}
}

// TestCopyFromChanges demands that what the reports name is enough: whatever happens between any
// two scans, a copy that got the owed pages has the same image.
func TestCopyFromChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(w.actions())
		w.compare(t)
	})
}

// What is written through a pointer for reading is a mistake that the checksums find.
func TestUntoldWrite(t *testing.T) {
	if !invariant.Enabled {
		t.Skip("checksums are kept only under the build tag invariants")
	}
	w := newWorld(t)
	r, err := MustRegister[pair]().New(w.arena.User())
	if err != nil {
		t.Fatal(err)
	}
	w.arena.Settle()
	w.sync(t, 1<<30)
	w.sync(t, 1<<30)
	r.Get(w.arena.User()).A = 7
	defer func() {
		if recover() == nil {
			t.Error("nobody noticed")
		}
	}()
	w.sync(t, 1<<30)
}

// What was dropped last is reported as dropped, what was written since as written, and what is
// clean not at all.
func TestSoftwareScan(t *testing.T) {
	memory, err := NewPlain(16 * PageBytes)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSoftware(memory)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Scan(0, PageBytes, nil); err == nil {
		t.Error("a scan of what is not tracked succeeded")
	}
	if err := s.Track(0, 16*PageBytes); err != nil {
		t.Fatal(err)
	}
	scan := func(want ...Change) {
		t.Helper()
		got, err := s.Scan(0, 16*PageBytes, nil)
		if err != nil || len(got) != len(want) {
			t.Fatalf("scan: %v, %v, want %v", got, err, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("scan: %v, want %v", got, want)
			}
		}
	}
	scan(Change{Off: 0, Len: 16 * PageBytes})
	scan()
	memory.Bytes()[5*PageBytes] = 1
	s.Wrote(5*PageBytes-1, 2)
	scan(Change{Off: 4 * PageBytes, Len: 2 * PageBytes})
	scan(Change{Off: 4 * PageBytes, Len: 2 * PageBytes}) // a view may still be out
	s.Settle(0, 16*PageBytes)
	scan(Change{Off: 4 * PageBytes, Len: 2 * PageBytes})
	scan()
	if err := s.Drop(4*PageBytes, 3*PageBytes); err != nil {
		t.Fatal(err)
	}
	memory.Bytes()[6*PageBytes] = 1
	s.Wrote(6*PageBytes, 1)
	s.Settle(0, 16*PageBytes)
	scan(Change{Off: 4 * PageBytes, Len: 2 * PageBytes, Dropped: true},
		Change{Off: 6 * PageBytes, Len: PageBytes})
	scan()
	for _, c := range []struct{ off, n int64 }{
		{1, PageBytes},
		{0, 1},
		{-PageBytes, PageBytes},
		{0, 17 * PageBytes},
		{16 * PageBytes, PageBytes},
		{0, -PageBytes},
	} {
		if s.Track(c.off, c.n) == nil || s.Untrack(c.off, c.n) == nil || s.Drop(c.off, c.n) == nil {
			t.Errorf("the range [%d, +%d) was accepted", c.off, c.n)
		}
	}
}
