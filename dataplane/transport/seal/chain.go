package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// Labels of what is derived from what.
const (
	labelLane = "dunlin seal lane " // and the lane's number, 2 bytes, big endian
	labelNext = "dunlin seal next"
	labelKey  = "dunlin seal key"
)

// NewSecret makes a direction's secret of the key that a Noise handshake split off for it and the
// handshake's hash, which binds it to everything that both sides have said.
func NewSecret(split *[SecretBytes]byte, hash []byte) Secret {
	var s Secret
	prk, err := hkdf.Extract(sha256.New, split[:], hash)
	if err != nil {
		panic(err) // only for keys too short in FIPS mode
	}
	copy(s[:], prk)
	clear(prk)
	return s
}

// expand derives from a secret in one step of HKDF (RFC 5869).
func expand(from *Secret, label string, into *Secret) {
	out, err := hkdf.Expand(sha256.New, from[:], label, SecretBytes)
	if err != nil {
		panic(err) // only for outputs beyond 255 hashes
	}
	copy(into[:], out)
	clear(out)
}

// chain is the secret of one phase of a lane. The next one follows from it, and not it from the
// next: who steals one reads no phase before.
type chain struct {
	secret   Secret
	insecure bool
}

func newChain(from *Secret, lane uint16, insecure bool) chain {
	c := chain{insecure: insecure}
	expand(from, labelLane+string(binary.BigEndian.AppendUint16(nil, lane)), &c.secret)
	return c
}

// step goes to the next phase.
func (c *chain) step() { expand(&c.secret, labelNext, &c.secret) }

// aead makes the cipher of this phase.
func (c *chain) aead() cipher.AEAD {
	if c.insecure {
		return plain{}
	}
	var key Secret
	expand(&c.secret, labelKey, &key)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for other sizes
	}
	clear(key[:])
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // GODEBUG=fips140=only: nonces must then come from the module itself
	}
	wipe(block) // a has copied it
	return a
}

func (c *chain) wipe() { clear(c.secret[:]) }
