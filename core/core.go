// Package core holds the shapes that everything on a dataplane core is made of: Time, Poller, Host.
//
// A Poller is one bounded piece of work (a NIC queue, a worker, a load generator). A Host is a list
// of them that share one core. Who turns the crank is somebody else: core/pin on a real CPU, a
// test in virtual time. Nothing here reads a clock, blocks, starts a goroutine or allocates
// after construction, so the same pollers run unchanged in both.
//
//	core/pin.Run ──now──> Host.Step ──now──> Poller, Poller, Poller
//	     ^                    │ work
//	     └──── idle: park ────┘
//
// A Host and its pollers belong to the one thread that calls Step.
package core

import "math"

// Time is nanoseconds on the host's monotonic clock. Only differences mean anything.
type Time int64

// Never is the Next of a poller that only input can wake.
const Never Time = math.MaxInt64

// Durations in the unit of Time.
const (
	Microsecond Time = 1_000
	Millisecond Time = 1_000_000
	Second      Time = 1_000_000_000
)

// Poller is one piece of run-to-completion work.
type Poller interface {
	// Poll runs one bounded quantum at time now and never blocks. It returns how much it did, in
	// a unit of its own that its documentation names (frames, messages); 0 means that it was idle
	// and mutated nothing.
	Poll(now Time) (work int)

	// Next is when Poll has something to do if no input arrives: at most now means at once, Never
	// means that only input can wake it. It is pure.
	Next(now Time) Time
}
