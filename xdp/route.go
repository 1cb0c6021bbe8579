package xdp

import (
	"errors"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// carriesDefaultRoute reports whether a default route of any table leads through l: out of l
// itself, or out of an interface that has l below it (a bridge or bond that l is a port of, a VLAN
// on l).
func carriesDefaultRoute(l netlink.Link) (bool, error) {
	through, err := defaultRoutes()
	if err != nil || len(through) == 0 {
		return false, err
	}
	links, err := netlink.LinkList()
	if err != nil {
		return false, err
	}
	byIndex := make(map[int]netlink.Link, len(links))
	for _, k := range links {
		byIndex[k.Attrs().Index] = k
	}
	return reaches(byIndex, through, l.Attrs().Index, len(links)), nil
}

// defaultRoutes are the interfaces that default routes name.
func defaultRoutes() (map[int]bool, error) {
	through := make(map[int]bool)
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		all := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
		routes, err := netlink.RouteListFiltered(family, all, netlink.RT_FILTER_TABLE)
		switch {
		case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
			continue // a kernel without IPv6
		case err != nil:
			return nil, err
		}
		for _, r := range routes {
			if !isDefault(r) {
				continue
			}
			through[r.LinkIndex] = true
			for _, hop := range r.MultiPath {
				through[hop.LinkIndex] = true
			}
		}
	}
	delete(through, 0) // of multipath routes, which name interfaces by hop
	return through, nil
}

func isDefault(r netlink.Route) bool {
	if r.Type != unix.RTN_UNICAST {
		return false
	}
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}

// reaches reports whether one of the interfaces above index, itself included, is in through. depth
// bounds the climb.
func reaches(links map[int]netlink.Link, through map[int]bool, index, depth int) bool {
	if through[index] {
		return true
	}
	if depth == 0 {
		return false
	}
	self, ok := links[index]
	if !ok {
		return false
	}
	if up := self.Attrs().MasterIndex; up != 0 && reaches(links, through, up, depth-1) {
		return true
	}
	for i, l := range links {
		switch l.Type() {
		case "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap": // whose parent is the carrier
			if l.Attrs().ParentIndex == index && i != index && reaches(links, through, i, depth-1) {
				return true
			}
		}
	}
	return false
}
