package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"testing"
)

// round is a frame there and a frame back: two seals and two opens.
type round struct {
	s1, s2 *Sender
	r1, r2 *Receiver
	memory []byte
	body   int
}

func newRound(insecure bool, body int) *round {
	a, b := keysOf(0)
	a.Insecure, b.Insecure = insecure, insecure
	return &round{
		a.Sender(0, 0), b.Sender(0, 0), a.Receiver(0), b.Receiver(0),
		make([]byte, headerBytes+body+TagBytes), body,
	}
}

const headerBytes = 40 // about what a header of ours has

func (r *round) once() bool {
	return r.hop(r.s1, r.r2) && r.hop(r.s2, r.r1)
}

func (r *round) hop(s *Sender, to *Receiver) bool {
	if s.counter == WantAfter {
		s.counter = 0 // a benchmark may go on for longer than a key does
		to.window = window{}
	}
	aad := r.memory[:headerBytes]
	counter, phase, ok := s.Take()
	if !ok {
		return false
	}
	aad[0] = phase
	out := s.Seal(r.memory[headerBytes:headerBytes+r.body], aad)
	_, reason := to.Open(0, phase, counter, out, aad)
	return reason == OK
}

func TestHotPathAllocatesNothing(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		r := newRound(insecure, 64)
		forged := make([]byte, 64)
		forged[50] = 1
		if n := testing.AllocsPerRun(100, func() {
			if !r.once() {
				t.Error("a frame was lost")
			}
			for phase := range uint8(3) {
				if _, reason := r.r1.Open(0, phase, 1<<40, forged, nil); reason == OK {
					t.Error("a forged frame was opened")
				}
			}
		}); n != 0 {
			t.Errorf("insecure %v: %v allocations", insecure, n)
		}
	}
}

// What encryption costs a call: two seals and two opens.
func BenchmarkRound(b *testing.B) {
	for _, c := range []struct {
		name     string
		insecure bool
		body     int
	}{
		{"64", false, 64}, {"64/insecure", true, 64}, {"1024", false, 1024},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRound(c.insecure, c.body)
			b.ReportAllocs()
			for b.Loop() {
				if !r.once() {
					b.Fatal("lost")
				}
			}
		})
	}
}

// The floor of a round: the library's cipher alone, without counters, windows and phases.
func BenchmarkFloor(b *testing.B) {
	block, err := aes.NewCipher(make([]byte, SecretBytes))
	if err != nil {
		b.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	memory, nonce := make([]byte, headerBytes+64+TagBytes), make([]byte, nonceBytes)
	aad, body := memory[:headerBytes], memory[headerBytes:headerBytes+64]
	for b.Loop() {
		for range 2 {
			sealed := gcm.Seal(body[:0], nonce, body, aad)
			if _, err := gcm.Open(sealed[:0], nonce, sealed, aad); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// What encryption costs bulk, at one end: a seal or an open of a jumbo frame.
func BenchmarkBulk(b *testing.B) {
	const body = 9000 - headerBytes - TagBytes
	b.Run("seal/9000", func(b *testing.B) {
		r := newRound(false, body)
		b.SetBytes(body)
		b.ReportAllocs()
		for b.Loop() {
			if r.s1.counter == WantAfter {
				r.s1.counter = 0
			}
			r.s1.Take()
			r.s1.Seal(r.memory[headerBytes:headerBytes+r.body], r.memory[:headerBytes])
		}
	})
	b.Run("both/9000", func(b *testing.B) {
		r := newRound(false, body)
		b.SetBytes(body)
		b.ReportAllocs()
		for b.Loop() {
			if !r.hop(r.s1, r.r2) {
				b.Fatal("lost")
			}
		}
	})
}

// What refusing a forged frame costs.
func BenchmarkForged(b *testing.B) {
	_, r := pair()
	body := make([]byte, 64+TagBytes)
	aad := make([]byte, headerBytes)
	for b.Loop() {
		if _, reason := r.Open(0, 0, 1<<40, body, aad); reason == OK {
			b.Fatal("opened")
		}
	}
}

// What the next phase costs a sender's turn, and a new lane.
func BenchmarkRekey(b *testing.B) {
	s, _ := pair()
	b.ReportAllocs()
	for b.Loop() {
		s.Rekey(0)
	}
}
