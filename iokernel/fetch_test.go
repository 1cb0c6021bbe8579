//go:build !race

// A runtime that changes what it handed in while it is looked at races by intent: the race detector
// would report the test and not the code.

package iokernel

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// flicker alternates memory between two contents on another thread until stop is called.
func flicker(change func(turn int)) (stop func()) {
	var quit atomic.Bool
	begun, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		change(1)
		close(begun)
		for turn := 0; !quit.Load(); turn++ {
			change(turn)
		}
	}()
	<-begun
	return func() { quit.Store(true); <-done }
}

// TestEntriesChangeWhileChecked has descriptors and fill entries alternate between good and bad, so
// that a check of one reading and a use of another would reach outside the frame memory. Each round
// ends in an eviction or in good packets; never in a panic, in lost frames or at the neighbour's.
func TestEntriesChangeWhileChecked(t *testing.T) {
	bad := []ring.Desc{
		{Addr: 1 << 40, Len: 60},
		{Addr: 256*2048 - 1, Len: 2048},
		{Addr: 64, Len: 0xFFFF_FFFF},
		{Addr: 0, Len: 0},
		{Addr: 2047, Len: 60},
		{Addr: 0, Len: 60, Options: 0xFF},
	}
	const rounds = 150
	evicted := 0
	r := newRig(t, 1)
	v := newVictim(r)
	for round := range rounds {
		h := newHostile(r, shape{}, Endpoint{EtherType: typeA})
		r.guests = r.guests[:1]
		wrong := bad[round%len(bad)]
		var good [40]ring.Desc
		var handedIn [][]byte // or their beginnings: address and length may be of two descriptors
		for i := range good {
			good[i] = h.packet(100+i, 60+i)
			handedIn = append(handedIn, rawPacket(peerMAC, hostMAC, typeA, 60+i, 100+i))
			h.tx(good[i])
		}
		h.fill(0, 40)
		stop := flicker(func(turn int) {
			for i := range uint32(len(good)) {
				if turn&1 == 0 {
					h.putDesc(i, wrong)
					h.putAddr(i, wrong.Addr)
				} else {
					h.putDesc(i, good[i])
					h.putAddr(i, h.addr(int(i)))
				}
			}
		})
		r.nics[0].sent = nil
		for range 20 {
			r.nics[0].arrive(t, rawPacket(hostMAC, peerMAC, typeA, 1400, round))
			r.Poll(0)
		}
		stop()
		for _, p := range ofType(r.nics[0].sent, typeA) {
			if !slices.ContainsFunc(handedIn, func(b []byte) bool { return bytes.HasPrefix(b, p) }) {
				t.Fatalf("a packet of %d bytes was sent that nobody handed in", len(p))
			}
		}
		if _, ok := r.NextEviction(); ok {
			evicted++
		}
		r.Detach(h.rt)
		v.exchange()
	}
	v.check()
	t.Logf("%d of %d evicted", evicted, rounds)
}

// TestBytesChangeWhileChecked has a packet's source alternate between allowed and forbidden ones:
// what is sent is what was checked.
func TestBytesChangeWhileChecked(t *testing.T) {
	r := newRig(t, 1)
	v := newVictim(r)
	h := newHostile(r, shape{}, Endpoint{EtherType: typeA}, Endpoint{Port: 7000})
	udp := udpPacket(peerMAC, hostMAC, at(peerAddr4, 9), at(hostAddr4, 7000), 100, 1)
	for i := range 64 {
		copy(h.mem[h.layout.Frames+h.addr(i):], udp)
	}
	stop := flicker(func(turn int) {
		for i := range 64 {
			b := h.mem[h.layout.Frames+h.addr(i):]
			if turn&1 == 0 {
				binary.BigEndian.PutUint16(b[12:], uint16(typeB)) // the neighbour's
				b[11]++                                           // source MAC
				binary.BigEndian.PutUint16(b[34:], 9)             // source port
			} else {
				copy(b, udp)
			}
		}
	})
	const rounds = 8000
	for round := range rounds {
		for i := range 8 {
			h.tx(ring.Desc{Addr: h.addr((8*round + i) % 64), Len: uint32(len(udp))})
		}
		r.nics[0].sent = nil
		r.Poll(0)
		h.reap()
		for _, p := range r.nics[0].sent {
			e := wire.Ethernet(p)
			parsed, reason := wire.Parse(p, len(p))
			if reason != wire.OK || e.Src() != hostMAC {
				t.Fatalf("sent from %v, %v", e.Src(), reason)
			}
			if port := wire.FlowOf(p, parsed).Src.Port; parsed.Kind != wire.KindUDP4 || port != 7000 {
				t.Fatalf("sent from port %d", port)
			}
		}
	}
	stop()
	c := h.rt.Counters()
	all := c.TxPackets
	for _, n := range c.Drops {
		all += n
	}
	if all != 8*rounds {
		t.Errorf("%d packets sent or dropped for a reason, want %d", all, 8*rounds)
	}
	t.Logf("%d of %d sent", c.TxPackets, all)
	v.exchange()
	v.check()
	r.noEviction()
}
