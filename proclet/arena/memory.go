package arena

import "github.com/dunlin-io/dunlin/core/dirty"

// Memory is the window that arenas are slots of. Offsets and lengths are bytes of the window and
// multiples of PageBytes. core/mem implements it with the kernel's help, Plain with ordinary bytes
// for tests and the simulator.
type Memory interface {
	// Bytes is the whole window, always the same slice. Pages that were never touched, or were
	// dropped, read as zero.
	Bytes() []byte

	// Populate touches the pages now, so that no later access of theirs faults. It changes no byte.
	Populate(off, n int64) error

	// Drop gives the pages back; they read as zero afterwards.
	Drop(off, n int64) error

	// Protect makes the pages inaccessible (on), so that a stray access is a fault, or accessible
	// again. It is used under the build tag invariants, for slots that nobody owns.
	Protect(off, n int64, on bool) error
}

// Change is a run of whole pages that differ, or may differ, from what an earlier scan reported.
type Change = dirty.Change

// Tracker says which pages of a Memory changed. There are two: the kernel's (core/mem), which
// notices each first write to a page by itself, and Software, which believes what it is told.
// Offsets are those of the window; ranges are widened to whole pages.
//
// A page that was written and dropped between two scans is reported as what happened last.
type Tracker interface {
	// Track begins with a range in which everything counts as changed once.
	Track(off, n int64) error

	// Untrack forgets a range: its slot has no owner any more, or nobody asks.
	Untrack(off, n int64) error

	// Wrote says that bytes were written or may be: a mutable view of them was handed out, or
	// somebody else (a remote write, read(2)) wrote them. Until Settle they count as changed in
	// each scan, because a view can be written through at any time. The kernel's tracker ignores
	// it.
	Wrote(off, n int64)

	// Settle says that all views into the range have ended, as at the end of a handler. What they
	// covered is reported by the next scan once more, and then no longer.
	Settle(off, n int64)

	// Drop drops whole pages through Memory and remembers them as dropped: the kernel's own
	// reports would not name them.
	Drop(off, n int64) error

	// Scan appends the changes of the range to dst, in rising order and without overlap, and
	// re-arms: the next scan reports what changed after this one. A tracker that cannot say what
	// changed returns an error, and then everything must be taken for changed.
	Scan(off, n int64, dst []Change) ([]Change, error)
}

// PageBytes is the page of every range above: the smallest of the machines that we know. It is also
// the page of images and checkpoints.
const PageBytes = 4096
