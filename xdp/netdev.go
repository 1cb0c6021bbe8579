package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The kernel's generic netlink family "netdev" (Linux 6.3, include/uapi/linux/netdev.h), which no
// library here knows.
const (
	netdevFamily      = "netdev"
	netdevVersion     = 1
	netdevGetDevice   = 1 // NETDEV_CMD_DEV_GET
	netdevIndex       = 1 // NETDEV_A_DEV_IFINDEX
	netdevXDPFeatures = 3 // NETDEV_A_DEV_XDP_FEATURES
)

// Bits of netdevXDPFeatures (enum netdev_xdp_act).
const (
	featureBasic    uint64 = 1 << 0
	featureRedirect uint64 = 1 << 1
	featureZeroCopy uint64 = 1 << 3
	featureRxSG     uint64 = 1 << 5
)

// netdevFeatures asks for the XDP features of an interface's driver.
func netdevFeatures(index int) (uint64, error) {
	family, err := netlink.GenlFamilyGet(netdevFamily)
	if err != nil {
		if errors.Is(err, unix.ENOENT) {
			return 0, fmt.Errorf("the kernel does not tell before Linux 6.3")
		}
		return 0, err
	}
	req := nl.NewNetlinkRequest(int(family.ID), 0)
	// Not nl.Genlmsg: that has rubbish in the header's reserved half, which this family refuses.
	index32 := nl.NewRtAttr(netdevIndex, nl.Uint32Attr(uint32(index)))
	req.AddRawData(append([]byte{netdevGetDevice, netdevVersion, 0, 0}, index32.Serialize()...))
	answers, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return 0, err
	}
	for _, m := range answers {
		if len(m) < nl.SizeofGenlmsg {
			continue
		}
		attrs, err := nl.ParseRouteAttr(m[nl.SizeofGenlmsg:])
		if err != nil {
			return 0, err
		}
		for _, a := range attrs {
			if a.Attr.Type == netdevXDPFeatures && len(a.Value) == 8 {
				return binary.NativeEndian.Uint64(a.Value), nil
			}
		}
	}
	return 0, fmt.Errorf("no answer for interface %d", index)
}
