package dataplane_test

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
)

// loopLink gives the same burst of packets at each Recv, and takes what is sent: the cheapest link
// there can be, so that what is left is the worker's own cost.
type loopLink struct {
	cache   *dataplane.Cache
	packets [][]byte
	burst   int // frames that wait at each turn
}

func (l *loopLink) Recv(dst []dataplane.Frame) int {
	n := min(len(dst), l.burst)
	for i := range dst[:n] {
		index, ok := l.cache.Alloc()
		if !ok {
			panic("no frames")
		}
		b := l.packets[i%len(l.packets)]
		dst[i] = dataplane.Frame{
			Index: index,
			Len:   uint16(copy(l.cache.Pool().Chunk(index), b)),
		}
	}
	return n
}

func (l *loopLink) Send(src []dataplane.Frame) int {
	l.cache.FreeAll(src)
	return len(src)
}

func (l *loopLink) Flush()        {}
func (l *loopLink) Pending() bool { return false }

func newLoop(t failer, h dataplane.Handler, burst int, packets ...[]byte) *dataplane.Worker {
	t.Helper()
	l := &loopLink{cache: newCache(t, 1024), packets: packets, burst: burst}
	w, err := dataplane.NewWorker(l, l.cache, dataplane.WorkerConfig{
		MAC:             serverMAC,
		VerifyChecksums: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.HandleUDP(anyAddress, h); err != nil {
		t.Fatal(err)
	}
	if err := w.HandleRaw(0x88B5, h); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWorkerDoesNotAllocate covers each way a packet can take.
func TestWorkerDoesNotAllocate(t *testing.T) {
	bad := request(t, "udp4", nil)
	bad[24]++ // IP checksum
	packets := [][]byte{
		request(t, "raw", pattern(50)), request(t, "udp4", pattern(50)),
		request(t, "udp6", pattern(50)), bad,
	}
	out, payload := flow("udp6"), []byte("aside")
	send := func(r *dataplane.Request) {
		r.Worker().SendUDP(out, payload)
		r.Worker().SendRaw(clientMAC, 0x88B5, payload)
	}
	view := func(r *dataplane.Request) {
		f := r.Flow()
		if f.Src != r.Source() || f.Dst != r.Destination() || r.Segment(0) == nil {
			panic("a view that does not agree with itself")
		}
	}
	for name, h := range map[string]dataplane.Handler{
		"turn": turnAround, "reply": replyWith, "send": send, "view": view,
		"silent": func(*dataplane.Request) {},
		"trim":   func(r *dataplane.Request) { r.Reply(100); r.Trim(50) },
		"long":   func(r *dataplane.Request) { r.Reply(r.MaxReply() + 1) },
		"none":   func(r *dataplane.Request) { r.Decline() },
	} {
		w := newLoop(t, h, 64, packets...)
		now := core.Time(0)
		if n := testing.AllocsPerRun(100, func() { now++; w.Poll(now); w.Next(now) }); n != 0 {
			t.Errorf("%s: %v allocations a turn", name, n)
		}
		if c := w.Counters(); c.Packets < 1000 {
			t.Errorf("%s: only %d packets went through", name, c.Packets)
		}
	}
	s, w := newScripted(t, dataplane.WorkerConfig{})
	now := core.Time(0)
	turn := func() { now++; w.Poll(now); s.rooms, s.taken = s.rooms[:0], s.taken[:0] }
	turn()
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("idle: %v allocations a turn", n)
	}
}

// TestJumboDoesNotAllocate is the same for packets of several segments, over a port.
func TestJumboDoesNotAllocate(t *testing.T) {
	r := newRig(t, small, 64)
	w, err := dataplane.NewWorker(r.port, r.cache, dataplane.WorkerConfig{VerifyChecksums: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.HandleUDP(anyAddress, turnAround); err != nil {
		t.Fatal(err)
	}
	b := request(t, "udp4", pattern(3*segmentBytes-42))
	now := core.Time(0)
	turn := func() {
		if !r.kernel.deliver(3, segmentBytes, 0) {
			t.Fatal("not delivered")
		}
		for i, addr := range r.kernel.last {
			copy(r.kernel.mem[addr:], b[i*segmentBytes:(i+1)*segmentBytes])
		}
		now++
		w.Poll(now)
		r.kernel.sent, r.kernel.sentLens = r.kernel.sent[:0], r.kernel.sentLens[:0]
	}
	for range 10 {
		turn()
	}
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
	if c := w.Counters(); c.Replies != c.Packets || c.Frames != 3*c.Packets || c.Packets < 100 {
		t.Errorf("%+v", c)
	}
	r.audit(t, 0)
}

// BenchmarkWorker is the cost per packet of a turn of 32, without a link.
func BenchmarkWorker(b *testing.B) {
	for _, kind := range kinds {
		for _, c := range []struct {
			name string
			h    dataplane.Handler
			n    int
		}{
			{"turn-64", turnAround, 64}, {"reply-64", replyWith, 64}, {"turn-1400", turnAround, 1400},
		} {
			b.Run(kind+"-"+c.name, func(b *testing.B) {
				n := c.n
				if n == 64 {
					n = 64 - wire14
				}
				w := newLoop(b, c.h, 32, request(b, kind, pattern(n)))
				now := core.Time(0)
				for b.Loop() {
					now++
					w.Poll(now)
				}
				done := w.Counters()
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(done.Packets), "ns/packet")
			})
		}
	}
}

func BenchmarkWorkerIdle(b *testing.B) {
	w := newLoop(b, turnAround, 0)
	now := core.Time(0)
	for b.Loop() {
		now++
		w.Poll(now)
	}
}
