package dataplane_test

import (
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
)

// failer is what a testing.T, a testing.B, a testing.F and a rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// kernel plays the far side of a port: it takes chunks off the fill ring and receives packets into
// them, takes packets off the tx ring and completes their chunks. It is honest unless a test makes
// it write something else through far.
type kernel struct {
	mem      []byte // frame memory
	far      dataplane.FarRings
	fill     []uint64    // addresses taken off the fill ring, not used yet
	flight   []uint64    // addresses taken off the tx ring, not completed yet
	sent     []byte      // first byte of each packet that was transmitted, in order
	sentLens []int       // bytes of each
	last     []uint64    // where the frames of the packet staged last begin
	kick     []kickEvent // what the next KickTx calls do; none: take all
	kicksTx  int
	kicksRx  int
	partial  bool // inside a packet on the tx ring
	holdBack bool // KickTx leaves completion to the test
}

// kickEvent is one KickTx: take this many descriptors, then say that.
type kickEvent struct {
	take uint32
	say  dataplane.Kick
}

const headroom = 256 // XDP_PACKET_HEADROOM: where the kernel puts received data in a chunk

func (k *kernel) KickTx() dataplane.Kick {
	k.kicksTx++
	if len(k.kick) == 0 {
		k.transmit(1 << 16)
		return dataplane.KickDone
	}
	e := k.kick[0]
	k.kick = k.kick[1:]
	k.transmit(e.take)
	return e.say
}

func (k *kernel) KickRx() { k.kicksRx++ }

// transmit takes at most n descriptors off the tx ring.
func (k *kernel) transmit(n uint32) {
	n = min(n, k.far.Tx.Waiting())
	for i := range n {
		d := k.far.Tx.At(i)
		if !k.partial {
			k.sent = append(k.sent, k.mem[d.Addr])
			k.sentLens = append(k.sentLens, 0)
		}
		k.sentLens[len(k.sentLens)-1] += int(d.Len)
		k.partial = d.Options&ring.OptionMore != 0
		k.flight = append(k.flight, d.Addr)
	}
	k.far.Tx.Release(n)
	if !k.holdBack {
		k.complete(len(k.flight))
	}
}

// complete gives n transmitted chunks back, as far as the completion ring has room.
func (k *kernel) complete(n int) {
	n = int(k.far.Completion.Reserve(uint32(min(n, len(k.flight)))))
	for i, addr := range k.flight[:n] {
		k.far.Completion.Set(uint32(i), addr)
	}
	k.far.Completion.Submit(uint32(n))
	k.flight = append(k.flight[:0], k.flight[n:]...)
}

// refill takes all that is on the fill ring.
func (k *kernel) refill() {
	n := k.far.Fill.Waiting()
	for i := range n {
		k.fill = append(k.fill, k.far.Fill.At(i))
	}
	k.far.Fill.Release(n)
}

// stage writes a packet of so many frames of length bytes, each beginning with mark, behind what
// was staged before: at is how many descriptors that is. It returns false, and does nothing,
// without chunks or room on the rx ring for all of it.
func (k *kernel) stage(at uint32, frames, length int, mark byte) bool {
	k.refill()
	if len(k.fill) < frames || k.far.Rx.Reserve(at+uint32(frames)) < at+uint32(frames) {
		return false
	}
	k.last = k.last[:0]
	for i := range frames {
		last := len(k.fill) - 1
		addr := k.fill[last] + headroom
		k.fill = k.fill[:last]
		d := ring.Desc{Addr: addr, Len: uint32(length)}
		if i+1 < frames {
			d.Options = ring.OptionMore
		}
		k.mem[addr] = mark
		k.last = append(k.last, addr)
		k.far.Rx.Set(at+uint32(i), d)
	}
	return true
}

// deliver stages a packet and publishes it.
func (k *kernel) deliver(frames, length int, mark byte) bool {
	if !k.stage(0, frames, length, mark) {
		return false
	}
	k.far.Rx.Submit(uint32(frames))
	return true
}

// rig is a port, its pool and the kernel on the far side.
type rig struct {
	layout dataplane.Layout
	mem    []byte
	pool   *dataplane.Pool
	cache  *dataplane.Cache
	port   *dataplane.Port
	kernel *kernel
}

func newRig(t failer, c dataplane.LayoutConfig, fill int) *rig {
	t.Helper()
	l, err := dataplane.NewLayout(c)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{layout: l, mem: make([]byte, l.Bytes)}
	frames := l.FrameMemory(r.mem)
	r.pool, err = dataplane.NewPool(frames,
		dataplane.PoolConfig{ChunkBytes: c.ChunkBytes, Caches: c.Workers})
	if err != nil {
		t.Fatal(err)
	}
	r.attach(t, 0, fill)
	return r
}

// attach makes worker's port and the kernel on its far side.
func (r *rig) attach(t failer, worker, fill int) {
	t.Helper()
	near, err := r.layout.Rings(r.mem, worker)
	if err != nil {
		t.Fatal(err)
	}
	far, err := r.layout.FarRings(r.mem, worker)
	if err != nil {
		t.Fatal(err)
	}
	r.kernel = &kernel{mem: r.layout.FrameMemory(r.mem), far: far}
	r.kernel.far.Tx.SetNeedWakeup(true) // as in copy mode, always
	if r.cache, err = r.pool.Cache(); err != nil {
		t.Fatal(err)
	}
	r.port, err = dataplane.NewPort(near, r.cache, r.kernel, dataplane.PortConfig{FillChunks: fill})
	if err != nil {
		t.Fatal(err)
	}
}

// audit checks that every chunk is in exactly one place, held being the caller's.
func (r *rig) audit(t failer, held int) {
	t.Helper()
	l := r.port.Lent()
	free := r.pool.Stored() + r.cache.Count()
	if free+l.Rx+l.Tx+held != r.pool.Chunks() {
		t.Fatalf("%d free, %d lent to receive, %d lent to transmit, %d held: not the %d there are",
			free, l.Rx, l.Tx, held, r.pool.Chunks())
	}
}

var small = dataplane.LayoutConfig{Workers: 1, RingEntries: 64, ChunkBytes: 2048, Chunks: 256}
