package arena

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// used is an arena with live and free blocks of many sizes in both parts.
func used(t failer, size int, seed uint64) *Arena {
	t.Helper()
	a := newArena(t, size, Options{Seed: seed, System: 8 << 10})
	rng := rand.New(rand.NewPCG(seed, 0))
	kinds := MustRegister[byte]()
	for _, h := range []*Heap{a.System(), a.User()} {
		var all []Span[byte]
		for range 150 {
			s, err := kinds.NewSpan(h, 1+rng.IntN(1<<rng.IntN(11)))
			if err != nil {
				break
			}
			for i := range s.Mut(h) {
				s.Mut(h)[i] = byte(i + 1)
			}
			all = append(all, s)
		}
		for i := range all {
			if rng.IntN(2) == 0 {
				if err := all[i].Free(h); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return a
}

func TestImageHasZerosInFreeRuns(t *testing.T) {
	a := used(t, MinCap, 3)
	image := a.Image(nil)
	var pages bytes.Buffer
	if err := a.WriteImage(&pages); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pages.Bytes(), image) {
		t.Fatal("the image in pages differs from the image as a whole")
	}
	for r := range a.Walk() {
		switch r.Kind {
		case SystemLive, UserLive:
			if !bytes.Equal(image[r.Off:r.Off+r.Len], a.slot[r.Off:r.Off+r.Len]) {
				t.Fatalf("live block at %d differs", r.Off)
			}
		case SystemFree, UserFree: // behind the block's word and its link
			for i := r.Off + 2*unitBytes; i < r.Off+r.Len; i++ {
				if image[i] != 0 {
					t.Fatalf("byte %d of a free block is %d", i, image[i])
				}
			}
		case SystemRest, UserRest:
			for i := r.Off; i < min(r.Off+r.Len, int64(len(image))); i++ {
				if image[i] != 0 {
					t.Fatalf("byte %d of the rest is %d", i, image[i])
				}
			}
		}
	}
}

// Copies by every way have the same image, and go on alike.
func TestCopiesAreEqual(t *testing.T) {
	a := used(t, MinCap, 4)
	image := a.Image(nil)
	installed, err := Install(make([]byte, 4*MinCap), image, Options{})
	if err != nil {
		t.Fatal(err)
	}
	cloned, err := a.Clone(make([]byte, MinCap), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := a.Checkpoint(&file); err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(make([]byte, MinCap), &file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := a.Image(nil)
	kinds := MustRegister[[24]byte]()
	r, err := kinds.New(a.User())
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*Arena{"clone": cloned, "checkpoint": restored} {
		audit(t, b)
		if !bytes.Equal(b.Image(nil), want) {
			t.Errorf("%s: another image", name)
		}
		if q, err := kinds.New(b.User()); err != nil || q != r {
			t.Errorf("%s: goes on with %v, %v, the original with %v", name, q, err, r)
		}
	}
	audit(t, installed)
	if installed.Cap() != 4*MinCap {
		t.Errorf("installed with a cap of %d", installed.Cap())
	}
	if q, err := kinds.New(installed.User()); err != nil || q != r {
		t.Errorf("installed: goes on with %v, %v, the original with %v", q, err, r)
	}
	if err := r.Free(installed.User()); err != nil {
		t.Errorf("a Ref of the original in the copy: %v", err)
	}
}

func TestRaisingTheCap(t *testing.T) {
	a := newArena(t, MinCap, Options{})
	big := MustRegister[[40 << 10]byte]()
	first, err := big.New(a.User())
	if err != nil {
		t.Fatal(err)
	}
	first.Mut(a.User())[77] = 7
	var full *FullError
	if _, err := big.New(a.User()); !errors.As(err, &full) || full.Room >= MinCap {
		t.Fatalf("two of 40 KiB in 64: %v", err)
	}
	if err := a.CopyTo(make([]byte, 4*MinCap), 0); err != nil {
		t.Fatal(err)
	}
	second, err := big.New(a.User())
	if err != nil {
		t.Fatal(err)
	}
	if first.Get(a.User())[77] != 7 || second.Get(a.User())[77] != 0 {
		t.Error("the bytes did not move along")
	}
	audit(t, a)
	if err := a.CopyTo(make([]byte, MinCap), 0); !errors.Is(err, ErrSlot) {
		t.Errorf("an arena moved to a smaller slot: %v", err)
	}
}

func TestCheckpointFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "proclet")
	a := used(t, MinCap, 5)
	if err := os.WriteFile(name, []byte("what was there before"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := RestoreFile(make([]byte, MinCap), name, Options{}); !errors.Is(err, ErrImage) {
		t.Fatalf("a text was restored: %v", err)
	}
	if err := a.CheckpointFile(name); err != nil {
		t.Fatal(err)
	}
	b, err := RestoreFile(make([]byte, MinCap), name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Image(nil), b.Image(nil)) {
		t.Error("another image")
	}
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	if err := a.CheckpointFile(filepath.Join(name, "below")); err == nil {
		t.Error("a checkpoint below a file")
	}
}

// A damaged checkpoint is refused and the slot is zero again, unless the damage is to a bit that
// zstd does not use: then nothing is different.
func TestDamagedCheckpoints(t *testing.T) {
	var whole bytes.Buffer
	a := used(t, MinCap, 6)
	if err := a.Checkpoint(&whole); err != nil {
		t.Fatal(err)
	}
	slot := make([]byte, MinCap)
	same := 0
	refused := func(what string, at int, r io.Reader) {
		t.Helper()
		b, err := Restore(slot, r, Options{})
		if err == nil {
			if !bytes.Equal(a.Image(nil), b.Image(nil)) {
				t.Fatalf("%s at byte %d of %d changed the arena", what, at, whole.Len())
			}
			same++
			clear(slot)
		}
		if !isZero(slot) {
			t.Fatalf("%s at byte %d: the slot is not zero", what, at)
		}
	}
	for at := 0; at < whole.Len(); at += 1 + at/40 {
		damaged := bytes.Clone(whole.Bytes())
		damaged[at] ^= 0x10
		refused("damage", at, bytes.NewReader(damaged))
		refused("an end", at, bytes.NewReader(whole.Bytes()[:at]))
	}
	if same > 20 {
		t.Errorf("%d kinds of damage were not noticed", same)
	}
}

func TestWriterFails(t *testing.T) {
	a := used(t, MinCap, 7)
	for room := range 5 {
		w := &limited{room: room * 3}
		if err := a.Checkpoint(w); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("with room for %d bytes: %v", w.room, err)
		}
		if err := a.WriteImage(&limited{room: room * 3}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("image with room for %d bytes: %v", w.room, err)
		}
	}
}

type limited struct{ room int }

func (l *limited) Write(b []byte) (int, error) {
	if len(b) > l.room {
		return 0, io.ErrShortWrite
	}
	l.room -= len(b)
	return len(b), nil
}
