package iokernel

import (
	"testing"

	"pgregory.net/rapid"
)

// ledger of what went in and came out of a rig, as the machine of TestConservation knows it.
type books struct {
	*rig
	arrived  uint64 // packets put before the queues
	handedIn uint64 // packets that guests sent
	read     uint64 // packets that guests received
	onWire   uint64 // packets that the NICs sent
}

// collected counts and forgets what the NICs sent.
func (b *books) collect() {
	for _, n := range b.nics {
		b.onWire += uint64(len(n.sent))
		n.sent = nil
	}
}

// TestConservation runs random sequences of everything that may happen to an honest Dataplane, and
// then balances the books: each packet arrived, was dropped for a reason that was counted, or was
// still on its way; each frame is somewhere.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		queues := rapid.IntRange(1, 3).Draw(rt, "queues")
		b := &books{rig: newRigOf(t, queues, rapid.SampledFrom([]int{40, 512}).Draw(rt, "frames"),
			rapid.SampledFrom([]int{2048, 4096}).Draw(rt, "chunk"))}
		b.SetInterface(hostMAC, 9000)
		for i := range 3 {
			b.attach("g", shape{
				workers:    rapid.IntRange(1, 3).Draw(rt, "workers"),
				chunkBytes: rapid.SampledFrom([]int{2048, 4096}).Draw(rt, "chunk"),
				start:      -rapid.Uint32Range(0, 200).Draw(rt, "start"),
			}, Endpoint{EtherType: fairType(i)}, Endpoint{Port: uint16(i + 1)})
		}
		some := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, what) }
		guestOf := func() (int, *guest, int) {
			i := some("guest", len(b.guests))
			g := b.guests[i]
			return i, g, some("worker", len(g.ports))
		}
		rt.Repeat(map[string]func(*rapid.T){
			"arrive": func(rt *rapid.T) {
				dst := fairType(some("to", len(b.guests)+1)) // one of them is nobody
				size := rapid.IntRange(1, 9014).Draw(rt, "bytes")
				packet := rawPacket(hostMAC, peerMAC, dst, max(size, 14), size)[:size]
				if b.nics[some("queue", queues)].arrive(t, packet, size/3+1) {
					b.arrived++
				}
			},
			"send": func(rt *rapid.T) {
				i, g, w := guestOf()
				size := rapid.IntRange(14, 9500).Draw(rt, "bytes")
				packet := rawPacket(peerMAC, hostMAC, fairType(i), size, size)
				if g.send(w, packet, size/2) {
					b.handedIn++
				}
			},
			"switch": func(rt *rapid.T) {
				i, g, w := guestOf()
				packet := udpPacket(hostMAC, hostMAC, at(hostAddr4, uint16(1+some("to", 4))),
					at(hostAddrB, uint16(1+i)), rapid.IntRange(0, 8000).Draw(rt, "bytes"), 1)
				if g.send(w, packet) {
					b.handedIn++
				}
			},
			"forge": func(rt *rapid.T) {
				i, g, w := guestOf()
				if g.send(w, rawPacket(peerMAC, peerMAC, fairType(i), 60, 1)) {
					b.handedIn++
				}
			},
			"read": func(*rapid.T) {
				_, g, w := guestOf()
				b.read += uint64(len(g.recv(w)))
			},
			"NIC takes few": func(rt *rapid.T) {
				b.nics[some("queue", queues)].room = rapid.IntRange(0, 30).Draw(rt, "room")
			},
			"NIC takes all":  func(*rapid.T) { b.nics[some("queue", queues)].room = -1 },
			"NIC keeps":      func(*rapid.T) { b.nics[some("queue", queues)].lazy = true },
			"NIC has sent":   func(*rapid.T) { b.nics[some("queue", queues)].finish() },
			"poll":           func(*rapid.T) { b.Poll(0) },
			"many polls":     func(*rapid.T) { b.settle() },
			"sleep and wake": func(*rapid.T) { b.Arm(true); b.Pending(); b.Next(0); b.Arm(false) },
			"":               func(*rapid.T) { b.collect(); b.audit() },
		})
		b.balance(rt)
	})
}

// balance lets everything come to rest and compares.
func (b *books) balance(t *rapid.T) {
	for _, n := range b.nics {
		n.room, n.lazy = -1, false
	}
	for still := 0; still < 2; still++ { // until nothing moves, and what that published was reaped
		for _, n := range b.nics {
			n.finish()
		}
		if b.Poll(0) > 0 {
			still = 0
		}
		for _, g := range b.guests {
			for w := range g.ports {
				b.read += uint64(len(g.recv(w)))
			}
		}
	}
	b.collect()
	b.audit()
	b.noEviction()
	var arrived, lost, delivered, sent, switched, refused, out uint64
	for i := range b.nics {
		c := b.QueueCounters(i)
		arrived += c.RxPackets
		out += c.TxPackets
		for _, n := range c.Drops {
			lost += n
		}
	}
	for _, g := range b.guests {
		c := g.rt.Counters()
		delivered, sent, switched = delivered+c.RxPackets, sent+c.TxPackets, switched+c.Switched
		for reason, n := range c.Drops {
			if Drop(reason) >= DropSendMalformed {
				refused += n
			} else {
				lost += n
			}
		}
		if tx := g.lentTx(); tx != 0 {
			t.Errorf("%d chunks of a guest did not come back", tx)
		}
	}
	for _, c := range []struct {
		what      string
		got, want uint64
	}{
		{"arrived = counted by queues", arrived, b.arrived},
		{"arrived + switched = delivered + lost", delivered + lost, b.arrived + switched},
		{"delivered = read", b.read, delivered},
		{"handed in = sent + refused", sent + refused, b.handedIn},
		{"sent = out + switched", out + switched, sent},
		{"out = on the wire", b.onWire, out},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
}

// lentTx counts the chunks that were handed in and did not come back.
func (g *guest) lentTx() (n int) {
	for _, p := range g.ports {
		n += p.Lent().Tx
	}
	return n
}
