// Package arena holds the state of proclets: contiguous slots of memory off Go's heap, which are
// made in nanoseconds, freed at once and copied as they are.
//
// An arena is a slot. Everything in it, the allocator's lists included, is a number, and every
// place is an offset from the slot's start: so the bytes mean the same at any address, and moving,
// cloning, checkpointing and migrating an arena are copies.
//
//	0        2 KiB          a page                                                    cap
//	│ header │ system part  │ user part                                                │
//	│        │ inbox, timers│ blocks: live, free ──> bump     rest: dirty │ rest: zero  │
//	│        │ call record  │ ▓▓▓▓│░░│▓▓│▓▓▓▓▓▓│░░░░░│▓▓▓▓▓│···············│             │
//	└────────┴──────────────┴──────────────────────────────────────────────────────────┘
//	 \______________________ the image: these bytes, free ones as zeros ___/
//
// Memory comes from a bump pointer and from lists of free blocks by size class; it is zero when it
// is handed out, so freeing everything (Reset) touches no page. A Ref is an offset and a
// generation, checked against the part that it is used with: a mistake, or an image that somebody
// made up, reaches neither another arena nor the system part. What Go code does with pointers that
// it kept is its own affair: code that nobody trusts runs as WebAssembly.
//
//	var accounts = arena.MustRegister[Account]()  // once: a pointer in it is refused by name
//
//	ref, err := accounts.New(heap)                // a FullError when the cap is reached
//	ref.Mut(heap).Balance += 5                    // a pointer, until the handler ends
//	err = ref.Free(heap)
//
// Rooms of this package: arena.go (slots), heap*.go and grow.go (allocation), ref_unsafe.go and
// types.go (Refs and what they may refer to), walk.go (what is where, and its proof), image.go and
// checkpoint*.go (copies), memory.go (the pages below, and who says which changed), software.go and
// owed.go (that, without a kernel). Collections lie in the package containers.
//
// An Arena, its Heaps and everything in the slot belong to one thread at a time: the worker that
// runs the proclet. The slot is the caller's, who gives it and takes it back. Nothing here reads a
// clock, blocks or makes system calls, CheckpointFile and RestoreFile apart; the pages are a door's
// (core/mem) behind the interface Memory. It uses klauspost/compress for checkpoints, because zstd
// is what fits pages on disk and the standard library has none.
package arena
