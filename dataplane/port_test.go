package dataplane_test

import (
	"testing"

	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
)

func TestPortReceives(t *testing.T) {
	r := newRig(t, small, 64)
	var burst [dataplane.MaxBurst]dataplane.Frame
	if r.port.Pending() || r.port.Recv(burst[:]) != 0 {
		t.Fatal("an idle port has something")
	}
	r.kernel.deliver(1, 60, 'a')
	r.kernel.deliver(3, 1000, 'b')
	if !r.port.Pending() {
		t.Error("received frames are not pending")
	}
	n := r.port.Recv(burst[:])
	if n != 4 || dataplane.Segments(burst[:n]) != 1 || dataplane.Segments(burst[1:n]) != 3 {
		t.Fatalf("received %v", burst[:n])
	}
	if b := r.pool.Bytes(burst[0]); len(b) != 60 || b[0] != 'a' {
		t.Errorf("first packet: %d bytes of %q", len(b), b[0])
	}
	if b := r.pool.Bytes(burst[3]); len(b) != 1000 || b[0] != 'b' {
		t.Errorf("last frame: %d bytes of %q", len(b), b[0])
	}
	if r.port.Pending() {
		t.Error("pending with nothing to receive")
	}
	r.audit(t, 4)
	if c := r.port.Counters(); c.RxFrames != 4 || c.RxPackets != 2 {
		t.Errorf("counted %+v", c)
	}
}

// A packet is never split between two calls, whatever room the caller offers, and what was left is
// found by the next call although the ring was looked at before.
func TestPortKeepsPacketsWhole(t *testing.T) {
	r := newRig(t, small, 64)
	var burst [dataplane.MaxBurst]dataplane.Frame
	for range 3 {
		r.kernel.deliver(3, 100, 'x')
	}
	for _, want := range []struct{ room, n int }{{1, 0}, {2, 0}, {5, 3}, {7, 6}, {7, 0}} {
		if n := r.port.Recv(burst[:want.room]); n != want.n {
			t.Fatalf("room for %d: got %d frames, want %d", want.room, n, want.n)
		}
	}
	r.audit(t, 9)
}

// The other side may publish a packet in pieces: the port waits for its end, and looks for it.
func TestPortWaitsForTheEndOfAPacket(t *testing.T) {
	r := newRig(t, small, 64)
	var burst [dataplane.MaxBurst]dataplane.Frame
	r.kernel.stage(0, 4, 100, 'x')
	for i := range 3 {
		r.kernel.far.Rx.Submit(1)
		if n := r.port.Recv(burst[:]); n != 0 {
			t.Fatalf("after %d of 4 frames of a packet: got %d", i+1, n)
		}
		r.audit(t, 0)
	}
	r.kernel.far.Rx.Submit(1)
	if n := r.port.Recv(burst[:]); n != 4 {
		t.Fatalf("got %d frames of 4", n)
	}
	r.audit(t, 4)
}

// Packets of more than MaxSegments frames are dropped to their end, however they are published, and
// nothing else is.
func TestPortDropsPacketsThatAreTooLong(t *testing.T) {
	for _, publish := range []uint32{1, 7, dataplane.MaxSegments, 64} {
		r := newRig(t, small, 64)
		var burst [dataplane.MaxBurst]dataplane.Frame
		const long = 30
		r.kernel.stage(0, 1, 100, 'a')
		r.kernel.stage(1, long, 100, 'b')
		r.kernel.stage(1+long, dataplane.MaxSegments, 100, 'c')
		var got []byte
		held := 0
		for left := uint32(1 + long + dataplane.MaxSegments); left > 0; {
			n := min(publish, left)
			r.kernel.far.Rx.Submit(n)
			left -= n
			frames := burst[:r.port.Recv(burst[:])]
			held += len(frames)
			for len(frames) > 0 {
				got = append(got, r.pool.Bytes(frames[0])[0])
				frames = frames[dataplane.Segments(frames):]
			}
		}
		if string(got) != "ac" || held != 1+dataplane.MaxSegments {
			t.Errorf("published by %d: received %q in %d frames", publish, got, held)
		}
		if c := r.port.Counters(); c.RxTooLong != 1 || c.RxPackets != 2 {
			t.Errorf("published by %d: %+v", publish, c)
		}
		r.audit(t, held)
	}
}

// TestPortBadDescriptors has the other side publish what it may not: nothing of it reaches the
// caller, no chunk is lost or doubled, and the good packets around it arrive.
func TestPortBadDescriptors(t *testing.T) {
	r := newRig(t, small, 64)
	var burst [dataplane.MaxBurst]dataplane.Frame
	r.kernel.refill()
	mine := r.kernel.fill[0] + headroom
	bad := []ring.Desc{
		{Addr: r.kernel.fill[1] + headroom},    // empty
		{Addr: 256 * 2048, Len: 60},            // beyond the memory
		{Addr: 1<<63 | mine, Len: 60},          // far beyond
		{Addr: 1<<64 - 1, Len: 1},              // the last byte there is
		{Addr: mine, Len: 2048},                // reaches into the next chunk
		{Addr: mine, Len: 1<<32 - 1},           // longer than anything
		{Addr: mine, Len: 1<<31 | 60},          //
		{Addr: 200 * 2048, Len: 60},            // a chunk that was not lent
		{Addr: mine - headroom + 2047, Len: 2}, // the last byte of the chunk, and one more
	}
	for i, d := range bad {
		r.kernel.far.Rx.Set(0, d)
		r.kernel.far.Rx.Submit(1)
		r.kernel.deliver(1, 60, byte(i))
		n := r.port.Recv(burst[:])
		if n != 1 || r.pool.Bytes(burst[0])[0] != byte(i) {
			t.Fatalf("after %+v: received %v", d, burst[:n])
		}
		r.audit(t, 1)
		r.cache.FreeAll(burst[:n])
	}
	// A packet is dropped whole if one of its descriptors is bad; its good chunks come back.
	r.kernel.stage(0, 3, 60, 'x')
	r.kernel.far.Rx.Set(1, ring.Desc{Addr: 1 << 40, Len: 60, Options: ring.OptionMore})
	r.kernel.far.Rx.Submit(3)
	if n := r.port.Recv(burst[:]); n != 0 {
		t.Errorf("a packet with a bad frame was received: %v", burst[:n])
	}
	r.audit(t, 0)
	c := r.port.Counters()
	if want := uint64(len(bad) + 1); c.BadDescriptors != want || c.RxBad != want {
		t.Errorf("%d bad descriptors and %d packets counted, want %d",
			c.BadDescriptors, c.RxBad, want)
	}
}

// A chunk that is published twice is received once.
func TestPortDuplicateDescriptors(t *testing.T) {
	r := newRig(t, small, 64)
	var burst [dataplane.MaxBurst]dataplane.Frame
	r.kernel.refill()
	d := ring.Desc{Addr: r.kernel.fill[0] + headroom, Len: 60}
	for i := range uint32(3) {
		r.kernel.far.Rx.Set(i, d)
	}
	r.kernel.far.Rx.Submit(3)
	if n := r.port.Recv(burst[:]); n != 1 {
		t.Fatalf("received %d frames, want 1", n)
	}
	r.audit(t, 1)
	if n := r.port.Send(burst[:1]); n != 1 {
		t.Fatal("not sent")
	}
	r.port.Flush()
	for range 3 { // the kernel has completed it already
		r.kernel.flight = append(r.kernel.flight, d.Addr)
	}
	r.kernel.complete(3)
	r.port.Recv(burst[:])
	r.audit(t, 0)
	if l := r.port.Lent(); l.Tx != 0 {
		t.Errorf("%d chunks still lent to transmit", l.Tx)
	}
	if c := r.port.Counters(); c.BadDescriptors != 2+3 {
		t.Errorf("%d bad descriptors, want 2 repetitions of a reception and 3 of a completion",
			c.BadDescriptors)
	}
}

// Indices that cannot be are not believed, and do not keep a worker from parking.
func TestPortBrokenIndices(t *testing.T) {
	r := newRig(t, small, 64)
	var burst [dataplane.MaxBurst]dataplane.Frame
	r.kernel.far.Rx.Submit(1000)
	for range 3 {
		if n := r.port.Recv(burst[:]); n != 0 {
			t.Fatalf("received %d frames from a ring that claims a thousand of 64", n)
		}
	}
	if !r.port.Broken() || r.port.Pending() {
		t.Errorf("broken %v, pending %v", r.port.Broken(), r.port.Pending())
	}
	r.audit(t, 0)
}

func TestNewPortRefuses(t *testing.T) {
	r := newRig(t, dataplane.LayoutConfig{
		Workers: 2, RingEntries: 256, ChunkBytes: 2048,
		Chunks: 128,
	}, 32)
	near, err := r.layout.Rings(r.mem, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, fill := range []int{-1, 128, 257, 1 << 40} {
		_, err := dataplane.NewPort(near, r.cache, r.kernel, dataplane.PortConfig{FillChunks: fill})
		if err == nil {
			t.Errorf("a port that lends %d of 128 chunks", fill)
		}
	}
}
