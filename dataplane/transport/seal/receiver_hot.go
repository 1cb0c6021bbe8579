package seal

import (
	"crypto/cipher"
	"encoding/binary"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/planted"
)

// Receiver opens the frames of one lane in one direction.
type Receiver struct {
	current  cipher.AEAD // nil: wiped
	old      cipher.AEAD // of phase-1, until oldUntil
	next     cipher.AEAD // of phase+1, made ahead so that a forged frame costs no derivation
	oldUntil core.Time
	nonce    [nonceBytes]byte
	phase    uint8
	window   window

	chain chain // stands at next
}

// Open checks that the frame with this phase and counter in its header is new and authentic, and
// decrypts body, which ends in the tag, in place. What it returns lies in body. After any reason
// but OK the receiver is as before, and the bytes of body are garbage.
func (r *Receiver) Open(now core.Time, phase uint8, counter uint64, body, aad []byte) (
	[]byte, Reason,
) {
	aead, reason := r.key(now, phase)
	if reason != OK {
		return nil, reason
	}
	if len(body) < TagBytes {
		return nil, ReasonShort
	}
	reason = r.window.check(counter)
	if reason != OK && (reason != ReasonReplayed || !planted.On(planted.ReplayTaken)) {
		return nil, reason
	}
	if planted.On(planted.WindowBeforeTag) {
		r.window.mark(counter)
	}
	binary.BigEndian.PutUint64(r.nonce[nonceBytes-8:], counter)
	plain, err := aead.Open(body[:0], r.nonce[:], body, aad)
	if err != nil {
		return nil, ReasonForged
	}
	r.window.mark(counter)
	if phase != r.phase && phase == r.phase+1 {
		r.advance(now)
	}
	return plain, OK
}

// key picks the key of a phase.
func (r *Receiver) key(now core.Time, phase uint8) (cipher.AEAD, Reason) {
	switch {
	case r.current == nil:
		return nil, ReasonWiped
	case phase == r.phase:
		return r.current, OK
	case phase == r.phase+1:
		if now < r.oldUntil {
			return nil, ReasonEarlyPhase
		}
		return r.next, OK
	case phase == r.phase-1 && r.old != nil:
		if now >= r.oldUntil && !planted.On(planted.OldPhaseKept) {
			return nil, ReasonOldPhase
		}
		return r.old, OK
	}
	return nil, ReasonPhase
}

// Phase is the phase of the newest frame that was authenticated, modulo 256.
func (r *Receiver) Phase() uint8 { return r.phase }
