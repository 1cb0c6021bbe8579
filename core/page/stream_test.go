package page

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestStreams sends random changes of a memory through streams of limited room and demands the same
// memory at the other end.
func TestStreams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		pages := rapid.IntRange(1, 20).Draw(t, "pages")
		room := rapid.IntRange(MaxRecordBytes, 5*MaxRecordBytes).Draw(t, "room")
		memory, shadow := make([]byte, pages*Bytes), make([]byte, pages*Bytes)
		there := make([]byte, pages*Bytes)
		all := heapChanges()
		stream := make([]byte, 0, room)
		for range 3 {
			for range rapid.IntRange(0, pages).Draw(t, "writes") {
				at := rapid.IntRange(0, pages-1).Draw(t, "page")
				all[random.IntN(len(all))].make(random, (*Page)(memory[at*Bytes:]))
			}
			sent := 0
			flush := func() {
				n, err := Apply(there, stream)
				if err != nil || n != sent {
					t.Fatalf("%d of %d pages: %v", n, sent, err)
				}
				if n, err := Apply(shadow, stream); err != nil || n != sent {
					t.Fatalf("%d of %d pages onto the shadow: %v", n, sent, err)
				}
				stream, sent = stream[:0], 0
			}
			for i := range pages {
				page, old := (*Page)(memory[i*Bytes:]), (*Page)(shadow[i*Bytes:])
				longer, kind, ok := Append(stream, uint64(i), page, old)
				if !ok {
					if !bytes.Equal(longer, stream) {
						t.Fatal("a record that did not fit changed the stream")
					}
					flush()
					longer, kind, ok = Append(stream, uint64(i), page, old)
				}
				if !ok || (kind == Same) != (len(longer) == len(stream)) {
					t.Fatalf("%v, %v: %d bytes became %d", kind, ok, len(stream), len(longer))
				}
				if stream = longer; kind != Same {
					sent++
				}
			}
			flush()
			if !bytes.Equal(there, memory) || !bytes.Equal(shadow, memory) {
				t.Fatal("the memories differ")
			}
		}
	})
}

// header makes a record's header of any numbers.
func header(index uint64, kind Kind, n int) []byte {
	return binary.LittleEndian.AppendUint64(nil, index<<16|uint64(kind)<<13|uint64(n))
}

func TestHostileStreams(t *testing.T) {
	good := append(header(1, Words, 17), 1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8)
	then := func(records ...[]byte) []byte { return bytes.Join(records, nil) }
	for _, c := range []struct {
		name   string
		stream []byte
		want   error
	}{
		{"half a header", good[:7], ErrLength},
		{"header alone", good[:8], ErrLength},
		{"cut off", good[:24], ErrLength},
		{"longer than it is", header(0, Raw, Bytes), ErrLength},
		{"too long", then(header(0, Raw, 8191), make([]byte, 8191)), ErrLength},
		{"beyond the memory", header(4, Zero, 0), ErrIndex},
		{"far beyond", header(MaxIndex, Zero, 0), ErrIndex},
		{"twice", then(good, good), ErrOrder},
		{"falling", then(good, header(0, Zero, 0)), ErrOrder},
		{"same", header(0, Same, 0), ErrKind},
		{"unknown", header(0, 7, 0), ErrKind},
		{"rest", then(good, []byte{0}), ErrLength},
		{"bad after good", then(good, header(2, Words, 8), make([]byte, 8)), ErrEmpty},
	} {
		memory := bytes.Repeat([]byte{0x5A}, 4*Bytes)
		n, err := Apply(memory, c.stream)
		if !errors.Is(err, c.want) || n != 0 {
			t.Errorf("%s: %d pages, %v, want %v", c.name, n, err, c.want)
		}
		if !bytes.Equal(memory, bytes.Repeat([]byte{0x5A}, 4*Bytes)) {
			t.Errorf("%s: the memory has changed", c.name)
		}
	}
	if _, err := Apply(make([]byte, Bytes+1), nil); !errors.Is(err, ErrMemory) {
		t.Errorf("a page and a byte: %v", err)
	}
	memory := make([]byte, 4*Bytes)
	if n, err := Apply(memory, then(header(0, Zero, 0), good, header(3, Zero, 0))); n != 3 ||
		err != nil || !bytes.Equal(memory[Bytes+8:Bytes+16], good[17:]) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestAppendRefusesAnIndex(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an index of 49 bits was accepted")
		}
	}()
	Append(make([]byte, 0, MaxRecordBytes), MaxIndex+1, &Page{1}, nil)
}

func TestAppendWithoutRoom(t *testing.T) {
	for room := range HeaderBytes {
		if s, kind, ok := Append(make([]byte, 0, room), 0, &Page{}, nil); ok || len(s) > 0 ||
			kind != Zero {
			t.Errorf("room for %d: %v", room, ok)
		}
	}
	if s, _, ok := Append(make([]byte, 0, HeaderBytes), 0, &Page{}, nil); !ok || len(s) != 8 {
		t.Error("a zero page needs more than a header")
	}
}

// FuzzApply demands that a stream is applied as a whole or not at all, and that what is accepted
// can be taken apart and encoded again.
func FuzzApply(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	stream := make([]byte, 0, 4*MaxRecordBytes)
	for i, c := range heapChanges()[1:5] {
		shadow := heapPage(random)
		page := shadow
		c.make(random, &page)
		stream, _, _ = Append(stream, uint64(i), &page, &shadow)
		f.Add(stream)
	}
	f.Add(header(3, Zero, 0))
	f.Fuzz(func(t *testing.T, stream []byte) {
		const pages = 4
		all := bytes.Repeat([]byte{0x5A}, (pages+2)*Bytes)
		memory := all[Bytes : (pages+1)*Bytes]
		before := bytes.Clone(all)
		n, err := Apply(memory, stream)
		if !bytes.Equal(all[:Bytes], before[:Bytes]) ||
			!bytes.Equal(all[(pages+1)*Bytes:], before[:Bytes]) {
			t.Fatal("wrote outside the memory")
		}
		if err != nil {
			if n != 0 || !bytes.Equal(all, before) {
				t.Fatalf("%v, and %d pages changed", err, n)
			}
			return
		}
		if checked, err := Check(stream, pages); checked != n || err != nil {
			t.Fatalf("applied %d pages, checked %d, %v", n, checked, err)
		}
		again := make([]byte, 0, pages*MaxRecordBytes)
		for i := range pages {
			var ok bool
			again, _, ok = Append(again, uint64(i), (*Page)(memory[i*Bytes:]),
				(*Page)(before[Bytes:]))
			if !ok {
				t.Fatal("no room")
			}
		}
		copied := bytes.Clone(before[Bytes : (pages+1)*Bytes])
		if _, err := Apply(copied, again); err != nil || !bytes.Equal(copied, memory) {
			t.Fatalf("encoded again: %v", err)
		}
	})
}
