package page

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// roundTrip encodes page, compares that with the plain encoder, and decodes it onto the shadow,
// which lies between guards.
func roundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, page, shadow *Page,
) (Kind, int) {
	t.Helper()
	dst := bytes.Repeat([]byte{0xA5}, Bytes+lineBytes)
	kind, n := Encode(dst, page, shadow)
	wantKind, want := plainEncode(page, shadow)
	if kind != wantKind || !bytes.Equal(dst[:n], want) {
		t.Fatalf("%v in %d bytes, want %v in %d", kind, n, wantKind, len(want))
	}
	if i := bytes.IndexFunc(dst[n:], func(r rune) bool { return r != 0xFFFD }); i >= 0 {
		t.Fatalf("byte %d behind %d was written", i, n)
	}
	if short := make([]byte, max(n-1, 0)); n > 0 {
		if k, m := Encode(short, page, shadow); k != kind || m != n || !allZero(short) {
			t.Fatalf("into %d bytes: %v, %d", len(short), k, m)
		}
	}
	guarded := bytes.Repeat([]byte{0x5A}, 3*Bytes)
	copied := (*Page)(guarded[Bytes:])
	if shadow != nil {
		*copied = *shadow
	}
	if kind == Same {
		if err := Decode(copied, kind, nil); !errors.Is(err, ErrKind) {
			t.Fatalf("same was accepted: %v", err)
		}
	} else if err := Decode(copied, kind, dst[:n]); err != nil {
		t.Fatalf("decode %v: %v", kind, err)
	}
	if *copied != *page {
		t.Fatalf("%v did not bring back the page", kind)
	}
	if outside(guarded) {
		t.Fatalf("%v wrote outside its page", kind)
	}
	return kind, n
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// outside reports whether the pages before and behind the middle one were written.
func outside(guarded []byte) bool {
	guard := bytes.Repeat([]byte{0x5A}, Bytes)
	return !bytes.Equal(guarded[:Bytes], guard) || !bytes.Equal(guarded[2*Bytes:], guard)
}

func TestKindsOfChange(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	want := map[string]Kind{"same": Same, "zero": Zero, "random": Raw}
	for _, c := range heapChanges() {
		for range 50 {
			shadow := heapPage(random)
			page := shadow
			c.make(random, &page)
			kind, n := roundTrip(t, &page, &shadow)
			expect, special := want[c.name]
			if !special {
				expect = Words
			}
			if kind != expect {
				t.Fatalf("%s: %v in %d bytes", c.name, kind, n)
			}
			roundTrip(t, &page, nil)
			roundTrip(t, &shadow, &Page{})
		}
	}
	roundTrip(t, &Page{}, &Page{})
	roundTrip(t, &Page{}, nil)
}

// Each single byte of a page is seen, by the test for zero and by the comparison.
func TestEveryByte(t *testing.T) {
	var shadow Page
	for i := range Bytes {
		page := shadow
		page[i] = 1 << (i % 8)
		if IsZero(&page) {
			t.Fatalf("byte %d was taken for zero", i)
		}
		if kind, n := roundTrip(t, &page, &shadow); kind != Words || n != 17 {
			t.Fatalf("byte %d: %v in %d bytes", i, kind, n)
		}
	}
	if !IsZero(&shadow) {
		t.Error("zero was not taken for zero")
	}
}

// The largest change that is sent as words, and the next.
func TestLargestChange(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	shadow := heapPage(random)
	for n, want := range map[int]Kind{503: Words, 504: Raw, 512: Raw} {
		page := shadow
		for i := range n {
			setWord(&page, i, ^word(&shadow, i))
		}
		if kind, bytes := roundTrip(t, &page, &shadow); kind != want {
			t.Errorf("%d words: %v in %d bytes", n, kind, bytes)
		}
	}
}

// As many words in as many lines as make exactly a page: the page is as short, and is sent.
func TestWordsAsLongAsThePage(t *testing.T) {
	shadow := heapPage(rand.New(rand.NewPCG(1, 2)))
	page := shadow
	data := bytes.Repeat([]byte{0xFF}, wordBytes+lines)
	for i := range Bytes / wordBytes {
		if i%(lineBytes/wordBytes) == 0 && i < 9*lineBytes/wordBytes {
			data[wordBytes+i/wordBytes] = 0xFE
			continue
		}
		setWord(&page, i, ^word(&shadow, i))
		data = append(data, page[i*wordBytes:(i+1)*wordBytes]...)
	}
	if kind, n := roundTrip(t, &page, &shadow); kind != Raw {
		t.Errorf("%v in %d bytes", kind, n)
	}
	if err := Decode(&shadow, Words, data); len(data) != Bytes || !errors.Is(err, ErrLength) {
		t.Errorf("%d bytes of words: %v", len(data), err)
	}
}

// A page whose lines are all alike is not zero for that.
func TestEqualLinesAreNotZero(t *testing.T) {
	for i := range lineBytes {
		var page Page
		for at := i; at < Bytes; at += lineBytes {
			page[at] = 1
		}
		if IsZero(&page) {
			t.Errorf("byte %d of each line is set", i)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var page, shadow Page
		if rapid.Bool().Draw(t, "heap") {
			shadow = heapPage(random)
		}
		page = shadow
		all := heapChanges()
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			all[rapid.IntRange(0, len(all)-1).Draw(t, "change")].make(random, &page)
		}
		for range rapid.IntRange(0, 4).Draw(t, "words") {
			setWord(&page, rapid.IntRange(0, 511).Draw(t, "at"), 0)
		}
		roundTrip(t, &page, &shadow)
	})
}

// hostile are encodings that no encoder makes.
func hostile() []struct {
	name string
	kind Kind
	data []byte
	want error
} {
	one := []byte{1, 0, 0, 0, 0, 0, 0, 0} // line 0
	all := bytes.Repeat([]byte{0xFF}, 8)
	return []struct {
		name string
		kind Kind
		data []byte
		want error
	}{
		{"same", Same, nil, ErrKind},
		{"unknown kind", kinds, nil, ErrKind},
		{"kind 255", 255, nil, ErrKind},
		{"zero with bytes", Zero, []byte{0}, ErrLength},
		{"raw without", Raw, nil, ErrLength},
		{"short raw", Raw, make([]byte, Bytes-1), ErrLength},
		{"long raw", Raw, make([]byte, Bytes+1), ErrLength},
		{"no bitmap", Words, nil, ErrLength},
		{"half a bitmap", Words, one[:7], ErrLength},
		{"no line", Words, make([]byte, 8), ErrEmpty},
		{"no line, words", Words, make([]byte, 16), ErrEmpty},
		{"no mask", Words, one, ErrLength},
		{"empty mask", Words, append(one[:8:8], 0), ErrEmpty},
		{"no word", Words, append(one[:8:8], 1), ErrLength},
		{"short word", Words, append(one[:8:8], 1, 1, 2, 3, 4, 5, 6, 7), ErrLength},
		{"long word", Words, append(one[:8:8], 1, 1, 2, 3, 4, 5, 6, 7, 8, 9), ErrLength},
		{"too few masks", Words, append(all[:8:8], make([]byte, 63)...), ErrLength},
		{"all empty", Words, append(all[:8:8], make([]byte, 64)...), ErrEmpty},
		{"too long", Words, bytes.Repeat([]byte{0xFF}, 8+64+Bytes), ErrLength},
		{"as long as raw", Words, bytes.Repeat([]byte{0xFF}, Bytes), ErrLength},
	}
}

func TestHostileEncodings(t *testing.T) {
	for _, c := range hostile() {
		page := heapPage(rand.New(rand.NewPCG(1, 2)))
		before := page
		if err := Decode(&page, c.kind, c.data); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if page != before {
			t.Errorf("%s: the page has changed", c.name)
		}
	}
}

// An encoding that is accepted is the one that the encoder makes of what it leads to, unless a word
// that it sends was there already.
func FuzzDecode(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range heapChanges() {
		shadow := heapPage(random)
		page := shadow
		c.make(random, &page)
		kind, data := plainEncode(&page, &shadow)
		f.Add(byte(kind), data)
	}
	for _, c := range hostile() {
		f.Add(byte(c.kind), c.data)
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		guarded := bytes.Repeat([]byte{0x5A}, 3*Bytes)
		page := (*Page)(guarded[Bytes:])
		before := *page
		err := Decode(page, Kind(kind), data)
		switch {
		case outside(guarded):
			t.Fatal("wrote outside its page")
		case err != nil && *page != before:
			t.Fatal("an error, and the page has changed")
		case err != nil:
			return
		}
		dst := make([]byte, Bytes)
		again, n := Encode(dst, page, &before)
		if again == Kind(kind) && !bytes.Equal(dst[:n], data) && n >= len(data) {
			t.Fatalf("%v: two encodings of one content", again)
		}
		roundTrip(t, page, &before)
	})
}

func TestAllocs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	stream := make([]byte, 0, 2*MaxRecordBytes)
	memory := make([]byte, 2*Bytes)
	for _, c := range heapChanges() {
		shadow := heapPage(random)
		page := shadow
		c.make(random, &page)
		if n := testing.AllocsPerRun(100, func() {
			stream, _, _ = Append(stream[:0], 1, &page, &shadow)
			copy(memory[Bytes:], shadow[:])
			if _, err := Apply(memory, stream); err != nil {
				t.Fatal(err)
			}
			if Decode(&page, Raw, stream) == nil {
				t.Fatal("a stream was taken for a page")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func TestKindNames(t *testing.T) {
	if Words.String() != "words" || Kind(200).String() != "unknown" {
		t.Errorf("%v, %v", Words, Kind(200))
	}
}
