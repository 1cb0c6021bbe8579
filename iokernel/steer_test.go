package iokernel

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// TestSteering sends one packet of each kind and looks who gets it.
func TestSteering(t *testing.T) {
	r := newRig(t, 1)
	a := r.attach("a", shape{},
		Endpoint{EtherType: typeA},
		Endpoint{Port: 7000},
		Endpoint{Port: 7001, Addr: hostAddr4},
		Endpoint{Port: 7002, Addr: hostAddr6})
	b := r.attach("b", shape{},
		Endpoint{EtherType: typeB},
		Endpoint{Port: 7001, Addr: hostAddrB},
		Endpoint{Port: 7002, Addr: netip.AddrFrom16(hostAddr4.As16())}, // IPv4 in IPv6 is IPv4
		Endpoint{Port: 7003})
	raw := func(et wire.EtherType) []byte { return rawPacket(hostMAC, peerMAC, et, 60, 1) }
	udp := func(dst netip.Addr, port uint16) []byte {
		src := peerAddr4
		if dst.Is6() {
			src = peerAddr6
		}
		return udpPacket(hostMAC, peerMAC, at(dst, port), at(src, 999), 18, 1)
	}
	cases := []struct {
		name   string
		packet []byte
		to     *guest
	}{
		{"EtherType of a", raw(typeA), a},
		{"EtherType of b", raw(typeB), b},
		{"EtherType of nobody", raw(0x88B7), nil},
		{"port on all addresses, IPv4", udp(hostAddr4, 7000), a},
		{"port on all addresses, second IPv4", udp(hostAddrB, 7000), a},
		{"port on all addresses, IPv6", udp(hostAddr6, 7000), a},
		{"port on one address", udp(hostAddr4, 7001), a},
		{"same port on another address", udp(hostAddrB, 7001), b},
		{"same port on an address of nobody", udp(hostAddr6, 7001), nil},
		{"port on an IPv6 address", udp(hostAddr6, 7002), a},
		{"same port on a mapped IPv4 address", udp(hostAddr4, 7002), b},
		{"port of b", udp(hostAddr6, 7003), b},
		{"port of nobody", udp(hostAddr4, 7004), nil},
		{"IPv4 that is not UDP", protocol(udp(hostAddr4, 7000), 6), nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := r.QueueCounters(0).Drops[DropNoEndpoint]
			r.nics[0].arrive(t, c.packet)
			r.settle()
			for i, g := range []*guest{a, b} {
				if g == c.to {
					same(t, []string{"a", "b"}[i], g.recv(0), c.packet)
				} else {
					same(t, []string{"a", "b"}[i], g.recv(0))
				}
			}
			if got := r.QueueCounters(0).Drops[DropNoEndpoint] - before; (got == 1) != (c.to == nil) {
				t.Errorf("%d packets without endpoint counted", got)
			}
		})
	}
	r.noEviction()
	r.audit()
}

// protocol changes the protocol of an IPv4 packet.
func protocol(b []byte, number byte) []byte {
	b[wire.EthernetBytes+9] = number
	wire.IPv4(b[wire.EthernetBytes:]).UpdateChecksum()
	return b
}

// TestSteeringFollowsAttachments: a detached runtime's endpoints are nobody's, then the next one's.
func TestSteeringFollowsAttachments(t *testing.T) {
	r := newRig(t, 1)
	packet := udpPacket(hostMAC, peerMAC, at(hostAddr4, 7000), at(peerAddr4, 1), 100, 1)
	first := r.attach("first", shape{}, Endpoint{Port: 7000})
	r.nics[0].arrive(t, packet)
	r.settle()
	same(t, "first", first.recv(0), packet)

	r.Detach(first.rt)
	r.nics[0].arrive(t, packet)
	r.settle()
	drops(t, "queue", r.QueueCounters(0).Drops, map[Drop]uint64{DropNoEndpoint: 1})

	second := r.attach("second", shape{}, Endpoint{Port: 7000, Addr: hostAddr4})
	r.nics[0].arrive(t, packet)
	r.settle()
	same(t, "second", second.recv(0), packet)
	r.audit()
}

// TestFlowsKeepTheirOrder: over several workers every flow is served by one of them, in order.
func TestFlowsKeepTheirOrder(t *testing.T) {
	const workers, flows, rounds = 4, 64, 30
	r := newRig(t, 2)
	g := r.attach("g", shape{workers: workers, entries: 256, chunks: 2048}, Endpoint{Port: 7000})
	servedBy := [flows]int{}
	next := [flows]uint32{}
	load := [workers]int{}
	for seq := range uint32(rounds) {
		for flow := range flows {
			p := udpPacket(hostMAC, peerMAC, at(hostAddr4, 7000), at(peerAddr4, uint16(1000+flow)), 8, 0)
			binary.BigEndian.PutUint32(p[wire.UDP4Bytes:], uint32(flow))
			binary.BigEndian.PutUint32(p[wire.UDP4Bytes+4:], seq)
			r.nics[flow%2].arrive(t, p)
		}
		if seq%3 != 0 {
			continue
		}
		r.settle()
		for w := range workers {
			for _, p := range g.recv(w) {
				flow := binary.BigEndian.Uint32(p[wire.UDP4Bytes:])
				if got := binary.BigEndian.Uint32(p[wire.UDP4Bytes+4:]); got != next[flow] {
					t.Fatalf("flow %d: packet %d, want %d", flow, got, next[flow])
				}
				if next[flow] > 0 && servedBy[flow] != w {
					t.Fatalf("flow %d went from worker %d to %d", flow, servedBy[flow], w)
				}
				servedBy[flow] = w
				next[flow]++
				load[w]++
			}
		}
	}
	for flow, n := range next {
		if n != rounds-2 { // the last two rounds still wait
			t.Errorf("flow %d: %d packets, want %d", flow, n, rounds-2)
		}
	}
	for w, n := range load {
		if n < flows*rounds/workers/4 {
			t.Errorf("worker %d served %d packets of %d: flows are not spread", w, n, flows*rounds)
		}
	}
	r.noEviction()
}
