package arena

import (
	"bytes"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-io/dunlin/core/invariant"
	"github.com/dunlin-io/dunlin/core/mem"
)

// The kernel's window and tracker are what arenas ask for.
var (
	_ Memory  = (*mem.Window)(nil)
	_ mover   = (*mem.Window)(nil)
	_ Tracker = (*mem.Tracker)(nil)
)

func kernelStore(t testing.TB, size int64, o StoreOptions) (*Store, *mem.Window) {
	t.Helper()
	w, err := mem.Reserve(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	st, err := NewStore(w, o)
	if err != nil {
		t.Fatal(err)
	}
	return st, w
}

// checkPages demands that the store's account of pages is the kernel's.
func checkPages(t testing.TB, st *Store, w *mem.Window) {
	t.Helper()
	auditStore(t, st)
	for p := range st.Walk {
		if p.Use == Vacant {
			p.Len = min(p.Len, 64<<20) // to look at 16 TiB takes long
		}
		got, err := w.Resident(p.Off, p.Len)
		if err != nil {
			t.Fatal(err)
		}
		if got != p.Populated {
			t.Fatalf("%v slot at %#x: the kernel has %d bytes in pages, the store %d", p.Use, p.Off,
				got, p.Populated)
		}
	}
}

// TestPagesAreCounted: arenas that are made, grow, are raised and destroyed, and the kernel has the
// pages that the store thinks it has.
func TestPagesAreCounted(t *testing.T) {
	st, w := kernelStore(t, 1<<40, StoreOptions{Slack: 1 << 20, Global: 2 << 20})
	locals := []*Local{local(t, st), local(t, st)}
	type place struct {
		arena *Arena
		slot  Slot
	}
	var live []place
	for round := range 40 {
		for i := range 10 {
			size := int64(MinCap) << (i % 5 * 3)
			a := new(Arena)
			s, err := locals[round%2].Open(a, size, Options{Seed: uint64(round)})
			if err != nil {
				t.Fatal(err)
			}
			live = append(live, place{a, s})
			fill(t, a, int(min(size/4, int64(round)*9000+100)))
		}
		checkPages(t, st, w)
		for i := range 7 {
			at := (round*31 + i*17) % len(live)
			p := &live[at]
			if i == 0 && p.slot.Cap() < 1<<30 {
				to, err := locals[round%2].RaiseCap(p.arena, p.slot, 2*p.slot.Cap())
				if err != nil {
					t.Fatal(err)
				}
				p.slot = to
				fill(t, p.arena, 1000)
				continue
			}
			if err := locals[(round+i)%2].Shut(p.arena, p.slot); err != nil {
				t.Fatal(err)
			}
			live[at] = live[len(live)-1]
			live = live[:len(live)-1]
		}
		checkPages(t, st, w)
		if round%10 == 9 {
			st.Reap()
			locals[0].Reap()
			checkPages(t, st, w)
		}
	}
	for _, p := range live {
		if err := locals[0].Shut(p.arena, p.slot); err != nil {
			t.Fatal(err)
		}
	}
	locals[0].Close()
	locals[1].Close()
	checkPages(t, st, w)
	st.Reap()
	if n := st.Stats(); n.Window != 0 || n.Stubborn != 0 {
		t.Errorf("all arenas are gone, and there is %+v", n)
	}
}

func byteType(t testing.TB) Type[byte] {
	t.Helper()
	raw, err := Register[byte]()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// fill allocates n bytes in pieces.
func fill(t testing.TB, a *Arena, n int) {
	t.Helper()
	raw := byteType(t)
	for n > 0 {
		part := min(n, 4000)
		r, err := raw.NewSpan(a.User(), part)
		if err != nil {
			t.Fatal(err)
		}
		b := r.Mut(a.User())
		for i := range b {
			b[i] = 0xA5
		}
		n -= part
	}
}

// TestHundredThousandArenas lie side by side, in address space and page tables that they share, and
// Go's collector does not see them.
func TestHundredThousandArenas(t *testing.T) {
	const (
		count   = 100_000
		written = 10 // one of so many: a page fault takes 1 to 10 us
	)
	st, _ := kernelStore(t, 16<<40, StoreOptions{})
	st.guardMost = 0 // 100,000 changes of protection take 4 s, and are not what this is about
	l := local(t, st)
	slots := make([]Slot, 0, count)
	for i := range count {
		s := create(t, l, MinCap)
		if i%written == 0 {
			s.Bytes()[0] = byte(i) | 1
			s.cell.grow(PageBytes)
		}
		slots = append(slots, s)
	}
	n := st.Stats()
	if n.Live != count || n.Used != count/written*PageBytes || n.Window > (count+blockSlots)*MinCap {
		t.Errorf("%d arenas, and there is %+v", count, n)
	}
	for i, s := range slots {
		if i%written == 0 && s.Bytes()[0] != byte(i)|1 {
			t.Fatalf("arena %d holds %d", i, s.Bytes()[0])
		}
		if err := l.Destroy(s, min(1, s.Populated()), s.Populated()); err != nil {
			t.Fatal(err)
		}
	}
	auditStore(t, st)
	if n := st.Stats(); n.Spare > st.slack+st.most {
		t.Errorf("%d bytes are kept of %d", n.Spare, n.Window)
	}
}

// TestDestroyedSlotIsAFault: under the build tag invariants.
func TestDestroyedSlotIsAFault(t *testing.T) {
	if !invariant.Enabled {
		t.Skip("only with the build tag invariants")
	}
	st, _ := kernelStore(t, 1<<30, StoreOptions{})
	l := local(t, st)
	s := create(t, l, MinCap)
	b := s.Bytes()
	b[0] = 1
	if err := l.Destroy(s, 1, PageBytes); err != nil {
		t.Fatal(err)
	}
	fault := func() (fault bool) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() { fault = recover() != nil }()
		return b[0] == 7 // any value: it must not come to comparing
	}()
	if !fault {
		t.Error("a destroyed slot was read")
	}
}

// TestTrackedArenaIsRaised: an image that follows the reports is the arena, before and after it
// moves to a larger slot.
func TestTrackedArenaIsRaised(t *testing.T) {
	st, w := kernelStore(t, 1<<30, StoreOptions{})
	tracker, err := mem.NewTracker(w)
	var missing *mem.UnsupportedError
	if errors.As(err, &missing) {
		t.Skip("this kernel cannot track writes: ", err)
	}
	l := local(t, st)
	a := new(Arena)
	s, err := l.Open(a, MinCap, Options{Tracker: tracker})
	if err == nil {
		err = tracker.Track(s.Off(), s.Cap())
	}
	if err != nil {
		t.Fatal(err)
	}
	image := make([]byte, 0, 4<<20)
	for round := range 6 {
		fill(t, a, 3000<<round/2)
		changes, err := a.Changes(nil)
		if err != nil {
			t.Fatal(err)
		}
		image = image[:s.Cap()]
		for _, c := range changes {
			clear(image[c.Off : c.Off+c.Len])
			if !c.Dropped {
				copy(image[c.Off:c.Off+c.Len], s.Bytes()[c.Off:])
			}
		}
		if string(image) != string(s.Bytes()) {
			t.Fatalf("round %d: the image is not the arena", round)
		}
		if s, err = l.RaiseCap(a, s, 2*s.Cap()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Shut(a, s); err != nil {
		t.Error(err)
	}
	auditStore(t, st)
}

// TestRecycledSlotsAreReported: slots go from owner to owner, tracked or not, scanned or not,
// written to or not; each tracked owner's image is its slot, whatever the one before was tracked
// for.
func TestRecycledSlotsAreReported(t *testing.T) {
	st, w := kernelStore(t, 1<<30, StoreOptions{})
	tracker, err := mem.NewTracker(w)
	if err != nil {
		t.Skip("this kernel cannot track writes: ", err)
	}
	l := local(t, st)
	rapid.Check(t, func(t *rapid.T) {
		for owner := range rapid.IntRange(1, 6).Draw(t, "owners") {
			size := int64(MinCap) << rapid.IntRange(0, 1).Draw(t, "class")
			s := create(t, l, size)
			image := bytes.Repeat([]byte{0xEE}, int(size))
			tracked := rapid.Bool().Draw(t, "tracked")
			if tracked {
				if err := tracker.Track(s.Off(), size); err != nil {
					t.Fatal(err)
				}
			}
			w := &tenant{slot: s, mark: byte(owner + 1)}
			for range rapid.IntRange(0, 4).Draw(t, "steps") {
				switch rapid.IntRange(0, 2).Draw(t, "op") {
				case 0:
					w.write(t, rapid.Int64Range(0, size).Draw(t, "to"))
				case 1:
					if tracked {
						follow(t, tracker, s, image)
					}
				case 2:
					if err := tracker.Drop(s.Off(), size); err != nil {
						t.Fatal(err)
					}
					w.dirty = 0
				}
			}
			if tracked {
				follow(t, tracker, s, image)
				if err := tracker.Untrack(s.Off(), size); err != nil {
					t.Fatal(err)
				}
			}
			w.check(t)
			if err := l.Destroy(s, w.dirty, s.Populated()); err != nil {
				t.Fatal(err)
			}
		}
	})
	auditStore(t, st)
}

// follow takes one report into an image, which must be the slot then.
func follow(t failer, tracker Tracker, s Slot, image []byte) {
	t.Helper()
	changes, err := tracker.Scan(s.Off(), s.Cap(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		at := image[c.Off-s.Off():][:c.Len]
		clear(at)
		if !c.Dropped {
			copy(at, s.Bytes()[c.Off-s.Off():])
		}
	}
	if !bytes.Equal(image, s.Bytes()) {
		t.Fatalf("slot at %#x is not what changes %v make of its image", s.Off(), changes)
	}
}

// TestBlowUpOnThreads: one thread makes arenas and writes to them, another destroys them, as fast
// as they can. What the kernel holds for them stays within Hoard's bound.
func TestBlowUpOnThreads(t *testing.T) {
	const rounds, batch = 60, 100
	st, w := kernelStore(t, 1<<40, StoreOptions{Slack: 1 << 20, Global: 4 << 20})
	made := make(chan []Slot, 1)
	var group sync.WaitGroup
	producer, consumer := local(t, st), local(t, st)
	group.Go(func() {
		defer close(made)
		for range rounds {
			slots := make([]Slot, 0, batch)
			for range batch {
				s, err := producer.Create(MinCap)
				if err == nil && s.Populated() < 2*PageBytes {
					err = s.Memory().Populate(s.Off(), 2*PageBytes)
				}
				if err != nil {
					t.Error(err)
					return
				}
				s.Bytes()[PageBytes]++
				slots = append(slots, s)
			}
			made <- slots
		}
	})
	for slots := range made {
		for _, s := range slots {
			if err := consumer.Destroy(s, 2*PageBytes, s.Populated()); err != nil {
				t.Fatal(err)
			}
		}
	}
	group.Wait()
	checkPages(t, st, w)
	n := st.Stats()
	const live = 3 * batch * 2 * PageBytes // being made, in the channel, being destroyed
	bound := int64(live)*emptyPart/(emptyPart-1) + 2*2*st.slack + st.most
	t.Logf("%d slots went through: %d KiB are populated, %d KiB at most were live, bound %d KiB",
		rounds*batch, (n.Used+n.Spare)>>10, live>>10, bound>>10)
	if n.Used+n.Spare > bound {
		t.Errorf("%d bytes populated, want at most %d", n.Used+n.Spare, bound)
	}
}

// BenchmarkStore is what arenas of 64 KiB cost from a warm store, and the floor: clearing as much.
func BenchmarkStore(b *testing.B) {
	st, _ := kernelStore(b, 1<<40, StoreOptions{})
	l, other := local(b, st), local(b, st)
	a, raw := new(Arena), byteType(b)
	page := func() error {
		r, err := raw.NewSpan(a.User(), PageBytes-2*unitBytes)
		if err == nil {
			r.Mut(a.User())[0] = 1
		}
		return err
	}
	buffer, pattern := make([]byte, MinCap), bytes.Repeat([]byte{0x5A}, PageBytes)
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"create-destroy/64KiB", func() error {
			s, err := l.Open(a, MinCap, Options{})
			if err != nil {
				return err
			}
			return errors.Join(page(), l.Shut(a, s))
		}},
		{"create-destroy-elsewhere/64KiB", func() error {
			s, err := l.Open(a, MinCap, Options{})
			if err != nil {
				return err
			}
			return errors.Join(page(), other.Shut(a, s))
		}},
		{"slot/64KiB", func() error {
			s, err := l.Create(MinCap)
			if err != nil {
				return err
			}
			return l.Destroy(s, 2*PageBytes, 2*PageBytes)
		}},
		{"create-fill-destroy/64KiB", func() error {
			s, err := l.Create(MinCap)
			if err != nil {
				return err
			}
			setAll(s.Bytes(), pattern)
			return l.Destroy(s, MinCap, MinCap)
		}},
		{"fill/64KiB", func() error { setAll(buffer, pattern); return nil }},
		{"clear/64KiB", func() error { clear(buffer); return nil }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := c.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	auditStore(b, st)
}

// setAll writes every word.
//
//go:noinline
func setAll(b, from []byte) {
	for len(b) > 0 {
		b = b[copy(b, from):]
	}
}

// BenchmarkBlowUp is a worker that makes 1,000 arenas of 64 KiB, which another destroys: always the
// same two, or in turns. Bytes populated at most, and left when nothing is live, per byte live at
// most.
func BenchmarkBlowUp(b *testing.B) {
	for _, c := range []struct {
		name    string
		workers int
		turn    int // the next producer is so many further
	}{{"alone", 1, 0}, {"producer-consumer/2", 2, 0}, {"turns/2", 2, 1}, {"turns/8", 8, 1}} {
		workers := c.workers
		b.Run(c.name, func(b *testing.B) {
			st, _ := kernelStore(b, 1<<40, StoreOptions{})
			locals := make([]*Local, workers)
			for i := range locals {
				locals[i] = local(b, st)
			}
			const batch = 1000
			slots := make([]Slot, 0, batch)
			left, most, round := int64(0), int64(0), 0
			for b.Loop() {
				slots = slots[:0]
				for range batch {
					s, err := locals[round%workers].Create(MinCap)
					if err == nil && s.Populated() < MinCap {
						err = s.Memory().Populate(s.Off(), MinCap)
					}
					if err != nil {
						b.Fatal(err)
					}
					slots = append(slots, s)
				}
				n := st.Stats()
				most = max(most, n.Used+n.Spare)
				for _, s := range slots {
					if err := locals[(round+1)%workers].Destroy(s, PageBytes, MinCap); err != nil {
						b.Fatal(err)
					}
				}
				n = st.Stats()
				left = max(left, n.Used+n.Spare)
				round += c.turn
			}
			b.ReportMetric(float64(most)/float64(batch*MinCap), "most/live")
			b.ReportMetric(float64(left)/float64(batch*MinCap), "left/live")
			runtime.KeepAlive(slots)
		})
	}
}
