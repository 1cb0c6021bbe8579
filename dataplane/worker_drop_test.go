package dataplane_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// TestDrops sends one packet each that nobody must answer, and wants its reason counted.
func TestDrops(t *testing.T) {
	change := func(kind string, at int, to ...byte) []byte {
		b := request(t, kind, pattern(20))
		copy(b[at:], to)
		return b
	}
	fromPort := func(ip string, port uint16) []byte {
		src := netip.AddrPortFrom(netip.MustParseAddr(ip), port)
		dst := netip.AddrPortFrom(server4, servicePort)
		if src.Addr().Is6() {
			dst = netip.AddrPortFrom(server6, servicePort)
		}
		return udp(t, src, dst, clientMAC, serverMAC, nil)
	}
	from := func(ip string) []byte { return fromPort(ip, clientPort) }
	to := func(ip string, port uint16) []byte {
		dst := netip.AddrPortFrom(netip.MustParseAddr(ip), port)
		src := netip.AddrPortFrom(client4, clientPort)
		if dst.Addr().Is6() {
			src = netip.AddrPortFrom(client6, clientPort)
		}
		return udp(t, src, dst, clientMAC, serverMAC, nil)
	}
	parse := func(r wire.Reason) dataplane.Reason { return dataplane.Reason(r) }
	for _, c := range []struct {
		name   string
		packet []byte
		want   dataplane.Reason
	}{
		{"one byte", []byte{1}, parse(wire.ReasonShort)},
		{"half an IP header", request(t, "udp4", nil)[:20], parse(wire.ReasonShort)},
		{"VLAN tag", change("raw", 12, 0x81, 0), parse(wire.ReasonVLAN)},
		{"IP checksum", change("udp4", 24, 1, 2), parse(wire.ReasonBadIPSum)},
		{"UDP length", change("udp6", 58, 0xFF), parse(wire.ReasonBadUDPLength)},
		{"another EtherType", change("raw", 12, 0x88, 0xB6), dataplane.ReasonNoEndpoint},
		{"ARP", change("raw", 12, 8, 6), dataplane.ReasonNoEndpoint},
		{"TCP over IPv6", change("udp6", 20, 6), dataplane.ReasonNoEndpoint},
		{"another port", to("192.0.2.1", servicePort+1), dataplane.ReasonNoEndpoint},
		{"another port, IPv6", to("2001:db8::1", servicePort+1), dataplane.ReasonNoEndpoint},
		{
			"to broadcast", change("raw", 0, 255, 255, 255, 255, 255, 255),
			dataplane.ReasonGroupAddress,
		},
		{"to a group", change("udp6", 0, 0x33, 0x33), dataplane.ReasonGroupAddress},
		{"from a group", change("raw", 6, 3), dataplane.ReasonGroupAddress},
		{"to another host", change("raw", 5, 9), dataplane.ReasonNotOurs},
		{"to an IPv4 group", to("224.0.0.1", servicePort), dataplane.ReasonGroupAddress},
		{"to IPv4 broadcast", to("255.255.255.255", servicePort), dataplane.ReasonGroupAddress},
		{"to an IPv6 group", to("ff02::1", servicePort), dataplane.ReasonGroupAddress},
		{"from an IPv4 group", from("239.1.2.3"), dataplane.ReasonGroupAddress},
		{"from an IPv6 group", from("ff02::1"), dataplane.ReasonGroupAddress},
		{"from 0.0.0.0", from("0.0.0.0"), dataplane.ReasonBadSource},
		{"from loopback", from("127.0.0.1"), dataplane.ReasonBadSource},
		{"from itself", fromPort("192.0.2.1", servicePort), dataplane.ReasonBadSource},
		{"from ::", from("::"), dataplane.ReasonBadSource},
		{"from ::1", from("::1"), dataplane.ReasonBadSource},
		{"from itself, IPv6", fromPort("2001:db8::1", servicePort), dataplane.ReasonBadSource},
	} {
		s := newServed(t, dataplane.WorkerConfig{MAC: serverMAC}, memlink.Config{})
		s.handleAll(t, func(r *dataplane.Request) { t.Errorf("%s: reached the handler", c.name) })
		if got := s.exchange(t, c.packet); len(got) != 0 {
			t.Errorf("%s: %d packets sent", c.name, len(got))
		}
		if got := s.dropped(t); got != c.want {
			t.Errorf("%s: dropped as %v, want %v", c.name, got, c.want)
		}
	}
}

// Another port of the address that is served is somebody else, and is answered.
func TestAnswersItsOwnAddress(t *testing.T) {
	for _, ip := range []netip.Addr{server4, server6} {
		s := newServed(t, dataplane.WorkerConfig{MAC: serverMAC}, memlink.Config{})
		s.handleAll(t, turnAround)
		client, server := netip.AddrPortFrom(ip, clientPort), netip.AddrPortFrom(ip, servicePort)
		same(t, ip.String(), s.exchange(t, udp(t, client, server, serverMAC, serverMAC, []byte("x"))),
			udp(t, server, client, serverMAC, serverMAC, []byte("x")))
	}
}

// Without an address of its own, or behind somebody who looks at addresses, a worker takes packets to
// any unicast one.
func TestAnyUnicastAddress(t *testing.T) {
	for _, c := range []dataplane.WorkerConfig{{}, {MAC: serverMAC, Steered: true}} {
		s := newServed(t, c, memlink.Config{})
		s.handleAll(t, turnAround)
		other := wire.MAC{2, 9, 9, 9, 9, 9}
		same(t, "raw", s.exchange(t, raw(t, clientMAC, other, []byte("x"))),
			raw(t, other, clientMAC, []byte("x")))
	}
}

// UDP checksums are verified where the configuration says so. An IPv4 sender may leave it out.
func TestVerifyChecksums(t *testing.T) {
	for _, verify := range []bool{false, true} {
		for _, kind := range kinds[1:] {
			for _, n := range []int{20, 4000} {
				for _, c := range []struct {
					name string
					sum  []byte
					good bool
				}{
					{"right", nil, true},
					{"wrong", []byte{0xAB, 0xCD}, false},
					{"none", []byte{0, 0}, kind == "udp4"},
				} {
					s := newServed(t, dataplane.WorkerConfig{VerifyChecksums: verify},
						memlink.Config{})
					s.handleAll(t, turnAround)
					b := request(t, kind, pattern(n))
					copy(b[len(b)-n-2:], c.sum)
					got := s.exchange(t, b)
					what := fmt.Sprintf("verify %v, %s, %d bytes, %s sum", verify, kind, n, c.name)
					if c.good || !verify {
						same(t, what, got, reply(t, kind, pattern(n)))
						continue
					}
					if r := s.dropped(t); len(got) != 0 || r != dataplane.ReasonBadChecksum {
						t.Errorf("%s: %d sent, dropped as %v", what, len(got), r)
					}
				}
			}
		}
	}
}

// A frame of no bytes inside a packet is not passed on: the kernel would keep it.
func TestEmptySegment(t *testing.T) {
	l := &scriptedLink{cache: newCache(t, 64)}
	w, err := dataplane.NewWorker(l, l.cache, dataplane.WorkerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	l.wait(t, request(t, "raw", pattern(100)), 50)
	l.input[1].Len = dataplane.FrameMore
	w.Poll(1)
	c := w.Counters()
	free := l.cache.Count() + l.cache.Pool().Stored()
	if c.Dropped[dataplane.ReasonEmptySegment] != 1 || c.Packets != 1 || free != 64 {
		t.Errorf("%+v, %d frames free", c, free)
	}
}

func TestReasonText(t *testing.T) {
	seen := map[string]dataplane.Reason{}
	for r := range dataplane.Reason(dataplane.ReasonCount) {
		text := r.String()
		if !r.Known() {
			if text != "reason?" {
				t.Errorf("%d is no reason and says %q", uint8(r), text)
			}
			continue
		}
		if other, twice := seen[text]; twice || text == "" || text == "reason?" {
			t.Errorf("%d says %q, and so does %d", uint8(r), text, uint8(other))
		}
		seen[text] = r
	}
	if dataplane.Reason(dataplane.ReasonCount).Known() || dataplane.Reason(255).String() != "reason?" {
		t.Error("a value beyond the last reason is known")
	}
	if dataplane.OK.String() != "ok" {
		t.Errorf("OK says %q", dataplane.OK)
	}
}
