package iokernel

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
)

// stream is numbered packets of mixed sizes.
func stream(n int) (packets [][]byte) {
	for i := range n {
		packets = append(packets, rawPacket(peerMAC, hostMAC, typeA, 60+i*577%4000, i))
	}
	return packets
}

// pushThrough sends packets through a NIC that gives way bit by bit, and checks that all come out
// in order and unchanged.
func pushThrough(t *testing.T, r *rig, g *guest, packets [][]byte, giveWay func(poll int)) {
	t.Helper()
	next, n := 0, r.nics[0]
	for poll := 0; len(n.sent) < len(packets); poll++ {
		if poll > 100*len(packets) {
			t.Fatalf("%d packets of %d sent after %d polls", len(n.sent), len(packets), poll)
		}
		for next < len(packets) && g.send(0, packets[next], 100, 700) {
			next++
		}
		r.Poll(0)
		g.recv(0)
		giveWay(poll)
	}
	same(t, "sent", n.sent, packets...)
	n.room, n.lazy = -1, false
	n.finish()
	r.settle()
	g.recv(0)
	if c := g.rt.Counters(); c.TxPackets != uint64(len(packets)) || c.Drops != [DropCount]uint64{} {
		t.Errorf("counted %d sent and drops %v", c.TxPackets, c.Drops)
	}
	r.noEviction()
	r.audit()
}

// TestNICFull: a NIC that takes little, or nothing for a while, holds the sender up and loses
// nothing.
func TestNICFull(t *testing.T) {
	for _, room := range []int{3, 7, 40} {
		t.Run(fmt.Sprintf("%d frames now and then", room), func(t *testing.T) {
			r := newRig(t, 1)
			r.SetInterface(hostMAC, 9000)
			g := r.attach("g", shape{}, Endpoint{EtherType: typeA})
			r.nics[0].room = 0
			pushThrough(t, r, g, stream(300), func(poll int) {
				if poll%5 == 0 {
					r.nics[0].room = room
				}
			})
			if r.QueueCounters(0).TxFull == 0 {
				t.Error("the NIC was never full")
			}
		})
	}
}

// TestNoFrames: with all frames of the queue's pool in the NIC the sender waits, and the pool is
// whole afterwards.
func TestNoFrames(t *testing.T) {
	r := newRigOf(t, 1, 20, 2048)
	r.SetInterface(hostMAC, 9000)
	g := r.attach("g", shape{}, Endpoint{EtherType: typeA})
	r.nics[0].lazy = true
	pushThrough(t, r, g, stream(300), func(poll int) {
		if poll%4 == 0 {
			r.nics[0].finish()
		}
	})
	if r.QueueCounters(0).NoFrames == 0 {
		t.Error("frames never ran out")
	}
}

// TestFullNICStopsAtOnce: while the NIC takes nothing, the Dataplane takes no more than it has room
// for, wants to be polled, and still receives.
func TestFullNICStopsAtOnce(t *testing.T) {
	r := newRig(t, 1)
	g := r.attach("g", shape{entries: 256, chunks: 512}, Endpoint{EtherType: typeA})
	v := r.attach("v", shape{}, Endpoint{EtherType: typeB})
	r.nics[0].room = 0
	for range 50 {
		g.flood(typeA, 60)
		r.Poll(0)
	}
	if held := r.Held(0); held > maxOut || held < dataplane.MaxBurst {
		t.Errorf("the Dataplane holds %d frames, want %d to %d", held, dataplane.MaxBurst, maxOut)
	}
	if !r.Pending() || r.Next(7) > 7 {
		t.Error("it would sleep over packets that wait for the NIC")
	}
	packet := rawPacket(hostMAC, peerMAC, typeB, 60, 1)
	r.nics[0].arrive(t, packet)
	r.Poll(0)
	same(t, "received", v.recv(0), packet)
	r.nics[0].room = -1
	r.settle()
	if r.Pending() || r.Next(7) != core.Never {
		t.Error("something still waits")
	}
	r.noEviction()
	g.recv(0)
	r.audit()
}

// TestCompletionsNotReaped: a runtime that does not take its chunks back stops its own packets, and
// only those. The Dataplane may sleep, looks again a millisecond later, and wakes a worker that
// sleeps.
func TestCompletionsNotReaped(t *testing.T) {
	r := newRig(t, 1)
	v := newVictim(r)
	h := newHostile(r, shape{}, Endpoint{EtherType: typeA})
	size := int(h.layout.RingEntries)
	h.sendAll(r, 0, size)
	h.ring(rxRing).set(flagsWord, ring.FlagNeedWakeup)
	for i := range 5 { // with a sleeping worker and a full ring
		h.sendAll(r, size+3*i, 3)
		v.exchange()
	}
	if n := h.rt.Counters().TxPackets; n != uint64(size) {
		t.Errorf("%d packets sent, want %d", n, size)
	}
	if h.bells[0].rings != 1 {
		t.Errorf("the sleeping worker was woken %d times, want once", h.bells[0].rings)
	}
	if r.Pending() {
		t.Error("the Dataplane would never sleep")
	}
	if next := r.Next(5); next != 5+core.Millisecond {
		t.Errorf("it looks again at %d, want a millisecond after 5", next)
	}
	h.reap()
	r.settle()
	if n := h.rt.Counters().TxPackets; n != uint64(size)+15 {
		t.Errorf("%d packets sent after reaping, want %d", n, size+15)
	}
	if r.Pending() || r.Next(5) != core.Never {
		t.Error("something still waits")
	}
	v.check()
	r.noEviction()
}

// TestUnfinishedPacket: it waits in its ring for its end, and nobody waits with it.
func TestUnfinishedPacket(t *testing.T) {
	r := newRig(t, 1)
	v := newVictim(r)
	h := newHostile(r, shape{}, Endpoint{EtherType: typeA})
	packet := rawPacket(peerMAC, hostMAC, typeA, 300, 1)
	for i := range 3 {
		copy(h.mem[h.layout.Frames+h.addr(i):], packet[i*100:(i+1)*100])
	}
	part := func(i int, options uint32) {
		h.tx(ring.Desc{Addr: h.addr(i), Len: 100, Options: options})
	}
	h.tx(h.packet(9, 60))
	part(0, ring.OptionMore)
	v.exchange()
	if r.Pending() || r.Next(5) != core.Never {
		t.Error("the Dataplane would never sleep")
	}
	part(1, ring.OptionMore)
	if !r.Pending() {
		t.Error("it would sleep without having seen the second part")
	}
	v.exchange()
	if r.Pending() {
		t.Error("the Dataplane would never sleep")
	}
	r.nics[0].sent = nil
	part(2, 0)
	if !r.Pending() {
		t.Error("it would sleep over a packet that is complete")
	}
	r.settle()
	same(t, "sent", r.nics[0].sent, packet)
	v.check()
	r.noEviction()

	part(0, ring.OptionMore) // a bad index behind an unfinished packet is noticed
	h.reap()
	r.settle()
	h.ring(txRing).set(producerWord, h.ring(txRing).get(producerWord)+500)
	if !r.Pending() {
		t.Error("it would sleep over a bad index")
	}
	r.Poll(0)
	if e, ok := r.NextEviction(); !ok || e.Violation != ViolationIndex {
		t.Errorf("evicted: %v, %s", ok, e.Violation)
	}
	v.exchange()
	v.check()
}

// TestParking walks through sleep and wake-up on both sides.
func TestParking(t *testing.T) {
	r := newRig(t, 1)
	g := r.attach("g", shape{workers: 2}, Endpoint{EtherType: typeA})
	in := rawPacket(hostMAC, peerMAC, typeA, 60, 1)
	out := rawPacket(peerMAC, hostMAC, typeA, 60, 1)
	r.settle()
	if r.Pending() || r.Next(9) != core.Never {
		t.Error("the idle Dataplane would not sleep")
	}
	r.Arm(true)
	kicks := g.kicks
	g.send(1, out)
	if g.kicks != kicks+1 {
		t.Errorf("a packet for the sleeping Dataplane rang %d times", g.kicks-kicks)
	}
	if !r.Pending() {
		t.Error("it would sleep over the packet")
	}
	r.Arm(false)
	r.settle()
	g.send(1, out)
	if g.kicks != kicks+1 {
		t.Error("a packet for the polling Dataplane rang")
	}
	r.settle()
	same(t, "sent", r.nics[0].sent, out, out)

	worker := -1
	deliver := func() {
		r.nics[0].arrive(t, in)
		r.settle()
		for w := range 2 {
			if len(g.recv(w)) > 0 {
				worker = w
			}
		}
	}
	deliver()
	if g.bells[0].rings+g.bells[1].rings != 0 {
		t.Error("a polling worker was rung")
	}
	g.ports[0].Arm(true)
	g.ports[1].Arm(true)
	deliver()
	if g.bells[worker].rings != 1 || g.bells[1-worker].rings != 0 {
		t.Errorf("rung: worker %d, the packet's, %d times, the other %d times", worker,
			g.bells[worker].rings, g.bells[1-worker].rings)
	}
	r.nics[0].arrive(t, in)
	r.nics[0].arrive(t, in)
	r.settle()
	if g.bells[worker].rings != 2 {
		t.Errorf("one poll rang a worker %d times", g.bells[worker].rings-1)
	}
	if n := g.rt.Counters().Wakes; n != 2 {
		t.Errorf("%d wakes counted, want 2", n)
	}
	g.recv(0)
	g.recv(1)
	r.noEviction()
	r.audit()
}

// TestWakingTakesTime: packets that come while a worker wakes up do not ring again; those that
// come when it has taken the others and sleeps again do.
func TestWakingTakesTime(t *testing.T) {
	r := newRig(t, 1)
	g := r.attach("g", shape{}, Endpoint{EtherType: typeA})
	g.ports[0].Arm(true)
	for sleeps := 1; sleeps <= 3; sleeps++ {
		for range 4 {
			r.nics[0].arrive(t, rawPacket(hostMAC, peerMAC, typeA, 60, 1))
			r.Poll(0)
		}
		if g.bells[0].rings != sleeps {
			t.Errorf("rung %d times for sleep %d", g.bells[0].rings, sleeps)
		}
		g.recv(0)
	}
	r.noEviction()
}

// TestSleeperThatLooksAgain: a worker announces its sleep, and a packet comes that it still sees and
// takes, while we are about to ring. The next packet, for which it sleeps, rings.
func TestSleeperThatLooksAgain(t *testing.T) {
	r := newRig(t, 1)
	g := r.attach("g", shape{}, Endpoint{EtherType: typeA})
	g.ports[0].Arm(true)
	r.nics[0].arrive(t, rawPacket(hostMAC, peerMAC, typeA, 60, 1))
	if r.receive(r.queues[0]) == 0 {
		t.Fatal("nothing was received")
	}
	p := g.rt.ports[0]
	p.far.Rx.Submit(p.staged) // what publish does, up to the ring
	p.received, p.staged = p.received+uint64(p.staged), 0
	if len(g.recv(0)) != 1 {
		t.Fatal("the packet was not taken")
	}
	p.wake()
	before := g.bells[0].rings // a ring now would be for nothing, and do no harm
	g.ports[0].Arm(true)
	r.nics[0].arrive(t, rawPacket(hostMAC, peerMAC, typeA, 60, 1))
	r.settle()
	if g.bells[0].rings != before+1 {
		t.Errorf("asleep beside a packet, and rung %d times", g.bells[0].rings-before)
	}
}

// TestIdlePollMutatesNothing: no work, and no byte of shared memory changes.
func TestIdlePollMutatesNothing(t *testing.T) {
	r := newRig(t, 2)
	g := r.attach("g", shape{workers: 3}, Endpoint{EtherType: typeA})
	g.send(0, rawPacket(peerMAC, hostMAC, typeA, 60, 1))
	r.nics[1].arrive(t, rawPacket(hostMAC, peerMAC, typeA, 60, 1))
	r.settle()
	before := bytes.Clone(g.mem)
	for range 10 {
		if work := r.Poll(0); work != 0 {
			t.Fatalf("idle, and %d frames moved", work)
		}
	}
	if !bytes.Equal(before, g.mem) {
		t.Error("an idle poll wrote to shared memory")
	}
}

// TestReceivedBeforeSent: what was received is with the workers before the link sends, which may
// take long.
func TestReceivedBeforeSent(t *testing.T) {
	r := newRig(t, 1)
	g := r.attach("g", shape{}, Endpoint{EtherType: typeA})
	seen := 0
	r.queues[0].link = &sendHook{r.nics[0], func() { seen = len(g.recv(0)) }}
	r.nics[0].arrive(t, rawPacket(hostMAC, peerMAC, typeA, 60, 1))
	g.send(0, rawPacket(peerMAC, hostMAC, typeA, 60, 1))
	r.Poll(0)
	if seen != 1 {
		t.Error("the received packet was not there when the link sent")
	}
}

// sendHook calls a function at each Send.
type sendHook struct {
	dataplane.Link
	f func()
}

func (h *sendHook) Send(src []dataplane.Frame) int { h.f(); return h.Link.Send(src) }
