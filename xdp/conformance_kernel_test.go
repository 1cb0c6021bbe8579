package xdp

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// conformance is the kernel's list of AF_XDP tests (tools/testing/selftests, test_xsk.c), case by
// case, by its names. Each runs in both modes on a veth pair, through this package instead of
// libxdp.
var conformance = []struct {
	name string
	mtu  int
	run  func(t *testing.T, l *lab.Lab, m Mode)
}{
	{"SEND_RECEIVE", 1500, sendReceive},
	{"SEND_RECEIVE_2K_FRAME", 1500, sendReceive2K},
	{"SEND_RECEIVE_SINGLE_PKT", 1500, singlePacket},
	{"POLL_RX", 1500, pollRx},
	{"POLL_TX", 1500, pollTx},
	{"POLL_RXQ_FULL", 1500, pollRxNobody},
	{"POLL_TXQ_FULL", 1500, pollTxStuck},
	{"SEND_RECEIVE_UNALIGNED", 1500, unaligned},
	{"ALIGNED_INV_DESC", 1500, invalidDescriptors},
	{"ALIGNED_INV_DESC_2K_FRAME_SIZE", 1500, invalidDescriptors2K},
	{"UNALIGNED_INV_DESC", 1500, unaligned},
	{"UNALIGNED_INV_DESC_4001_FRAME_SIZE", 1500, unaligned},
	{"UMEM_HEADROOM", 1500, headroom},
	{"TEARDOWN", 1500, teardown},
	{"BIDIRECTIONAL", 1500, bidirectional},
	{"STAT_RX_DROPPED", 1500, statRxDropped},
	{"STAT_TX_INVALID", 1500, statTxInvalid},
	{"STAT_RX_FULL", 1500, statRxFull},
	{"STAT_FILL_EMPTY", 1500, statFillEmpty},
	{"XDP_PROG_CLEANUP", 1500, programOutlivesSockets},
	{"XDP_DROP_HALF", 1500, dropHalf},
	{"XDP_SHARED_UMEM", 1500, sharedMemory},
	{"XDP_METADATA_COPY", 1500, metadata},
	{"XDP_METADATA_COPY_MULTI_BUFF", 9000, metadataFrags},
	{"SEND_RECEIVE_9K_PACKETS", 9000, sendReceive9K},
	{"SEND_RECEIVE_UNALIGNED_9K_PACKETS", 9000, unaligned},
	{"ALIGNED_INV_DESC_MULTI_BUFF", 9000, invalidFrags},
	{"UNALIGNED_INV_DESC_MULTI_BUFF", 9000, unaligned},
	{"TOO_MANY_FRAGS", 9000, tooManyFrags},
	{"HW_SW_MIN_RING_SIZE", 1500, hardwareRings},
	{"HW_SW_MAX_RING_SIZE", 1500, hardwareRings},
	{"XDP_ADJUST_TAIL_SHRINK", 1500, adjustTail(-4, minFrame)},
	{"XDP_ADJUST_TAIL_SHRINK_MULTI_BUFF", 9000, adjustTail(-512, 3840+512)},
	{"XDP_ADJUST_TAIL_GROW", 1500, adjustTail(4, 100)},
	{"XDP_ADJUST_TAIL_GROW_MULTI_BUFF", 9000, adjustTail(4, 8000)},
	{"TX_QUEUE_CONSUMER", 1500, txBudgetIsKept},
}

func TestConformance(t *testing.T) {
	labs := make(map[int]*lab.Lab)
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			for _, c := range conformance {
				if labs[c.mtu] == nil {
					labs[c.mtu] = newLab(t, lab.PairOptions{MTU: c.mtu})
				}
				t.Run(c.name, func(t *testing.T) { c.run(t, labs[c.mtu], mode) })
			}
		})
		clear(labs) // they were closed with the subtest
	}
}

// stream sends packets first to last-1 of the given size from one end to the other and checks that
// all arrive, in order, intact, and that every chunk completes.
func stream(t *testing.T, l *lab.Lab, from, to *end, side lab.Side, first, last, size int) {
	t.Helper()
	for n := first; n < last; n += rigBatch {
		batch := min(rigBatch, last-n)
		var descs []ring.Desc
		for i := range batch {
			descs = append(descs, from.write(frame(l, side, n+i, size))...)
		}
		completed := from.send(descs...)
		for i := range batch {
			if got := to.recv(rigTimeout); !bytes.Equal(got, frame(l, side, n+i, size)) {
				t.Fatalf("packet %d of %d bytes arrived as %d bytes: % x", n+i, size, len(got),
					got[:min(len(got), minFrame)])
			}
		}
		for start := time.Now(); completed < len(descs) && time.Since(start) < rigTimeout; {
			completed += from.reap()
		}
		if completed != len(descs) {
			t.Fatalf("%d of %d descriptors completed", completed, len(descs))
		}
	}
	if to.rings.Rx.Any() {
		t.Error("something arrived that was not sent")
	}
}

func sendReceive(t *testing.T, l *lab.Lab, m Mode) {
	a, b := open(t, l, lab.A, setup{mode: m}), open(t, l, lab.B, setup{mode: m})
	stream(t, l, a, b, lab.A, 0, 4096, minFrame)
	stream(t, l, a, b, lab.A, 0, 256, 1514)
}

func sendReceive2K(t *testing.T, l *lab.Lab, m Mode) {
	s := setup{mode: m, socket: SocketOptions{ChunkBytes: 2048}}
	a, b := open(t, l, lab.A, s), open(t, l, lab.B, s)
	stream(t, l, a, b, lab.A, 0, 4096, minFrame)
}

func singlePacket(t *testing.T, l *lab.Lab, m Mode) {
	a, b := open(t, l, lab.A, setup{mode: m}), open(t, l, lab.B, setup{mode: m})
	stream(t, l, a, b, lab.A, 0, 1, minFrame)
}

func pollRx(t *testing.T, l *lab.Lab, m Mode) {
	a, b := open(t, l, lab.A, setup{mode: m}), open(t, l, lab.B, setup{mode: m})
	for n := range 256 {
		a.send(a.write(frame(l, lab.A, n, minFrame))...)
		if !pollFor(t, b.sock.FD(), unix.POLLIN, rigTimeout) {
			t.Fatalf("packet %d: not readable", n)
		}
		if !bytes.Equal(b.recv(0), frame(l, lab.A, n, minFrame)) {
			t.Fatalf("packet %d did not arrive", n)
		}
		if pollFor(t, b.sock.FD(), unix.POLLIN, 0) {
			t.Fatalf("after packet %d: readable, with nothing there", n)
		}
	}
}

// pollTx never kicks: polling for POLLOUT is what transmits.
func pollTx(t *testing.T, l *lab.Lab, m Mode) {
	a, b := open(t, l, lab.A, setup{mode: m}), open(t, l, lab.B, setup{mode: m})
	for n := range 256 {
		a.publish(a.write(frame(l, lab.A, n, minFrame)))
		if !pollFor(t, a.sock.FD(), unix.POLLOUT, rigTimeout) {
			t.Fatalf("packet %d: not writable", n)
		}
		if !bytes.Equal(b.recv(rigTimeout), frame(l, lab.A, n, minFrame)) {
			t.Fatalf("packet %d did not arrive", n)
		}
		a.reap()
	}
}

func pollRxNobody(t *testing.T, l *lab.Lab, m Mode) {
	b := open(t, l, lab.B, setup{mode: m})
	start := time.Now()
	if pollFor(t, b.sock.FD(), unix.POLLIN, 20*time.Millisecond) {
		t.Error("readable, with nobody sending")
	}
	if d := time.Since(start); d < 15*time.Millisecond || d > time.Second {
		t.Errorf("a poll of 20 ms took %v", d)
	}
}

// pollTxStuck lets the completion ring run full, so that the kernel cannot take from the tx ring:
// both sides are stalled. Once completions are taken, everything moves again and nothing is lost.
func pollTxStuck(t *testing.T, l *lab.Lab, m Mode) {
	a := open(t, l, lab.A, setup{
		mode:   m,
		socket: SocketOptions{Rings: sock.Sizes{Fill: 64, Completion: 32, Rx: 64, Tx: 64}},
	})
	b := open(t, l, lab.B, setup{mode: m})
	n, next := 0, 0
	for ; a.rings.Tx.Reserve(1) == 1; n++ { // until neither ring has room
		a.publish(a.write(frame(l, lab.A, n, minFrame)))
		a.sock.KickTx()
	}
	if n != 32+64 {
		t.Errorf("%d packets filled a completion ring of 32 and a tx ring of 64", n)
	}
	if kick := a.sock.KickTx(); kick != dataplane.KickAgain {
		t.Errorf("a kick with full rings: %d", kick)
	}
	if pollFor(t, a.sock.FD(), unix.POLLOUT, 20*time.Millisecond) {
		t.Error("writable, with full rings")
	}
	for ; a.rings.Tx.Outstanding() > 0; a.sock.KickTx() {
		if a.reap() == 0 {
			t.Fatal("no completions, and descriptors left")
		}
	}
	for ; next < n; next++ {
		if !bytes.Equal(b.recv(rigTimeout), frame(l, lab.A, next, minFrame)) {
			t.Fatalf("packet %d of %d did not arrive", next, n)
		}
	}
}

func unaligned(t *testing.T, _ *lab.Lab, _ Mode) {
	t.Skip("this package registers memory in aligned chunks only: no frame of ours crosses one")
}

// hardwareRings wants a NIC whose rings can be resized.
func hardwareRings(t *testing.T, l *lab.Lab, _ Mode) {
	in(t, l, lab.A, func() error {
		v := [9]uint32{unix.ETHTOOL_GRINGPARAM}
		err := ethtool(l.End(lab.A).Name, &v)
		if err == nil {
			t.Error("the interface has rings that can be resized: write this test")
		} else if !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
		return nil
	})
	t.Skip("veth has no hardware rings (ETHTOOL_GRINGPARAM: operation not supported)")
}

// invalid sends descriptors one by one and then all together, and sees only the valid ones arrive.
func invalid(t *testing.T, l *lab.Lab, m Mode, chunk uint64, crossing2K bool) {
	s := setup{mode: m, socket: SocketOptions{ChunkBytes: int(chunk)}}
	a, b := open(t, l, lab.A, s), open(t, l, lab.B, s)
	end := uint64(len(a.mem))
	descs := []struct {
		addr  uint64
		bytes uint32
		valid bool
		what  string
	}{
		{0, minFrame, true, "address zero"},
		{^uint64(0) - minFrame/2, minFrame, false, "before the memory"},
		{0x2000, uint32(chunk) + 1, false, "longer than a chunk"},
		{0x2000, 0, true, "empty"}, // taken, and nothing to send
		{end - minFrame, minFrame, true, "up to the end"},
		{end, minFrame, false, "behind the end"},
		{end - minFrame/2, minFrame, false, "across the end"},
		{1 << 48, minFrame, false, "address beyond 48 bits"},
		{0x1000 - minFrame/2, minFrame, false, "across 4,096"},
		{0x3800 - minFrame/2, minFrame, crossing2K, "across 2,048"},
		{0x4000, minFrame, true, "an ordinary one"},
	}
	for n, d := range descs {
		want := d.valid && d.bytes > 0
		if want {
			copy(a.mem[d.addr:], frame(l, lab.A, n, minFrame))
		}
		before := a.statistics().TxInvalid
		a.send(ring.Desc{Addr: d.addr, Len: d.bytes})
		if got := a.statistics().TxInvalid - before; got != 0 != !d.valid && d.bytes > 0 {
			t.Errorf("%s: counted as invalid %d times", d.what, got)
		}
		wait := rigTimeout
		if !want {
			wait = 0
		}
		got := b.recv(wait)
		if want != (got != nil) || want && !bytes.Equal(got, frame(l, lab.A, n, minFrame)) {
			t.Errorf("%s: arrived %t, want %t", d.what, got != nil, want)
		}
	}
	stream(t, l, a, b, lab.A, 100, 200, minFrame)
}

func invalidDescriptors(t *testing.T, l *lab.Lab, m Mode)   { invalid(t, l, m, 4096, true) }
func invalidDescriptors2K(t *testing.T, l *lab.Lab, m Mode) { invalid(t, l, m, 2048, false) }

func headroom(t *testing.T, l *lab.Lab, m Mode) {
	for _, room := range []int{0, 64, 128, 1000} {
		a := open(t, l, lab.A, setup{mode: m})
		b := open(t, l, lab.B, setup{mode: m, socket: SocketOptions{Headroom: room}})
		for n := range 16 {
			a.send(a.write(frame(l, lab.A, n, minFrame))...)
			got, at := b.recvAt(rigTimeout)
			if !bytes.Equal(got, frame(l, lab.A, n, minFrame)) || int(at)%b.chunk != 256+room {
				t.Fatalf("headroom %d: packet %d at offset %d of its chunk, want %d", room, n,
					int(at)%b.chunk, 256+room)
			}
		}
		closeEnds(t, a, b)
	}
}

func closeEnds(t *testing.T, ends ...*end) {
	t.Helper()
	for _, e := range ends {
		if err := e.iface.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func teardown(t *testing.T, l *lab.Lab, m Mode) {
	for range 10 {
		a, b := open(t, l, lab.A, setup{mode: m}), open(t, l, lab.B, setup{mode: m})
		stream(t, l, a, b, lab.A, 0, rigBatch, minFrame)
		closeEnds(t, a, b)
	}
}

func bidirectional(t *testing.T, l *lab.Lab, m Mode) {
	a, b := open(t, l, lab.A, setup{mode: m}), open(t, l, lab.B, setup{mode: m})
	for n := 0; n < 4096; n += rigBatch {
		stream(t, l, a, b, lab.A, n, n+rigBatch, minFrame)
		stream(t, l, b, a, lab.B, n, n+rigBatch, minFrame)
	}
}

// txBudgetIsKept: one system call takes exactly the budget and publishes how far it came.
func txBudgetIsKept(t *testing.T, l *lab.Lab, m Mode) {
	a, b := open(t, l, lab.A, setup{mode: m}), open(t, l, lab.B, setup{mode: m})
	budget, total := a.sock.TxBudget(), 0
	if budget != txBudget && budget != txBudgetDefault {
		t.Errorf("budget of %d", budget)
	}
	for range 2*budget + 5 {
		a.publish(a.write(frame(l, lab.A, total, minFrame)))
		total++
	}
	for left := total; left > 0; {
		kick := a.sock.KickTx()
		took := left - int(a.rings.Tx.Outstanding())
		want, answer := min(left, budget), dataplane.KickAgain
		if left <= budget {
			answer = dataplane.KickDone
		}
		if took != want || kick != answer {
			t.Fatalf("with %d left, a kick took %d (want %d) and said %d (want %d)", left, took,
				want, kick, answer)
		}
		left -= took
	}
	for n := range total {
		if !bytes.Equal(b.recv(rigTimeout), frame(l, lab.A, n, minFrame)) {
			t.Fatalf("packet %d did not arrive", n)
		}
	}
}
