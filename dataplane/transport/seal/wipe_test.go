package seal

import (
	"bytes"
	"testing"
)

// TestWipe: after Wipe the key is gone from the cipher itself, not only out of reach.
func TestWipe(t *testing.T) {
	s, r := pair()
	s.Rekey(0)
	sealed(t, s, "x").mustOpen(t, r, 0, "x")
	aeads := map[string]interface {
		Seal(dst, nonce, body, aad []byte) []byte
	}{"sender": s.aead, "old": r.old, "current": r.current, "next": r.next}
	before := map[string][]byte{}
	for name, a := range aeads {
		before[name] = a.Seal(nil, make([]byte, nonceBytes), []byte("text"), nil)
	}
	s.Wipe()
	r.Wipe()
	for name, a := range aeads {
		if after := sealAgain(a.Seal); bytes.Equal(after, before[name]) {
			t.Errorf("%s: the key is still in memory", name)
		}
	}
	if s.chain.secret != (Secret{}) || r.chain.secret != (Secret{}) {
		t.Error("a secret is still in memory")
	}
	if _, _, ok := s.Take(); ok {
		t.Error("a wiped sender gives out counters")
	}
	s.Rekey(0)
	if _, _, ok := s.Take(); ok {
		t.Error("a wiped sender has new keys")
	}
	frame{body: make([]byte, 64)}.mustRefuse(t, r, 0, ReasonWiped)
	s.Wipe()
	r.Wipe()
	a, b := keysOf(0)
	a.Wipe()
	if a.Send != (Secret{}) || a.Recv != (Secret{}) || b.Send == (Secret{}) {
		t.Error("Keys.Wipe")
	}
}

// sealAgain is what a wiped cipher makes: garbage, or a panic about its sizes.
func sealAgain(seal func(dst, nonce, body, aad []byte) []byte) (out []byte) {
	defer func() { recover() }() //nolint:errcheck // a panic is as good as garbage
	return seal(nil, make([]byte, nonceBytes), []byte("text"), nil)
}

// TestRekeyForgets: the key of a phase that is over is gone.
func TestRekeyForgets(t *testing.T) {
	s, _ := pair()
	old, secret := s.aead, s.chain.secret
	before := old.Seal(nil, make([]byte, nonceBytes), []byte("text"), nil)
	s.Rekey(0)
	if bytes.Equal(sealAgain(old.Seal), before) {
		t.Error("the old key is still in memory")
	}
	if s.chain.secret == secret {
		t.Error("the old secret is still there")
	}
}

func TestFlat(t *testing.T) {
	wipe(nil)
	wipe(plain{})
	wipe((*int)(nil))
	holder := &struct{ p *int }{new(int)}
	wipe(holder)
	if holder.p == nil {
		t.Error("a pointer was overwritten")
	}
	numbers := &struct {
		a [3]uint32
		b bool
	}{[3]uint32{1, 2, 3}, true}
	wipe(numbers)
	if numbers.a != [3]uint32{} || numbers.b {
		t.Error("numbers were not overwritten")
	}
}

func TestText(t *testing.T) {
	for r := range ReasonCount {
		if s := Reason(r).String(); s == "" || s == "reason?" {
			t.Errorf("reason %d has no text", r)
		}
	}
	if Reason(ReasonCount).String() != "reason?" {
		t.Error("text of no reason")
	}
	if WantNothing.String() != "nothing" || WantPhase.String() != "phase" ||
		WantHandshake.String() != "handshake" {
		t.Error("text of a want")
	}
}
