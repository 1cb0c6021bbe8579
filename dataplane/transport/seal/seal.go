// Package seal encrypts and opens the frames of one session: AES-256-GCM under a key of their own
// for each direction, lane and phase. It makes no frames and knows no header: the caller says which
// bytes are authenticated and which are encrypted.
//
//	Keys (two secrets of a handshake)
//	  ├─ Sender(lane)    Take ──> counter, phase ──> the caller's header ──> Seal in place
//	  └─ Receiver(lane)  header ──> phase, counter ──> Open in place: window, tag, window moves
//
//	secret of a direction ──lane──> chain ──next──> chain ──next──> ...     one step a phase
//	                                  └─key─> AES    └─key─> AES
//
// The nonce is 4 zero bytes and the 64-bit counter, which travels in the clear. A Sender gives each
// counter out once and refuses before a key has sealed too much; a Receiver accepts each counter
// once. Counters go on through the phases of a lane, so they name frames for the whole session,
// and one window holds for all its keys. Nothing that fails changes any state.
//
// A Sender belongs to whoever writes its lane, a Receiver to whoever reads it, one thread at a
// time. Bytes stay the caller's. Neither allocates for a frame; a new phase costs 3 us and 22 small
// allocations, once in 2^24 frames. There is one interface call a frame, to the AEAD of
// crypto/cipher: it has no concrete type that may be named.
package seal

import (
	"crypto/cipher"

	"github.com/dunlin-io/dunlin/core"
)

// Sizes in bytes.
const (
	SecretBytes = 32 // of a secret, and of an AES-256 key
	TagBytes    = 16 // that Seal adds behind the plaintext
	nonceBytes  = 12
)

// Limits of a key. A nonce has no secret part, so keys of 256 bits make collecting frames of many
// keys under one nonce worth nothing (RFC 8446 section 5.3 has secret nonces for that).
const (
	// WantAfter is how many frames a key seals before its lane wants the next phase. Origin:
	// 2^24.5 records of 16 KiB leave an attacker odds of 2^-57 (RFC 8446 section 5.5); our frames
	// have 9 KiB at most.
	WantAfter = 1 << 24
	// RefuseAfter is how many frames a key seals at all.
	RefuseAfter = 1 << 25
	// MaxAge is how old a session gets before it wants a fresh handshake, in ns: whoever steals
	// keys reads no more than this. Origin: WireGuard's REKEY_AFTER_TIME.
	MaxAge = 120 * core.Second
	// OldFor is how long a receiver accepts the old phase after the new one was first
	// authenticated, in ns: far longer than a frame stays in a network of ours. (guess)
	OldFor = core.Second
	// minPhase is how long a phase lasts at least, in ns, so that a receiver has at most one old
	// key. 2^24 frames of 64 B take longer on any core: 100 ns each. A receiver demands half, since
	// the first frame of a phase may be late.
	minPhase = 2 * OldFor
)

var (
	_ [RefuseAfter - 2*WantAfter]struct{} // there is time between wanting and refusing
	_ [2*WantAfter - RefuseAfter]struct{} // as Sender.Wants has it
	_ [minPhase - 2*OldFor]struct{}
)

// Secret is what the keys of one direction are derived from.
type Secret [SecretBytes]byte

// Keys are the two directions of a session.
type Keys struct {
	Send, Recv Secret
	// Insecure leaves frames as they are, with a tag of zeros, to measure what encryption costs.
	// Anybody can then forge frames, and move the window.
	Insecure bool
	// Frames is how many frames a key seals at all, and half of that is when its lane wants the
	// next; 0: RefuseAfter. A simulator has no time for so many.
	Frames uint64
}

// Sender makes the sending end of a lane. Born is when the handshake ended.
func (k *Keys) Sender(lane uint16, born core.Time) *Sender {
	c := newChain(&k.Send, lane, k.Insecure)
	s := &Sender{chain: c, aead: c.aead(), born: born, phaseSince: born, each: k.Frames}
	if s.each == 0 {
		s.each = RefuseAfter
	}
	s.limit = s.each
	return s
}

// Receiver makes the receiving end of a lane.
func (k *Keys) Receiver(lane uint16) *Receiver {
	c := newChain(&k.Recv, lane, k.Insecure)
	r := &Receiver{current: c.aead()}
	c.step()
	r.chain, r.next = c, c.aead()
	return r
}

// Wipe forgets both secrets. Lanes that were made before keep theirs.
func (k *Keys) Wipe() {
	clear(k.Send[:])
	clear(k.Recv[:])
}

// Want is what a Sender needs to go on.
type Want uint8

const (
	WantNothing   Want = iota
	WantPhase          // Rekey: the key has sealed WantAfter frames
	WantHandshake      // a new session: this one is MaxAge old
)

func (w Want) String() string {
	return [...]string{"nothing", "phase", "handshake"}[w]
}

// Wants says what s needs at time now.
func (s *Sender) Wants(now core.Time) Want {
	switch {
	case s.counter+s.each/2 >= s.limit && now-s.phaseSince >= minPhase:
		return WantPhase
	case now-s.born >= MaxAge:
		return WantHandshake
	}
	return WantNothing
}

// Rekey goes to the next phase and forgets the key of this one. It panics when a taken counter has
// not been sealed: that header names the old phase.
func (s *Sender) Rekey(now core.Time) {
	if s.aead == nil {
		return
	}
	if s.taken {
		panic("seal: Rekey between Take and Seal")
	}
	wipe(s.aead)
	s.chain.step()
	s.aead = s.chain.aead()
	s.phase++
	s.phaseSince = now
	s.limit = s.counter + s.each
}

// Wipe forgets the keys of s; it refuses from now on.
func (s *Sender) Wipe() {
	s.chain.wipe()
	wipe(s.aead)
	s.aead, s.limit, s.taken = nil, 0, false
}

// advance makes the next phase the current one, after one of its frames was authenticated.
//
//go:noinline
func (r *Receiver) advance(now core.Time) {
	wipe(r.old)
	r.old, r.current = r.current, r.next
	r.chain.step()
	r.next = r.chain.aead()
	r.phase++
	r.oldUntil = now + OldFor
}

// Expire forgets the old phase's key when its time is over. Open refuses it anyway; this is for
// the key not to lie in memory. Call it now and then.
func (r *Receiver) Expire(now core.Time) {
	if r.old != nil && now >= r.oldUntil {
		wipe(r.old)
		r.old = nil
	}
}

// Wipe forgets the keys of r; it opens nothing from now on.
func (r *Receiver) Wipe() {
	r.chain.wipe()
	for _, a := range [...]cipher.AEAD{r.old, r.current, r.next} {
		wipe(a)
	}
	r.old, r.current, r.next = nil, nil, nil
}
