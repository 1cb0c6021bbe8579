package neigh

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Why an address has no MAC address here. The messages of Lookup and Resolve wrap one of these.
var (
	// ErrNoRoute: no route leads to it through this interface.
	ErrNoRoute = errors.New("no route through this interface")
	// ErrNotUnicast: a multicast, broadcast or unspecified address, or one of this host.
	ErrNotUnicast = errors.New("not the unicast address of another host")
	// ErrNoSource: the kernel solicits IPv6 neighbours from the interface's link-local address, and
	// there is none.
	ErrNoSource = errors.New("the interface has no IPv6 link-local address")
	// ErrUnreachable: nobody answers to it.
	ErrUnreachable = errors.New("no answer to ARP or neighbour solicitation")
)

// The first and the longest pause between two looks at a neighbour that the kernel resolves. On a
// local link the answer is there after some 100 us; the kernel gives up after 3 s. (guess)
const (
	firstPause = 200 * time.Microsecond
	maxPause   = 20 * time.Millisecond
)

// neighbour is an entry of the kernel's table.
type neighbour struct {
	mac   [6]byte
	state uint16 // NUD_ bits
}

// The states in which an entry has an address, and those in which the kernel has no doubt about it.
const (
	valid  = unix.NUD_PERMANENT | unix.NUD_NOARP | unix.NUD_REACHABLE | doubt
	doubt  = unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE
	asking = unix.NUD_INCOMPLETE
)

// Lookup finds the MAC address to which packets for addr go: that of addr, or of the gateway on the
// way. It asks the kernel's tables only; ok is false if the kernel would have to resolve first.
func (w *Watcher) Lookup(addr netip.Addr) (mac [6]byte, ok bool, err error) {
	hop, err := w.nextHop(addr)
	if err != nil {
		return mac, false, err
	}
	n, err := w.neighbour(hop)
	if err != nil {
		return mac, false, err
	}
	return n.mac, n.state&valid != 0, nil
}

// Resolve is Lookup that has the kernel find out what it does not know, and blocks meanwhile: until
// there is an answer, until the kernel gives up (ErrUnreachable), or until ctx ends. It needs
// CAP_NET_ADMIN. An entry in doubt is returned at once, and the kernel told to check it, as if it
// had sent the packet itself.
func (w *Watcher) Resolve(ctx context.Context, addr netip.Addr) (mac [6]byte, err error) {
	hop, err := w.nextHop(addr)
	if err != nil {
		return mac, err
	}
	for asked, pause := false, firstPause; ; pause = min(2*pause, maxPause) {
		n, err := w.neighbour(hop)
		if err != nil {
			return mac, err
		}
		if n.state&valid != 0 {
			if n.state&doubt != 0 && !asked {
				err = w.use(hop)
			}
			if errors.Is(err, ErrNoSource) {
				err = nil // then the doubt stays, and the address is good all the same
			}
			return n.mac, err
		}
		switch {
		case !asked:
			if err := w.use(hop); err != nil {
				return mac, err
			}
			asked = true
		case n.state&asking == 0:
			return mac, fmt.Errorf("neigh: %v: %w", hop, ErrUnreachable)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return mac, fmt.Errorf("neigh: resolve %v: %w", hop, ctx.Err())
		}
	}
}

// nextHop is who packets for addr are handed to: addr itself, or a gateway.
func (w *Watcher) nextHop(addr netip.Addr) (netip.Addr, error) {
	addr = addr.Unmap().WithZone("")
	if !addr.IsGlobalUnicast() && !addr.IsLinkLocalUnicast() {
		return addr, fmt.Errorf("neigh: %v: %w", addr, ErrNotUnicast)
	}
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		return addr, nil // on every link, and on ours by assumption
	}
	leave, err := w.enter()
	if err != nil {
		return addr, fmt.Errorf("neigh: %v: %w", addr, err)
	}
	defer leave()
	routes, err := w.handle.RouteGet(addr.AsSlice())
	if isNoRoute(err) || err == nil && len(routes) == 0 {
		return addr, fmt.Errorf("neigh: %v: %w", addr, ErrNoRoute)
	}
	if err != nil {
		return addr, fmt.Errorf("neigh: route to %v: %w", addr, err)
	}
	r := routes[0]
	if r.Type != unix.RTN_UNICAST {
		return addr, fmt.Errorf("neigh: %v: %w", addr, ErrNotUnicast)
	}
	if r.LinkIndex != w.index {
		return addr, fmt.Errorf("neigh: %v: %w (the route leads through interface %d)", addr,
			ErrNoRoute, r.LinkIndex)
	}
	gateway := r.Gw
	if via, ok := r.Via.(*netlink.Via); ok { // an IPv4 route by way of an IPv6 neighbour
		gateway = via.Addr
	}
	if hop, ok := netip.AddrFromSlice(gateway); ok {
		return hop.Unmap(), nil
	}
	return addr, nil
}

// isNoRoute reports whether the kernel's answer was that there is no way.
func isNoRoute(err error) bool {
	return errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) ||
		errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL) // prohibit, blackhole
}

// neighbour asks the kernel for one entry of its table. None is an entry without state.
func (w *Watcher) neighbour(hop netip.Addr) (neighbour, error) {
	leave, err := w.enter()
	if err != nil {
		return neighbour{}, fmt.Errorf("neigh: neighbour %v: %w", hop, err)
	}
	defer leave()
	family := uint8(unix.AF_INET)
	if hop.Is6() {
		family = unix.AF_INET6
	}
	r := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, 0)
	r.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: &w.seq}
	r.AddData(&netlink.Ndmsg{Family: family, Index: uint32(w.index)})
	r.AddData(nl.NewRtAttr(netlink.NDA_DST, hop.AsSlice()))
	answers, err := r.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNEIGH)
	if errors.Is(err, unix.ENOENT) || err == nil && len(answers) == 0 {
		return neighbour{}, nil
	}
	if err != nil {
		return neighbour{}, fmt.Errorf("neigh: neighbour %v: %w", hop, err)
	}
	return parseNeighbour(answers[0])
}

// parseNeighbour reads an RTM_NEWNEIGH: struct ndmsg, then attributes, each beginning with its
// length and type and is padded to 4 bytes.
func parseNeighbour(m []byte) (neighbour, error) {
	const stateAt, attrBytes, attrAlign = 8, 4, 4
	if len(m) < unix.SizeofNdMsg {
		return neighbour{}, fmt.Errorf("neigh: the kernel sent %d bytes of a neighbour; want %d",
			len(m), unix.SizeofNdMsg)
	}
	n := neighbour{state: binary.NativeEndian.Uint16(m[stateAt:])}
	known := false
	for attrs := m[unix.SizeofNdMsg:]; len(attrs) >= attrBytes; {
		length := int(binary.NativeEndian.Uint16(attrs))
		if length < attrBytes || length > len(attrs) {
			return neighbour{}, fmt.Errorf("neigh: the kernel sent an attribute of %d bytes where "+
				"%d are left", length, len(attrs))
		}
		value := attrs[attrBytes:length]
		if binary.NativeEndian.Uint16(attrs[2:]) == netlink.NDA_LLADDR && len(value) == len(n.mac) {
			copy(n.mac[:], value)
			known = true
		}
		attrs = attrs[min((length+attrAlign-1)/attrAlign*attrAlign, len(attrs)):]
	}
	if !known {
		n.state &^= valid // an entry of another kind of link has no MAC address
	}
	return n, nil
}

// use has the kernel treat an entry as if it were about to send a packet to it: resolve it if it is
// not, check it if that is due.
func (w *Watcher) use(hop netip.Addr) error {
	if hop.Is6() && !slices.ContainsFunc(w.State().Addresses, isLinkLocal6) {
		return fmt.Errorf("neigh: resolve %v: %w", hop, ErrNoSource)
	}
	leave, err := w.enter()
	if err != nil {
		return fmt.Errorf("neigh: resolve %v: %w", hop, err)
	}
	defer leave()
	err = w.handle.NeighSet(&netlink.Neigh{
		LinkIndex: w.index,
		Family:    nl.GetIPFamily(hop.AsSlice()),
		IP:        hop.AsSlice(),
		Flags:     unix.NTF_USE,
	})
	if err != nil {
		return fmt.Errorf("neigh: resolve %v: %w", hop, err)
	}
	return nil
}

func isLinkLocal6(p netip.Prefix) bool { return p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() }
