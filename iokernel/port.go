package iokernel

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
)

// port is the iokernel's side of one worker's port: it plays the kernel to the worker.
type port struct {
	far     dataplane.FarRings
	runtime *Runtime
	waker   Waker
	number  uint8 // of the worker
	cut     bool  // the runtime broke a rule: not served any more
	dirty   bool  // has something staged or done

	full  bool   // the last turn ended because completions were not reaped
	stuck uint32 // descriptors that wait and cannot be taken as things are

	staged    uint32 // written to the rx ring, not yet published
	filled    uint32 // used up of the fill ring, not yet released
	done      uint32 // in back, not yet on the completion ring
	took      bool   // descriptors from the tx ring that were not yet given back
	received  uint64 // entries published on the rx ring since the start
	completed uint64 // ... and on the completion ring
	rungAt    uint64 // entries that it had taken when last rung for more, plus one
	lag       lag

	counts PortCounters
	ledger []place                                // the runtime's, for all its ports, by chunk
	back   []uint64                               // sent chunks, in a ring's worth of room
	sent   [dataplane.MaxSegments]dataplane.Frame // the packet in hand, checked copies
}

// giveBackBatch is how many sent chunks are worth a store to the completion index while there is
// other work. (guess: a quarter of a burst, as in package dataplane)
const giveBackBatch = 16

// giveBackPolls is for how many polls chunks may be withheld, however busy others keep us: a
// runtime of many workers and few chunks could have them all withheld. (guess: a poll with work
// takes 1 to 100 us)
const giveBackPolls = 16

// reapRetry is how soon the Dataplane looks again, when it would sleep, at a worker that must reap
// its completions before its packets can be taken: nobody rings for that. (guess: one wake a
// millisecond is under 2 % of a CPU even where arming a timer costs 10 us, and a worker that polls
// reaps at once)
const reapRetry = core.Millisecond

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
