package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/dunlin-io/dunlin/core/ring"
)

// LayoutConfig sizes the memory that an iokernel and one runtime share.
type LayoutConfig struct {
	Workers     int    // one port each
	RingEntries uint32 // of each of a port's four rings, a power of two
	ChunkBytes  int
	Chunks      int // of the frame memory, which the workers share
}

// Bounds of a LayoutConfig. (guess: far above what a machine of today has cores and frames for)
const (
	MaxWorkers     = 256
	MaxRingEntries = 1 << 14
	MaxChunks      = 1 << 20
)

// layoutMagic is "dunlin" and the version of the layout.
const layoutMagic uint64 = 0x64756e6c_696e0001

// pageBytes is what parts are aligned to, so that each can have protection and residence of its
// own.
const pageBytes = 4096

// Layout is where the parts of the shared memory are, in bytes from its start:
//
//	0       header: magic, then the four numbers of LayoutConfig; written once by the iokernel
//	4096    per worker: fill, completion, rx and tx ring, each from a page of its own
//	Frames  chunks; the runtime owns those that it has not put on a ring
//
// A ring's indices and flags have one writer per cache line (see core/ring). The frame memory is
// written by whoever owns the chunk.
type Layout struct {
	LayoutConfig
	ringBytes uint64 // of one ring, rounded to pages
	Frames    uint64 // offset of the frame memory
	Bytes     uint64 // of everything
}

// NewLayout computes the layout.
func NewLayout(c LayoutConfig) (Layout, error) {
	if c.Workers < 1 || c.Workers > MaxWorkers ||
		c.RingEntries < MaxBurst || c.RingEntries > MaxRingEntries ||
		bits.OnesCount32(c.RingEntries) != 1 ||
		c.ChunkBytes != MinChunkBytes && c.ChunkBytes != MaxChunkBytes ||
		c.Chunks < 2*MaxBurst || c.Chunks > MaxChunks || c.Chunks*c.ChunkBytes%pageBytes != 0 {
		return Layout{}, fmt.Errorf("dataplane: layout of %d workers, rings of %d, %d chunks of "+
			"%d bytes: want 1 to %d workers, a power of two from %d to %d, %d to %d chunks of %d "+
			"or %d",
			c.Workers, c.RingEntries, c.Chunks, c.ChunkBytes, MaxWorkers, MaxBurst, MaxRingEntries,
			2*MaxBurst, MaxChunks, MinChunkBytes, MaxChunkBytes)
	}
	l := Layout{LayoutConfig: c}
	raw := ring.Standard().Bytes(c.RingEntries, ring.DescBytes)
	l.ringBytes = (raw + pageBytes - 1) / pageBytes * pageBytes
	l.Frames = pageBytes + uint64(c.Workers)*4*l.ringBytes
	l.Bytes = l.Frames + uint64(c.Chunks)*uint64(c.ChunkBytes)
	return l, nil
}

// PutHeader writes the header; the iokernel does, before it hands the memory out.
func (l Layout) PutHeader(mem []byte) {
	binary.NativeEndian.PutUint64(mem[0:], layoutMagic)
	binary.NativeEndian.PutUint32(mem[8:], uint32(l.Workers))
	binary.NativeEndian.PutUint32(mem[12:], l.RingEntries)
	binary.NativeEndian.PutUint32(mem[16:], uint32(l.ChunkBytes))
	binary.NativeEndian.PutUint32(mem[20:], uint32(l.Chunks))
}

// ReadLayout reads and checks the header of memory that an iokernel handed out.
func ReadLayout(mem []byte) (Layout, error) {
	if len(mem) < pageBytes {
		return Layout{}, fmt.Errorf("dataplane: shared memory of %d bytes has no header", len(mem))
	}
	if m := binary.NativeEndian.Uint64(mem); m != layoutMagic {
		return Layout{}, fmt.Errorf("dataplane: shared memory says %#x, this program knows %#x: "+
			"iokernel and program are of different versions", m, layoutMagic)
	}
	l, err := NewLayout(LayoutConfig{
		Workers:     int(binary.NativeEndian.Uint32(mem[8:])),
		RingEntries: binary.NativeEndian.Uint32(mem[12:]),
		ChunkBytes:  int(binary.NativeEndian.Uint32(mem[16:])),
		Chunks:      int(binary.NativeEndian.Uint32(mem[20:])),
	})
	if err != nil {
		return Layout{}, err
	}
	if l.Bytes > uint64(len(mem)) {
		return Layout{}, fmt.Errorf("dataplane: shared memory of %d bytes, its header says %d",
			len(mem), l.Bytes)
	}
	return l, nil
}

// FrameMemory is the part of mem that a Pool divides.
func (l Layout) FrameMemory(mem []byte) []byte { return mem[l.Frames:l.Bytes:l.Bytes] }

// ringMemory is the memory of the k-th ring of a worker: 0 fill, 1 completion, 2 rx, 3 tx.
func (l Layout) ringMemory(mem []byte, worker, k int) []byte {
	at := pageBytes + uint64(worker*4+k)*l.ringBytes
	return mem[at : at+l.ringBytes : at+l.ringBytes]
}

// Rings returns the runtime's ends of a worker's port.
func (l Layout) Rings(mem []byte, worker int) (r Rings, err error) {
	if worker < 0 || worker >= l.Workers {
		return r, fmt.Errorf("dataplane: worker %d of %d", worker, l.Workers)
	}
	at, n := ring.Standard(), l.RingEntries
	var errs [4]error
	r.Fill, errs[0] = ring.NewProducer[uint64](l.ringMemory(mem, worker, 0), at, n)
	r.Completion, errs[1] = ring.NewConsumer[uint64](l.ringMemory(mem, worker, 1), at, n)
	r.Rx, errs[2] = ring.NewConsumer[ring.Desc](l.ringMemory(mem, worker, 2), at, n)
	r.Tx, errs[3] = ring.NewProducer[ring.Desc](l.ringMemory(mem, worker, 3), at, n)
	return r, errors.Join(errs[:]...)
}

// FarRings are the other side's ends: the kernel's, or of whoever plays it.
type FarRings struct {
	Fill       ring.Consumer[uint64]
	Completion ring.Producer[uint64]
	Rx         ring.Producer[ring.Desc]
	Tx         ring.Consumer[ring.Desc]
}

// FarRings returns the iokernel's ends of a worker's port.
func (l Layout) FarRings(mem []byte, worker int) (r FarRings, err error) {
	if worker < 0 || worker >= l.Workers {
		return r, fmt.Errorf("dataplane: worker %d of %d", worker, l.Workers)
	}
	at, n := ring.Standard(), l.RingEntries
	var errs [4]error
	r.Fill, errs[0] = ring.NewConsumer[uint64](l.ringMemory(mem, worker, 0), at, n)
	r.Completion, errs[1] = ring.NewProducer[uint64](l.ringMemory(mem, worker, 1), at, n)
	r.Rx, errs[2] = ring.NewProducer[ring.Desc](l.ringMemory(mem, worker, 2), at, n)
	r.Tx, errs[3] = ring.NewConsumer[ring.Desc](l.ringMemory(mem, worker, 3), at, n)
	return r, errors.Join(errs[:]...)
}
