package load

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"

	"github.com/dunlin-io/dunlin/bench/report"
)

// wireEnd is the kernel's side of a bare end: a test moves frames between two of them.
type wireEnd struct {
	memory []byte
	rings  dataplane.FarRings
	kicks  []dataplane.Kick // what the next kicks say; then KickDone
	take   int              // descriptors that one kick takes; 0: all
	other  *wireEnd
	spoil  func(frame []byte) (drop bool)
	lost   int // for want of a chunk or of room
}

func (w *wireEnd) KickRx() {}

// KickTx carries what was published to the other end, as veth does: at once.
func (w *wireEnd) KickTx() dataplane.Kick {
	if len(w.kicks) > 0 {
		k := w.kicks[0]
		w.kicks = w.kicks[1:]
		if k != dataplane.KickDone {
			return k
		}
	}
	n := w.rings.Tx.Peek(ringEntries)
	if w.take > 0 {
		n = min(n, uint32(w.take))
	}
	for i := range n {
		d := w.rings.Tx.At(i)
		w.other.deliver(w.memory[d.Addr : d.Addr+uint64(d.Len)])
		w.rings.Completion.Reserve(1)
		w.rings.Completion.Set(0, d.Addr)
		w.rings.Completion.Submit(1)
	}
	w.rings.Tx.Release(n)
	if w.rings.Tx.Any() {
		return dataplane.KickAgain
	}
	return dataplane.KickDone
}

// headroom is where the kernel puts a received frame.
const headroom = 256

func (w *wireEnd) deliver(frame []byte) {
	if w.spoil != nil {
		if frame = bytes.Clone(frame); w.spoil(frame) {
			return
		}
	}
	if w.rings.Fill.Peek(1) == 0 || w.rings.Rx.Reserve(1) == 0 {
		w.lost++
		return
	}
	at := w.rings.Fill.At(0) + headroom
	w.rings.Fill.Release(1)
	copy(w.memory[at:], frame)
	w.rings.Rx.Set(0, ring.Desc{Addr: at, Len: uint32(len(frame))})
	w.rings.Rx.Submit(1)
}

// newWire returns a client and an echo that are joined, and the kernel's side of both.
func newWire(t *testing.T, h header) (*frameClient, *frameEcho, *wireEnd, *wireEnd) {
	t.Helper()
	var far [2]*wireEnd
	var near [2]dataplane.Rings
	layout, err := dataplane.NewLayout(dataplane.LayoutConfig{
		Workers: 1, RingEntries: ringEntries,
		ChunkBytes: chunkBytes, Chunks: frameChunks,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range far {
		memory := make([]byte, layout.Bytes)
		rings, err := layout.FarRings(memory, 0)
		if err != nil {
			t.Fatal(err)
		}
		if near[i], err = layout.Rings(memory, 0); err != nil {
			t.Fatal(err)
		}
		far[i] = &wireEnd{memory: layout.FrameMemory(memory), rings: rings}
	}
	far[0].other, far[1].other = far[1], far[0]
	client, err := newFrameClient(near[0], far[0], far[0].memory, h)
	if err != nil {
		t.Fatal(err)
	}
	echo, err := newFrameEcho(near[1], far[1], far[1].memory)
	if err != nil {
		t.Fatal(err)
	}
	return client, echo, far[0], far[1]
}

func hosts() (a, b wire.MAC) { return wire.MAC{2, 0, 0, 0, 0, 1}, wire.MAC{2, 0, 0, 0, 0, 2} }

func rawBetween() header { a, b := hosts(); return rawHeader(a, b, wire.EtherTypeDunlin) }

// ping runs a generator over the wire with an echo.
func ping(t *testing.T, p Plan, h header, prepare func(client, server *wireEnd)) Result {
	t.Helper()
	client, echo, a, b := newWire(t, h)
	if prepare != nil {
		prepare(a, b)
	}
	g := NewGenerator(client, 1<<16)
	if err := g.Begin(p, nil); err != nil {
		t.Fatal(err)
	}
	for now := core.Time(0); g.Running(); now += turn {
		g.Poll(now)
		echo.poll()
	}
	if a.lost+b.lost > 0 {
		t.Errorf("%d and %d frames found no chunk or no room", a.lost, b.lost)
	}
	return g.Result()
}

func TestFramesThroughTheFloor(t *testing.T) {
	for _, p := range []Plan{
		{Loop: report.Closed, Bytes: 64, Measure: core.Millisecond},
		{Loop: report.Closed, Bytes: 1400, Measure: core.Millisecond},
		{Loop: report.Open, Rate: 1_000_000, Bytes: 64, Measure: core.Millisecond},
		{Loop: report.Window, Window: 256, Bytes: 64, Measure: core.Millisecond},
	} {
		r := ping(t, p, rawBetween(), nil)
		if r.Replies < 900 || r.Faults.Any() {
			t.Errorf("%s loop, %d B: %d replies, faults %v", p.Loop, p.Bytes, r.Replies, r.Faults)
		}
	}
}

// The kernel takes 32 descriptors a call and says "again"; or nothing for a while.
func TestKernelThatTakesPartOfABurst(t *testing.T) {
	p := Plan{Loop: report.Window, Window: 256, Bytes: 64, Measure: core.Millisecond}
	r := ping(t, p, rawBetween(), func(a, b *wireEnd) { a.take, b.take = 32, 32 })
	if r.Replies < 10_000 || r.Faults.Any() {
		t.Errorf("%d replies, faults %v", r.Replies, r.Faults)
	}
	r = ping(t, closed(core.Millisecond), rawBetween(), func(a, b *wireEnd) {
		a.kicks = []dataplane.Kick{dataplane.KickBlocked, dataplane.KickBlocked, dataplane.KickAgain}
		b.kicks = slices.Clone(a.kicks)
	})
	if r.Faults.Any() {
		t.Errorf("faults %v when the kernel was blocked for a moment", r.Faults)
	}
}

func TestUDPFramesAnsweredByTheRightFlowOnly(t *testing.T) {
	a, b := hosts()
	flow := wire.UDPFlow{
		SrcMAC: a, DstMAC: b,
		Src: wire.UDPAddrFrom(netip.MustParseAddrPort("10.0.0.1:9001")),
		Dst: wire.UDPAddrFrom(netip.MustParseAddrPort("10.0.0.2:7777")),
	}
	client, _, kernel, _ := newWire(t, udpHeader(flow))
	if err := client.SetBytes(64); err != nil {
		t.Fatal(err)
	}
	if n := client.Send(5, 1); n != 1 {
		t.Fatalf("sent %d", n)
	}
	request := kernel.other.memory[headroom : headroom+64]
	packet, reason := wire.Parse(request, len(request))
	if reason != wire.OK || packet.Kind != wire.KindUDP4 || packet.PayloadLen != 64-wire.UDP4Bytes {
		t.Fatalf("request parses as %+v (%v)", packet, reason)
	}
	wire.Turn(request, packet)
	got := make([]uint64, 4)
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   []uint64
	}{
		{"the reply", func(b []byte) []byte { return b }, []uint64{5}},
		{"from another port", func(b []byte) []byte { b[35]++; return b }, []uint64{Damaged}},
		{"to another address", func(b []byte) []byte { b[33]++; return b }, []uint64{Damaged}},
		{"of another length", func(b []byte) []byte { return append(b, 0) }, []uint64{Damaged}},
		{"with another payload", func(b []byte) []byte { b[63]++; return b }, []uint64{Damaged}},
		{"of another protocol", func(b []byte) []byte { b[13] = 6; return b }, nil},
		{"too short for a header", func(b []byte) []byte { return b[:13] }, nil},
	} {
		kernel.deliver(c.change(bytes.Clone(request)))
		if n := client.Recv(got); !slices.Equal(got[:n], c.want) {
			t.Errorf("%s: received %v, want %v", c.name, got[:n], c.want)
		}
	}
}

func TestEchoSwapsAddresses(t *testing.T) {
	a, b := hosts()
	frame := make([]byte, 64)
	wire.PutEthernet(frame, b, a, wire.EtherTypeDunlin)
	want := make([]byte, 64)
	wire.PutEthernet(want, a, b, wire.EtherTypeDunlin)
	turnAround(frame)
	if !bytes.Equal(frame, want) {
		t.Errorf("turned around: % x, want % x", frame[:14], want[:14])
	}
	short := []byte{1, 2, 3}
	turnAround(short)
	if !bytes.Equal(short, []byte{1, 2, 3}) {
		t.Error("a frame without addresses was changed")
	}
}

// A server that does not run for a while must not lose what has come meanwhile, and be ready for
// more the next time: up to a full ring.
func TestBurstsFindChunks(t *testing.T) {
	client, echo, a, b := newWire(t, rawBetween())
	if err := client.SetBytes(64); err != nil {
		t.Fatal(err)
	}
	got := make([]uint64, burst)
	seq := uint64(0)
	for _, n := range []int{1, firstLent, 2 * firstLent, ringEntries, ringEntries} {
		for sent := 0; sent < n; {
			k := client.Send(seq, min(burst, n-sent))
			sent, seq = sent+k, seq+uint64(k)
		}
		received := 0
		for idle := 0; idle < 4; idle++ { // upkeep takes some turns
			for echo.poll() > 0 || client.rings.Rx.Any() {
				received += client.Recv(got)
				idle = 0
			}
			client.Recv(got)
		}
		if received != n || a.lost+b.lost > 0 {
			t.Errorf("%d of %d came back; %d and %d found no chunk; %d and %d are lent", received, n,
				a.lost, b.lost, client.lent, echo.lent)
		}
	}
}

// Whatever happens on the wire, each chunk of both memories is in one place.
func TestChunksAreConserved(t *testing.T) {
	client, echo, a, b := newWire(t, rawBetween())
	count := 0
	drop := func([]byte) bool { count++; return count%13 == 0 }
	a.spoil, b.spoil = drop, drop
	a.take, b.take = 7, 11
	g := NewGenerator(client, 1<<16)
	p := Plan{
		Loop: report.Window, Window: 256, Bytes: 64, Measure: 300 * core.Millisecond,
		GiveUp: testGiveUp,
	}
	if err := g.Begin(p, nil); err != nil {
		t.Fatal(err)
	}
	for now := core.Time(0); g.Running(); now += core.Millisecond / 10 {
		g.Poll(now)
		echo.poll()
	}
	for range 2 * ringEntries { // until nothing moves
		client.Recv(make([]uint64, burst))
		echo.poll()
	}
	if n := client.count; n != ringEntries {
		t.Errorf("the client has %d chunks to transmit from, want %d", n, ringEntries)
	}
	if n := a.rings.Fill.Waiting(); n != client.lent {
		t.Errorf("the client lends %d chunks, want %d", n, client.lent)
	}
	if n := b.rings.Fill.Waiting(); n != echo.lent {
		t.Errorf("the echo lends %d chunks, want %d", n, echo.lent)
	}
	if g.Result().Faults.Lost == 0 {
		t.Error("nothing was lost on a wire that drops")
	}
}

func TestBareEndsAllocateNothing(t *testing.T) {
	client, echo, _, _ := newWire(t, rawBetween())
	if err := client.SetBytes(1400); err != nil {
		t.Fatal(err)
	}
	got := make([]uint64, burst)
	seq, received := uint64(0), 0
	n := testing.AllocsPerRun(1000, func() {
		client.Send(seq, 3)
		seq += 3
		echo.poll()
		received += client.Recv(got)
		client.Recv(got) // upkeep
		echo.poll()
	})
	if n != 0 || received != int(seq) {
		t.Errorf("%v allocations for 3 frames there and back; %d of %d came", n, received, seq)
	}
}

func TestFrameSizesThatCannotBe(t *testing.T) {
	client, _, _, _ := newWire(t, rawBetween())
	for _, n := range []int{wire.EthernetBytes + minPayload - 1, chunkBytes + 1} {
		if err := client.SetBytes(n); err == nil {
			t.Errorf("frames of %d bytes were accepted", n)
		}
	}
	if _, err := udpPayload(wire.UDP4Bytes + minPayload - 1); err == nil {
		t.Error("a UDP packet without room for a number was accepted")
	}
}
