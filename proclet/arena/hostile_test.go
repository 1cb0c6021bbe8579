package arena

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// FuzzInstall: an image from anybody is refused, or is an arena: its audit passes, and whatever is
// done with it touches no byte outside its slot, and from the user part none of the system part.
func FuzzInstall(f *testing.F) {
	f.Add([]byte{}, uint64(0))
	f.Add(used(f, MinCap, 1).Image(nil)[:12<<10], uint64(1))
	f.Add(newArena(f, MinCap, Options{}).Image(nil), uint64(2))
	f.Fuzz(func(t *testing.T, image []byte, seed uint64) { tryImage(t, image, seed) })
}

// tryImage reports whether an image was accepted.
func tryImage(t failer, image []byte, seed uint64) bool {
	const margin = 4096
	memory := make([]byte, MinCap+2*margin)
	for i := range memory[:margin] {
		memory[i], memory[len(memory)-1-i] = 0x5A, 0xA5
	}
	slot := memory[margin : margin+MinCap : margin+MinCap]
	a, err := Install(slot, image, Options{})
	if err != nil {
		if !errors.Is(err, ErrImage) || !isZero(slot) {
			t.Fatalf("refused: %v; the slot is zero: %v", err, isZero(slot))
		}
		return false
	}
	audit(t, a)
	border := a.head.user.start * unitBytes
	system := bytes.Clone(slot[headerRoom:border])
	rng := rand.New(rand.NewPCG(seed, 1))
	misuse(t, a, rng)
	audit(t, a)
	vandalise(t, a, rng)
	if !bytes.Equal(system, slot[headerRoom:border]) {
		t.Fatal("the user part reached the system part")
	}
	for i := range memory[:margin] {
		if memory[i] != 0x5A || memory[len(memory)-1-i] != 0xA5 {
			t.Fatal("a byte outside the slot was written")
		}
	}
	return true
}

// misuse allocates, writes and frees, and uses Refs that nobody made.
func misuse(t failer, a *Arena, rng *rand.Rand) {
	h, kinds := a.User(), MustRegister[byte]()
	var held []Span[byte]
	for range 200 {
		switch rng.IntN(6) {
		case 0, 1, 2:
			s, err := kinds.NewAligned(h, 1+rng.IntN(1<<rng.IntN(15)), 1<<rng.IntN(8))
			if errors.Is(err, ErrFull) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			view := s.Mut(h)
			for i := range view {
				view[i] = 0xEE
			}
			held = append(held, s)
		case 3:
			if n := len(held); n > 0 {
				if err := held[n-1].Free(h); err != nil {
					t.Fatal(err)
				}
				held = held[:n-1]
			}
		case 4:
			wild := Ref[block64]{l: link(rng.Uint64() >> rng.IntN(64))}
			if rng.IntN(2) == 0 {
				wild.l = link(rng.Uint64N(MinCap/unitBytes) | rng.Uint64()<<32)
			}
			if _, err := wild.Try(h); err != nil && !errors.Is(err, ErrRef) {
				t.Fatal(err)
			}
		case 5:
			a.Image(nil)
			for range a.FreePages() {
				break
			}
		}
	}
	for i := range held {
		if err := held[i].Free(h); err != nil {
			t.Fatal(err)
		}
	}
}

// vandalise writes through wild Refs, which may destroy what its own arena's lists say, and goes
// on: that may end in a panic of ours, and nothing else.
func vandalise(t failer, a *Arena, rng *rand.Rand) {
	defer func() {
		switch e := recover().(type) {
		case nil, *CorruptError, *RefError:
		default:
			t.Fatalf("panicked with %v", e)
		}
	}()
	h := a.User()
	for range 100 {
		wild := Ref[block64]{l: link(rng.Uint64N(MinCap/unitBytes) | rng.Uint64()<<32)}
		if p, err := wild.Try(h); err == nil {
			p.Words[rng.IntN(8)] = rng.Uint64() >> rng.IntN(64)
		}
	}
	misuse(quiet{}, a, rng)
	h.Merge()
}

// quiet is a test that does not mind: in an arena that was vandalised anything may fail.
type quiet struct{}

func (quiet) Helper()               {}
func (quiet) Fatal(...any)          {}
func (quiet) Fatalf(string, ...any) {}

// TestDamagedImages damages images where it hurts: in the header, in the words in front of blocks
// and in links.
func TestDamagedImages(t *testing.T) {
	a := used(t, MinCap, 8)
	image := a.Image(nil)
	var places []int64
	for i := int64(0); i < headerRoom; i += 4 {
		places = append(places, i)
	}
	for r := range a.Walk() {
		if r.Off+16 < int64(len(image)) {
			places = append(places, r.Off, r.Off+4, r.Off+8)
		}
	}
	rng := rand.New(rand.NewPCG(9, 9))
	accepted := 0
	for range 600 {
		damaged := bytes.Clone(image)
		for range 1 + rng.IntN(2) {
			at := places[rng.IntN(len(places))]
			switch rng.IntN(4) {
			case 0:
				damaged[at] ^= 1 << rng.IntN(8)
			case 1:
				copy(damaged[at:], []byte{byte(rng.IntN(256)), byte(rng.IntN(20)), 0, 0})
			case 2:
				copy(damaged[at:], image[places[rng.IntN(len(places))]:][:4])
			case 3:
				copy(damaged[at:], []byte{0xFF, 0xFF, 0xFF, 0xFF})
			}
		}
		if tryImage(t, damaged, 10) {
			accepted++
		}
	}
	if accepted == 0 || accepted > 540 {
		t.Errorf("%d of 600 damaged images were accepted", accepted)
	}
}

// FuzzRestore: a checkpoint from anybody is refused, and the slot zero again, or is an arena.
func FuzzRestore(f *testing.F) {
	var whole bytes.Buffer
	if err := newArena(f, MinCap, Options{}).Checkpoint(&whole); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add([]byte("dulnckpt\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		slot := make([]byte, MinCap)
		a, err := Restore(slot, bytes.NewReader(file), Options{})
		if err == nil {
			audit(t, a)
		} else if !isZero(slot) {
			t.Fatalf("refused: %v, and the slot is not zero", err)
		}
	})
}
