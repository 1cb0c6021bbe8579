package handshake

import (
	"bytes"
	"encoding/hex"
	"sync"
	"testing"

	"github.com/flynn/noise"

	"github.com/dunlin-io/dunlin/dataplane/transport/seal"
)

// TestCurve is the first vector of RFC 7748, section 5.2, through the curve that Noise is given.
func TestCurve(t *testing.T) {
	scalar := unhex(t, "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
	point := unhex(t, "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
	want := unhex(t, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
	c := &curve{staticBytes: make([]byte, 32)}
	pair, err := c.GenerateKeypair(bytes.NewReader(scalar))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.DH(pair.Private, point); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, %v", got, err)
	}
	if _, err := c.GenerateKeypair(bytes.NewReader(scalar[:31])); err == nil {
		t.Error("a key of 31 bytes")
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAgainstPlainNoise: a responder written down from docs/WIRE.md, with flynn/noise's own curve,
// gets the same keys.
func TestAgainstPlainNoise(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	init := captured(w, a, b)
	static, err := noise.DH25519.GenerateKeypair(bytes.NewReader(b.private[:]))
	if err != nil {
		t.Fatal(err)
	}
	state, err := noise.NewHandshakeState(noise.Config{
		CipherSuite:   noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256),
		Random:        newChaos(99),
		Pattern:       noise.HandshakeIK,
		Prologue:      []byte("dunlin handshake 1\x00"),
		StaticKeypair: static,
	})
	if err != nil {
		t.Fatal(err)
	}
	said, _, _, err := state.ReadMessage(nil, init[8:520-32])
	if err != nil {
		t.Fatal(err)
	}
	key := a.m.Key()
	if len(said) != 384 || !bytes.Equal(state.PeerStatic(), key[:]) ||
		!bytes.Equal(said[50:50+len(a.m.self.certificate)], a.m.self.certificate) {
		t.Errorf("message 1 says %x", said)
	}
	answer := make([]byte, 384)
	copy(answer[48:], []byte{0, byte(len(b.m.self.certificate))})
	copy(answer[50:], b.m.self.certificate)
	reply := append([]byte{2, 1, 0, 0}, init[4:8]...)
	reply, forth, back, err := state.WriteMessage(reply, answer)
	if err != nil {
		t.Fatal(err)
	}
	reply = addMACs(reply, &key, &[macBytes]byte{})
	from := w.path(a, b)
	a.m.Handle(w.now, &from, reply)
	w.settle()
	if len(a.up) != 1 {
		t.Fatalf("no session: %v", a.counted())
	}
	k1, k2 := forth.UnsafeKey(), back.UnsafeKey()
	hash := state.ChannelBinding()
	if a.up[0].Keys.Send != seal.NewSecret(&k1, hash) || a.up[0].Keys.Recv != seal.NewSecret(&k2, hash) {
		t.Error("other keys")
	}
}

// TestJobsElsewhere runs every job on a goroutine of its own while the machine goes on. The race
// detector is who checks.
func TestJobsElsewhere(t *testing.T) {
	w := newWorld(t)
	w.idle = true
	a, b := w.pair()
	c := w.add(nil)
	w.start(a, b)
	w.start(b, a)
	w.start(c, a)
	w.start(c, b)
	for range 6 { // message 1, message 2, and those that cross
		var all sync.WaitGroup
		jobs := map[*side][]*Job{}
		for _, s := range w.sides {
			for j := s.m.NextJob(); j != nil; j = s.m.NextJob() {
				jobs[s] = append(jobs[s], j)
				all.Go(j.Run)
			}
			s.m.Deadline()
			s.m.HandleTimeout(w.now)
			if err := s.m.SetCertificate(s.m.self.certificate); err != nil {
				t.Error(err)
			}
			s.m.SetTrust(w.trust)
		}
		all.Wait()
		for _, s := range w.sides {
			for _, j := range jobs[s] {
				s.m.Done(w.now, j)
			}
		}
		w.settle()
	}
	if len(a.up) != 2 || len(b.up) != 2 || len(c.up) != 2 {
		t.Errorf("up %d, %d and %d", len(a.up), len(b.up), len(c.up))
	}
}
