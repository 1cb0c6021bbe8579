package handshake

import (
	"encoding/binary"

	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// Version of the messages, their second byte. There is no negotiation.
const Version = 1

// Kinds of messages.
const (
	kindInit   = 1
	kindReply  = 2
	kindCookie = 3
)

// Messages have one size each. Message 1 is the largest, so nothing that is sent to an unproved
// address is longer than what came from it. Numbers are in network order.
//
//	message 1   head, kind 1 | e 32 | s 32+16 | payload 384+16 | mac1 16 | mac2 16
//	message 2   head, kind 2 | e 32 | payload 384+16 | mac1 16 | mac2 16
//	cookie      head, kind 3 | nonce 24 | cookie 16+16
//
//	head        kind 1 | version 1 | flags 1 | zero 1 | number 4
//	payload     stamp 8 | session 4 | mtu 2 | lanes 1 | zero 1 | opaque 32
//	            | length 2 | certificate | zeros
//
// Number is one that the initiator drew for message 1; answers carry it. Bit 0 of the flags says
// insecure. mac1 is an HMAC-SHA256, cut to 16 bytes, of all before it, under a key that follows
// from the receiver's public key; mac2 is one of all before it, mac1 included, under the cookie, or
// zeros. From e to the payload it is a message of Noise_IK_25519_AESGCM_SHA256; its prologue is
// prologue and the flags.
const (
	atFlags    = 2
	atNumber   = 4
	headBytes  = 8
	macBytes   = 16
	tagBytes   = 16
	nonceBytes = 24

	// PayloadBytes is fixed, so that a message's size says nothing about names.
	PayloadBytes = 384
	OpaqueBytes  = 32

	noiseInit  = 32 + 32 + tagBytes + PayloadBytes + tagBytes
	noiseReply = 32 + PayloadBytes + tagBytes

	InitBytes   = headBytes + noiseInit + 2*macBytes
	ReplyBytes  = headBytes + noiseReply + 2*macBytes
	CookieBytes = headBytes + nonceBytes + macBytes + tagBytes
	MaxBytes    = InitBytes // of any message

	flagInsecure = 1
	prologue     = "dunlin handshake 1"

	payloadCert = 8 + 4 + 2 + 1 + 1 + OpaqueBytes + 2
)

var (
	_ [PayloadBytes - payloadCert - identity.MaxBytes]struct{} // every certificate fits
	_ [InitBytes - ReplyBytes]struct{}                         // no reply amplifies
	_ [InitBytes - CookieBytes]struct{}
)

func flags(insecure bool) byte {
	if insecure {
		return flagInsecure
	}
	return 0
}

// begin writes the first bytes of a message.
func begin(b []byte, kind byte, insecure bool, number uint32) []byte {
	b = append(b, kind, Version, flags(insecure), 0)
	return binary.BigEndian.AppendUint32(b, number)
}

// check looks at what all messages have in common and returns the kind.
func check(b []byte, insecure bool) (kind byte, reason Reason) {
	if len(b) < headBytes {
		return 0, ReasonLength
	}
	want := 0
	switch b[0] {
	case kindInit:
		want = InitBytes
	case kindReply:
		want = ReplyBytes
	case kindCookie:
		want = CookieBytes
	default:
		return 0, ReasonKind
	}
	switch {
	case len(b) != want:
		return 0, ReasonLength
	case b[1] != Version:
		return 0, ReasonVersion
	case b[atFlags]&^flagInsecure != 0 || b[3] != 0:
		return 0, ReasonReserved
	case b[atFlags] != flags(insecure):
		return 0, ReasonMode
	}
	return b[0], OK
}

// payload is what a side says about itself, encrypted.
type payload struct {
	stamp       uint64
	params      Params
	certificate []byte
}

// encode writes p into a payload of fixed size.
func (p *payload) encode() []byte {
	b := make([]byte, 0, PayloadBytes)
	b = binary.BigEndian.AppendUint64(b, p.stamp)
	b = binary.BigEndian.AppendUint32(b, p.params.Session)
	b = binary.BigEndian.AppendUint16(b, p.params.MTU)
	b = append(b, p.params.Lanes, 0)
	b = append(b, p.params.Opaque[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.certificate)))
	b = append(b, p.certificate...)
	return b[:PayloadBytes]
}

// decode reads a payload; false unless it is what encode writes. The certificate lies in b.
func (p *payload) decode(b []byte) bool {
	if len(b) != PayloadBytes {
		return false
	}
	p.stamp = binary.BigEndian.Uint64(b)
	p.params.Session = binary.BigEndian.Uint32(b[8:])
	p.params.MTU = binary.BigEndian.Uint16(b[12:])
	p.params.Lanes = b[14]
	copy(p.params.Opaque[:], b[16:])
	length := int(binary.BigEndian.Uint16(b[payloadCert-2:]))
	rest := b[payloadCert:]
	if b[15] != 0 || length > len(rest) {
		return false
	}
	p.certificate = rest[:length:length]
	for _, c := range rest[length:] {
		if c != 0 {
			return false
		}
	}
	return true
}
