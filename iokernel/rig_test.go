package iokernel

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// The tests of this package play both sides of a Dataplane: the NIC (nic, a Link over a pool of its
// own) and the runtimes (guest: honest, through dataplane.Port; hostile ones write into the shared
// memory as they like, see hostile_test.go).

var (
	hostMAC = wire.MAC{0x02, 0, 0, 0, 0, 0x01}
	peerMAC = wire.MAC{0x02, 0, 0, 0, 0, 0x02}

	hostAddr4 = netip.MustParseAddr("192.0.2.1")
	hostAddrB = netip.MustParseAddr("192.0.2.9")
	hostAddr6 = netip.MustParseAddr("2001:db8::1")
	peerAddr4 = netip.MustParseAddr("192.0.2.77")
	peerAddr6 = netip.MustParseAddr("2001:db8::77")
)

const (
	typeA wire.EtherType = 0x88B5
	typeB wire.EtherType = 0x88B6
)

// nic plays a NIC queue.
type nic struct {
	cache *dataplane.Cache
	in    []dataplane.Frame // arrives at the next Recv
	room  int               // frames that Send takes before it is full; negative: any number
	lazy  bool              // what was sent stays with the hardware until finish
	held  []dataplane.Frame
	sent  [][]byte // packets
	mute  bool     // does not keep copies of them
}

func (n *nic) Recv(dst []dataplane.Frame) int {
	taken := 0
	for taken < len(n.in) {
		k := dataplane.Segments(n.in[taken:])
		if taken+k > len(dst) {
			break
		}
		taken += copy(dst[taken:], n.in[taken:taken+k])
	}
	n.in = n.in[:copy(n.in, n.in[taken:])]
	return taken
}

func (n *nic) Send(src []dataplane.Frame) int {
	taken := 0
	for taken < len(src) {
		k := dataplane.Segments(src[taken:])
		if n.room >= 0 && taken+k > n.room {
			break
		}
		if !n.mute {
			n.sent = append(n.sent, gather(n.cache.Pool(), src[taken:taken+k]))
		}
		taken += k
	}
	if n.room >= 0 {
		n.room -= taken
	}
	if n.lazy {
		n.held = append(n.held, src[:taken]...)
	} else {
		n.cache.FreeAll(src[:taken])
	}
	return taken
}

func (n *nic) Flush() {}

func (n *nic) Pending() bool { return len(n.in) > 0 }

// finish completes the transmission of what a lazy NIC holds.
func (n *nic) finish() {
	n.cache.FreeAll(n.held)
	n.held = n.held[:0]
}

// arrive puts a packet before the Dataplane, cut into the given lengths; the last may be left out.
// It reports whether there were frames for it.
func (n *nic) arrive(t testing.TB, packet []byte, cuts ...int) bool {
	t.Helper()
	frames, ok := scatter(n.cache, packet, cuts)
	n.in = append(n.in, frames...)
	return ok
}

// frames counts where the NIC's frames are, without those that the Dataplane holds.
func (n *nic) frames() int {
	return n.cache.Count() + n.cache.Pool().Stored() + len(n.in) + len(n.held)
}

// gather copies a packet's bytes out of its frames.
func gather(pool *dataplane.Pool, packet []dataplane.Frame) []byte {
	var b []byte
	for _, f := range packet {
		b = append(b, pool.Bytes(f)...)
	}
	return b
}

// scatter copies a packet into frames of the given lengths, and of whole chunks after those.
func scatter(c *dataplane.Cache, packet []byte, cuts []int) ([]dataplane.Frame, bool) {
	var frames []dataplane.Frame
	for len(packet) > 0 {
		n := min(len(packet), c.Pool().ChunkBytes())
		if len(cuts) > 0 {
			n, cuts = min(n, cuts[0]), cuts[1:]
		}
		index, ok := c.Alloc()
		if !ok {
			c.FreeAll(frames)
			return nil, false
		}
		f := dataplane.Frame{Index: index, Len: uint16(copy(c.Pool().Chunk(index), packet[:n]))}
		if packet = packet[n:]; len(packet) > 0 {
			f.Len |= dataplane.FrameMore
		}
		frames = append(frames, f)
	}
	return frames, true
}

// bell counts rings.
type bell struct{ rings int }

func (b *bell) Signal() { b.rings++ }

// guest is an attached runtime that keeps to the rules.
type guest struct {
	layout dataplane.Layout
	mem    []byte
	pool   *dataplane.Pool
	ports  []*dataplane.Port
	caches []*dataplane.Cache
	bells  []*bell // rung by the Dataplane
	kicks  int     // of the Dataplane by the ports
	rt     *Runtime
}

// KickTx and KickRx make a guest the doorbell of its ports.
func (g *guest) KickTx() dataplane.Kick { g.kicks++; return dataplane.KickDone }
func (g *guest) KickRx()                { g.kicks++ }

// shape sizes a guest. The zero shape is one worker, rings of 64, 256 chunks of 2,048 bytes.
type shape struct {
	workers, chunks, chunkBytes, lend int
	entries                           uint32
	start                             uint32 // where all indices of the rings begin
}

func (s shape) layout(t testing.TB) dataplane.Layout {
	t.Helper()
	c := dataplane.LayoutConfig{Workers: 1, RingEntries: 64, ChunkBytes: 2048, Chunks: 256}
	if s.workers != 0 {
		c.Workers = s.workers
	}
	if s.chunks != 0 {
		c.Chunks = s.chunks
	}
	if s.chunkBytes != 0 {
		c.ChunkBytes = s.chunkBytes
	}
	if s.entries != 0 {
		c.RingEntries = s.entries
	}
	l, err := dataplane.NewLayout(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// recv takes all packets that lie in a worker's rx ring.
func (g *guest) recv(worker int) (packets [][]byte) {
	for _, frames := range g.take(worker) {
		packets = append(packets, gather(g.pool, frames))
		g.caches[worker].FreeAll(frames)
	}
	return packets
}

// take is recv without giving the frames back.
func (g *guest) take(worker int) (packets [][]dataplane.Frame) {
	var burst [dataplane.MaxBurst]dataplane.Frame
	for {
		n := g.ports[worker].Recv(burst[:])
		if n == 0 {
			return packets
		}
		for at := 0; at < n; {
			k := dataplane.Segments(burst[at:n])
			packets = append(packets, append([]dataplane.Frame(nil), burst[at:at+k]...))
			at += k
		}
	}
}

// send hands a packet in, cut into the given lengths, and reports whether there were frames and
// room.
func (g *guest) send(worker int, packet []byte, cuts ...int) bool {
	frames, ok := scatter(g.caches[worker], packet, cuts)
	if !ok {
		return false
	}
	n := g.ports[worker].Send(frames)
	g.ports[worker].Flush()
	g.caches[worker].FreeAll(frames[n:])
	return n == len(frames)
}

// lent counts the chunks that the Dataplane has of a guest.
func (g *guest) lent() (n int) {
	for _, p := range g.ports {
		n += p.Lent().Rx + p.Lent().Tx
	}
	return n
}

// frames counts where a guest's chunks are, those lent included.
func (g *guest) frames() int {
	n := g.pool.Stored() + g.lent()
	for _, c := range g.caches {
		n += c.Count()
	}
	return n
}

// rig is a Dataplane between NIC queues and guests.
type rig struct {
	testing.TB
	*Dataplane
	nics   []*nic
	guests []*guest
}

// newRig returns a Dataplane with so many queues, their pools of 512 chunks of 2,048 bytes.
func newRig(t testing.TB, queues int) *rig { return newRigOf(t, queues, 512, 2048) }

func newRigOf(t testing.TB, queues, chunks, chunkBytes int) *rig {
	t.Helper()
	r := &rig{TB: t}
	c := Config{MAC: hostMAC, MTU: dataplane.DefaultMTU}
	for range queues {
		cache := newCache(t, make([]byte, chunks*chunkBytes), chunkBytes, 1)
		n := &nic{cache: cache, room: -1}
		r.nics = append(r.nics, n)
		c.Queues = append(c.Queues, Queue{Link: n, Cache: cache})
	}
	var err error
	if r.Dataplane, err = New(c); err != nil {
		t.Fatal(err)
	}
	if err = r.SetAddresses([]netip.Addr{hostAddr4, hostAddrB, hostAddr6}); err != nil {
		t.Fatal(err)
	}
	return r
}

func newCache(t testing.TB, mem []byte, chunkBytes, caches int) *dataplane.Cache {
	t.Helper()
	pool, err := dataplane.NewPool(mem, dataplane.PoolConfig{ChunkBytes: chunkBytes, Caches: caches})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := pool.Cache()
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

// attach attaches an honest guest.
func (r *rig) attach(name string, s shape, endpoints ...Endpoint) *guest {
	r.Helper()
	g := r.attachMemory(name, s, endpoints...)
	cache := newCache(r, g.layout.FrameMemory(g.mem), g.layout.ChunkBytes, g.layout.Workers)
	g.pool = cache.Pool()
	for w := range g.layout.Workers {
		if w > 0 {
			var err error
			if cache, err = g.pool.Cache(); err != nil {
				r.Fatal(err)
			}
		}
		rings, err := g.layout.Rings(g.mem, w)
		if err != nil {
			r.Fatal(err)
		}
		port, err := dataplane.NewPort(rings, cache, g, dataplane.PortConfig{FillChunks: s.lend})
		if err != nil {
			r.Fatal(err)
		}
		g.caches, g.ports = append(g.caches, cache), append(g.ports, port)
	}
	return g
}

// attachMemory attaches a runtime whose side nobody plays yet.
func (r *rig) attachMemory(name string, s shape, endpoints ...Endpoint) *guest {
	r.Helper()
	l := s.layout(r)
	g := &guest{layout: l, mem: make([]byte, l.Bytes)}
	c := RuntimeConfig{Name: name, Layout: l, Memory: g.mem, Endpoints: endpoints}
	for w := range l.Workers {
		for kind := range ringKinds {
			ring := sharedRing(g, w, kind)
			ring.set(producerWord, s.start)
			ring.set(consumerWord, s.start)
		}
		g.bells = append(g.bells, &bell{})
		c.Wakers = append(c.Wakers, g.bells[w])
	}
	var err error
	if g.rt, err = r.Attach(c); err != nil {
		r.Fatal(err)
	}
	r.guests = append(r.guests, g)
	return g
}

// settle polls until nothing moves.
func (r *rig) settle() {
	r.Helper()
	for range 1000 {
		if r.Poll(0) == 0 {
			return
		}
	}
	r.Fatal("the Dataplane still moves frames after 1,000 polls without input")
}

// noEviction fails if a runtime was cut off.
func (r *rig) noEviction() {
	r.Helper()
	if e, ok := r.NextEviction(); ok {
		r.Fatalf("runtime %s evicted: it %s", e.Runtime.Name(), e.Violation)
	}
}

// audit counts all frames of the NICs and of the honest guests.
func (r *rig) audit() {
	r.Helper()
	for i, n := range r.nics {
		if got, want := n.frames()+r.Held(i), n.cache.Pool().Chunks(); got != want {
			r.Errorf("queue %d: %d frames of %d are accounted for (the Dataplane holds %d)",
				i, got, want, r.Held(i))
		}
	}
	for i, g := range r.guests {
		if g.pool != nil && g.frames() != g.pool.Chunks() {
			r.Errorf("guest %d: %d chunks of %d are accounted for", i, g.frames(), g.pool.Chunks())
		}
	}
}

// The parts of a ring in shared memory (core/ring has the picture), for tests that write there.
const (
	fillRing = iota
	completionRing
	rxRing
	txRing
	ringKinds

	producerWord = 0
	consumerWord = 128
	flagsWord    = 192
	entriesWord  = 320
)

// shared is the memory of one ring.
type shared []byte

// sharedRing finds a ring: they lie between the header's page and the frames, each of one size.
func sharedRing(g *guest, worker, kind int) shared {
	const header = 4096
	size := (int(g.layout.Frames) - header) / (g.layout.Workers * ringKinds)
	at := header + (worker*ringKinds+kind)*size
	return g.mem[at : at+size]
}

func (s shared) get(word int) uint32    { return binary.NativeEndian.Uint32(s[word:]) }
func (s shared) set(word int, v uint32) { binary.NativeEndian.PutUint32(s[word:], v) }

// rawPacket is an Ethernet packet of n bytes with a pattern that depends on seed.
func rawPacket(dst, src wire.MAC, t wire.EtherType, n, seed int) []byte {
	b := pattern(n, seed)
	wire.PutEthernet(b, dst, src, t)
	return b
}

// udpPacket is a UDP packet with a payload of n bytes and checksums.
func udpPacket(dstMAC, srcMAC wire.MAC, dst, src netip.AddrPort, n, seed int) []byte {
	f := wire.UDPFlow{
		SrcMAC: srcMAC, DstMAC: dstMAC, Src: wire.UDPAddrFrom(src),
		Dst: wire.UDPAddrFrom(dst),
	}
	b := append(make([]byte, f.HeaderBytes()), pattern(n, seed)...)
	wire.UpdateUDPChecksum(b, wire.PutUDP(b, &f, n))
	return b
}

// pattern is n bytes of which no two stretches are alike.
func pattern(n, seed int) []byte {
	b := make([]byte, n)
	x := uint64(seed)*0x9E3779B97F4A7C15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x >> 32)
	}
	return b
}

// at is an address of a test with a port.
func at(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// same fails unless the packets are these, byte for byte.
func same(t testing.TB, what string, got [][]byte, want ...[]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d packets, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("%s: packet %d of %d bytes differs from what was sent (%d bytes)",
				what, i, len(got[i]), len(want[i]))
		}
	}
}

// drops fails unless exactly these drops were counted.
func drops(t testing.TB, what string, got [DropCount]uint64, want map[Drop]uint64) {
	t.Helper()
	for reason, n := range got {
		if n != want[Drop(reason)] {
			t.Errorf("%s: %d packets dropped as %s, want %d", what, n, Drop(reason), want[Drop(reason)])
		}
	}
}
