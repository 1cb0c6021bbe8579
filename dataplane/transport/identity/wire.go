package identity

import (
	"crypto/ed25519"
	"encoding/binary"
)

// Version of the certificate's format, its first byte.
const Version = 1

// A certificate, numbers in network order:
//
//	 0         1          2                 4
//	| version | zero     | roles            |
//	| incarnation                           | 12
//	| last second, since 1970               | 20
//	| X25519 public key                     | 52
//	| length, cluster | length, host | length, runtime |     each 1 + 1 to 63 bytes
//	| Ed25519 signature                     | 64 bytes, over context and all of the above
const (
	atRoles       = 2
	atIncarnation = 4
	atNotAfter    = 12
	atKey         = 20
	atNames       = atKey + KeyBytes
	nameCount     = 3

	// MinBytes and MaxBytes are the sizes of a certificate.
	MinBytes = atNames + nameCount*(1+1) + ed25519.SignatureSize
	MaxBytes = atNames + nameCount*(1+MaxNameBytes) + ed25519.SignatureSize
)

// context keeps a signature of a certificate from being one of anything else.
const context = "dunlin certificate\x00"

func signed(body []byte) []byte { return append([]byte(context), body...) }

// encode is c without its signature.
func (c *Certificate) encode() []byte {
	b := make([]byte, atNames, MaxBytes)
	b[0] = Version
	binary.BigEndian.PutUint16(b[atRoles:], uint16(c.Roles))
	binary.BigEndian.PutUint64(b[atIncarnation:], c.Incarnation)
	binary.BigEndian.PutUint64(b[atNotAfter:], uint64(c.NotAfter))
	copy(b[atKey:], c.Key[:])
	for _, name := range [...]string{c.Cluster, c.Host, c.Runtime} {
		b = append(b, byte(len(name)))
		b = append(b, name...)
	}
	return b
}

// Parse reads a certificate and its signature, without believing it. Each certificate has one form
// only: anything else is ReasonMalformed or ReasonVersion.
func Parse(b []byte) (c Certificate, reason Reason) {
	switch {
	case len(b) < MinBytes || len(b) > MaxBytes:
		return c, ReasonMalformed
	case b[0] != Version:
		return c, ReasonVersion
	case b[1] != 0:
		return c, ReasonMalformed
	}
	c.Roles = Roles(binary.BigEndian.Uint16(b[atRoles:]))
	c.Incarnation = binary.BigEndian.Uint64(b[atIncarnation:])
	c.NotAfter = int64(binary.BigEndian.Uint64(b[atNotAfter:]))
	copy(c.Key[:], b[atKey:])
	rest := b[atNames : len(b)-ed25519.SignatureSize]
	for _, at := range [nameCount]*string{&c.Cluster, &c.Host, &c.Runtime} {
		if len(rest) == 0 || int(rest[0]) > len(rest)-1 {
			return Certificate{}, ReasonMalformed
		}
		end := 1 + int(rest[0])
		*at = string(rest[1:end])
		rest = rest[end:]
		if CheckName(*at) != nil {
			return Certificate{}, ReasonMalformed
		}
	}
	if len(rest) != 0 || c.Roles&RoleRuntime == 0 {
		return Certificate{}, ReasonMalformed
	}
	return c, OK
}
