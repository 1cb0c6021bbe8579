package iokernel

import (
	"fmt"
	"testing"

	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
)

// turntable turns bursts through a Dataplane with as little beside it as possible: the runtime's
// side is raw stores into its rings, the NIC's a list of frames. All of it runs on one thread, so
// the cost of cache lines that travel between cores is not in the figures.
type turntable struct {
	r     *rig
	h     *hostile
	frame []byte
	descs [dataplane.MaxBurst]ring.Desc
	next  int // of descs, to be sent
	burst int // a divisor of their number
}

func newTurntable(t testing.TB, bytes, burst int) *turntable {
	r := newRig(t, 1)
	r.nics[0].mute = true
	tt := &turntable{
		r: r, h: newHostile(r, shape{}, Endpoint{EtherType: typeA}), burst: burst,
		frame: rawPacket(hostMAC, peerMAC, typeA, bytes, 1),
	}
	for i := range tt.descs {
		tt.descs[i] = tt.h.packet(128+i, bytes)
	}
	return tt
}

// receive has a burst come in and the runtime take it.
func (tt *turntable) receive() {
	tt.h.fill(0, tt.burst)
	n := tt.r.nics[0]
	for range tt.burst {
		index, _ := n.cache.Alloc()
		copy(n.cache.Pool().Chunk(index)[:64], tt.frame) // the rest of it never matters
		n.in = append(n.in, dataplane.Frame{Index: index, Len: uint16(len(tt.frame))})
	}
	tt.r.Poll(0)
	tt.h.takeRx()
}

// transmit has the runtime send a burst and take the frames back.
func (tt *turntable) transmit() {
	tt.h.tx(tt.descs[tt.next : tt.next+tt.burst]...)
	tt.next = (tt.next + tt.burst) % len(tt.descs)
	tt.r.Poll(0)
	tt.h.reap()
}

// check fails unless all that was turned arrived.
func (tt *turntable) check(t testing.TB, received, sent uint64) {
	t.Helper()
	tt.r.noEviction()
	c := tt.h.rt.Counters()
	if c.RxPackets != received || c.TxPackets != sent || c.Drops != [DropCount]uint64{} {
		t.Errorf("%+v, want %d received, %d sent", c, received, sent)
	}
	tt.r.audit()
}

// TestPollDoesNotAllocate: neither when busy in both directions, between runtimes and when ringing,
// nor when idle.
func TestPollDoesNotAllocate(t *testing.T) {
	tt := newTurntable(t, 1400, dataplane.MaxBurst)
	tt.h.ring(rxRing).set(flagsWord, ring.FlagNeedWakeup)
	for i := range 32 {
		copy(tt.h.mem[tt.h.layout.Frames+tt.descs[i].Addr:], hostMAC[:]) // to itself
	}
	const runs = 200
	all := testing.AllocsPerRun(runs, func() {
		tt.receive()
		tt.h.fill(0, 32)
		tt.transmit()
		tt.h.takeRx()
		tt.r.Poll(0)
		tt.r.Pending()
		tt.r.Next(0)
		tt.r.Arm(false)
	})
	if all != 0 {
		t.Errorf("%v allocations a turn", all)
	}
	const turns = runs + 1 // AllocsPerRun has one to warm up
	tt.check(t, turns*(64+32), turns*64)
}

func BenchmarkReceive(b *testing.B) {
	for _, bytes := range []int{64, 1400} {
		for _, burst := range []int{1, 64} {
			b.Run(fmt.Sprintf("bytes=%d/burst=%d", bytes, burst), func(b *testing.B) {
				tt := newTurntable(b, bytes, burst)
				turns := uint64(0)
				for b.Loop() {
					tt.receive()
					turns++
				}
				perPacket(b, burst)
				tt.check(b, turns*uint64(burst), 0)
			})
		}
	}
}

func BenchmarkTransmit(b *testing.B) {
	for _, bytes := range []int{64, 1400} {
		for _, burst := range []int{1, 64} {
			b.Run(fmt.Sprintf("bytes=%d/burst=%d", bytes, burst), func(b *testing.B) {
				tt := newTurntable(b, bytes, burst)
				turns := uint64(0)
				for b.Loop() {
					tt.transmit()
					turns++
				}
				perPacket(b, burst)
				tt.check(b, 0, turns*uint64(burst))
			})
		}
	}
}

func perPacket(b *testing.B, burst int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(burst), "ns/packet")
}

// BenchmarkIdle is what attached runtimes that do nothing cost each poll.
func BenchmarkIdle(b *testing.B) {
	for _, runtimes := range []int{0, 1, 8, 64} {
		b.Run(fmt.Sprintf("runtimes=%d", runtimes), func(b *testing.B) {
			r := newRig(b, 1)
			for i := range runtimes {
				r.attach(fmt.Sprint(i), shape{entries: 2048, chunks: 128, lend: 64},
					Endpoint{EtherType: fairType(i)})
			}
			for b.Loop() {
				r.Poll(0)
			}
		})
	}
}
