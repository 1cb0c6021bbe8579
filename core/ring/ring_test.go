package ring

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
)

// shared is the memory of a ring of n entries.
func shared(n uint32) []byte { return make([]byte, Standard().Bytes(n, DescBytes)) }

// setIndices makes both shared indices stand at v, as if so much had gone through before.
func setIndices(mem []byte, v uint32) {
	binary.NativeEndian.PutUint32(mem[Standard().Producer:], v)
	binary.NativeEndian.PutUint32(mem[Standard().Consumer:], v)
}

// ends makes both ends of a ring of n entries in mem.
func ends[T Entry](t testing.TB, mem []byte, n uint32) (*Producer[T], *Consumer[T]) {
	t.Helper()
	p, err := NewProducer[T](mem, Standard(), n)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewConsumer[T](mem, Standard(), n)
	if err != nil {
		t.Fatal(err)
	}
	return &p, &c
}

// value is what the tests put at the i-th place of a ring.
func value(i uint32) Desc { return Desc{Addr: uint64(i)<<20 | 1, Len: ^i, Options: i * 7} }

func TestRefusesWhatDoesNotFit(t *testing.T) {
	good := Standard()
	at := func(change func(*Offsets)) Offsets { o := good; change(&o); return o }
	for _, c := range []struct {
		name  string
		bytes uint64
		o     Offsets
		n     uint32
		text  string // of the error, empty for none
	}{
		{"exact", good.Bytes(64, DescBytes), good, 64, ""},
		{"one byte short", good.Bytes(64, DescBytes) - 1, good, 64, "do not fit"},
		{"no memory", 0, good, 64, "do not fit"},
		{"three bytes", 3, Offsets{}, 1, "do not fit"},
		{"no entries", 4096, good, 0, "power of two"},
		{"65 entries", 4096, good, 65, "power of two"},
		{"too many entries", 4096, good, 2 * MaxEntries, "power of two"},
		{"entries behind the end", 4096, at(func(o *Offsets) { o.Entries = 4104 }), 1, "do not fit"},
		{
			"entries at 2^64-8", 4096, at(func(o *Offsets) { o.Entries = math.MaxUint64 - 7 }), 1,
			"do not fit",
		},
		{"producer behind the end", 4096, at(func(o *Offsets) { o.Producer = 4096 }), 1, "do not fit"},
		{
			"consumer at 2^64-4", 4096, at(func(o *Offsets) { o.Consumer = math.MaxUint64 - 3 }), 1,
			"do not fit",
		},
		{"flags behind the end", 4096, at(func(o *Offsets) { o.Flags = 4096 }), 1, "do not fit"},
		{"last word of the memory", 4096, at(func(o *Offsets) { o.Flags = 4092 }), 1, ""},
		{"producer at an odd place", 4096, at(func(o *Offsets) { o.Producer = 2 }), 1, "not aligned"},
		{"entries at an odd place", 4096, at(func(o *Offsets) { o.Entries = 324 }), 1, "not aligned"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := make([]byte, c.bytes)
			_, perr := NewProducer[Desc](mem, c.o, c.n)
			_, cerr := NewConsumer[Desc](mem, c.o, c.n)
			for _, err := range []error{perr, cerr} {
				if c.text == "" && err != nil ||
					c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)) {
					t.Errorf("%v, want %q", err, c.text)
				}
			}
		})
	}
	if _, err := NewConsumer[Desc](make([]byte, 4096)[4:], good, 1); err == nil ||
		!strings.Contains(err.Error(), "aligned to 8") {
		t.Errorf("memory at an odd place: %v", err)
	}
}

// TestWrap runs rings through 2^32, from every distance to it that a small ring can tell apart, with
// bursts of every size.
func TestWrap(t *testing.T) {
	const n = 8
	for before := uint32(0); before <= 2*n; before++ {
		for burst := uint32(1); burst <= n; burst++ {
			t.Run(fmt.Sprintf("%d before, by %d", before, burst), func(t *testing.T) {
				mem := shared(n)
				setIndices(mem, -before)
				p, c := ends[Desc](t, mem, n)
				var put, got uint32
				for got < 5*n {
					room := p.Reserve(burst)
					if want := min(burst, n-(put-got)); room != want {
						t.Fatalf("room for %d with %d in the ring, want %d", room, put-got, want)
					}
					for i := range room {
						p.Set(i, value(put+i))
					}
					p.Submit(room)
					put += room
					if out := p.Outstanding(); out != put-got {
						t.Fatalf("%d outstanding, want %d", out, put-got)
					}
					take := c.Peek(burst/2 + 1)
					for i := range take {
						if v := c.At(i); v != value(got+i) {
							t.Fatalf("entry %d is %+v, want %+v", got+i, v, value(got+i))
						}
					}
					c.Release(take)
					got += take
					if w := c.Waiting(); w != put-got || c.Any() != (w > 0) {
						t.Fatalf("%d waiting, any %t, want %d", w, c.Any(), put-got)
					}
				}
				if p.Broken() || c.Broken() {
					t.Error("broken")
				}
			})
		}
	}
}

// TestLastLook: Unreleased and Seen answer from the last look and do not look themselves.
func TestLastLook(t *testing.T) {
	mem := shared(8)
	setIndices(mem, math.MaxUint32-3)
	p, c := ends[uint64](t, mem, 8)
	p.Reserve(6)
	p.Submit(6)
	if c.Seen() != 0 || p.Unreleased() != 6 {
		t.Errorf("before a look: %d seen, %d unreleased", c.Seen(), p.Unreleased())
	}
	c.Peek(2)
	if c.Seen() != 6 {
		t.Errorf("after a look: %d seen", c.Seen())
	}
	c.Release(4)
	if c.Seen() != 2 || p.Unreleased() != 6 {
		t.Errorf("after Release: %d seen, %d unreleased", c.Seen(), p.Unreleased())
	}
	if p.Outstanding() != 2 || p.Unreleased() != 2 {
		t.Errorf("after the producer's look: %d unreleased", p.Unreleased())
	}
}

// TestUnread: what others may ask agrees with what the consumer would find, through 2^32, and shows
// no index that cannot be.
func TestUnread(t *testing.T) {
	mem := shared(8)
	setIndices(mem, math.MaxUint32-3)
	p, c := ends[uint64](t, mem, 8)
	for i := range uint32(20) {
		if c.Unread() {
			t.Fatalf("round %d: unread in an empty ring", i)
		}
		n := i%8 + 1
		p.Reserve(n)
		p.Submit(n)
		for left := n; left > 0; left-- {
			if !c.Unread() {
				t.Fatalf("round %d: nothing unread, and %d wait", i, left)
			}
			c.Peek(1)
			c.Release(1)
		}
	}
	from := c.next
	for _, lie := range []uint32{9, 1 << 31, math.MaxUint32} {
		indexAt{mem, Standard().Producer}.set(from + lie)
		if c.Unread() {
			t.Errorf("a producer %d ahead of a consumer of 8 shows", int32(lie))
		}
	}
}

// TestNothingShowsBeforeSubmit, and nothing is free before Release.
func TestNothingShowsBeforeSubmit(t *testing.T) {
	p, c := ends[Desc](t, shared(4), 4)
	for i := range p.Reserve(4) {
		p.Set(i, value(i))
	}
	if c.Any() || c.Peek(4) != 0 || c.Waiting() != 0 {
		t.Error("entries show before Submit")
	}
	p.Submit(4)
	if c.Peek(2) != 2 || c.Peek(8) != 4 {
		t.Error("Peek shows other than what was asked for, at most what waits")
	}
	if p.Reserve(1) != 0 {
		t.Error("an entry is free before Release")
	}
	c.Release(3)
	if p.Reserve(9) != 3 || p.Size() != 4 || c.Size() != 4 {
		t.Error("Release of 3 freed other than 3")
	}
}

// TestEndsTakeOver: an end made later starts where the shared indices stand.
func TestEndsTakeOver(t *testing.T) {
	mem := shared(8)
	p, c := ends[Desc](t, mem, 8)
	p.Reserve(5)
	for i := range uint32(5) {
		p.Set(i, value(i))
	}
	p.Submit(5)
	c.Peek(2)
	c.Release(2)
	p2, c2 := ends[Desc](t, mem, 8)
	if c2.Peek(8) != 3 || c2.At(0) != value(2) || p2.Reserve(8) != 5 || p2.Outstanding() != 3 {
		t.Error("new ends disagree with the old ones")
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	p, c := ends[Desc](t, shared(64), 64)
	if n := testing.AllocsPerRun(1000, func() {
		room := p.Reserve(32)
		for i := range room {
			p.Set(i, value(i))
		}
		p.Submit(room)
		if p.NeedWakeup() {
			p.Outstanding()
		}
		for i := range c.Peek(32) {
			if c.At(i) != value(i) {
				t.Fatal("wrong entry")
			}
		}
		c.Release(room)
		c.SetNeedWakeup(true)
		c.SetNeedWakeup(false)
	}); n != 0 {
		t.Errorf("%v allocations a burst", n)
	}
}
