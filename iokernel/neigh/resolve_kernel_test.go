package neigh

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
)

func (b *bench) resolve(addr netip.Addr) [6]byte {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	mac, err := b.watcher.Resolve(ctx, addr)
	if err != nil {
		b.Fatal(err)
	}
	return mac
}

// linkLocal gives side A the address that a lab does without.
func (b *bench) linkLocal() {
	b.Helper()
	b.run()
	a := b.address("fe80::a/64")
	a.Flags = unix.IFA_F_NODAD
	b.do(b.handle.AddrAdd(b.link, a))
	b.await("link-local address", func(c Change) bool {
		return slices.Contains(c.Added, netip.MustParseAddr("fe80::a"))
	})
}

func TestResolve(t *testing.T) {
	b := newBench(t)
	peer := b.lab.End(lab.B)
	if _, err := b.watcher.Resolve(context.Background(), peer.IPv6); !errors.Is(err, ErrNoSource) {
		t.Errorf("Resolve(%v) without a link-local address: %v, want ErrNoSource", peer.IPv6, err)
	}
	b.linkLocal()
	for _, addr := range []netip.Addr{peer.IPv4, peer.IPv6} {
		if _, ok, err := b.watcher.Lookup(addr); ok || err != nil {
			t.Fatalf("%v is known before anybody asked: %v %v", addr, ok, err)
		}
		if mac := b.resolve(addr); mac != peer.MAC {
			t.Errorf("%v resolved to %x, want %x", addr, mac, peer.MAC)
		}
		if mac, ok, err := b.watcher.Lookup(addr); !ok || err != nil || mac != peer.MAC {
			t.Errorf("%v looked up: %x %v %v, want %x", addr, mac, ok, err, peer.MAC)
		}
	}
}

// TestStale: an entry in doubt is used at once, and the kernel told to check it.
func TestStale(t *testing.T) {
	b := newBench(t)
	peer := b.lab.End(lab.B)
	b.do(b.handle.NeighSet(&netlink.Neigh{
		LinkIndex: b.link.Attrs().Index, IP: peer.IPv4.AsSlice(),
		HardwareAddr: net.HardwareAddr(peer.MAC[:]), State: netlink.NUD_STALE,
	}))
	if mac := b.resolve(peer.IPv4); mac != peer.MAC {
		t.Errorf("%v resolved to %x, want %x", peer.IPv4, mac, peer.MAC)
	}
	n, err := b.watcher.neighbour(peer.IPv4)
	if err != nil || n.state&netlink.NUD_STALE != 0 {
		t.Errorf("entry %+v %v, want it under examination", n, err)
	}
}

func TestResolveThroughGateway(t *testing.T) {
	b := newBench(t)
	b.linkLocal()
	peer := b.lab.End(lab.B)
	route := func(to string, gateway netip.Addr) {
		t.Helper()
		_, network, err := net.ParseCIDR(to)
		b.do(err)
		b.do(b.handle.RouteAdd(&netlink.Route{
			Dst: network, Gw: gateway.AsSlice(),
			LinkIndex: b.link.Attrs().Index,
		}))
	}
	route("192.0.2.0/24", peer.IPv4)
	route("2001:db8::/32", peer.IPv6)
	_, network, err := net.ParseCIDR("198.51.100.0/24")
	b.do(err)
	b.do(b.handle.RouteAdd(&netlink.Route{
		Dst: network, LinkIndex: b.link.Attrs().Index,
		Via: &netlink.Via{AddrFamily: netlink.FAMILY_V6, Addr: peer.IPv6.AsSlice()},
	}))
	for _, addr := range addresses("192.0.2.7", "2001:db8::7", "198.51.100.7") {
		if mac := b.resolve(addr); mac != peer.MAC {
			t.Errorf("%v resolved to %x, want the gateway's %x", addr, mac, peer.MAC)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	b := newBench(t)
	own := b.lab.End(lab.A)
	other, err := b.lab.AddPair(lab.PairOptions{Names: [2]string{"other0", "other1"}, Subnet: 78})
	b.do(err)
	for _, test := range []struct {
		addr netip.Addr
		want error
	}{
		{netip.MustParseAddr("192.0.2.1"), ErrNoRoute},
		{netip.MustParseAddr("2001:db8::1"), ErrNoRoute},
		{other.Ends[lab.B].IPv4, ErrNoRoute}, // through another interface
		{other.Ends[lab.B].IPv6, ErrNoRoute},
		{own.IPv4, ErrNotUnicast},
		{own.IPv6, ErrNotUnicast},
		{netip.MustParseAddr("10.77.0.255"), ErrNotUnicast}, // broadcast of the subnet
		{netip.MustParseAddr("224.0.0.1"), ErrNotUnicast},
		{netip.MustParseAddr("ff02::1"), ErrNotUnicast},
		{netip.MustParseAddr("0.0.0.0"), ErrNotUnicast},
		{netip.MustParseAddr("127.0.0.1"), ErrNotUnicast},
		{netip.Addr{}, ErrNotUnicast},
	} {
		if _, _, err := b.watcher.Lookup(test.addr); !errors.Is(err, test.want) {
			t.Errorf("Lookup(%v): %v, want %v", test.addr, err, test.want)
		}
		if _, err := b.watcher.Resolve(context.Background(), test.addr); !errors.Is(err, test.want) {
			t.Errorf("Resolve(%v): %v, want %v", test.addr, err, test.want)
		}
	}
}

// TestNobodyAnswers: the wait is bounded, by the kernel or by the caller.
func TestNobodyAnswers(t *testing.T) {
	b := newBench(t)
	nobody := netip.MustParseAddr("10.77.0.200")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.watcher.Resolve(ctx, nobody); !errors.Is(err, context.Canceled) {
		t.Errorf("Resolve with a dead context: %v", err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := b.watcher.Resolve(ctx, nobody); !errors.Is(err, ErrUnreachable) {
		t.Errorf("Resolve(%v): %v, want ErrUnreachable", nobody, err)
	}
}

// TestClosed: a closed watcher asks nobody; its sockets are not replaced by others.
func TestClosed(t *testing.T) {
	b := newBench(t)
	b.watcher.Close()
	peer := b.lab.End(lab.B).IPv4
	if _, _, err := b.watcher.Lookup(peer); !errors.Is(err, errClosed) {
		t.Errorf("Lookup after Close: %v", err)
	}
	if _, err := b.watcher.Resolve(context.Background(), peer); !errors.Is(err, errClosed) {
		t.Errorf("Resolve after Close: %v", err)
	}
	if err := b.watcher.Run(context.Background(), func(Change) {}); err != nil {
		t.Errorf("Run after Close: %v", err)
	}
}
