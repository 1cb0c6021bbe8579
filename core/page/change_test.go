package page

import (
	"encoding/binary"
	"math/rand/v2"
)

// change is a kind of change that heaps see.
type change struct {
	name string
	make func(random *rand.Rand, p *Page)
}

// changes of a heap page, as measured: a few objects, counters, more, a block, everything.
func heapChanges() []change {
	return []change{
		{"same", func(*rand.Rand, *Page) {}},
		{"words4", func(r *rand.Rand, p *Page) { setWords(r, p, 4) }},
		{"counters8", func(r *rand.Rand, p *Page) {
			for range 8 {
				p[r.IntN(Bytes/wordBytes)*wordBytes]++
			}
		}},
		{"words32", func(r *rand.Rand, p *Page) { setWords(r, p, 32) }},
		{"words128", func(r *rand.Rand, p *Page) { setWords(r, p, 128) }},
		{"half", func(r *rand.Rand, p *Page) {
			for i := range Bytes / wordBytes / 2 {
				setWord(p, i, r.Uint64())
			}
		}},
		{"random", func(r *rand.Rand, p *Page) {
			for i := range Bytes / wordBytes {
				setWord(p, i, r.Uint64())
			}
		}},
		{"zero", func(_ *rand.Rand, p *Page) { *p = Page{} }},
	}
}

func setWords(r *rand.Rand, p *Page, n int) {
	for range n {
		setWord(p, r.IntN(Bytes/wordBytes), r.Uint64())
	}
}

func setWord(p *Page, i int, x uint64) { binary.LittleEndian.PutUint64(p[i*wordBytes:], x) }

// heapPage is a third each of pointers, small numbers and random words.
func heapPage(r *rand.Rand) (p Page) {
	for i := range Bytes / wordBytes {
		switch r.IntN(3) {
		case 0:
			setWord(&p, i, 0x4000_0000_0000+uint64(r.IntN(1<<30))*8)
		case 1:
			setWord(&p, i, uint64(r.IntN(1000)))
		default:
			setWord(&p, i, r.Uint64())
		}
	}
	return p
}

// plainEncode is the format in the words of the package's doc, a byte at a time.
func plainEncode(page, shadow *Page) (Kind, []byte) {
	if *page == (Page{}) {
		if shadow != nil && *shadow == *page {
			return Same, nil
		}
		return Zero, nil
	}
	if shadow == nil {
		return Raw, page[:]
	}
	if *page == *shadow {
		return Same, nil
	}
	var lines [8]byte
	var masks, words []byte
	for line := range 64 {
		mask := byte(0)
		for w := range 8 {
			at := line*64 + w*8
			if string(page[at:at+8]) != string(shadow[at:at+8]) {
				mask |= 1 << w
				words = append(words, page[at:at+8]...)
			}
		}
		if mask != 0 {
			lines[line/8] |= 1 << (line % 8)
			masks = append(masks, mask)
		}
	}
	data := append(append(lines[:], masks...), words...)
	if len(data) >= Bytes {
		return Raw, page[:]
	}
	return Words, data
}
