package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"math"
	"testing"
	"testing/quick"
)

func TestRoundTrip(t *testing.T) {
	s, r := pair()
	texts := []string{"", "x", "the quick brown fox", string(bytes.Repeat([]byte("ab"), 4500))}
	for i, text := range texts {
		f := sealed(t, s, text)
		if f.counter != uint64(i) || f.phase != 0 || len(f.body) != len(text)+TagBytes {
			t.Errorf("frame %d: counter %d, phase %d, %d bytes", i, f.counter, f.phase, len(f.body))
		}
		if len(text) > 8 && bytes.Contains(f.body, []byte(text[:8])) {
			t.Errorf("frame %d shows its text", i)
		}
		f.mustOpen(t, r, 0, text)
		f.mustRefuse(t, r, 0, ReasonReplayed)
	}
}

// TestInPlace: nothing is moved, and nothing around the body is touched.
func TestInPlace(t *testing.T) {
	s, r := pair()
	memory := []byte("header--" + "the body" + "................" + "tail")
	aad, body := memory[:8:8], memory[8:16:32]
	counter, phase, _ := s.Take()
	out := s.Seal(body, aad)
	if &out[0] != &memory[8] || string(memory[:8]) != "header--" || string(memory[32:]) != "tail" {
		t.Fatalf("sealed elsewhere, or too much: %q", memory)
	}
	plain, reason := r.Open(0, phase, counter, out, aad)
	if reason != OK || &plain[0] != &memory[8] || string(plain) != "the body" ||
		string(memory[:8]) != "header--" || string(memory[32:]) != "tail" {
		t.Fatalf("opened elsewhere, or too much: %q, %v", memory, reason)
	}
}

// TestNothingForgedChangesState flips each bit of header and body, cuts at each byte, and claims
// other counters and phases. The receiver stays as it is, and the true frame still arrives.
func TestNothingForgedChangesState(t *testing.T) {
	s, r := pair()
	sealed(t, s, "one").mustOpen(t, r, 0, "one")
	f := sealed(t, s, "a small call of a few bytes")
	flip := func(b []byte, bit int) []byte {
		c := append([]byte(nil), b...)
		c[bit/8] ^= 1 << (bit % 8)
		return c
	}
	for bit := range len(f.body) * 8 {
		g := f
		g.body = flip(f.body, bit)
		g.mustRefuse(t, r, 0, ReasonForged)
	}
	for bit := range len(f.aad) * 8 {
		g := f
		g.aad = flip(f.aad, bit)
		g.mustRefuse(t, r, 0, ReasonForged)
	}
	for n := range len(f.body) {
		g, want := f, ReasonForged
		if g.body = f.body[:n]; n < TagBytes {
			want = ReasonShort
		}
		g.mustRefuse(t, r, 0, want)
	}
	for n := range len(f.aad) {
		g := f
		g.aad = f.aad[:n]
		g.mustRefuse(t, r, 0, ReasonForged)
	}
	for bit := range 64 {
		g := f
		g.counter ^= 1 << bit
		want := ReasonForged
		if g.counter == 0 {
			want = ReasonReplayed
		}
		g.mustRefuse(t, r, 0, want)
	}
	for phase := range 256 {
		g := f
		switch g.phase = uint8(phase); phase {
		case 0:
		case 1:
			g.mustRefuse(t, r, 0, ReasonForged)
		default:
			g.mustRefuse(t, r, 0, ReasonPhase)
		}
	}
	f.mustOpen(t, r, 0, "a small call of a few bytes")
}

// TestForgedHighCounter: moving the window before the tag is checked would cut off a whole lane.
func TestForgedHighCounter(t *testing.T) {
	s, r := pair()
	f := sealed(t, s, "true")
	for _, counter := range []uint64{WindowFrames, 1 << 32, 1 << 63, math.MaxUint64} {
		g := f
		g.counter = counter
		g.mustRefuse(t, r, 0, ReasonForged)
	}
	f.mustOpen(t, r, 0, "true")
}

// TestKeysDiffer: a frame opens nowhere but in its session, direction and lane.
func TestKeysDiffer(t *testing.T) {
	a, b := keysOf(0)
	_, other := keysOf(1)
	s := a.Sender(3, 0)
	f := sealed(t, s, "for one receiver only")
	for name, r := range map[string]*Receiver{
		"another session":   other.Receiver(3),
		"another lane":      b.Receiver(4),
		"a lane 256 higher": b.Receiver(3 + 256),
		"reflected":         a.Receiver(3),
	} {
		if _, reason := f.open(r, 0); reason != ReasonForged {
			t.Errorf("%s: %v", name, reason)
		}
	}
	f.mustOpen(t, b.Receiver(3), 0, "for one receiver only")
}

// TestLanes: lanes of one session count for themselves.
func TestLanes(t *testing.T) {
	a, b := keysOf(0)
	s1, s2 := a.Sender(1, 0), a.Sender(2, 0)
	r1, r2 := b.Receiver(1), b.Receiver(2)
	f1, f2 := sealed(t, s1, "one"), sealed(t, s2, "two")
	if f1.counter != 0 || f2.counter != 0 {
		t.Errorf("counters %d and %d", f1.counter, f2.counter)
	}
	f2.mustOpen(t, r2, 0, "two")
	f1.mustOpen(t, r1, 0, "one")
	f1.mustRefuse(t, r2, 0, ReasonReplayed)
}

// TestDerivation computes the keys of a session a second way, with HMAC alone, and opens with them.
func TestDerivation(t *testing.T) {
	mac := func(key []byte, parts ...string) []byte {
		h := hmac.New(sha256.New, key)
		for _, p := range parts {
			h.Write([]byte(p))
		}
		return h.Sum(nil)
	}
	split := [SecretBytes]byte{1, 0}
	direction := mac([]byte("hash"), string(split[:]))
	phase0 := mac(direction, "dunlin seal lane \x00\x03", "\x01")
	phase1 := mac(phase0, "dunlin seal next", "\x01")

	s, _ := pair()
	for phase, secret := range [][]byte{phase0, phase1} {
		block, err := aes.NewCipher(mac(secret, "dunlin seal key", "\x01"))
		if err != nil {
			t.Fatal(err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		f := sealed(t, s, "text")
		nonce := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(f.counter)}
		plain, err := gcm.Open(nil, nonce, f.body, f.aad)
		if err != nil || string(plain) != "text" {
			t.Errorf("phase %d: %q, %v", phase, plain, err)
		}
		s.Rekey(0)
	}
}

func TestTakeAndSeal(t *testing.T) {
	s, _ := pair()
	mustPanic := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s did not panic", what)
			}
		}()
		f()
	}
	body := make([]byte, 4, 4+TagBytes)
	mustPanic("Seal without Take", func() { s.Seal(body, nil) })
	s.Take()
	mustPanic("Rekey before Seal", func() { s.Rekey(0) })
	s.Seal(body, nil)
	mustPanic("a second Seal", func() { s.Seal(body, nil) })
	s.Take()
	mustPanic("Seal without room", func() { s.Seal(body[:4:4+TagBytes-1], nil) })
	first, _, _ := s.Take()
	if second, _, _ := s.Take(); second != first+1 {
		t.Errorf("taken again: %d after %d", second, first)
	}
}

// TestNonceIsUsedOnce: whatever the caller does, counters of one key only rise.
func TestNonceIsUsedOnce(t *testing.T) {
	type use struct {
		phase   uint8
		counter uint64
	}
	check := func(actions []byte) bool {
		s, _ := pair()
		used := map[use]bool{}
		for _, a := range actions {
			switch a % 4 {
			case 0:
				s.Take()
			case 1:
				if !s.taken {
					s.Rekey(0)
				}
			default:
				counter, phase, ok := s.Take()
				if !ok || used[use{phase, counter}] {
					return false
				}
				used[use{phase, counter}] = true
				s.Seal(make([]byte, 0, TagBytes), nil)
			}
		}
		return true
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 50}); err != nil {
		t.Error(err)
	}
}

func TestInsecure(t *testing.T) {
	a, b := keysOf(0)
	a.Insecure, b.Insecure = true, true
	s, r := a.Sender(1, 0), b.Receiver(1)
	f := sealed(t, s, "in the clear")
	if string(f.body) != "in the clear"+string(make([]byte, TagBytes)) {
		t.Errorf("sealed: %q", f.body)
	}
	f.mustOpen(t, r, 0, "in the clear")
	f.mustRefuse(t, r, 0, ReasonReplayed)
	short := frame{0, 9, nil, make([]byte, TagBytes-1)}
	short.mustRefuse(t, r, 0, ReasonShort)

	s2, r2 := pair()
	sealed(t, s2, "secret").mustRefuse(t, b.Receiver(3), 0, ReasonForged)
	sealed(t, s, "in the clear").mustRefuse(t, r2, 0, ReasonForged)
}
