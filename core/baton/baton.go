// Package baton is how a core passes from one process to another while the kernel only watches: the
// words that say who has it, what workers tell of themselves, and the two machines that keep to the
// protocol.
//
//	             baton page: one word a core           load pages: one line a worker
//	iokernel ──> grant ──┬──> look ── worker of A ──┐
//	 (Lender)            ├──> look ── worker of B ──┼──> what it does ──> iokernel (Watch)
//	                     └──> look ── worker of C ──┘
//	             written by the iokernel               written by each runtime, believed by
//	             alone, read by everybody              nobody: clamped and counted
//
// A worker is one thread of a runtime, confined to one core; on each core a runtime has at most
// one. Of the workers of a core one has the core and polls; the others sleep in the kernel, on the
// core's word. The rule, which Party holds:
//
//	Whoever runs on a core and sees its word name somebody else finishes the request in hand,
//	wakes that other, whether or not it ever held the core itself, and waits.
//
// So a hand-over is two system calls on the core that changes hands: no interrupt to another core,
// which costs ten times as much, and no part for the iokernel beyond one store.
//
//	iokernel      worker 1, polling          worker 2, asleep on the word
//	   │ grant 2       │                          ┊
//	   ├──────────────>│ sees 2                   ┊
//	   │               │ FUTEX_WAKE, bit of 2 ───>│
//	   │               │ FUTEX_WAIT, bit of 1     │ sees itself: takes up, polls
//	   │               ┊                          │
//
// Why the pieces are as they are.
//
// Whether or not it held the core: after the grants 1, 2, 1 in short succession worker 1 may have
// gone to sleep for the second, while worker 2 is woken and finds the third. If it went back to
// sleep without a word, because the core never was its own, both would sleep for ever.
//
// Waiting on the word itself: the kernel compares it with the value that the worker saw, after the
// worker is on the queue. With a wait word beside the baton there is a moment between the two
// stores, in either order, in which a wake-up goes to nobody.
//
// Epochs: each grant raises one, so a grant to the same owner is a new one: it wakes an owner that
// sleeps because it has nothing to do. They wrap after four million grants, which hurts nobody: a
// worker that slept through exactly as many finds the word that it knows, with the owner that it
// names.
//
// Bits: all waiters of a core share one queue, told apart by their slot modulo 32. Two on one bit
// are woken for each other, look, and sleep again. They wake nobody a second time for the same
// word, or two of them would keep waking each other beside a third, the owner.
//
// No time-outs: arming a timer costs more than the hand-over. What goes wrong with a waiter (any
// process can move the waiters of a page that it can only read to another queue) is the Lender's:
// it sees that a grant is not taken up in time.
//
// The package is pure: no clock, no system call, no goroutine. core/pin has the calls.
package baton

import (
	"fmt"
	"sync/atomic"
)

// Owner is who may have a core: the slot of a runtime, 1 to MaxOwner.
type Owner uint16

// Nobody is no Owner: a core whose word says so is left alone by all.
const Nobody Owner = 0

// A word is 22 bits of epoch over 10 of owner. The bits of one futex wait are 32.
const (
	ownerBits = 10
	waitBits  = 32

	// MaxOwner is the highest slot: how many runtimes one iokernel can lend cores to.
	MaxOwner Owner = 1<<ownerBits - 1

	// MaxShared is how many owners share a bit at most, and so how many waiters one wake has to
	// reach: more are not workers but somebody who wants to make wakes long.
	MaxShared = (int(MaxOwner) + 1) / waitBits
)

// Bit is the owner's in the waits and wakes of a core.
func (o Owner) Bit() uint32 { return 1 << (o % waitBits) }

// Word is what a core's line says: who has it, and which grant that is. The zero Word is nobody's,
// before the first grant.
type Word uint32

// Owner is who has the core.
func (w Word) Owner() Owner { return Owner(w) & MaxOwner }

// Epoch counts the core's grants, modulo 2^22.
func (w Word) Epoch() uint32 { return uint32(w) >> ownerBits }

// Next is the word after w that names an owner, or Nobody.
func (w Word) Next(o Owner) Word {
	if o > MaxOwner {
		panic(fmt.Sprintf("baton: owner %d: the highest is %d", o, MaxOwner))
	}
	return Word((w.Epoch()+1)<<ownerBits | uint32(o))
}

func (w Word) String() string { return fmt.Sprintf("%d.%d", w.Epoch(), w.Owner()) }

// LineBytes is the unit in which processors move memory between cores: what different threads write
// lies that far apart.
const LineBytes = 64

// Cell is a core's line on the baton page.
type Cell struct {
	word atomic.Uint32 // the iokernel's
	_    [LineBytes - 4]byte
}

// Load is the core's word now.
func (c *Cell) Load() Word { return Word(c.word.Load()) }

// Grant gives the core to an owner, or takes it back for Nobody, and returns the word that says so.
// It is the iokernel's; on memory that is mapped for reading it ends the process. Nobody is woken.
func (c *Cell) Grant(o Owner) Word {
	w := c.Load().Next(o)
	c.word.Store(uint32(w))
	return w
}

// Address is where the word lies, for the kernel to wait on.
func (c *Cell) Address() *atomic.Uint32 { return &c.word }
