package iokernel

import (
	"net/netip"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// TestDropsFromNIC has each reason for which a packet from the NIC is not passed on.
func TestDropsFromNIC(t *testing.T) {
	good := rawPacket(hostMAC, peerMAC, typeA, 60, 1)
	t.Run("malformed", func(t *testing.T) {
		r := newRig(t, 1)
		r.attach("g", shape{}, Endpoint{EtherType: typeA}, Endpoint{Port: 7})
		udp := udpPacket(hostMAC, peerMAC, at(hostAddr4, 7), at(peerAddr4, 1), 64, 1)
		damaged := append([]byte(nil), udp...)
		damaged[wire.EthernetBytes+8]-- // TTL, without the checksum
		for _, p := range [][]byte{good[:13], damaged, udp[:50]} {
			r.nics[0].arrive(t, p)
		}
		r.nics[0].arrive(t, udp, 20) // headers across segments: a NIC does not do that
		r.settle()
		c := r.QueueCounters(0)
		drops(t, "queue", c.Drops, map[Drop]uint64{DropMalformed: 4})
		if c.RxPackets != 4 {
			t.Errorf("%d packets received, want 4", c.RxPackets)
		}
		r.audit()
	})
	t.Run("no endpoint", func(t *testing.T) {
		r := newRig(t, 1)
		r.nics[0].arrive(t, good)
		r.settle()
		drops(t, "queue", r.QueueCounters(0).Drops, map[Drop]uint64{DropNoEndpoint: 1})
		r.audit()
	})
	t.Run("own source", func(t *testing.T) {
		r := newRig(t, 1)
		g := r.attach("g", shape{}, Endpoint{EtherType: typeA})
		r.nics[0].arrive(t, rawPacket(hostMAC, hostMAC, typeA, 60, 1))
		r.settle()
		drops(t, "queue", r.QueueCounters(0).Drops, map[Drop]uint64{DropOwnSource: 1})
		same(t, "received", g.recv(0))
		r.audit()
	})
	t.Run("no fill", func(t *testing.T) {
		r := newRig(t, 1)
		g := r.attach("g", shape{lend: 3}, Endpoint{EtherType: typeA})
		r.nics[0].arrive(t, good)
		r.nics[0].arrive(t, rawPacket(hostMAC, peerMAC, typeA, 5000, 1)) // three chunks, two are left
		r.nics[0].arrive(t, good)
		r.nics[0].arrive(t, good)
		r.nics[0].arrive(t, good)
		r.settle()
		drops(t, "runtime", g.rt.Counters().Drops, map[Drop]uint64{DropNoFill: 2})
		same(t, "received", g.recv(0), good, good, good)
		r.nics[0].arrive(t, good) // Recv has lent new chunks
		r.settle()
		same(t, "received", g.recv(0), good)
		r.noEviction()
		r.audit()
	})
	t.Run("rx full", func(t *testing.T) {
		r := newRig(t, 1)
		h := newHostile(r, shape{}, Endpoint{EtherType: typeA})
		for i := range 2 * int(h.layout.RingEntries) { // chunks are given, nothing is taken
			if i%int(h.layout.RingEntries) == 0 {
				h.fill(i, i+int(h.layout.RingEntries))
			}
			r.nics[0].arrive(t, good)
			r.settle()
		}
		drops(t, "runtime", h.rt.Counters().Drops,
			map[Drop]uint64{DropRxFull: uint64(h.layout.RingEntries)})
		r.noEviction()
		r.audit()
	})
	t.Run("too long", func(t *testing.T) {
		r := newRigOf(t, 1, 512, 4096)
		g := r.attach("g", shape{}, Endpoint{EtherType: typeA})
		const most = dataplane.MaxSegments * 2048
		fits := rawPacket(hostMAC, peerMAC, typeA, most, 1)
		r.nics[0].arrive(t, fits)
		r.nics[0].arrive(t, rawPacket(hostMAC, peerMAC, typeA, most+1, 1))
		r.settle()
		drops(t, "runtime", g.rt.Counters().Drops, map[Drop]uint64{DropTooLong: 1})
		same(t, "received", g.recv(0), fits)
		r.noEviction()
		r.audit()
	})
}

// TestEgress says what a runtime may send and why it may not send the rest. Nothing that was
// refused reaches the NIC, and the runtime has all its frames back.
func TestEgress(t *testing.T) {
	const granted, grantedOne = 7000, 7001 // on all addresses, on hostAddr4
	udp := func(src netip.Addr, port uint16) []byte {
		dst := peerAddr4
		if src.Is6() && !src.Is4In6() {
			dst = peerAddr6
		}
		return udpPacket(peerMAC, hostMAC, at(dst, 9), at(src, port), 64, 1)
	}
	raw := func(src wire.MAC, t wire.EtherType, n int) []byte { return rawPacket(peerMAC, src, t, n, 1) }
	bad := udp(hostAddr4, granted)
	bad[wire.EthernetBytes] = 0x46 // an option that is not there
	vlan := raw(hostMAC, wire.EtherTypeVLAN, 60)
	cases := []struct {
		name   string
		packet []byte
		drop   Drop
	}{
		{"own EtherType", raw(hostMAC, typeA, 60), DropNone},
		{"nothing but a header", raw(hostMAC, typeA, 14), DropNone},
		{"as long as the MTU allows", raw(hostMAC, typeA, 1514), DropNone},
		{"one byte longer", raw(hostMAC, typeA, 1515), DropSendTooLong},
		{"much longer", raw(hostMAC, typeA, 18*2048), DropSendTooLong},
		{"too long and not ours either", raw(peerMAC, typeB, 4000), DropSendTooLong},
		{"somebody else's MAC", raw(peerMAC, typeA, 60), DropForeignMAC},
		{"group's MAC", raw(wire.MAC{1, 0, 0x5e, 0, 0, 1}, typeA, 60), DropForeignMAC},
		{"another runtime's EtherType", raw(hostMAC, typeB, 60), DropForeignSource},
		{"nobody's EtherType", raw(hostMAC, 0x88B7, 60), DropForeignSource},
		{"ARP", raw(hostMAC, wire.EtherTypeARP, 60), DropForeignSource},
		{"own port, IPv4", udp(hostAddr4, granted), DropNone},
		{"own port, second address", udp(hostAddrB, granted), DropNone},
		{"own port, IPv6", udp(hostAddr6, granted), DropNone},
		{"own port on its address", udp(hostAddr4, grantedOne), DropNone},
		{"own port on another address", udp(hostAddrB, grantedOne), DropForeignSource},
		{"own port, address of somebody else", udp(peerAddr4, granted), DropForeignSource},
		{"own port, IPv6 of somebody else", udp(peerAddr6, granted), DropForeignSource},
		{"own port, our IPv4 dressed as IPv6", mappedSource(udp(hostAddr6, granted)), DropForeignSource},
		{"another runtime's port", udp(hostAddr4, 7002), DropForeignSource},
		{"nobody's port", udp(hostAddr4, 7003), DropForeignSource},
		{"own port, but not UDP", protocol(udp(hostAddr4, granted), 6), DropForeignSource},
		{"13 bytes", raw(hostMAC, typeA, 14)[:13], DropSendMalformed},
		{"cut off in the IP header", udp(hostAddr4, granted)[:20], DropSendMalformed},
		{"cut off in the payload", udp(hostAddr4, granted)[:100], DropSendMalformed},
		{"IP options", bad, DropSendMalformed},
		{"VLAN tag", vlan, DropSendMalformed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, 1)
			g := r.attach("g", shape{}, Endpoint{EtherType: typeA}, Endpoint{Port: granted},
				Endpoint{Port: grantedOne, Addr: hostAddr4})
			r.attach("other", shape{}, Endpoint{EtherType: typeB}, Endpoint{Port: 7002})
			if !g.send(0, c.packet) {
				t.Fatal("not handed in")
			}
			r.settle()
			counts := g.rt.Counters()
			if c.drop == DropNone {
				same(t, "sent", r.nics[0].sent, c.packet)
				drops(t, "runtime", counts.Drops, nil)
			} else {
				same(t, "sent", r.nics[0].sent)
				drops(t, "runtime", counts.Drops, map[Drop]uint64{c.drop: 1})
			}
			if (counts.TxPackets == 1) != (c.drop == DropNone) {
				t.Errorf("%d packets counted as sent", counts.TxPackets)
			}
			g.recv(0) // reaps
			if n := g.ports[0].Lent().Tx; n != 0 {
				t.Errorf("%d chunks did not come back", n)
			}
			r.noEviction()
			r.audit()
		})
	}
}

// mappedSource makes ::ffff:192.0.2.1 the source of an IPv6 packet, which is not 192.0.2.1.
func mappedSource(b []byte) []byte {
	wire.IPv6(b[wire.EthernetBytes:]).SetSrc(hostAddr4.As16())
	return b
}

// TestEgressFollowsInterface: MAC, MTU and addresses are those of now.
func TestEgressFollowsInterface(t *testing.T) {
	r := newRig(t, 1)
	g := r.attach("g", shape{}, Endpoint{EtherType: typeA}, Endpoint{Port: 7000})
	other := wire.MAC{0x02, 0, 0, 0, 0, 0x33}
	longer := rawPacket(peerMAC, other, typeA, 9014, 1)
	moved := udpPacket(peerMAC, other, at(peerAddr4, 9), at(netip.MustParseAddr("10.0.0.9"), 7000), 9, 1)
	g.send(0, longer)
	g.send(0, moved)
	r.settle()
	r.SetInterface(other, 9000)
	g.send(0, longer)
	g.send(0, moved)
	r.settle()
	if err := r.SetAddresses([]netip.Addr{netip.MustParseAddr("10.0.0.9")}); err != nil {
		t.Fatal(err)
	}
	g.send(0, moved)
	r.settle()
	same(t, "sent", r.nics[0].sent, longer, moved)
	drops(t, "runtime", g.rt.Counters().Drops, map[Drop]uint64{
		DropSendTooLong: 1, DropForeignMAC: 1,
		DropForeignSource: 1,
	})
	r.noEviction()
}

// TestSendTooManyFrames: a packet that the MTU allows and the queue's chunks cannot hold.
func TestSendTooManyFrames(t *testing.T) {
	r := newRig(t, 1)
	r.SetInterface(hostMAC, 65_535)
	g := r.attach("g", shape{chunkBytes: 4096}, Endpoint{EtherType: typeA})
	const most = dataplane.MaxSegments * 2048
	fits := rawPacket(peerMAC, hostMAC, typeA, most, 1)
	g.send(0, fits)
	g.send(0, rawPacket(peerMAC, hostMAC, typeA, most+1, 1))
	r.settle()
	same(t, "sent", r.nics[0].sent, fits)
	drops(t, "runtime", g.rt.Counters().Drops, map[Drop]uint64{DropSendTooLong: 1})
	r.noEviction()
}

// TestNoQueue: without a NIC queue there is nothing to send on, and nothing to receive.
func TestNoQueue(t *testing.T) {
	r := newRig(t, 0)
	g := r.attach("g", shape{}, Endpoint{EtherType: typeA})
	for range 100 {
		if !g.send(0, rawPacket(peerMAC, hostMAC, typeA, 2000, 1), 100, 200) {
			t.Fatal("not handed in: the ring does not empty")
		}
		r.settle()
		g.recv(0)
	}
	drops(t, "runtime", g.rt.Counters().Drops, map[Drop]uint64{DropNoQueue: 100})
	if r.Pending() || r.Next(5) <= 5 {
		t.Error("something still waits")
	}
	r.noEviction()
	r.audit()
}

// TestSwitching sends packets from runtime to runtime, and from one to itself.
func TestSwitching(t *testing.T) {
	r := newRig(t, 1)
	r.SetInterface(hostMAC, 9000)
	a := r.attach("a", shape{}, Endpoint{EtherType: typeA}, Endpoint{Port: 7000})
	b := r.attach("b", shape{chunkBytes: 4096}, Endpoint{EtherType: typeB}, Endpoint{Port: 7001})
	toB := udpPacket(hostMAC, hostMAC, at(hostAddr4, 7001), at(hostAddrB, 7000), 8000, 1)
	toA := udpPacket(hostMAC, hostMAC, at(hostAddr6, 7000), at(hostAddr6, 7001), 8000, 2)
	itself := rawPacket(hostMAC, hostMAC, typeA, 700, 3)
	a.send(0, toB)
	a.send(0, itself)
	b.send(0, toA)
	r.settle()
	same(t, "b", b.recv(0), toB)
	same(t, "a", a.recv(0), itself, toA)
	same(t, "NIC", r.nics[0].sent)
	for _, c := range []struct {
		name             string
		got              RuntimeCounters
		rx, tx, switched uint64
	}{{"a", a.rt.Counters(), 2, 2, 2}, {"b", b.rt.Counters(), 1, 1, 1}} {
		if c.got.RxPackets != c.rx || c.got.TxPackets != c.tx || c.got.Switched != c.switched {
			t.Errorf("%s: %+v, want %d received, %d sent, %d of them switched",
				c.name, c.got, c.rx, c.tx, c.switched)
		}
	}

	// Nobody takes these; the kernel of this host is not behind the Dataplane.
	a.send(0, udpPacket(hostMAC, hostMAC, at(hostAddr4, 7009), at(hostAddr4, 7000), 8, 1))
	a.send(0, udpPacket(hostMAC, hostMAC, at(peerAddr4, 7001), at(hostAddr4, 7000), 8, 1))
	// And these are refused first.
	a.send(0, rawPacket(hostMAC, hostMAC, typeB, 60, 1))
	r.settle()
	drops(t, "a", a.rt.Counters().Drops, map[Drop]uint64{DropNoLocal: 2, DropForeignSource: 1})
	same(t, "b", b.recv(0))
	r.noEviction()
	r.audit()
}

// TestSwitchingToWhoDoesNotTake: the sender is not held up, the loss is the receiver's.
func TestSwitchingToWhoDoesNotTake(t *testing.T) {
	r := newRig(t, 1)
	a := r.attach("a", shape{}, Endpoint{Port: 7000})
	b := r.attach("b", shape{lend: 10}, Endpoint{Port: 7001})
	packet := udpPacket(hostMAC, hostMAC, at(hostAddr4, 7001), at(hostAddr4, 7000), 64, 1)
	for range 25 {
		a.send(0, packet)
		r.settle()
		a.recv(0)
	}
	if c := a.rt.Counters(); c.TxPackets != 25 || c.Switched != 25 {
		t.Errorf("a: %d sent, %d switched, want 25", c.TxPackets, c.Switched)
	}
	if c := b.rt.Counters(); c.RxPackets != 10 || c.Drops[DropNoFill] != 15 {
		t.Errorf("b: %d received, %d without fill, want 10 and 15", c.RxPackets, c.Drops[DropNoFill])
	}
	if n := len(b.recv(0)); n != 10 {
		t.Errorf("b has %d packets, want 10", n)
	}
	r.noEviction()
	r.audit()
}

// TestReasonsHaveText: each drop and violation has a name of its own, and unknown ones have some.
func TestReasonsHaveText(t *testing.T) {
	seen := map[string]bool{}
	for d := range Drop(DropCount + 1) {
		if d.String() == "" || seen[d.String()] {
			t.Errorf("drop %d is called %q", d, d)
		}
		seen[d.String()] = true
	}
	for v := range Violation(ViolationCount + 1) {
		if v.String() == "" || v > 0 && seen[v.String()] {
			t.Errorf("violation %d is called %q", v, v)
		}
		seen[v.String()] = true
	}
}
