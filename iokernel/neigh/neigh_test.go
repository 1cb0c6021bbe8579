package neigh

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func addresses(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func TestDiff(t *testing.T) {
	base := State{
		Index: 3, Name: "dl0", MAC: [6]byte{2}, MTU: 1500, Up: true,
		Addresses: prefixes("10.0.0.1/24", "fd00::1/64"),
	}
	for _, test := range []struct {
		name           string
		change         func(*State)
		changed        bool
		added, removed []netip.Addr
	}{
		{name: "nothing", change: func(s *State) {}},
		{name: "MAC", change: func(s *State) { s.MAC[5] = 1 }, changed: true},
		{name: "MTU", change: func(s *State) { s.MTU = 9000 }, changed: true},
		{name: "carrier", change: func(s *State) { s.Up = false }, changed: true},
		{name: "name", change: func(s *State) { s.Name = "other" }, changed: true},
		{name: "address more", change: func(s *State) {
			s.Addresses = prefixes("10.0.0.1/24", "10.0.0.9/24", "fd00::1/64")
		}, changed: true, added: addresses("10.0.0.9")},
		{
			name: "address less", change: func(s *State) { s.Addresses = prefixes("fd00::1/64") },
			changed: true, removed: addresses("10.0.0.1"),
		},
		{name: "address replaced", change: func(s *State) {
			s.Addresses = prefixes("10.0.0.2/24", "fd00::1/64")
		}, changed: true, added: addresses("10.0.0.2"), removed: addresses("10.0.0.1")},
		{name: "prefix length", change: func(s *State) {
			s.Addresses = prefixes("10.0.0.1/16", "fd00::1/64")
		}, changed: true},
		{name: "same address twice", change: func(s *State) {
			s.Addresses = prefixes("10.0.0.1/24", "10.0.0.2/24", "10.0.0.2/32", "fd00::1/64")
		}, changed: true, added: addresses("10.0.0.2")},
		{
			name: "gone", change: func(s *State) { s.Gone = true }, changed: true,
			removed: addresses("10.0.0.1", "fd00::1"),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			next := base
			next.Addresses = slices.Clone(base.Addresses)
			test.change(&next)
			c, changed := diff(base, next)
			if changed != test.changed {
				t.Errorf("changed: %v, want %v", changed, test.changed)
			}
			want := Change{Old: base, New: next, Added: test.added, Removed: test.removed}
			if d := cmp.Diff(want, c, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); d != "" {
				t.Errorf("change (-want +got):\n%s", d)
			}
		})
	}
}

func TestUsable(t *testing.T) {
	address := func(text string, flags int) netlink.Addr {
		a, err := netlink.ParseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		a.Flags = flags
		return *a
	}
	got := usable([]netlink.Addr{
		address("fd00::3/64", unix.IFA_F_PERMANENT),
		address("fd00::1/64", unix.IFA_F_TENTATIVE),
		address("fd00::2/64", unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED),
		address("fd00::4/64", unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC),
		address("10.0.0.1/24", unix.IFA_F_PERMANENT),
		address("10.0.0.2/24", unix.IFA_F_SECONDARY),
	})
	want := prefixes("10.0.0.1/24", "10.0.0.2/24", "fd00::3/64", "fd00::4/64")
	if !slices.Equal(got, want) {
		t.Errorf("usable addresses %v, want %v", got, want)
	}
}

func FuzzParseNeighbour(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, unix.SizeofNdMsg))
	// ndmsg: family 2, index 3, state REACHABLE; NDA_DST 10.0.0.2; NDA_LLADDR 02:00:00:00:00:01
	f.Add([]byte{
		2, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 1, 8, 0, 1, 0, 10, 0, 0, 2,
		10, 0, 2, 0, 2, 0, 0, 0, 0, 1, 0, 0,
	})
	f.Fuzz(func(t *testing.T, m []byte) {
		n, err := parseNeighbour(m)
		if err == nil && len(m) < unix.SizeofNdMsg {
			t.Errorf("a neighbour out of %d bytes", len(m))
		}
		if n.state&valid != 0 && !bytes.Contains(m, n.mac[:]) {
			t.Errorf("MAC address %x was not in the message", n.mac)
		}
	})
}
