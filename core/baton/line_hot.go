package baton

import (
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core"
)

// Line is what one worker tells of itself, and what others tell of its work who look after that
// while it has no core. It is written with the methods below, and read through a Watch.
//
//	offset  0   oldest   i64   since when the oldest runnable task waits; 0: none does
//	offset  8   began    i64   when the request in hand was begun; 0: between two
//	offset 16   timer    i64   when the next timer is due that only it serves; 0 or Never: none is
//	offset 24   queued   i32   runnable tasks
//	offset 28   beats    u32   raised as the worker's loop goes round, and when it is woken
//	offset 32   ack      u32   the word that it has taken up last
//	offset 36   state    u32   a State
//	offset 40   due      i64   when the next timer is due that any worker serves; 0 or Never: none
//	offset 48   asks     u32   raised by whoever has work for the runtime that is no frame
//	offset 52   heard    u32   the asks that were looked after; another number: work waits
//	offset 56   0 (8 bytes)
//
// The worker's thread writes began, timer, beats, ack and state; one thread of the runtime at a
// time writes oldest, queued, due and heard; any of them asks.
//
// Times are nanoseconds on the host's monotonic clock, not ages: who tells an age has to tell it
// again and again, and each telling takes the line away from the reader's core.
type Line struct {
	oldest atomic.Int64
	began  atomic.Int64
	timer  atomic.Int64
	queued atomic.Int32
	beats  atomic.Uint32
	ack    atomic.Uint32
	state  atomic.Uint32
	due    atomic.Int64
	asks   atomic.Uint32
	heard  atomic.Uint32
	_      [LineBytes - 56]byte
}

// State is what a worker does about its core.
type State uint8

// The states of a worker. What Running promises is what the iokernel goes by: a running worker
// looks at the word once more before it sleeps.
const (
	Absent  State = iota // there is no such worker, or it has ended
	Running              // it has the core, or is about to find out who has
	Waiting              // somebody else has the core: it sleeps on the word
	Parked               // it has the core and nothing to do: it sleeps on the word
	states
)

// Become tells the worker's state.
func (l *Line) Become(s State) { l.state.Store(uint32(s)) }

// TakeUp tells that the worker has taken up the grant of w.
func (l *Line) TakeUp(w Word) { l.ack.Store(uint32(w)) }

// Beat tells that the worker's loop goes round.
func (l *Line) Beat() { l.beats.Store(l.beats.Load() + 1) }

// Queue tells what waits for any worker of the runtime: how many tasks are runnable, since when
// the oldest is (0, 0 for none), and when the next timer is due, core.Never for none.
func (l *Line) Queue(tasks int, oldest, due core.Time) {
	l.oldest.Store(int64(oldest))
	l.queued.Store(int32(tasks))
	l.due.Store(stands(due))
}

// Ask tells that there is work which the iokernel cannot see, for any worker of the runtime: until
// it is Heard, the runtime wants a core if it has none. Any thread may ask: first the work is
// there, then it asks, then it wakes the iokernel.
func (l *Line) Ask() { l.asks.Add(1) }

// Heard tells that a worker looks now for all that was asked for so far.
func (l *Line) Heard() { l.heard.Store(l.asks.Load()) }

// Begin tells that a request is in hand since then.
func (l *Line) Begin(now core.Time) { l.began.Store(int64(now)) }

// End tells that no request is in hand.
func (l *Line) End() { l.began.Store(0) }

// Timer tells when the next timer is due that no other worker serves; core.Never: none is.
func (l *Line) Timer(due core.Time) { l.timer.Store(stands(due)) }

// stands is how a deadline stands in a line. Of one that has come any time may be said, also 0,
// which there means that none is.
func stands(due core.Time) int64 { return int64(max(due, 1)) }
