package arena

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-io/dunlin/core/invariant"
)

func plainStore(t failer, size int64, o StoreOptions) (*Store, *Plain) {
	t.Helper()
	p, err := NewPlain(size)
	if err != nil {
		t.Fatal(err)
	}
	st, err := NewStore(p, o)
	if err != nil {
		t.Fatal(err)
	}
	return st, p
}

func local(t failer, st *Store) *Local {
	t.Helper()
	l, err := st.Local()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func create(t failer, l *Local, size int64) Slot {
	t.Helper()
	s, err := l.Create(size)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func auditStore(t failer, st *Store) {
	t.Helper()
	if err := st.Audit(); err != nil {
		t.Fatal(err)
	}
}

func TestSlotSizes(t *testing.T) {
	for _, c := range []struct{ size, want int64 }{
		{1, 64 << 10},
		{64 << 10, 64 << 10},
		{64<<10 + 1, 128 << 10},
		{1 << 20, 1 << 20},
		{3 << 20, 4 << 20},
		{5 << 20, 8 << 20},
		{MaxCap, MaxCap},
		{MaxCap/2 + 1, MaxCap},
	} {
		class, ok := slotClass(c.size)
		if !ok || slotBytes(class) != c.want || class >= slotClasses {
			t.Errorf("%d bytes: class %d, %v, slots of %d, want %d", c.size, class, ok,
				slotBytes(class), c.want)
		}
		if n := slotsOf(class); n < 1 || n > blockSlots || int64(n)*c.want > max(blockBytes, c.want) {
			t.Errorf("slots of %d bytes: %d in a superblock", c.want, n)
		}
	}
}

func TestStoreRefuses(t *testing.T) {
	for _, n := range []int64{0, 4096 * 3} {
		if _, err := NewStore(&Plain{bytes: make([]byte, n/2)}, StoreOptions{}); !errors.Is(err, ErrSize) {
			t.Errorf("a window of %d bytes: %v", n/2, err)
		}
	}
	st, _ := plainStore(t, 16<<20, StoreOptions{})
	other, _ := plainStore(t, 16<<20, StoreOptions{})
	l, m, o := local(t, st), local(t, st), local(t, other)
	for _, n := range []int64{0, -1, MaxCap + 1, 1 << 62} {
		if _, err := l.Create(n); !errors.Is(err, ErrSize) {
			t.Errorf("create %d bytes: %v, want %v", n, err, ErrSize)
		}
	}
	if _, err := l.Create(32 << 20); !errors.Is(err, ErrWindow) {
		t.Errorf("more than the window has: %v, want %v", err, ErrWindow)
	}
	s := create(t, l, 100_000)
	if s.Cap() != 128<<10 || len(s.Bytes()) != 128<<10 || cap(s.Bytes()) != 128<<10 {
		t.Errorf("a slot of %d bytes, %d of them", s.Cap(), len(s.Bytes()))
	}
	for _, n := range [][2]int64{{-1, 0}, {0, -1}, {1<<17 + 1, 0}, {0, 1<<17 + 1}} {
		if err := l.Destroy(s, n[0], n[1]); !errors.Is(err, ErrSize) {
			t.Errorf("%d dirty, %d populated: %v, want %v", n[0], n[1], err, ErrSize)
		}
	}
	var refused *SlotError
	if err := o.Destroy(s, 0, 0); !errors.Is(err, ErrForeign) || !errors.As(err, &refused) {
		t.Errorf("in a foreign store: %v, want %v", err, ErrForeign)
	}
	if err := l.Destroy(Slot{}, 0, 0); !errors.Is(err, ErrForeign) {
		t.Errorf("no slot: %v, want %v", err, ErrForeign)
	}
	if err := m.Destroy(s, 0, 0); err != nil {
		t.Error(err)
	}
	again := create(t, l, 100_000) // the same one, most likely
	for _, by := range []*Local{l, m} {
		if err := by.Destroy(s, 0, 0); !errors.Is(err, ErrDead) {
			t.Errorf("destroyed twice: %v, want %v", err, ErrDead)
		}
		if _, err := by.Raise(s, 1<<20, 0, 0); !errors.Is(err, ErrDead) {
			t.Errorf("raised when dead: %v, want %v", err, ErrDead)
		}
	}
	if _, err := l.Raise(again, 128<<10, 0, 0); !errors.Is(err, ErrSize) {
		t.Errorf("raised to what it has: %v, want %v", err, ErrSize)
	}
	if _, err := l.Raise(again, 32<<20, 0, 0); !errors.Is(err, ErrWindow) || !again.Live() {
		t.Errorf("raised to more than the window has: %v, want %v", err, ErrWindow)
	}
	l.Close()
	if _, err := l.Create(1); !errors.Is(err, ErrRetired) {
		t.Errorf("create by one who has retired: %v, want %v", err, ErrRetired)
	}
	if err := m.Destroy(again, 0, 0); err != nil {
		t.Error(err)
	}
	auditStore(t, st)
}

// TestWindowFull: what is idle in one class does not keep another from having the window.
func TestWindowFull(t *testing.T) {
	st, _ := plainStore(t, 16<<20, StoreOptions{})
	l := local(t, st)
	var slots []Slot
	for range 16 << 20 / MinCap {
		slots = append(slots, create(t, l, MinCap))
	}
	if _, err := l.Create(MinCap); !errors.Is(err, ErrWindow) {
		t.Fatalf("one slot more than there are: %v", err)
	}
	for _, s := range slots {
		if err := l.Destroy(s, 10, PageBytes); err != nil {
			t.Fatal(err)
		}
	}
	s := create(t, l, 16<<20)
	if err := l.Destroy(s, 0, 0); err != nil {
		t.Error(err)
	}
	auditStore(t, st)
}

// tenant is a live slot and what its owner knows of it.
type tenant struct {
	slot  Slot
	mark  byte
	dirty int64
}

// write fills some more of a slot, as an arena that grows does.
func (w *tenant) write(t failer, to int64) {
	t.Helper()
	if populated := w.slot.Populated(); to > populated {
		n := wholePages(to) - populated
		if err := w.slot.Memory().Populate(w.slot.Off()+populated, n); err != nil {
			t.Fatal(err)
		}
	}
	b := w.slot.Bytes()
	for i := w.dirty; i < to; i++ {
		b[i] = w.mark
	}
	w.dirty = max(w.dirty, to)
}

func (w *tenant) check(t failer) {
	t.Helper()
	b := w.slot.Bytes()
	if n := int64(bytes.Count(b[:w.dirty], []byte{w.mark})); n != w.dirty {
		t.Fatalf("slot at %#x: %d of its %d bytes are its own", w.slot.Off(), n, w.dirty)
	}
	for off := wholePages(w.dirty); off < int64(len(b)); off += PageBytes {
		var zero [PageBytes]byte
		if !bytes.Equal(b[off:off+PageBytes], zero[:]) {
			t.Fatalf("slot at %#x: it was lent with something at %#x", w.slot.Off(), off)
		}
	}
}

// TestStoreModel: whatever workers do, each slot is one owner's alone, begins as zeros and keeps
// what was written; every byte of the window is in one place; and no worker keeps more than it may.
func TestStoreModel(t *testing.T) {
	const window = 48 << 20
	memory, err := NewPlain(window)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		clear(memory.bytes)
		o := StoreOptions{
			Warm:   rapid.SampledFrom([]int64{0, -1, 4096, 64 << 10}).Draw(t, "warm"),
			Slack:  rapid.SampledFrom([]int64{-1, 8192, 300 << 10}).Draw(t, "slack"),
			Global: rapid.SampledFrom([]int64{-1, 100_000, 0}).Draw(t, "global"),
		}
		st, err := NewStore(&deaf{Plain: memory}, o)
		if err != nil {
			t.Fatal(err)
		}
		locals := []*Local{local(t, st), local(t, st), local(t, st)}
		var live []*tenant
		for step := range rapid.IntRange(1, 80).Draw(t, "steps") {
			l := locals[rapid.IntRange(0, len(locals)-1).Draw(t, "local")]
			op := rapid.IntRange(0, 12).Draw(t, "op")
			at := rapid.IntRange(0, max(0, len(live)-1)).Draw(t, "at")
			switch {
			case op < 5 || len(live) == 0 && op < 10:
				size := int64(MinCap) << rapid.SampledFrom([]int{0, 0, 0, 1, 2, 6, 7}).Draw(t, "class")
				s, err := l.Create(size)
				if errors.Is(err, ErrWindow) {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				w := &tenant{slot: s, mark: byte(step%255 + 1)}
				w.check(t)
				w.write(t, rapid.Int64Range(0, min(size, 80<<10)).Draw(t, "bytes"))
				live = append(live, w)
			case op < 9:
				w := live[at]
				w.check(t)
				if err := l.Destroy(w.slot, w.dirty, w.slot.Populated()); err != nil {
					t.Fatal(err)
				}
				if l.shelf.crowded(st.slack) {
					t.Fatalf("%d idle beside %d used after a destroy", l.shelf.idle, l.shelf.used)
				}
				live[at] = live[len(live)-1]
				live = live[:len(live)-1]
			case op == 9:
				w := live[at]
				w.write(t, rapid.Int64Range(0, min(w.slot.Cap(), 300<<10)).Draw(t, "more"))
			case op == 10 && len(live) > 0:
				w := live[at]
				to, err := l.Raise(w.slot, 2*w.slot.Cap(), w.dirty, w.slot.Populated())
				if err == nil {
					w.slot = to
				} else if !errors.Is(err, ErrWindow) {
					t.Fatal(err)
				}
				w.check(t)
			case op == 11:
				l.Reap()
				st.Reap()
				if l.shelf.idle != 0 || st.global.idle != 0 {
					t.Fatalf("reaped, and %d and %d are idle", l.shelf.idle, st.global.idle)
				}
			case op == 12:
				l.Close()
				for i := range locals {
					if locals[i] == l {
						locals[i] = local(t, st)
					}
				}
			}
			auditStore(t, st)
		}
		finish(t, st, locals, live)
	})
}

// finish destroys all that is live and demands that nothing is left.
func finish(t failer, st *Store, locals []*Local, live []*tenant) {
	t.Helper()
	for i, w := range live {
		w.check(t)
		if err := locals[i%len(locals)].Destroy(w.slot, w.dirty, w.slot.Populated()); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range locals {
		l.Close()
	}
	auditStore(t, st)
	st.Reap()
	auditStore(t, st)
	if n := st.Stats(); n.Window != 0 || n.Used != 0 || n.Spare != 0 {
		t.Fatalf("all are gone, and there is %+v", n)
	}
}

// deaf is a memory that sometimes refuses to drop.
type deaf struct {
	*Plain
	calls int
}

func (d *deaf) Drop(off, n int64) error {
	if d.calls++; d.calls%7 == 0 {
		return errors.New("not now")
	}
	return d.Plain.Drop(off, n)
}

// TestGuard: under the build tag invariants a slot is inaccessible from Destroy to the next Create.
func TestGuard(t *testing.T) {
	if !invariant.Enabled {
		t.Skip("only with the build tag invariants")
	}
	st, memory := plainStore(t, 16<<20, StoreOptions{})
	l := local(t, st)
	s := create(t, l, MinCap)
	off := s.Off()
	if err := l.Destroy(s, 0, PageBytes); err != nil { // with a page, or its superblock would go
		t.Fatal(err)
	}
	if !memory.Protected(off) || !memory.Protected(off+MinCap-PageBytes) || memory.Protected(off+MinCap) {
		t.Error("a free slot is accessible, or its neighbour is not")
	}
	if create(t, l, MinCap).Off() != off || memory.Protected(off) {
		t.Error("a slot that is lent is inaccessible")
	}
	// What is written into a slot that is free shows when it is lent.
	s = create(t, l, MinCap)
	if err := l.Destroy(s, 0, PageBytes); err != nil {
		t.Fatal(err)
	}
	s.Bytes()[100] = 1
	defer func() {
		if recover() == nil {
			t.Error("a slot with somebody's byte was lent")
		}
	}()
	create(t, l, MinCap)
}

// TestWarmSlotsAllocateNothing: neither here nor, with the books that there are, in vmem.
func TestWarmSlotsAllocateNothing(t *testing.T) {
	st, _ := plainStore(t, 64<<20, StoreOptions{})
	l, other := local(t, st), local(t, st)
	if n := testing.AllocsPerRun(200, func() {
		s, err := l.Create(MinCap)
		if err == nil {
			err = l.Destroy(s, 2*PageBytes, 2*PageBytes)
		}
		if err != nil {
			t.Error(err)
		}
		if s, err = l.Create(MinCap); err == nil {
			err = other.Destroy(s, PageBytes, PageBytes)
		}
		if err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	auditStore(t, st)
}

// grown makes n slots that are populated as far as they can be.
func grown(t failer, l *Local, n int) []Slot {
	t.Helper()
	slots := make([]Slot, n)
	for i := range slots {
		slots[i] = create(t, l, MinCap)
		slots[i].cell.grow(MinCap)
	}
	return slots
}

// TestQuarterStays: a worker keeps idle what is a quarter of what it has, whatever its slack; then
// the emptiest superblock goes, and with it what is live there.
func TestQuarterStays(t *testing.T) {
	st, _ := plainStore(t, 64<<20, StoreOptions{Slack: -1})
	l := local(t, st)
	slots := grown(t, l, 3*blockSlots)
	const quarter = 3 * blockSlots / emptyPart
	for i, s := range slots[:quarter] {
		if err := l.Destroy(s, 1, MinCap); err != nil {
			t.Fatal(err)
		}
		if n := len(l.shelf.blocks); n != 3 || l.shelf.idle != int64(i+1)*MinCap {
			t.Fatalf("%d slots are idle, %d superblocks and %d bytes were kept", i+1, n, l.shelf.idle)
		}
	}
	left := slots[quarter].cell.block // of which all that was destroyed is
	if err := l.Destroy(slots[2*blockSlots], 1, MinCap); err != nil {
		t.Fatal(err)
	}
	if left.owner.Load() != &st.global || len(l.shelf.blocks) != 2 || st.global.idle != quarter*MinCap {
		t.Errorf("the global heap has %d bytes, and the worker %d superblocks", st.global.idle,
			len(l.shelf.blocks))
	}
	auditStore(t, st)
	// What is destroyed there now, by whomever, is the global heap's, and is lent from there.
	if err := l.Destroy(slots[quarter], 1, MinCap); err != nil {
		t.Fatal(err)
	}
	if st.global.idle != (quarter+1)*MinCap {
		t.Errorf("the global heap has %d bytes after another destroy", st.global.idle)
	}
	m := local(t, st)
	if s := create(t, m, MinCap); s.Populated() != MinCap || left.owner.Load() != &m.shelf {
		t.Errorf("another worker was lent a slot with %d bytes populated", s.Populated())
	}
	auditStore(t, st)
}

// TestOwnerThatSleeps: a worker makes slots and does nothing any more; another destroys them. What
// stays populated is bounded all the same, and comes back to the first when it wakes up.
func TestOwnerThatSleeps(t *testing.T) {
	st, _ := plainStore(t, 256<<20, StoreOptions{Slack: 1 << 20, Global: 2 << 20})
	sleeper, l := local(t, st), local(t, st)
	slots := grown(t, sleeper, 2000)
	for _, s := range slots {
		if err := l.Destroy(s, 1, MinCap); err != nil {
			t.Fatal(err)
		}
	}
	auditStore(t, st)
	n := st.Stats()
	if bound := st.slack + st.most; n.Spare > bound || n.Spare < bound-2*MinCap || n.Sent != 2000 {
		t.Errorf("%+v is left of %d bytes, want %d populated", n, 2000*MinCap, bound)
	}
	for range 2000 {
		s := create(t, sleeper, MinCap)
		if err := sleeper.Destroy(s, 1, MinCap); err != nil {
			t.Fatal(err)
		}
	}
	auditStore(t, st)
	if n := st.Stats(); sleeper.mail() || n.Spare > st.slack+st.most {
		t.Errorf("after it woke up there is %+v", n)
	}
	// What is loose is lent by a worker that never had anything.
	if s := create(t, local(t, st), MinCap); s.Populated() != MinCap || s.cell.block.owner.Load() !=
		&sleeper.shelf {
		t.Errorf("a third worker was lent a slot with %d bytes populated", s.Populated())
	}
	auditStore(t, st)
}

// TestBlowUp is the producer and consumer of Hoard's paper, in its worst order: one worker makes
// slots, another destroys them, and they take turns at being the producer.
func TestBlowUp(t *testing.T) {
	st, _ := plainStore(t, 512<<20, StoreOptions{Slack: 1 << 20, Global: 4 << 20})
	const batch, rounds = 300, 30
	locals := []*Local{local(t, st), local(t, st), local(t, st)}
	random := rand.New(rand.NewPCG(1, 2))
	most := int64(0)
	var slots []Slot
	for round := range rounds {
		for range batch {
			s := create(t, locals[round%3], MinCap)
			s.cell.grow(MinCap)
			slots = append(slots, s)
		}
		n := st.Stats()
		most = max(most, n.Used+n.Spare)
		random.Shuffle(len(slots), func(i, k int) { slots[i], slots[k] = slots[k], slots[i] })
		for _, s := range slots[batch/10:] { // some live on
			if err := locals[(round+1)%3].Destroy(s, 1, MinCap); err != nil {
				t.Fatal(err)
			}
		}
		slots = slots[:batch/10]
		auditStore(t, st)
	}
	live := int64(batch+batch/10) * MinCap
	bound := live*emptyPart/(emptyPart-1) + int64(len(locals))*(st.slack+st.slack) + st.most
	t.Logf("%d rounds of %d slots: at most %d MiB populated, %d MiB live, bound %d MiB", rounds, batch,
		most>>20, live>>20, bound>>20)
	if most > bound {
		t.Errorf("%d bytes populated, want at most %d", most, bound)
	}
	if n := st.Stats(); n.Window > 4*live {
		t.Errorf("%d bytes of address space for %d live", n.Window, live)
	}
}
