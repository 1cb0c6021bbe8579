package iokernel

import "github.com/dunlin-io/dunlin/dataplane"

// port is the iokernel's side of one worker's port: it plays the kernel to the worker.
type port struct {
	far       dataplane.FarRings
	runtime   *Runtime
	number    uint8
	waker     Waker
	ledger    []place                                // the runtime's, shared by its ports; index is the chunk
	received  uint64                                 // entries published on the rx ring since the start
	completed uint64                                 // ... and on the completion ring
	staged    uint32                                 // written to the rx ring, not yet published
	done      uint32                                 // written to the completion ring, not yet published
	sent      [dataplane.MaxSegments]dataplane.Frame // the packet in hand, checked copies
}

// place is where a chunk of a runtime was last put by the iokernel. The runtime has it back once it
// has consumed the ring to beyond that entry; until then it may not hand it in again.
type place struct {
	entry uint64 // counted from the port's start, so that it never wraps
	ring  ringKind
	port  uint8
}

type ringKind uint8

const (
	inNone ringKind = iota // never handed in: the runtime's from the start
	inRx
	inCompletion
)
