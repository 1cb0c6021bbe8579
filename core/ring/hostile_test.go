package ring

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// indexAt is a shared index as a hostile peer writes it.
type indexAt struct {
	mem []byte
	at  uint64
}

func (x indexAt) set(v uint32) { binary.NativeEndian.PutUint32(x.mem[x.at:], v) }

// TestHostileConsumer: whatever the consumer's index says, the producer hands out no entry twice and
// never more than the ring has; a value that cannot be is noticed.
func TestHostileConsumer(t *testing.T) {
	const n = 16
	start := uint32(math.MaxUint32 - 20) // a variable: sums with it wrap
	for _, c := range []struct {
		lie    uint32 // relative to the producer's start, with 10 submitted and 4 released
		broken bool
	}{
		{4, false}, {7, false}, {10, false}, // truth, and progress that can be
		{3, true}, {0, true}, {11, true}, {26, true}, {1 << 31, true}, {math.MaxUint32, true},
	} {
		mem := shared(n)
		setIndices(mem, start)
		consumer := indexAt{mem, Standard().Consumer}
		p, err := NewProducer[Desc](mem, Standard(), n)
		if err != nil {
			t.Fatal(err)
		}
		p.Reserve(10)
		p.Submit(10)
		consumer.set(start + 4)
		if got := p.Outstanding(); got != 6 {
			t.Fatalf("%d outstanding, want 6", got)
		}
		consumer.set(start + c.lie)
		believed := uint32(4)
		if !c.broken {
			believed = c.lie
		}
		if got := p.Outstanding(); got != 10-believed || p.Broken() != c.broken {
			t.Errorf("consumer at %d: %d outstanding, want %d; broken %t", int32(c.lie), got,
				10-believed, p.Broken())
		}
		if got := p.Reserve(2 * n); got != n-(10-believed) {
			t.Errorf("consumer at %d: room for %d, want %d", int32(c.lie), got, n-(10-believed))
		}
	}
}

// TestHostileProducer: the consumer sees no more than a ringful and never goes back.
func TestHostileProducer(t *testing.T) {
	const n = 16
	start := uint32(math.MaxUint32 - 5)
	for _, c := range []struct {
		lie    uint32 // relative to the start, with 10 seen and 4 released
		broken bool
	}{
		{10, false},
		{12, false},
		{4 + n, false},
		{9, true},
		{4, true},
		{3, true},
		{4 + n + 1, true},
		{1 << 31, true},
		{math.MaxUint32, true},
	} {
		mem := shared(n)
		setIndices(mem, start)
		producer := indexAt{mem, Standard().Producer}
		r, err := NewConsumer[Desc](mem, Standard(), n)
		if err != nil {
			t.Fatal(err)
		}
		producer.set(start + 10)
		r.Peek(n)
		r.Release(4)
		producer.set(start + c.lie)
		want := uint32(6)
		if !c.broken {
			want = c.lie - 4
		}
		if got := r.Waiting(); got != want || r.Broken() != c.broken {
			t.Errorf("producer at %d: %d waiting, want %d; broken %t", int32(c.lie), got, want,
				r.Broken())
		}
		if got := r.Peek(math.MaxUint32); got != want {
			t.Errorf("producer at %d: %d peeked, want %d", int32(c.lie), got, want)
		}
		for i := range want {
			r.At(i)
		}
	}
}

// TestHostileFromTheStart: indices that are nonsense already are refused or harmless.
func TestHostileFromTheStart(t *testing.T) {
	const n = 16
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		mem := shared(n)
		at, from := random.Uint32(), random.Uint32()
		if random.IntN(2) == 0 {
			at = from + random.Uint32N(2*n)
		}
		indexAt{mem, Standard().Producer}.set(at)
		indexAt{mem, Standard().Consumer}.set(from)
		c, err := NewConsumer[Desc](mem, Standard(), n)
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewProducer[Desc](mem, Standard(), n)
		if refused := err != nil; refused != (at-from > n) {
			t.Fatalf("a producer over indices %d and %d: %v", at, from, err)
		} else if refused {
			indexAt{mem, Standard().Consumer}.set(at)
			if p, err = NewProducer[Desc](mem, Standard(), n); err != nil {
				t.Fatal(err)
			}
		}
		checkBounds(t, &p, &c, n)
		p.Submit(p.Reserve(3))
		c.Release(c.Peek(3))
		checkBounds(t, &p, &c, n)
	}
}

// checkBounds checks that no end hands out more than the ring has.
func checkBounds(t testing.TB, p *Producer[Desc], c *Consumer[Desc], n uint32) {
	t.Helper()
	if room := p.Reserve(math.MaxUint32); room > n {
		t.Fatalf("producer has room for %d of %d", room, n)
	}
	if wait := c.Peek(math.MaxUint32); wait > n {
		t.Fatalf("consumer sees %d of %d", wait, n)
	}
	if wait := c.Waiting(); wait > n {
		t.Fatalf("consumer waits for %d of %d", wait, n)
	}
}

// FuzzHostile works both ends while the input overwrites shared words between the steps. Each byte
// pair is a step and its argument.
func FuzzHostile(f *testing.F) {
	f.Add([]byte{0, 3, 1, 3, 0, 8, 1, 8})
	f.Add([]byte{0, 8, 2, 0, 0, 8, 3, 255, 1, 4, 0, 1})
	f.Add([]byte{4, 200, 0, 8, 1, 8, 2, 17, 3, 90, 0, 8, 5, 1, 1, 8})
	f.Fuzz(func(t *testing.T, steps []byte) {
		const n = 8
		mem := shared(n)
		setIndices(mem, math.MaxUint32-3)
		p, c := ends[Desc](t, mem, n)
		for ; len(steps) >= 2; steps = steps[2:] {
			arg := uint32(steps[1])
			switch steps[0] % 6 {
			case 0:
				room := p.Reserve(arg)
				for i := range room {
					p.Set(i, value(i))
				}
				p.Submit(room)
			case 1:
				wait := c.Peek(arg)
				for i := range wait {
					c.At(i)
				}
				c.Release(wait)
			case 2:
				indexAt{mem, Standard().Consumer}.set(arg * 0x01010101)
			case 3:
				indexAt{mem, Standard().Producer}.set(arg * 0x01010101)
			case 4:
				indexAt{mem, Standard().Consumer}.set(arg - 128)
			case 5:
				indexAt{mem, Standard().Producer}.set(arg - 128)
			}
			checkBounds(t, p, c, n)
		}
	})
}
