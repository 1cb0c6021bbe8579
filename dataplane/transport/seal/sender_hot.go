package seal

import (
	"crypto/cipher"
	"encoding/binary"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/invariant"
	"github.com/dunlin-io/dunlin/core/planted"
)

// Sender seals the frames of one lane in one direction.
type Sender struct {
	aead    cipher.AEAD // nil: wiped
	counter uint64      // that Take gives out next
	limit   uint64      // that the key never seals
	each    uint64      // frames that a key seals at most
	nonce   [nonceBytes]byte
	phase   uint8
	taken   bool // counter-1 was given out and has not sealed

	born       core.Time
	phaseSince core.Time
	chain      chain
}

// Take gives out the next counter, for the header of the frame that Seal is called for next. It
// refuses when the key has sealed RefuseAfter frames, or was wiped. A counter that is taken again
// before it sealed is skipped, not repeated.
func (s *Sender) Take() (counter uint64, phase uint8, ok bool) {
	if s.counter >= s.limit {
		return 0, 0, false
	}
	if planted.On(planted.CounterReused) && s.counter%64 == 63 {
		s.counter--
	}
	counter = s.counter
	s.counter++
	s.taken = true
	return counter, s.phase, true
}

// Seal encrypts body in place under the counter taken last, authenticates it and aad, and returns
// it with its tag. There must be TagBytes of room behind body, and aad may not overlap any of that.
// It panics when no counter was taken.
func (s *Sender) Seal(body, aad []byte) []byte {
	if !s.taken {
		panic("seal: Seal without Take would repeat a nonce")
	}
	s.taken = false
	invariant.Check(cap(body)-len(body) >= TagBytes, "room behind the plaintext",
		uint64(cap(body)-len(body)), TagBytes)
	binary.BigEndian.PutUint64(s.nonce[nonceBytes-8:], s.counter-1)
	return s.aead.Seal(body[:0], s.nonce[:], body, aad)
}
