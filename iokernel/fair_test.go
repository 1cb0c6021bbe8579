package iokernel

import (
	"fmt"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// flood hands in packets until there is no room, and takes back what was sent.
func (g *guest) flood(t wire.EtherType, size int) {
	packet := rawPacket(peerMAC, hostMAC, t, size, 1)
	for g.send(0, packet) {
	}
	g.recv(0)
}

// fairTypes gives each guest of a fairness test an EtherType of its own.
func fairType(i int) wire.EtherType { return 0x9000 + wire.EtherType(i) }

// TestFloodersShare: runtimes that all send as much as they can get equal parts, however narrow the
// way out is.
func TestFloodersShare(t *testing.T) {
	for _, c := range []struct {
		flooders, room int // frames that the NIC takes a poll
	}{{2, 64}, {2, 5}, {3, 64}, {3, 1}, {5, 64}, {5, 17}, {12, 64}, {40, 64}, {40, 9}} {
		t.Run(fmt.Sprintf("%d runtimes, %d frames a poll", c.flooders, c.room), func(t *testing.T) {
			r := newRig(t, 1)
			n := r.nics[0]
			n.mute = true
			for i := range c.flooders {
				r.attach(fmt.Sprint(i), shape{chunks: 512, entries: 128}, Endpoint{EtherType: fairType(i)})
			}
			polls := 400*c.flooders/c.room + 100
			for range polls {
				for i, g := range r.guests {
					g.flood(fairType(i), 60)
				}
				n.room = c.room
				r.Poll(0)
			}
			all := uint64(0)
			for _, g := range r.guests {
				all += g.rt.Counters().TxPackets
			}
			if want := uint64(c.room * polls); all < want || all > want+maxOut {
				t.Errorf("%d packets sent in %d polls, want %d", all, polls, want)
			}
			for i, g := range r.guests {
				part := float64(g.rt.Counters().TxPackets) * float64(c.flooders) / float64(all)
				if part < 0.8 || part > 1.2 {
					t.Errorf("runtime %d has %.2f of its part", i, part)
				}
			}
			r.noEviction()
			r.audit()
		})
	}
}

// TestFloodersShareFrames: the same where the queue's frames are what is scarce.
func TestFloodersShareFrames(t *testing.T) {
	for _, c := range []struct{ frames, bytes int }{{10, 60}, {40, 60}, {40, 5000}} {
		t.Run(fmt.Sprintf("%d frames, packets of %d bytes", c.frames, c.bytes), func(t *testing.T) {
			r := newRigOf(t, 1, c.frames, 2048)
			r.SetInterface(hostMAC, 9000)
			n := r.nics[0]
			n.mute, n.lazy = true, true
			for i := range 4 {
				r.attach(fmt.Sprint(i), shape{}, Endpoint{EtherType: fairType(i)})
			}
			for range 400 {
				for i, g := range r.guests {
					g.flood(fairType(i), c.bytes)
				}
				r.Poll(0)
				k := min(7, len(n.held)) // are sent until the next poll
				n.cache.FreeAll(n.held[:k])
				n.held = n.held[:copy(n.held, n.held[k:])]
			}
			all := uint64(0)
			for _, g := range r.guests {
				all += g.rt.Counters().TxPackets
			}
			for i, g := range r.guests {
				part := float64(g.rt.Counters().TxPackets) * 4 / float64(all)
				if part < 0.8 || part > 1.2 {
					t.Errorf("runtime %d has %.2f of its part of %d", i, part, all)
				}
			}
			r.audit()
		})
	}
}

// TestLightWorkerBesideFlooders: a runtime that sends little waits for a few polls at most,
// wherever it stands in the order.
func TestLightWorkerBesideFlooders(t *testing.T) {
	for _, place := range []int{0, 4, 8} {
		t.Run(fmt.Sprintf("attached as number %d", place), func(t *testing.T) {
			const runtimes, rounds, mostPolls = 9, 200, 3
			r := newRig(t, 1)
			n := r.nics[0]
			for i := range runtimes {
				r.attach(fmt.Sprint(i), shape{}, Endpoint{EtherType: fairType(i)})
			}
			light := r.guests[place]
			packet := rawPacket(peerMAC, hostMAC, fairType(place), 60, 1)
			for range rounds {
				if !light.send(0, packet) {
					t.Fatal("not handed in")
				}
				sent, polls := false, 0
				for ; !sent; polls++ {
					if polls > mostPolls {
						t.Fatalf("not sent after %d polls", polls)
					}
					for i, g := range r.guests {
						if g != light {
							g.flood(fairType(i), 60)
						}
					}
					n.sent = nil
					r.Poll(0)
					sent = len(ofType(n.sent, fairType(place))) > 0
				}
				light.recv(0)
			}
			r.noEviction()
		})
	}
}

// TestAloneHasWholeBurst: sharing costs a runtime nothing while nobody else sends.
func TestAloneHasWholeBurst(t *testing.T) {
	r := newRig(t, 1)
	r.nics[0].mute = true
	for i := range 10 {
		r.attach(fmt.Sprint(i), shape{}, Endpoint{EtherType: fairType(i)})
	}
	for _, i := range []int{3, 9, 0} {
		for range 3 {
			r.guests[i].flood(fairType(i), 60)
			before := r.guests[i].rt.Counters().TxPackets
			r.Poll(0)
			r.guests[i].flood(fairType(i), 60)
			if got := r.guests[i].rt.Counters().TxPackets - before; got != 64 {
				t.Errorf("runtime %d: %d packets in one poll, want 64", i, got)
			}
		}
		r.settle()
	}
}

// TestReceiverThatDoesNotRead costs others nothing: what comes for it is dropped and counted.
func TestReceiverThatDoesNotRead(t *testing.T) {
	r := newRig(t, 1)
	deaf := r.attach("deaf", shape{}, Endpoint{EtherType: typeA})
	v := newVictim(r)
	const rounds, flood = 100, 50
	for range rounds {
		for range flood {
			r.nics[0].arrive(t, rawPacket(hostMAC, peerMAC, typeA, 60, 1))
		}
		v.exchange()
	}
	v.check()
	c := deaf.rt.Counters()
	if sum := c.RxPackets + c.Drops[DropNoFill] + c.Drops[DropRxFull]; sum != rounds*flood {
		t.Errorf("%d packets delivered or counted as dropped, want %d", sum, rounds*flood)
	}
	r.noEviction()
}

// TestPortsSpreadOverQueues: the workers of all runtimes share the queues evenly, also after some
// left.
func TestPortsSpreadOverQueues(t *testing.T) {
	r := newRig(t, 3)
	for i := range 6 {
		r.attach(fmt.Sprint(i), shape{workers: 2}, Endpoint{EtherType: fairType(i)})
	}
	count := func() (n []int) {
		for _, q := range r.queues {
			n = append(n, len(q.ports))
		}
		return n
	}
	if got := fmt.Sprint(count()); got != "[4 4 4]" {
		t.Errorf("ports on queues: %s", got)
	}
	for _, i := range []int{0, 3} {
		r.Detach(r.guests[i].rt)
	}
	r.attach("new", shape{workers: 4}, Endpoint{EtherType: fairType(9)})
	if got := fmt.Sprint(count()); got != "[4 4 4]" {
		t.Errorf("ports on queues after others left: %s", got)
	}
}

// TestChunksComeBackBesideFlooders: a runtime of many workers and few chunks gets them back,
// although each worker sent fewer than a batch and others keep the Dataplane from ever being
// idle.
func TestChunksComeBackBesideFlooders(t *testing.T) {
	const workers = 16
	r := newRig(t, 1)
	r.nics[0].mute = true
	flooder := r.attach("flooder", shape{}, Endpoint{EtherType: typeA})
	few := r.attach("few", shape{workers: workers, chunks: 128, lend: 4}, Endpoint{EtherType: typeB})
	packet := rawPacket(peerMAC, hostMAC, typeB, 60, 1)
	const packets = 10 * 128
	sent := 0
	for poll := 0; sent < packets; poll++ {
		if poll > 20*packets/64+1000 {
			t.Fatalf("%d packets sent of %d after %d polls", sent, packets, poll)
		}
		flooder.flood(typeA, 60)
		for w := range workers {
			if few.send(w, packet) {
				sent++
			}
			few.recv(w)
		}
		r.Poll(0)
	}
	r.noEviction()
}

// TestPollIsBounded: one poll takes a burst from a queue's workers and not more, also of packets
// that never reach the queue, so that nobody who floods can keep the Dataplane from receiving.
func TestPollIsBounded(t *testing.T) {
	for name, queues := range map[string]int{"between runtimes": 1, "nowhere": 0} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, queues)
			for i := range 5 {
				r.attach(fmt.Sprint(i), shape{entries: 512, chunks: 1024}, Endpoint{EtherType: fairType(i)})
			}
			for range 20 {
				for i, g := range r.guests {
					for g.send(0, rawPacket(hostMAC, hostMAC, fairType(i), 60, 1)) {
					}
					g.recv(0)
				}
				if work := r.Poll(0); work < dataplane.MaxBurst || work >= maxOut {
					t.Fatalf("one poll moved %d frames, want %d", work, dataplane.MaxBurst)
				}
			}
			r.noEviction()
		})
	}
}
