package page

import (
	"encoding/binary"
)

// The header's fields, from the least significant bit.
const (
	lengthBits = 13 // 0 to Bytes
	kindBits   = 3
	indexShift = lengthBits + kindBits
)

var (
	_ [1<<lengthBits - 1 - Bytes]struct{}
	_ [1<<kindBits - kinds]struct{}
	_ [64 - indexShift - 48]struct{} // MaxIndex
)

// Append adds the record of page index to a stream: within the stream's capacity, and only if it
// fits. Records are to be added in rising order of index, at most MaxIndex. A page that is as its
// shadow adds nothing. When ok is false the stream is as it was: send it, and begin another.
func Append(stream []byte, index uint64, page, shadow *Page) (longer []byte, kind Kind, ok bool) {
	if index > MaxIndex {
		panic("page: index is above MaxIndex")
	}
	at := len(stream)
	room := stream[at:cap(stream)]
	var data []byte
	if len(room) > HeaderBytes {
		data = room[HeaderBytes:]
	}
	kind, n := Encode(data, page, shadow)
	if kind == Same {
		return stream, kind, true
	}
	if len(room) < HeaderBytes+n {
		return stream, kind, false
	}
	binary.LittleEndian.PutUint64(room,
		index<<indexShift|uint64(kind)<<lengthBits|uint64(n))
	return stream[:at+HeaderBytes+n], kind, true
}

// record is a page in a stream.
type record struct {
	index uint64
	kind  Kind
	data  []byte
}

// next splits the first record off a stream; false when its bytes are not there. Nothing is checked
// but that.
func next(stream []byte) (r record, rest []byte, ok bool) {
	if len(stream) < HeaderBytes {
		return r, stream, false
	}
	h := binary.LittleEndian.Uint64(stream)
	stream = stream[HeaderBytes:]
	n := int(h & (1<<lengthBits - 1))
	if n > len(stream) {
		return r, stream, false
	}
	r = record{
		index: h >> indexShift, kind: Kind(h >> lengthBits & (1<<kindBits - 1)),
		data: stream[:n:n],
	}
	return r, stream[n:], true
}

// applyAll decodes a stream that Check has accepted.
func applyAll(memory, stream []byte) (n int) {
	for {
		r, rest, ok := next(stream)
		if !ok {
			return n
		}
		apply((*Page)(memory[r.index*Bytes:]), r.kind, r.data)
		stream = rest
		n++
	}
}
