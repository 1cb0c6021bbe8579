// Package neigh is the door to what the kernel knows about one network interface: its addresses,
// its state, and the MAC addresses of those that it reaches.
//
//	kernel ── link and address events ──> Watcher.Run: ask again, compare ──> changed(Change)
//	kernel <── routes, neighbour table ── Watcher.Lookup, Watcher.Resolve
//
// An event is a hint that something is worth asking for, never the news itself: the kernel drops
// events when a reader is slow. So a State is always what the kernel answered to a question, events
// that come together cost one question, and a slow clock asks even when there are none.
// Neighbours and routes are not mirrored at all. They are asked for when they are needed, which
// costs two system calls each and cannot be out of date.
//
// The kernel does all resolving, probing and forgetting of neighbours; this package never sends ARP
// or neighbour solicitations and decides nothing about packets. It is control plane: Open, Run and
// the others may run on any goroutine, but Open must be called in the network namespace of the
// interface, where its sockets then stay.
package neigh

import (
	"net/netip"
	"slices"
)

// State is what the kernel said about the interface.
type State struct {
	Index     int
	Name      string
	MAC       [6]byte
	MTU       int            // bytes, without the Ethernet header
	Up        bool           // switched on, and with a carrier
	Addresses []netip.Prefix // sorted; without those whose uniqueness is still being checked
	Gone      bool           // deleted, or in another namespace; the rest is what was known last
}

// Change is what differs between two States; at least one thing does.
type Change struct {
	Old, New       State
	Added, Removed []netip.Addr // addresses that the interface has got and lost
}

// diff compares two states. An address whose prefix length alone changed is neither added nor
// removed.
func diff(old, new State) (c Change, changed bool) {
	c = Change{Old: old, New: new}
	was, is := addrs(old), addrs(new)
	c.Added, c.Removed = without(is, was), without(was, is)
	changed = !slices.Equal(old.Addresses, new.Addresses) || old.Name != new.Name ||
		old.MAC != new.MAC || old.MTU != new.MTU || old.Up != new.Up || old.Gone != new.Gone
	return c, changed
}

// addrs are the addresses of a state without prefix lengths; none when the interface is gone.
func addrs(s State) []netip.Addr {
	if s.Gone {
		return nil
	}
	list := make([]netip.Addr, len(s.Addresses))
	for i, p := range s.Addresses {
		list[i] = p.Addr()
	}
	return list
}

// without is what of a is not in b.
func without(a, b []netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, addr := range a {
		if !slices.Contains(b, addr) && !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	return list
}
