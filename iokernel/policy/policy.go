// Package policy decides which runtime gets which core. A policy looks at one snapshot of the
// machine and says what to change; it holds no core, wakes nobody and reads no clock.
//
//	sensors, rings, load pages ──> Snapshot ──Decide(now)──> []Action ──> batons, wakes
//	        ^                                                                │
//	        └───────── what became of it stands in the next Snapshot ────────┘
//
// There are three. [Static] deals the cores out once. [Simple] is the oracle: it starts from
// nothing in each pass, in loops that can be checked by reading, and the tests hold the others to
// the same promises. [Caladan] is for use: as safe, and it spares what a move costs.
//
// What all of them promise, whatever the numbers in a snapshot say:
//
//   - An action names a core of the snapshot that is neither offline nor changing hands, at most
//     one action a core, and never grants a core to its owner. So cores are conserved.
//   - Nobody gets more cores than it may have or has workers for.
//   - A runtime with work gets back the cores reserved for it in one pass, from whoever holds more
//     than was reserved for himself. Nobody is brought below his reservation while he uses it.
//   - A latency-critical (LC) runtime with waiting frames is not without a core while a best-effort
//     (BE) runtime holds one beyond its reservation.
//   - BE gets no core on which LC works, except back what is reserved for it.
//   - No more cores are granted that need a wake from another core than the snapshot has wakes for.
//
// The words: a core is lent by LC to BE while LC has nothing to do there, and taken back. A move is
// any change of owner. A hand-over is a move by the core itself; a wake is a move to a core where
// nobody runs, and costs ten times as much.
//
// Threads: a policy and its snapshot belong to the thread of the scheduler's pass. The slices of
// the snapshot and of the result are the caller's. Decide allocates nothing if the result has room
// for one action per core.
package policy

import "github.com/dunlin-io/dunlin/core"

// Limits of a snapshot. What lies beyond them is ignored.
const (
	MaxCores    = 256 // two sockets of the largest servers sold; scratch memory grows with it
	MaxRuntimes = 64  // as many as share a machine with some sense; Decide takes time for each
)

// None stands where there is no runtime or no core.
const None int16 = -1

// DefaultThreshold is the queueing delay from which one LC runtime may take a core from another.
// Origin: Caladan's figure, the order of one short request. Below it, waiting is cheaper.
const DefaultThreshold = 10 * core.Microsecond

// MinQuantum is the least time a BE runtime keeps a core that another BE runtime wants, whatever
// its configuration says: 25 hand-overs of 2 us, so that switching costs at most 4 %.
const MinQuantum = 50 * core.Microsecond

// since is how long ago at was: 0 for the future, and never an overflow.
func since(now, at core.Time) core.Time {
	if at >= now {
		return 0
	}
	if d := now - at; d > 0 {
		return d
	}
	return core.Never
}
