// Package dataplane moves frames: the frame memory (Pool), the rings to whoever is on the other
// side (Port, a Link), and the run-to-completion loop over them (Worker).
//
//	wire -> NIC queue -> XDP program --> Port rings --> Worker --> Endpoint --> handler
//	                                        ^  |                       (request view in,
//	                                        +--+ frames                 reply in a frame out)
//	                                        Pool
//
// The other side of a Port is the kernel's AF_XDP socket, the iokernel, or a test: a worker cannot
// tell. Everything here is pure: no clock, no system call, no goroutine. A Pool may be shared by
// the workers of one process; a Port, a Cache and a Worker belong to one thread, or, in a Team, to
// the one that has the claim.
//
// Ownership: a frame is in exactly one of free (pool), fill, kernel-rx, rx, held, tx, completion.
// Each exported call says which way ownership goes, and an audit counts them on a thread at rest:
//
//	Pool.Stored + Cache.Count + Port.Lent + Worker.Held = Pool.Chunks
package dataplane

// FrameMore in Frame.Len says that the next Frame continues this packet.
const FrameMore uint16 = 1 << 15

// MaxSegments is the most frames one packet may span: MAX_SKB_FRAGS (17) and the linear part, what
// AF_XDP accepts on transmit in copy mode.
const MaxSegments = 18

// MaxBurst is the most frames taken or sent at once. IX found 64 to be where batching stops paying.
const MaxBurst = 64

// Frame names a piece of frame memory: Len bytes at offset Off of chunk Index of a Pool. It holds
// no pointer; the bytes come from the Pool.
type Frame struct {
	Index uint32
	Off   uint16
	Len   uint16 // bytes, and FrameMore
}

// Bytes is the length of the data in bytes.
func (f Frame) Bytes() int { return int(f.Len &^ FrameMore) }

// More reports whether the next Frame continues this packet.
func (f Frame) More() bool { return f.Len&FrameMore != 0 }

// Segments is how many frames the first packet in frames has, 0 if it does not end there.
func Segments(frames []Frame) int {
	for i, f := range frames {
		if !f.More() {
			return i + 1
		}
	}
	return 0
}

// Link is a way for packets in and out. A packet is never split between two calls: what Recv
// returned and what Send accepted ends at a packet's end.
type Link interface {
	// Recv fills dst with received packets and returns how many frames. Ownership of the first n
	// moves to the caller, who gives each back through a Cache or Send. A packet that does not fit
	// into the rest of dst stays; room for MaxSegments takes any.
	Recv(dst []Frame) (n int)
	// Send takes frames for transmission. Ownership of the first n moves to the link, which returns
	// them to the pool once sent; the rest stays the caller's.
	Send(src []Frame) (n int)
	// Flush publishes what Send took and wakes the other side if it asked for that.
	Flush()
	// Pending reports whether input waits or output is unsent. It is pure; ask before parking.
	Pending() bool
}
