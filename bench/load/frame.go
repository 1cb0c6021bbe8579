package load

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// Shape of the frame memory and rings of a bare end.
const (
	// chunkBytes holds a frame of 1,400 B behind the kernel's 256 B of headroom.
	chunkBytes = 2048
	// ringEntries is the size of each ring: whatever a generator has outstanding finds room, also
	// while the other end does not run.
	ringEntries = MaxWindow
	// frameChunks is one fill ring's worth to receive into, and one to transmit from.
	frameChunks = 2 * ringEntries
	// firstLent is how many chunks are lent to the kernel to begin with; more are when bursts
	// come. It goes through all of them in turn, so few are kinder to the caches: a round trip
	// with 256 at each end takes 3.3 % less than with 1,024, with 64 it is 4.2 % (DIARY #1). 256
	// last 25 ms at 10,000 frames a second, for an end that does not run meanwhile.
	// dataplane.Port has as many.
	firstLent = 256
	// FrameMemory is the bytes of a bare end's frame memory.
	FrameMemory = frameChunks * chunkBytes
)

// end is one end of an AF_XDP socket with nothing on top: rings and memory, no pool, port, worker
// or host. It is what the floor is made of, at both ends, and what every generator of frames sends
// with, so that rows differ in their servers only.
//
// What may wait, waits until there is nothing to do: chunks go back to the fill ring, and sent ones
// are taken from the completion ring, while the reply is on its way.
type end struct {
	rings  dataplane.Rings
	bell   dataplane.Doorbell
	memory []byte
	lent   uint32 // chunks that circulate for receiving: the first ones of the memory
	unsent bool   // published what the kernel could not take
	down   bool
}

func newEnd(r dataplane.Rings, bell dataplane.Doorbell, memory []byte) (end, error) {
	sizes := sock.Sizes{
		Fill: r.Fill.Size(), Completion: r.Completion.Size(), Rx: r.Rx.Size(),
		Tx: r.Tx.Size(),
	}
	if len(memory) != FrameMemory || sizes != bareSizes() {
		return end{}, fmt.Errorf("load: bare end over %d bytes and rings of %+v: want %d bytes "+
			"and %+v", len(memory), sizes, FrameMemory, bareSizes())
	}
	e := end{rings: r, bell: bell, memory: memory}
	e.lend(firstLent)
	return e, nil
}

// header is what stands before the payload of a request, and what must stand before that of a
// reply.
type header struct {
	bytes   int // of the headers
	udp     bool
	request func(b []byte, payload int)
	// The reply's Ethernet header, and for UDP its addresses and ports.
	ethernet [wire.EthernetBytes]byte
	flow     [flowBytes]byte
}

// Where the addresses and ports stand in a UDP packet over IPv4 without options: one run of bytes.
const (
	flowAt    = wire.EthernetBytes + 12
	flowBytes = 4 + 4 + 2 + 2
)

// rawHeader is the header of frames of dunlin's EtherType between two ends.
func rawHeader(from, to wire.MAC, t wire.EtherType) header {
	h := header{bytes: wire.EthernetBytes, request: func(b []byte, _ int) {
		wire.PutEthernet(b, to, from, t)
	}}
	wire.PutEthernet(h.ethernet[:], from, to, t)
	return h
}

// udpHeader is the header of UDP packets over IPv4, without UDP checksum as IPv4 allows.
func udpHeader(f wire.UDPFlow) header {
	h := header{bytes: wire.UDP4Bytes, udp: true, request: func(b []byte, payload int) {
		wire.PutUDP4(b, &f, payload)
	}}
	reply, b := f.Turned(), [wire.UDP4Bytes]byte{}
	wire.PutUDP4(b[:], &reply, 0)
	copy(h.ethernet[:], b[:])
	copy(h.flow[:], b[flowAt:])
	return h
}

// frameClient is a Transport that sends frames over a bare end.
type frameClient struct {
	end
	header header
	frame  int
	free   [ringEntries]uint64 // chunks to transmit from, a stack
	count  int
	spare  [2 * burst]uint64 // chunks to lend again
	spares uint32
}

func newFrameClient(r dataplane.Rings, bell dataplane.Doorbell, memory []byte, h header,
) (*frameClient, error) {
	e, err := newEnd(r, bell, memory)
	if err != nil {
		return nil, err
	}
	c := &frameClient{end: e, header: h, count: ringEntries}
	for i := range c.free {
		c.free[i] = uint64(ringEntries+i) * chunkBytes
	}
	return c, nil
}

// SetBytes implements Transport: headers depend on nothing but the size, so they are written here
// into every chunk that is transmitted from, and Send writes payloads only.
func (c *frameClient) SetBytes(frame int) error {
	if payload := frame - c.header.bytes; payload < minPayload || frame > chunkBytes {
		return fmt.Errorf("load: frames of %d bytes: want %d to %d", frame,
			c.header.bytes+minPayload, chunkBytes)
	}
	for i := range uint64(ringEntries) {
		at := (ringEntries + i) * chunkBytes
		c.header.request(c.memory[at:at+chunkBytes], frame-c.header.bytes)
	}
	c.frame = frame
	return nil
}

// frameEcho sends each frame back where it came from, in the chunk that it came in.
type frameEcho struct {
	end
	owed uint32 // sent, not yet lent again
}

func newFrameEcho(r dataplane.Rings, bell dataplane.Doorbell, memory []byte) (*frameEcho, error) {
	e, err := newEnd(r, bell, memory)
	if err != nil {
		return nil, err
	}
	return &frameEcho{end: e}, nil
}

var _ Transport = (*frameClient)(nil)

// chunkOf is the address of the chunk that an address lies in.
func chunkOf(addr uint64) uint64 { return addr &^ (chunkBytes - 1) }

// descriptor is that of n bytes at the start of a chunk.
func descriptor(chunk uint64, n int) ring.Desc { return ring.Desc{Addr: chunk, Len: uint32(n)} }

// bareSizes are the rings of a bare end.
func bareSizes() sock.Sizes {
	return sock.Sizes{Fill: ringEntries, Completion: ringEntries, Rx: ringEntries, Tx: ringEntries}
}
