package bpf

import (
	"encoding/binary"
	"fmt"
)

// A Verdict is what an XDP program returns for a frame.
type Verdict uint32

// The verdicts of the kernel's ABI; it treats any other as VerdictAborted.
const (
	VerdictAborted  Verdict = 0
	VerdictDrop     Verdict = 1
	VerdictPass     Verdict = 2
	VerdictTx       Verdict = 3 // back out of the interface it came from
	VerdictRedirect Verdict = 4 // to a socket, another interface or another CPU
)

// An Event is one captured frame.
type Event struct {
	Time    int64   // when the program looked at it, ns on CLOCK_MONOTONIC
	Queue   uint32  // receive queue it came in on
	Verdict Verdict // what the program returned; a redirected frame may still find a full ring
	Reason  Reason  // why
	Length  uint32  // bytes of the whole frame
	Data    []byte  // its first bytes
}

// metaBytes is the size of what precedes the frame in a ring: struct event in capture.h.
const metaBytes = 32

// parse reads a record, which the ring may have padded. The bytes stay the record's.
func (e *Event) parse(record []byte) error {
	if len(record) < metaBytes {
		return fmt.Errorf("bpf: capture: record of %d bytes", len(record))
	}
	data := record[metaBytes:]
	captured := binary.NativeEndian.Uint32(record[24:])
	if uint64(captured) > uint64(len(data)) {
		return fmt.Errorf("bpf: capture: %d frame bytes in a record of %d", captured, len(record))
	}
	*e = Event{
		Time:    int64(binary.NativeEndian.Uint64(record)),
		Queue:   binary.NativeEndian.Uint32(record[8:]),
		Verdict: Verdict(binary.NativeEndian.Uint32(record[12:])),
		Reason:  Reason(binary.NativeEndian.Uint32(record[16:])),
		Length:  binary.NativeEndian.Uint32(record[20:]),
		Data:    data[:captured],
	}
	return nil
}
