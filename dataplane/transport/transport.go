// Package transport carries calls, messages and remote writes between two runtimes over raw
// Ethernet frames or UDP: reliable, encrypted, in one frame each way where that suffices.
//
//	Call, Send, Write ─> outbound transfers ─┐                  ┌─> NextFrame ─> link
//	                      small │ bulk       ├─ lane ── seal ───┤
//	NextEvent <─ inbound transfers <─────────┘  (loss, window)  └── HandleFrame <─ link
//	                 │ copied once
//	             regions
//
// An Endpoint is a machine: it does no I/O and has no clock, goroutine or global randomness. It is
// told the time and the frames that arrive; it is asked for frames to send, for events, and for the
// time of its next deadline. It belongs to one thread. The simulator and production drive the same
// object:
//
//	for each frame received:   e.HandleFrame(now, frame)
//	if now >= e.Deadline():    e.HandleTimeout(now)
//	until it returns 0:        n := e.NextFrame(now, buffer)   send buffer[:n]
//	until it says no:          ev, ok := e.NextEvent()
//
// A session joins two runtime incarnations and has lanes. A lane is one sequence of frames each
// way, with keys, loss recovery, window and credit of its own. What travels in a lane is transfers:
// a call, its reply, a message, a write. They are independent of each other: none waits for the
// loss of another, and the order of delivery is not kept.
//
// Bytes: what Call, Send, Reply and Write are given is copied before they return, but for a stable
// Write. What HandleFrame is given is decrypted in place and copied out before it returns. What
// NextEvent returns is valid until the next NextEvent.
package transport
