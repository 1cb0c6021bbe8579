package xdp

import (
	"bytes"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

const counted = 256 // packets in the tests of counters: what veth queues, so that it drops none

// setMTU changes the MTU of both ends.
func setMTU(t *testing.T, l *lab.Lab, mtu int) {
	t.Helper()
	for _, side := range []lab.Side{lab.A, lab.B} {
		in(t, l, side, func() error {
			link, err := netlink.LinkByIndex(l.End(side).Index)
			if err != nil {
				return err
			}
			return netlink.LinkSetMTU(link, mtu)
		})
	}
}

// statRxDropped raises the MTU under an open socket: Open would have refused a headroom that leaves
// less room than a frame takes. Every other packet does not fit.
func statRxDropped(t *testing.T, l *lab.Lab, m Mode) {
	a := open(t, l, lab.A, setup{mode: m})
	const mtu = kernelRoom - linkHeader // with the largest headroom
	setMTU(t, l, mtu)
	b := open(t, l, lab.B, setup{mode: m, socket: SocketOptions{
		Headroom: MaxChunkBytes - kernelHeadroom - kernelRoom,
	}})
	setMTU(t, l, 1500)
	for n := range counted {
		size := minFrame
		if n%2 == 1 {
			size = mtu + linkHeader + 1
		}
		a.send(a.write(frame(l, lab.A, n, size))...)
	}
	for n := 0; n < counted; n += 2 {
		if !bytes.Equal(b.recv(rigTimeout), frame(l, lab.A, n, minFrame)) {
			t.Fatalf("packet %d did not arrive", n)
		}
	}
	if s := b.statistics(); s != (sock.Statistics{RxDropped: counted / 2}) {
		t.Errorf("receiver counts %+v, want %d dropped and nothing else", s, counted/2)
	}
}

func statTxInvalid(t *testing.T, l *lab.Lab, m Mode) {
	a, b := open(t, l, lab.A, setup{mode: m}), open(t, l, lab.B, setup{mode: m})
	for n := 0; n < counted; n += rigBatch {
		var descs []ring.Desc
		for i := range rigBatch {
			d := a.write(frame(l, lab.A, n+i, minFrame))
			if i%2 == 1 {
				d[0].Len = MaxChunkBytes + 1
			}
			descs = append(descs, d...)
		}
		a.send(descs...)
		for i := 0; i < rigBatch; i += 2 {
			if !bytes.Equal(b.recv(rigTimeout), frame(l, lab.A, n+i, minFrame)) {
				t.Fatalf("packet %d did not arrive", n+i)
			}
		}
	}
	if s := a.statistics(); s.TxInvalid != counted/2 {
		t.Errorf("sender counts %+v, want %d invalid", s, counted/2)
	}
}

// statRxFull never releases while packets come.
func statRxFull(t *testing.T, l *lab.Lab, m Mode) {
	a := open(t, l, lab.A, setup{mode: m})
	b := open(t, l, lab.B, setup{
		mode:   m,
		socket: SocketOptions{Rings: sock.Sizes{Fill: 512, Completion: 64, Rx: 64, Tx: 64}},
	})
	for n := range counted {
		a.send(a.write(frame(l, lab.A, n, minFrame))...)
	}
	for n := range 64 {
		if !bytes.Equal(b.recv(rigTimeout), frame(l, lab.A, n, minFrame)) {
			t.Fatalf("packet %d did not arrive", n)
		}
	}
	if b.recv(0) != nil {
		t.Error("more arrived than the ring holds")
	}
	if s := b.statistics(); s != (sock.Statistics{RxRingFull: counted - 64}) {
		t.Errorf("receiver counts %+v, want %d with a full ring", s, counted-64)
	}
}

func statFillEmpty(t *testing.T, l *lab.Lab, m Mode) {
	a := open(t, l, lab.A, setup{mode: m})
	b := open(t, l, lab.B, setup{mode: m, nofill: true})
	for n := range counted {
		a.send(a.write(frame(l, lab.A, n, minFrame))...)
	}
	if b.recv(0) != nil {
		t.Error("a packet arrived in a chunk that nobody lent")
	}
	// The kernel counts the same loss as dropped, too.
	if s := b.statistics(); s.RxFillEmpty != counted {
		t.Errorf("receiver counts %+v, want %d without a chunk", s, counted)
	}
	b.lend(rigFill)
	stream(t, l, a, b, lab.A, 0, rigBatch, minFrame)
}

// TestForeignChunks: addresses outside the memory in the fill ring are passed over. The kernel
// checks no more than that, so a chunk lent twice is received into twice.
func TestForeignChunks(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			l := newLab(t, lab.PairOptions{})
			a := open(t, l, lab.A, setup{mode: mode})
			b := open(t, l, lab.B, setup{mode: mode, nofill: true})
			lent := []uint64{uint64(len(b.mem)), 1 << 40, ^uint64(0), 0x3000, 0x3000}
			b.rings.Fill.Reserve(uint32(len(lent)))
			for i, addr := range lent {
				b.rings.Fill.Set(uint32(i), addr)
			}
			b.rings.Fill.Submit(uint32(len(lent)))
			a.send(a.write(frame(l, lab.A, 0, minFrame))...)
			a.send(a.write(frame(l, lab.A, 1, minFrame))...)
			for range 2 {
				got, at := b.recvAt(rigTimeout)
				if got == nil || at/uint64(b.chunk) != 3 {
					t.Errorf("a packet of %d bytes at %#x, want it in the chunk at 0x3000", len(got), at)
				}
			}
		})
	}
}
