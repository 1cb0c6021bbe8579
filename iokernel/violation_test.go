package iokernel

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// victim is an honest runtime that must not notice what its neighbours do.
type victim struct {
	*guest
	r      *rig
	seed   int
	marked []uint32 // chunks that it holds, with a pattern of their own
}

func newVictim(r *rig) *victim {
	v := &victim{guest: r.attach("victim", shape{}, Endpoint{EtherType: typeB}), r: r}
	for range 40 {
		chunk, ok := v.caches[0].Alloc()
		if !ok {
			r.Fatal("no chunk to mark")
		}
		copy(v.pool.Chunk(chunk), pattern(v.layout.ChunkBytes, -int(chunk)))
		v.marked = append(v.marked, chunk)
	}
	return v
}

// exchange receives and sends some packets, in a bounded number of polls, and checks every byte.
func (v *victim) exchange() {
	v.r.Helper()
	n := v.r.nics[0]
	n.sent = nil
	var in, out [][]byte
	for i := range 6 {
		v.seed++
		size := 60 + (v.seed*97+i*331)%1400
		in = append(in, rawPacket(hostMAC, peerMAC, typeB, size, v.seed))
		out = append(out, rawPacket(peerMAC, hostMAC, typeB, size, -v.seed))
		if !n.arrive(v.r, in[i]) || !v.send(0, out[i]) {
			v.r.Fatal("the victim's packets are not taken")
		}
	}
	v.r.Poll(0)
	v.r.Poll(0)
	same(v.r, "victim received", v.recv(0), in...)
	same(v.r, "victim sent", ofType(n.sent, typeB), out...)
}

// check looks at the frames that the victim holds, and counts all.
func (v *victim) check() {
	v.r.Helper()
	for _, chunk := range v.marked {
		if !bytes.Equal(v.pool.Chunk(chunk), pattern(v.layout.ChunkBytes, -int(chunk))) {
			v.r.Errorf("chunk %d of the victim was written", chunk)
		}
	}
	if got := v.frames() + len(v.marked); got != v.pool.Chunks() {
		v.r.Errorf("victim: %d chunks of %d are accounted for", got, v.pool.Chunks())
	}
	if c := v.rt.Counters(); c.Drops != [DropCount]uint64{} {
		v.r.Errorf("victim lost packets: %+v", c)
	}
	if n := v.r.nics[0]; n.frames()+v.r.Held(0) != n.cache.Pool().Chunks() {
		v.r.Errorf("queue: %d frames of %d are accounted for", n.frames()+v.r.Held(0),
			n.cache.Pool().Chunks())
	}
}

// ofType picks the packets of an EtherType.
func ofType(packets [][]byte, t wire.EtherType) (some [][]byte) {
	for _, p := range packets {
		if wire.Ethernet(p).EtherType() == t {
			some = append(some, p)
		}
	}
	return some
}

// arrive has n packets come in for the hostile runtime.
func (h *hostile) arrive(r *rig, n int) {
	for range n {
		r.nics[0].arrive(r, rawPacket(hostMAC, peerMAC, typeA, 60, 1))
	}
	r.Poll(0)
}

// sendAll hands in n good packets from chunks of their own, and polls.
func (h *hostile) sendAll(r *rig, from, n int) {
	for i := range n {
		h.tx(h.packet(from+i, 60))
	}
	r.settle()
}

// misdeed is something a runtime does, and what it is evicted for.
type misdeed struct {
	name string
	do   func(h *hostile, r *rig)
	want Violation
}

// misdeeds are those that need no history.
func misdeeds() []misdeed {
	desc := func(d ...ring.Desc) func(*hostile, *rig) {
		return func(h *hostile, _ *rig) { h.tx(d...) }
	}
	chain := func(n int, last uint32) func(*hostile, *rig) {
		return func(h *hostile, _ *rig) {
			for i := range n {
				d := ring.Desc{Addr: h.addr(i), Len: 10, Options: ring.OptionMore}
				if i == n-1 {
					d.Options = last
				}
				h.tx(d)
			}
		}
	}
	fill := func(addr uint64) func(*hostile, *rig) {
		return func(h *hostile, r *rig) {
			h.putAddr(0, addr)
			h.ring(fillRing).set(producerWord, 1)
			h.arrive(r, 1)
		}
	}
	const all = 256 * 2048 // bytes of frame memory
	return []misdeed{
		{"tx behind the memory", desc(ring.Desc{Addr: all, Len: 60}), ViolationAddress},
		{"tx far behind it", desc(ring.Desc{Addr: 1 << 40, Len: 60}), ViolationAddress},
		{"tx at the top of all addresses", desc(ring.Desc{Addr: math.MaxUint64, Len: 60}), ViolationAddress},
		{"tx that wraps", desc(ring.Desc{Addr: math.MaxUint64 - 59, Len: 60}), ViolationAddress},
		{"tx with a huge length", desc(ring.Desc{Len: math.MaxUint32}), ViolationAddress},
		{"tx with a length of 2^31", desc(ring.Desc{Len: 1 << 31}), ViolationAddress},
		{"tx across a chunk's end", desc(ring.Desc{Addr: 2000, Len: 49}), ViolationAddress},
		{"tx of a chunk and a byte", desc(ring.Desc{Len: 2049}), ViolationAddress},
		{"tx across the memory's end", desc(ring.Desc{Addr: all - 10, Len: 11}), ViolationAddress},
		{
			"second segment outside", desc(ring.Desc{Len: 60, Options: 1}, ring.Desc{Addr: all, Len: 1}),
			ViolationAddress,
		},
		{"fill behind the memory", fill(all), ViolationAddress},
		{"fill at the top of all addresses", fill(math.MaxUint64), ViolationAddress},
		{"tx of no bytes", desc(ring.Desc{}), ViolationOptions},
		{"tx of no bytes that goes on", desc(ring.Desc{Options: 1}), ViolationOptions},
		{"tx with option 2", desc(ring.Desc{Len: 60, Options: 2}), ViolationOptions},
		{"tx with all options", desc(ring.Desc{Len: 60, Options: math.MaxUint32}), ViolationOptions},
		{
			"same chunk twice in a packet", desc(ring.Desc{Len: 60, Options: 1}, ring.Desc{Addr: 100, Len: 60}),
			ViolationDuplicate,
		},
		{"same chunk in two packets", desc(ring.Desc{Len: 60}, ring.Desc{Len: 60}), ViolationDuplicate},
		{"19 segments", chain(dataplane.MaxSegments+1, 0), ViolationSegments},
		{"a packet that goes on after 18", chain(dataplane.MaxSegments, ring.OptionMore), ViolationSegments},
		{"a ring that is one packet", chain(60, ring.OptionMore), ViolationSegments},
	}
}

// histories are misdeeds with chunks that the Dataplane has given back, or not yet.
func histories() []misdeed {
	return []misdeed{
		{"chunk filled twice", func(h *hostile, r *rig) {
			h.fill(0, 4)
			h.fill(0, 1)
			h.arrive(r, 5)
		}, ViolationDuplicate},
		{"chunk filled twice for one packet", func(h *hostile, r *rig) {
			h.fill(7, 8)
			h.fill(7, 8)
			r.nics[0].arrive(r, rawPacket(hostMAC, peerMAC, typeA, 4000, 1))
		}, ViolationDuplicate},
		{"received and filled again unread", func(h *hostile, r *rig) {
			h.fill(0, 4)
			h.arrive(r, 4)
			h.fill(2, 3)
			h.arrive(r, 1)
		}, ViolationDuplicate},
		{"received and sent unread", func(h *hostile, r *rig) {
			h.fill(0, 4)
			h.arrive(r, 4)
			h.tx(ring.Desc{Addr: h.addr(1), Len: 60})
		}, ViolationDuplicate},
		{"sent and sent again unreaped", func(h *hostile, r *rig) {
			h.sendAll(r, 0, 3)
			h.tx(h.packet(1, 60))
		}, ViolationDuplicate},
		{"sent and filled unreaped", func(h *hostile, r *rig) {
			h.sendAll(r, 0, 3)
			h.fill(2, 3)
			h.arrive(r, 1)
		}, ViolationDuplicate},
		{"sent while it lies in fill", func(h *hostile, r *rig) {
			h.fill(0, 4)
			h.sendAll(r, 3, 1)
			h.arrive(r, 4)
		}, ViolationDuplicate},
	}
}

// indices are impossible values of each index that a runtime writes. Before, 10 entries were
// published on the ring and consumed; of completion and rx then 10 more, which the Dataplane knows
// are not.
func indices() []misdeed {
	const ten, entries = 10, 64
	var list []misdeed
	add := func(kind, word int, ringName string, tooMany int32, before func(*hostile, *rig)) {
		for name, delta := range map[string]int32{
			"one too many": tooMany, "one backwards": -1, "+2^31": math.MinInt32,
			"-2^31+1": math.MinInt32 + 1, "+2^31-1": math.MaxInt32, "a ring backwards": -entries,
		} {
			list = append(list, misdeed{ringName + " " + name, func(h *hostile, r *rig) {
				h.fill(0, ten)
				h.arrive(r, ten)
				h.takeRx()
				h.sendAll(r, 100, ten)
				h.reap()
				before(h, r)
				h.ring(kind).set(word, h.ring(kind).get(word)+uint32(delta))
				h.use(r, func() {
					if word == consumerWord && delta == tooMany { // else it comes true
						h.ring(kind).set(word, h.ring(kind).get(producerWord)+1)
					}
				})
			}, ViolationIndex})
		}
	}
	none := func(*hostile, *rig) {}
	add(fillRing, producerWord, "fill", entries+1, none)
	add(txRing, producerWord, "tx", entries+1, none)
	add(completionRing, consumerWord, "completion", ten+1, func(h *hostile, r *rig) {
		h.sendAll(r, 100, ten) // the same chunks: it must look whether they were reaped
	})
	add(rxRing, consumerWord, "rx", ten+1, func(h *hostile, r *rig) {
		h.fill(0, ten)
		h.arrive(r, ten)
	})
	return list
}

// use receives and sends two ringfuls, so that the Dataplane needs all of the four rings.
func (h *hostile) use(r *rig, each func()) {
	for i := range 2 * int(h.layout.RingEntries) {
		if f := h.ring(fillRing); f.get(producerWord) == f.get(consumerWord) {
			h.fill(128+i, 129+i)
		}
		if tx := h.ring(txRing); tx.get(producerWord) == tx.get(consumerWord) {
			h.tx(h.packet(i, 60))
		}
		each()
		h.arrive(r, 1)
	}
}

// TestViolations: each misdeed costs the runtime its attachment, at once and with the right reason,
// and nobody else notices.
func TestViolations(t *testing.T) {
	reached := map[Violation]bool{}
	for _, m := range append(append(misdeeds(), histories()...), indices()...) {
		t.Run(m.name, func(t *testing.T) {
			notified := 0
			r := newRig(t, 1)
			r.notify = func() { notified++ }
			v := newVictim(r)
			h := newHostile(r, shape{}, Endpoint{EtherType: typeA})
			v.exchange()
			m.do(h, r)
			v.exchange()

			e, ok := r.NextEviction()
			if !ok || e.Runtime != h.rt || e.Violation != m.want {
				t.Fatalf("evicted %v, %q, want the runtime, %q", ok, e.Violation, m.want)
			}
			reached[e.Violation] = true
			memory := bytes.Clone(h.mem)
			none := r.QueueCounters(0).Drops[DropNoEndpoint]
			for range 3 { // what it does now is not looked at, what comes for it is nobody's
				h.arrive(r, 2)
				v.exchange()
			}
			if !bytes.Equal(memory, h.mem) {
				t.Error("its memory was written after the eviction")
			}
			if got := r.QueueCounters(0).Drops[DropNoEndpoint] - none; got != 6 {
				t.Errorf("%d packets for nobody, want 6", got)
			}
			if _, again := r.NextEviction(); again || notified != 1 {
				t.Errorf("evicted again: %v, notified %d times", again, notified)
			}
			r.Detach(h.rt)
			v.exchange()
			v.check()
		})
	}
	for v := range Violation(ViolationCount) {
		if v != ViolationNone && !reached[v] {
			t.Errorf("no test reaches: %s", v)
		}
	}
}

// TestOddButAllowed: what looks strange and harms nobody is no violation.
func TestOddButAllowed(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(h *hostile, r *rig)
		sent int
	}{
		{"packet of 18 segments", func(h *hostile, r *rig) {
			b := rawPacket(peerMAC, hostMAC, typeA, 180, 1)
			for i := range dataplane.MaxSegments {
				copy(h.mem[h.layout.Frames+h.addr(i)+5:], b[i*10:(i+1)*10])
				d := ring.Desc{Addr: h.addr(i) + 5, Len: 10, Options: ring.OptionMore}
				if i == dataplane.MaxSegments-1 {
					d.Options = 0
				}
				h.tx(d)
			}
		}, 1},
		{"packet without an end", func(h *hostile, r *rig) {
			for i := range dataplane.MaxSegments - 1 {
				h.tx(ring.Desc{Addr: h.addr(i), Len: 10, Options: ring.OptionMore})
			}
		}, 0},
		{"chunk sent while it lies in fill, then reaped", func(h *hostile, r *rig) {
			h.fill(0, 4)
			h.sendAll(r, 3, 1)
			h.reap()
			h.arrive(r, 4)
		}, 1},
		{"chunk filled in its middle", func(h *hostile, r *rig) {
			h.putAddr(0, h.addr(3)+77)
			h.ring(fillRing).set(producerWord, 1)
			h.arrive(r, 1)
		}, 0},
		{"words that are not its own", func(h *hostile, r *rig) {
			h.ring(fillRing).set(consumerWord, 9)
			h.ring(txRing).set(consumerWord, 1<<31)
			h.ring(rxRing).set(producerWord, 77)
			h.ring(completionRing).set(producerWord, 5)
			h.fill(0, 4)
			h.arrive(r, 4)
			h.sendAll(r, 100, 4)
		}, 4},
		{"all flags", func(h *hostile, r *rig) {
			for kind := range ringKinds {
				h.ring(kind).set(flagsWord, math.MaxUint32)
			}
			h.sendAll(r, 100, 4)
		}, 4},
		{"header of the memory", func(h *hostile, r *rig) {
			copy(h.mem[:64], pattern(64, 1))
			h.sendAll(r, 100, 4)
		}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, 1)
			v := newVictim(r)
			h := newHostile(r, shape{}, Endpoint{EtherType: typeA})
			c.do(h, r)
			r.Poll(0)
			if n := len(ofType(r.nics[0].sent, typeA)); n != c.sent {
				t.Errorf("%d packets sent, want %d", n, c.sent)
			}
			v.exchange()
			v.check()
			r.noEviction()
		})
	}
}

// TestEvictionBySelfSwitch: a runtime that is cut off by a packet to itself, in the middle of its
// own burst, is not served to the burst's end.
func TestEvictionBySelfSwitch(t *testing.T) {
	r := newRig(t, 1)
	h := newHostile(r, shape{}, Endpoint{EtherType: typeA})
	h.putAddr(0, math.MaxUint64) // the chunk to receive its first packet in
	h.ring(fillRing).set(producerWord, 1)
	for i := range 20 {
		d := h.packet(i, 60)
		copy(h.mem[h.layout.Frames+d.Addr:], hostMAC[:])
		h.tx(d)
	}
	r.Poll(0)
	e, ok := r.NextEviction()
	if !ok || e.Violation != ViolationAddress {
		t.Fatalf("evicted: %v, %s", ok, e.Violation)
	}
	if c := h.rt.Counters(); c.TxPackets != 1 || c.Drops[DropForeignSource] != 0 {
		t.Errorf("%d packets sent, %d refused after the first: it was served on", c.TxPackets,
			c.Drops[DropForeignSource])
	}
	r.audit()
}

// TestEvictionsWait: evictions are reported in order, also those of runtimes detached meanwhile.
func TestEvictionsWait(t *testing.T) {
	r := newRig(t, 1)
	var all []*hostile
	for i := range 5 {
		h := newHostile(r, shape{}, Endpoint{Port: uint16(100 + i)})
		h.tx(ring.Desc{})
		all = append(all, h)
		r.Poll(0)
	}
	r.Detach(all[1].rt)
	for i, h := range all {
		e, ok := r.NextEviction()
		if !ok || e.Runtime != h.rt || e.Violation != ViolationOptions {
			t.Fatalf("eviction %d: %v %+v", i, ok, e)
		}
		r.Detach(h.rt)
	}
	if e, ok := r.NextEviction(); ok {
		t.Errorf("one more: %s", e.Violation)
	}
	if got := fmt.Sprint(all[0].rt.Depths()); got != "[]" {
		t.Errorf("a detached runtime has depths %s", got)
	}
}
