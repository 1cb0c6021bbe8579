package dataplane_test

import (
	"net/netip"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// The closest endpoint serves a packet, in whichever order they were added.
func TestEndpoints(t *testing.T) {
	at := func(s string, port uint16) netip.AddrPort {
		if s == "" {
			return netip.AddrPortFrom(netip.Addr{}, port)
		}
		return netip.AddrPortFrom(netip.MustParseAddr(s), port)
	}
	// Who serves what, by the endpoints added, in that order.
	for _, c := range []struct {
		name string
		add  []netip.AddrPort
		want map[netip.AddrPort]int // destination: index into add, -1 for nobody
	}{
		{"any address", []netip.AddrPort{at("", 7)}, map[netip.AddrPort]int{
			at("192.0.2.1", 7): 0, at("2001:db8::1", 7): 0, at("192.0.2.1", 8): -1,
		}},
		{"any IPv4", []netip.AddrPort{at("0.0.0.0", 7)}, map[netip.AddrPort]int{
			at("192.0.2.1", 7): 0, at("2001:db8::1", 7): -1,
		}},
		{"any IPv6", []netip.AddrPort{at("::", 7)}, map[netip.AddrPort]int{
			at("192.0.2.1", 7): -1, at("2001:db8::1", 7): 0,
		}},
		{"one address", []netip.AddrPort{at("192.0.2.1", 7)}, map[netip.AddrPort]int{
			at("192.0.2.1", 7): 0, at("192.0.2.2", 7): -1,
		}},
		{"one mapped address", []netip.AddrPort{at("::ffff:192.0.2.1", 7)}, map[netip.AddrPort]int{
			at("192.0.2.1", 7): 0, at("192.0.2.2", 7): -1,
		}},
		{
			"closest, added last",
			[]netip.AddrPort{at("", 7), at("192.0.2.1", 7), at("2001:db8::1", 7)},
			map[netip.AddrPort]int{
				at("192.0.2.1", 7): 1, at("192.0.2.2", 7): 0,
				at("2001:db8::1", 7): 2, at("2001:db8::2", 7): 0,
			},
		},
		{
			"closest, added first",
			[]netip.AddrPort{at("192.0.2.1", 7), at("0.0.0.0", 7), at("::", 7)},
			map[netip.AddrPort]int{
				at("192.0.2.1", 7): 0, at("192.0.2.2", 7): 1,
				at("2001:db8::2", 7): 2,
			},
		},
	} {
		s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
		served := -1
		for i, a := range c.add {
			if err := s.worker.HandleUDP(a, func(*dataplane.Request) { served = i }); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		for dst, want := range c.want {
			src := netip.AddrPortFrom(client4, clientPort)
			if dst.Addr().Is6() {
				src = netip.AddrPortFrom(client6, clientPort)
			}
			served = -1
			s.exchange(t, udp(t, src, dst, clientMAC, serverMAC, nil))
			if served != want {
				t.Errorf("%s: %v was served by %d, want %d", c.name, dst, served, want)
			}
		}
	}
}

// A UDP port and an EtherType of the same number are two services.
func TestPortIsNoEtherType(t *testing.T) {
	s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
	if err := s.worker.HandleRaw(0x88B5, turnAround); err != nil {
		t.Fatal(err)
	}
	dst := netip.AddrPortFrom(server4, 0x88B5)
	s.exchange(t, udp(t, netip.AddrPortFrom(client4, 1), dst, clientMAC, serverMAC, nil))
	if r := s.dropped(t); r != dataplane.ReasonNoEndpoint {
		t.Errorf("dropped as %v", r)
	}
}

func TestEndpointsRefused(t *testing.T) {
	s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
	w, at := s.worker, netip.MustParseAddrPort
	udp := func(a netip.AddrPort) func() error {
		return func() error { return w.HandleUDP(a, turnAround) }
	}
	raw := func(et wire.EtherType) func() error {
		return func() error { return w.HandleRaw(et, turnAround) }
	}
	for _, c := range []struct {
		name string
		add  func() error
		good bool
	}{
		{"raw", raw(0x88B5), true},
		{"the same EtherType", raw(0x88B5), false},
		{"IPv4", raw(wire.EtherTypeIPv4), false},
		{"IPv6", raw(wire.EtherTypeIPv6), false},
		{"ARP", raw(wire.EtherTypeARP), false},
		{"VLAN", raw(wire.EtherTypeVLAN), false},
		{"a length", raw(0x05FF), false},
		{"any address", udp(netip.AddrPortFrom(netip.Addr{}, 7)), true},
		{"the same port", udp(netip.AddrPortFrom(netip.Addr{}, 7)), false},
		{"a part of it", udp(at("0.0.0.0:7")), false},
		{"the other part", udp(at("[::]:7")), false},
		{"one address", udp(at("192.0.2.1:7")), true},
		{"the same address", udp(at("192.0.2.1:7")), false},
		{"the same, mapped", udp(at("[::ffff:192.0.2.1]:7")), false},
		{"IPv4 only", udp(at("0.0.0.0:8")), true},
		{"and IPv6", udp(at("[::]:8")), true},
		{"both", udp(netip.AddrPortFrom(netip.Addr{}, 8)), false},
		{"port 0", udp(at("192.0.2.1:0")), false},
		{"no handler", func() error { return w.HandleUDP(at("192.0.2.1:9"), nil) }, false},
		{"no raw handler", func() error { return w.HandleRaw(0x88B6, nil) }, false},
	} {
		if err := c.add(); (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	var last error
	count := 5
	for port := uint16(1000); last == nil && count <= dataplane.MaxEndpoints; port++ {
		if last = udp(netip.AddrPortFrom(netip.Addr{}, port))(); last == nil {
			count++
		}
	}
	if last == nil || count != dataplane.MaxEndpoints {
		t.Errorf("%d endpoints, then %v", count, last)
	}
}
