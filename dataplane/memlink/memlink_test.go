package memlink_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
	"pgregory.net/rapid"
)

// failer is what a testing.T, a testing.B and a rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newCache(t failer, chunks, chunkBytes int) *dataplane.Cache {
	t.Helper()
	pool, err := dataplane.NewPool(make([]byte, chunks*chunkBytes),
		dataplane.PoolConfig{ChunkBytes: chunkBytes, Caches: 1})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := pool.Cache()
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

func newWire(t failer, c memlink.Config) (*memlink.Wire, *dataplane.Cache, *dataplane.Cache) {
	t.Helper()
	a, b := newCache(t, 512, 4096), newCache(t, 512, 2048)
	w, err := memlink.New(a, b, c)
	if err != nil {
		t.Fatal(err)
	}
	return w, a, b
}

// send sends b in frames of at most segment bytes, and reports whether it was taken.
func send(t failer, e *memlink.End, cache *dataplane.Cache, b []byte, segment int) bool {
	t.Helper()
	var frames []dataplane.Frame
	for len(b) > 0 {
		index, ok := cache.Alloc()
		if !ok {
			cache.FreeAll(frames)
			return false
		}
		n := copy(cache.Pool().Chunk(index), b[:min(len(b), segment)])
		b = b[n:]
		f := dataplane.Frame{Index: index, Len: uint16(n)}
		if len(b) > 0 {
			f.Len |= dataplane.FrameMore
		}
		frames = append(frames, f)
	}
	n := e.Send(frames)
	if n != 0 && n != len(frames) {
		t.Fatalf("sent %d of the %d frames of a packet", n, len(frames))
	}
	cache.FreeAll(frames[n:])
	return n > 0
}

// receive takes all packets that have arrived, room frames at a time.
func receive(t failer, e *memlink.End, cache *dataplane.Cache, room int) (packets [][]byte) {
	t.Helper()
	burst := make([]dataplane.Frame, room)
	for {
		frames := burst[:e.Recv(burst)]
		if len(frames) == 0 {
			return packets
		}
		for len(frames) > 0 {
			n := dataplane.Segments(frames)
			if n == 0 {
				t.Fatal("received a part of a packet")
			}
			var b []byte
			for _, f := range frames[:n] {
				b = append(b, cache.Pool().Bytes(f)...)
			}
			packets = append(packets, b)
			cache.FreeAll(frames[:n])
			frames = frames[n:]
		}
	}
}

// audit checks that all chunks of an end are free or lent to the wire.
func audit(t failer, e *memlink.End, cache *dataplane.Cache) {
	t.Helper()
	l := e.Lent()
	free := cache.Count() + cache.Pool().Stored()
	if free+l.Rx+l.Tx != cache.Pool().Chunks() {
		t.Fatalf("%d free, lent %+v, of %d", free, l, cache.Pool().Chunks())
	}
}

func TestPerfectWire(t *testing.T) {
	w, a, b := newWire(t, memlink.Config{})
	var want [][]byte
	for i, length := range []int{1, 60, 1514, 1792, 1793, 9014, 18 * 1792} {
		p := bytes.Repeat([]byte{byte(i)}, length)
		if !send(t, w.A(), a, p, 3840) {
			t.Fatalf("packet of %d bytes was not taken", length)
		}
		want = append(want, p)
	}
	if !w.A().Pending() || w.Poll(5) != 0 || w.Next(5) != core.Never {
		t.Error("something is on its way before Flush")
	}
	w.A().Flush()
	if w.A().Pending() || w.B().Pending() || w.Next(5) != 5 {
		t.Error("what was flushed is not the wire's")
	}
	if n := w.Poll(5); n != 2*len(want) {
		t.Errorf("work %d, want %d packets on and off", n, len(want))
	}
	if !w.B().Pending() {
		t.Error("arrived packets are not pending")
	}
	got := receive(t, w.B(), b, 64)
	if len(got) != len(want) {
		t.Fatalf("received %d packets of %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("packet %d of %d bytes: %d arrived, or others", i, len(want[i]), len(got[i]))
		}
	}
	audit(t, w.A(), a)
	audit(t, w.B(), b)
}

func TestDropsAreCounted(t *testing.T) {
	w, a, b := newWire(t, memlink.Config{QueueFrames: 20, InFlight: 25})
	flood := func(n int, p []byte, segment int) {
		for range n {
			send(t, w.A(), a, p, segment)
			w.A().Flush()
			w.Poll(1)
		}
	}
	flood(1, make([]byte, 18*1792+1), 3840)
	if c := w.A().Counters(); c.TooLong != 1 {
		t.Errorf("a packet of 19 segments: %+v", c)
	}
	flood(21, make([]byte, 60), 60)
	if c := w.A().Counters(); c.QueueFull != 1 || c.Received != 20 {
		t.Errorf("21 packets into a queue of 20: %+v", c)
	}
	receive(t, w.B(), b, 18)
	var hoard []uint32
	for {
		index, ok := b.Alloc()
		if !ok {
			break
		}
		hoard = append(hoard, index)
	}
	b.Free(hoard[0])
	flood(1, make([]byte, 1793), 3840)
	if c := w.A().Counters(); c.NoFrame != 1 {
		t.Errorf("two chunks wanted, one there: %+v", c)
	}
	flood(1, make([]byte, 1792), 3840)
	if c := w.A().Counters(); c.Received != 21 {
		t.Errorf("one chunk wanted, one there: %+v", c)
	}
}

func TestOverflow(t *testing.T) {
	slow, err := fault.New(fault.Config{Delay: fault.Delay{Fixed: 100}}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	w, a, b := newWire(t, memlink.Config{AB: slow, InFlight: 3})
	for i := range 5 {
		send(t, w.A(), a, []byte{byte(i)}, 60)
	}
	w.A().Flush()
	w.Poll(0)
	if c := w.A().Counters(); c.Overflow != 2 || c.InFlight != 3 || w.Next(0) != 100 {
		t.Errorf("%+v, next %d", c, w.Next(0))
	}
	if n := w.Poll(99); n != 0 {
		t.Errorf("work %d before anything is due", n)
	}
	w.Poll(100)
	if got := receive(t, w.B(), b, 18); len(got) != 3 {
		t.Errorf("%d packets arrived, want 3", len(got))
	}
}

func TestNewRefuses(t *testing.T) {
	a, b := newCache(t, 64, 2048), newCache(t, 64, 2048)
	for _, c := range []memlink.Config{
		{QueueFrames: dataplane.MaxSegments - 1},
		{QueueFrames: -1},
		{InFlight: -1},
		{QueueFrames: memlink.MaxQueueFrames + 1},
		{InFlight: memlink.MaxInFlight + 1},
	} {
		if _, err := memlink.New(a, b, c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	if _, err := memlink.New(a, a, memlink.Config{}); err == nil {
		t.Error("a wire from a pool to itself")
	}
}

// TestConservation runs random traffic both ways under swarms of faults. Whatever happens, every
// frame and every packet is accounted for, and the same seed gives the same deliveries.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		first := traffic(t, seed)
		if second := traffic(t, seed); !bytes.Equal(first, second) {
			t.Fatal("the same seed delivered something else")
		}
	})
}

// traffic returns the bytes of everything that arrived.
func traffic(t *rapid.T, seed uint64) (arrived []byte) {
	rng := rand.New(rand.NewPCG(seed, 0))
	models := [2]*fault.Model{}
	for i := range models {
		var err error
		if models[i], err = fault.New(fault.Swarm(rng), rng); err != nil {
			t.Fatal(err)
		}
	}
	w, a, b := newWire(t, memlink.Config{AB: models[0], BA: models[1], InFlight: 200})
	now := core.Time(0)
	for range 100 {
		for range rng.IntN(4) {
			p := make([]byte, 1+rng.IntN(5000))
			p[0] = byte(rng.Uint32())
			send(t, w.A(), a, p, 1+rng.IntN(4096))
			send(t, w.B(), b, p, 1+rng.IntN(2048))
		}
		if rng.IntN(3) > 0 {
			w.A().Flush()
			w.B().Flush()
		}
		now += core.Time(rng.IntN(int(core.Millisecond)))
		w.Poll(now)
		if rng.IntN(2) > 0 {
			for _, p := range receive(t, w.A(), a, 18+rng.IntN(50)) {
				arrived = append(arrived, p...)
			}
			for _, p := range receive(t, w.B(), b, 18+rng.IntN(50)) {
				arrived = append(arrived, p...)
			}
		}
		audit(t, w.A(), a)
		audit(t, w.B(), b)
		balance(t, w.A().Counters(), models[0].Counts())
		balance(t, w.B().Counters(), models[1].Counts())
	}
	return arrived
}

func balance(t failer, c memlink.Counters, m fault.Counts) {
	t.Helper()
	if c.Offered != m.Offered || c.Offered > c.Sent {
		t.Fatalf("wire %+v, model %+v", c, m)
	}
	if got := c.Received + c.NoFrame + c.QueueFull + c.TooLong + c.Empty + c.Forgotten + c.Overflow +
		c.InFlight; got != m.Delivered {
		t.Fatalf("%d deliveries are accounted for, the model gave %d: %+v", got, m.Delivered, c)
	}
}

func TestDoesNotAllocate(t *testing.T) {
	w, a, b := newWire(t, memlink.Config{})
	burst := make([]dataplane.Frame, 32)
	now := core.Time(0)
	turn := func() {
		for i := range burst {
			index, _ := a.Alloc()
			burst[i] = dataplane.Frame{Index: index, Len: 60}
		}
		w.A().Send(burst)
		w.A().Flush()
		now++
		w.Poll(now)
		b.FreeAll(burst[:w.B().Recv(burst)])
	}
	turn()
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
	audit(t, w.A(), a)
	audit(t, w.B(), b)
}

func BenchmarkWire(b *testing.B) {
	w, ca, cb := newWire(b, memlink.Config{})
	burst := make([]dataplane.Frame, 32)
	for b.Loop() {
		for i := range burst {
			index, _ := ca.Alloc()
			burst[i] = dataplane.Frame{Index: index, Len: 60}
		}
		w.A().Send(burst)
		w.A().Flush()
		w.Poll(0)
		cb.FreeAll(burst[:w.B().Recv(burst)])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/packet")
}
