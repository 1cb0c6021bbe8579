// Package ring is the single-producer single-consumer descriptor ring of AF_XDP, over memory that
// somebody else mapped.
//
// It has both ends of the ring, so that a worker can talk to the kernel, a test can play the kernel
// to a worker, and the iokernel can play the kernel to a runtime.
//
//	offset  0    producer index   written by the producer only
//	offset 128   consumer index   written by the consumer only
//	offset 192   flags            written by the consumer only: wake me after you publish
//	offset 320   entries          written by the producer only, power of two of them
//
// (The offsets are Standard's; the kernel reports its own.) Indices run freely through 2^32 and are
// masked at each access. Each end keeps its own index and its last look at the other's privately: a
// peer that writes nonsense into shared memory can make an end see an empty or a full ring and set
// Broken, and nothing else.
//
// Ordering rests on sync/atomic: entries are written before the producer index is stored and read
// after it was loaded, and a store is sequentially consistent with a later load of the flags, which
// is what makes "publish, then look whether to wake" against "announce sleep, then look again"
// safe.
//
// An end is used by one thread at a time and never blocks or allocates.
package ring

import (
	"fmt"
	"math/bits"
	"sync/atomic"
)

// Entry is what a ring can carry: an address (fill, completion) or a Desc (receive, transmit).
type Entry interface{ uint64 | Desc }

// Desc is the kernel's struct xdp_desc: 16 bytes, native byte order.
type Desc struct {
	Addr    uint64 // byte offset of the data in the frame memory
	Len     uint32 // bytes of data
	Options uint32 // OptionMore or 0
}

// OptionMore (XDP_PKT_CONTD) says that the packet goes on in the next descriptor.
const OptionMore uint32 = 1 << 0

// FlagNeedWakeup (XDP_RING_NEED_WAKEUP) in the flags word: the consumer sleeps.
const FlagNeedWakeup uint32 = 1 << 0

// MaxEntries bounds a ring; the kernel refuses more than 2^31 bytes, we far less. (guess)
const MaxEntries = 1 << 16

// Offsets are the byte offsets of a ring's parts in its mapping.
type Offsets struct{ Producer, Consumer, Flags, Entries uint64 }

// Standard is the layout of the rings we make ourselves; it equals the kernel's on 64-bit machines.
func Standard() Offsets { return Offsets{Producer: 0, Consumer: 128, Flags: 192, Entries: 320} }

// DescBytes and AddrBytes are the sizes of the two kinds of entries.
const (
	DescBytes = 16
	AddrBytes = 8
)

// Bytes is how much memory a ring of n entries of entryBytes takes with these offsets.
func (o Offsets) Bytes(n uint32, entryBytes uint64) uint64 {
	return o.Entries + uint64(n)*entryBytes
}

// words are the shared parts of a ring, as both ends see them.
type words[T Entry] struct {
	producer *atomic.Uint32
	consumer *atomic.Uint32
	flags    *atomic.Uint32
	entries  []T
	mask     uint32
}

func (o Offsets) check(mem uint64, n uint32, entryBytes uint64) error {
	if n == 0 || bits.OnesCount32(n) != 1 || n > MaxEntries {
		return fmt.Errorf("ring: %d entries: want a power of two up to %d", n, MaxEntries)
	}
	if o.Producer%4 != 0 || o.Consumer%4 != 0 || o.Flags%4 != 0 || o.Entries%8 != 0 {
		return fmt.Errorf("ring: offsets %+v are not aligned", o)
	}
	// Each comparison alone cannot overflow: n*entryBytes is at most 2^20.
	if o.Producer > mem-4 || o.Consumer > mem-4 || o.Flags > mem-4 ||
		o.Entries > mem || mem-o.Entries < uint64(n)*entryBytes || mem < 4 {
		return fmt.Errorf("ring: %d entries of %d bytes at offsets %+v do not fit into %d bytes",
			n, entryBytes, o, mem)
	}
	return nil
}

func nonsense(producer, consumer, n uint32) error {
	return fmt.Errorf("ring: producer at %d and consumer at %d are more than %d entries apart",
		producer, consumer, n)
}
