package transport

import "encoding/binary"

// recordKind is the first byte of a record. A frame holds records one after another.
type recordKind uint8

const (
	recordPad     recordKind = 0 // the rest of the frame is padding
	recordAck     recordKind = 1 // what arrived, and the credit
	recordPing    recordKind = 2 // acknowledge at once
	recordCall    recordKind = 3 // segment of a call
	recordReply   recordKind = 4 // segment of a reply
	recordMessage recordKind = 5 // segment of a one-way message
	recordWrite   recordKind = 6 // segment of a remote write
	recordAbandon recordKind = 7 // a transfer will not be completed
	recordRefuse  recordKind = 8 // a write of the receiver of this was refused
	recordBlocked recordKind = 9 // the sender wants credit: acknowledge at once
	recordDrain   recordKind = 10
	recordClose   recordKind = 11
	recordDone    recordKind = 12 // nothing that its sender began is under way: it is retired
)

// Sizes of records in bytes.
const (
	ackBytes     = 20 // and 8 for each word
	pingBytes    = 1
	blockedBytes = 1
	drainBytes   = 1
	closeBytes   = 2
	doneBytes    = 1
	abandonBytes = 16
	refuseBytes  = 10
	segmentBytes = 20 // of any segment; then:
	callBytes    = segmentBytes + 12
	replyBytes   = segmentBytes + 8
	messageBytes = segmentBytes
	writeBytes   = segmentBytes + 16
)

// Replies that carry no answer: flags of a recordReply.
const replyRefused = 1

// segment is a record of recordCall to recordWrite.
//
//	0      1        2       4        8       16      20
//	| kind | header | bytes | offset | id    | total | ...
//	call:    | remaining us (4) | token (8) | bytes
//	reply:   | token (8) | bytes
//	write:   | region (8) | region offset (8) | bytes
//
// Header is how many of the first bytes of the transfer are the opaque header; in a reply its top
// bit says that the call was refused.
type segment struct {
	kind      recordKind
	headerLen uint8
	flags     uint8
	offset    uint32
	id        uint64
	total     uint32
	remaining uint32 // call: microseconds until the caller gives up
	token     uint64 // call: of the caller; reply: the same
	region    RegionID
	at        uint64 // write: offset of the transfer's first byte in the region
	data      []byte
}

const refusedBit = 0x80

// segmentHeader is how long the record is without its data.
func segmentHeader(k recordKind) int {
	switch k {
	case recordCall:
		return callBytes
	case recordReply:
		return replyBytes
	case recordWrite:
		return writeBytes
	}
	return messageBytes
}

// putSegment writes everything but the data, and returns where that goes.
func putSegment(b []byte, s *segment, n int) []byte {
	size := segmentHeader(s.kind)
	w := b[:size]
	w[0] = uint8(s.kind)
	w[1] = s.headerLen
	if s.flags&replyRefused != 0 {
		w[1] |= refusedBit
	}
	binary.BigEndian.PutUint16(w[2:4], uint16(n))
	binary.BigEndian.PutUint32(w[4:8], s.offset)
	binary.BigEndian.PutUint64(w[8:16], s.id)
	binary.BigEndian.PutUint32(w[16:20], s.total)
	switch s.kind {
	case recordCall:
		binary.BigEndian.PutUint32(w[20:24], s.remaining)
		binary.BigEndian.PutUint64(w[24:32], s.token)
	case recordReply:
		binary.BigEndian.PutUint64(w[20:28], s.token)
	case recordWrite:
		binary.BigEndian.PutUint64(w[20:28], uint64(s.region))
		binary.BigEndian.PutUint64(w[28:36], s.at)
	}
	return b[size : size+n]
}

// parseSegment reads the record at the head of b and returns its length; 0 if it makes no sense.
func parseSegment(b []byte, s *segment) int {
	k := recordKind(b[0])
	size := segmentHeader(k)
	if len(b) < size {
		return 0
	}
	n := int(binary.BigEndian.Uint16(b[2:4]))
	if len(b) < size+n {
		return 0
	}
	*s = segment{kind: k, headerLen: b[1]}
	s.offset = binary.BigEndian.Uint32(b[4:8])
	s.id = binary.BigEndian.Uint64(b[8:16])
	s.total = binary.BigEndian.Uint32(b[16:20])
	switch k {
	case recordCall:
		s.remaining = binary.BigEndian.Uint32(b[20:24])
		s.token = binary.BigEndian.Uint64(b[24:32])
	case recordReply:
		s.token = binary.BigEndian.Uint64(b[20:28])
		if s.headerLen&refusedBit != 0 {
			s.headerLen &^= refusedBit
			s.flags = replyRefused
		}
	case recordWrite:
		s.region = RegionID(binary.BigEndian.Uint64(b[20:28]))
		s.at = binary.BigEndian.Uint64(b[28:36])
	}
	s.data = b[size : size+n : size+n]
	if !s.sound() {
		return 0
	}
	return size + n
}

// sound reports whether the numbers fit together.
func (s *segment) sound() bool {
	n, end := uint64(len(s.data)), uint64(s.offset)+uint64(len(s.data))
	switch {
	case s.total > MaxMessageBytes || end > uint64(s.total):
		return false
	case int(s.headerLen) > MaxHeaderBytes || uint32(s.headerLen) > s.total:
		return false
	case s.kind == recordWrite && (s.headerLen != 0 || s.at+uint64(s.total) < s.at):
		return false
	case s.offset%blockBytes != 0:
		return false
	case n == 0:
		return s.total == 0
	}
	return n%blockBytes == 0 || end == uint64(s.total)
}

// whole reports whether the segment is the entire transfer.
func (s *segment) whole() bool { return len(s.data) == int(s.total) }

// ack is a recordAck.
//
//	0      1       2       4         12       20
//	| kind | words | delay | largest | credit | words of 8 bytes
//
// Bit i of word w says that frame largest-64w-i arrived.
type ack struct {
	largest uint64
	credit  uint64
	delay   uint16 // in units of ackDelayUnit: how long the acknowledgement of largest was held
	words   int
	bits    [ackWords]uint64
}

func putAck(b []byte, a *ack) int {
	n := ackBytes + 8*a.words
	w := b[:n]
	w[0], w[1] = uint8(recordAck), uint8(a.words)
	binary.BigEndian.PutUint16(w[2:4], a.delay)
	binary.BigEndian.PutUint64(w[4:12], a.largest)
	binary.BigEndian.PutUint64(w[12:20], a.credit)
	for i := range a.words {
		binary.BigEndian.PutUint64(w[ackBytes+8*i:], a.bits[i])
	}
	return n
}

// parseAck reads the record at the head of b and returns its length; 0 if it makes no sense.
func parseAck(b []byte, a *ack) int {
	if len(b) < ackBytes || int(b[1]) > ackWords {
		return 0
	}
	a.words = int(b[1])
	n := ackBytes + 8*a.words
	if len(b) < n {
		return 0
	}
	a.delay = binary.BigEndian.Uint16(b[2:4])
	a.largest = binary.BigEndian.Uint64(b[4:12])
	a.credit = binary.BigEndian.Uint64(b[12:20])
	for i := range a.words {
		a.bits[i] = binary.BigEndian.Uint64(b[ackBytes+8*i:])
	}
	return n
}

// abandon is a recordAbandon: | kind | of kind | 0 | total (4) | id (8) |.
type abandon struct {
	of    recordKind
	total uint32
	id    uint64
}

func putAbandon(b []byte, a abandon) {
	w := b[:abandonBytes]
	w[0], w[1], w[2], w[3] = uint8(recordAbandon), uint8(a.of), 0, 0
	binary.BigEndian.PutUint32(w[4:8], a.total)
	binary.BigEndian.PutUint64(w[8:16], a.id)
}

func parseAbandon(b []byte) (a abandon, ok bool) {
	if len(b) < abandonBytes {
		return a, false
	}
	a.of = recordKind(b[1])
	a.total = binary.BigEndian.Uint32(b[4:8])
	a.id = binary.BigEndian.Uint64(b[8:16])
	return a, a.of >= recordCall && a.of <= recordWrite && a.total <= MaxMessageBytes &&
		b[2] == 0 && b[3] == 0
}

// refusal is a recordRefuse: | kind | cause | id (8) |.
type refusal struct {
	cause Cause
	id    uint64
}

func putRefuse(b []byte, r refusal) {
	w := b[:refuseBytes]
	w[0], w[1] = uint8(recordRefuse), uint8(r.cause)
	binary.BigEndian.PutUint64(w[2:10], r.id)
}

func parseRefuse(b []byte) (r refusal, ok bool) {
	if len(b) < refuseBytes || b[1] >= uint8(causeCount) {
		return r, false
	}
	return refusal{Cause(b[1]), binary.BigEndian.Uint64(b[2:10])}, true
}
