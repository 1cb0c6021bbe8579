package transport

import (
	"encoding/binary"

	"github.com/dunlin-io/dunlin/core/planted"
)

// Version is the version of the wire format, the first byte of every frame. There is no
// negotiation: a frame of another version is dropped and counted.
const Version = 1

// FrameType says what follows the header.
type FrameType uint8

const (
	TypeData      FrameType = 1 // records, sealed with a session's keys
	TypeHandshake FrameType = 2 // a message of the handshake, which protects itself
	TypeUnknown   FrameType = 3 // hint: the sender does not know the session; nothing follows
)

// Sizes in bytes.
const (
	HeaderBytes = 32
	// boundBytes is the leading part of the header that is authenticated: all but the hint.
	boundBytes = HeaderBytes - 4
)

// Header is a view of at least HeaderBytes bytes that begin with the header of a frame. Numbers are
// in network order.
//
//	 0        1        2        3        4                               8
//	| version | type   | phase  | lane   | session                       |
//	| counter                                                            | 16
//	| route                                                              | 24
//	| length          | zero             | hint                          | 32
//
// Everything before the hint is authenticated in frames of TypeData. Session is the number that the
// receiver gave itself. Counter is the frame's number in its direction of its lane: it never
// repeats. Route is the proclet or service the frame is for, 0 for none: whoever steers may read it
// without keys. Length is the bytes that follow the header, tag included: raw frames carry padding.
// Hint may be written by anybody on the way.
type Header []byte

func (h Header) Version() uint8   { return h[0] }
func (h Header) Type() FrameType  { return FrameType(h[1]) }
func (h Header) Phase() uint8     { return h[2] }
func (h Header) Lane() uint8      { return h[3] }
func (h Header) Session() uint32  { return binary.BigEndian.Uint32(h[4:8]) }
func (h Header) Counter() uint64  { return binary.BigEndian.Uint64(h[8:16]) }
func (h Header) Route() uint64    { return binary.BigEndian.Uint64(h[16:24]) }
func (h Header) Length() int      { return int(binary.BigEndian.Uint16(h[24:26])) }
func (h Header) Hint() uint32     { return binary.BigEndian.Uint32(h[28:32]) }
func (h Header) SetHint(v uint32) { binary.BigEndian.PutUint32(h[28:32], v) }
func (h Header) setLength(n int)  { binary.BigEndian.PutUint16(h[24:26], uint16(n)) }
func (h Header) zero() bool       { return h[26] == 0 && h[27] == 0 }

// Bound is the part that is authenticated.
func (h Header) Bound() []byte {
	if planted.On(planted.RouteUnbound) {
		return h[:16:16]
	}
	return h[:boundBytes:boundBytes]
}

// put writes a header without a length and a hint.
func (h Header) put(t FrameType, phase, lane uint8, session uint32, counter, route uint64) {
	w := (*[HeaderBytes]byte)(h)
	w[0], w[1], w[2], w[3] = Version, uint8(t), phase, lane
	binary.BigEndian.PutUint32(w[4:8], session)
	binary.BigEndian.PutUint64(w[8:16], counter)
	binary.BigEndian.PutUint64(w[16:24], route)
	clear(w[24:32])
}

// parseHeader splits a packet's payload into header and body, padding cut off.
func parseHeader(b []byte) (h Header, body []byte, reason Reason) {
	if len(b) < HeaderBytes {
		return nil, nil, ReasonShort
	}
	h = Header(b[:HeaderBytes:HeaderBytes])
	switch {
	case h.Version() != Version:
		return nil, nil, ReasonVersion
	case !h.zero():
		return nil, nil, ReasonReserved
	case h.Length() > len(b)-HeaderBytes:
		return nil, nil, ReasonLength
	}
	end := HeaderBytes + h.Length()
	return h, b[HeaderBytes:end:end], OK
}
