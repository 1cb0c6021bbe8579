package seal

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// keysOf are the keys of both ends of one session, told apart by n.
func keysOf(n byte) (a, b Keys) {
	forth := NewSecret(&[SecretBytes]byte{1, n}, []byte("hash"))
	back := NewSecret(&[SecretBytes]byte{2, n}, []byte("hash"))
	return Keys{Send: forth, Recv: back}, Keys{Send: back, Recv: forth}
}

// pair is a lane from one end to the other.
func pair() (*Sender, *Receiver) {
	a, b := keysOf(0)
	return a.Sender(3, 0), b.Receiver(3)
}

// frame is a sealed frame with what its header says.
type frame struct {
	phase   uint8
	counter uint64
	aad     []byte
	body    []byte
}

func sealed(t testing.TB, s *Sender, text string) frame {
	t.Helper()
	counter, phase, ok := s.Take()
	if !ok {
		t.Fatal("refused to seal")
	}
	aad := []byte{'h', phase, byte(counter)}
	body := append(make([]byte, 0, len(text)+TagBytes), text...)
	return frame{phase, counter, aad, s.Seal(body, aad)}
}

// open opens a copy, so that a frame can arrive again.
func (f frame) open(r *Receiver, now core.Time) (string, Reason) {
	plain, reason := r.Open(now, f.phase, f.counter, append([]byte(nil), f.body...), f.aad)
	return string(plain), reason
}

// mustOpen demands that a frame arrives.
func (f frame) mustOpen(t testing.TB, r *Receiver, now core.Time, want string) {
	t.Helper()
	if got, reason := f.open(r, now); reason != OK || got != want {
		t.Fatalf("frame %d of phase %d: %q, %v, want %q", f.counter, f.phase, got, reason, want)
	}
}

// mustRefuse demands that a frame is refused and that the receiver is as before.
func (f frame) mustRefuse(t testing.TB, r *Receiver, now core.Time, want Reason) {
	t.Helper()
	before := *r
	if got, reason := f.open(r, now); reason != want || got != "" {
		t.Fatalf("frame %d of phase %d: %q, %v, want %v", f.counter, f.phase, got, reason, want)
	}
	before.nonce = r.nonce // scratch
	if *r != before {
		t.Fatalf("a refused frame (%v) changed the receiver", want)
	}
}
