package daemon

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
)

// vethCounters are where a veth end counts what it loses. What is sent into an end comes out at the
// other one, or was lost at the sender's:
//
//	sender's sent = sender's tx_dropped + receiver's rx_packets
type vethCounters struct {
	received uint64 // taken off the ring between the ends, by the receiver
	txLost   uint64 // not put on it: the ring was full (256), the frame too long, or no carrier
	rxLost   uint64 // taken off it, but there was no buffer for the program, or no socket took it
}

// veth reads the counters of an end.
func veth(t *testing.T, l *lab.Lab, side lab.Side) (c vethCounters) {
	t.Helper()
	in(t, l, side, func() error {
		link, err := netlink.LinkByName(l.End(side).Name)
		if err != nil {
			return err
		}
		driver, err := driverStatistics(l.End(side).Name)
		if err != nil {
			return err
		}
		s := link.Attrs().Statistics
		// rx_dropped of netlink would not do: the stack counts what it has no use for there as
		// well.
		c = vethCounters{
			received: s.RxPackets, txLost: s.TxDropped,
			rxLost: driver["rx_queue_0_drops"],
		}
		return nil
	})
	return c
}

// The kernel's generic netlink family "netdev" (include/uapi/linux/netdev.h).
const (
	netdevVersion   = 1
	netdevGetNAPI   = 11 // NETDEV_CMD_NAPI_GET
	netdevSetNAPI   = 14 // NETDEV_CMD_NAPI_SET
	napiIndex       = 1  // NETDEV_A_NAPI_IFINDEX
	napiID          = 2  // NETDEV_A_NAPI_ID
	napiThreaded    = 8  // NETDEV_A_NAPI_THREADED (Linux 6.17)
	genericHeader   = 4
	threadedOff     = 0
	threadedEnabled = 1
)

// setThreaded has a kernel thread receive at an end, or again whoever sends: with a thread, the
// ring between the ends fills up when the sender is faster, as it does between two machines.
func setThreaded(l *lab.Lab, side lab.Side, on bool) error {
	value := uint32(threadedOff)
	if on {
		value = threadedEnabled
	}
	return l.In(side, func() error {
		ids, err := netdev(unix.NLM_F_DUMP, netdevGetNAPI,
			nl.NewRtAttr(napiIndex, nl.Uint32Attr(uint32(l.End(side).Index))))
		if err != nil {
			return fmt.Errorf("list the receive contexts of %s: %w", l.End(side).Name, err)
		}
		for _, m := range ids {
			attrs, err := nl.ParseRouteAttr(m[genericHeader:])
			if err != nil {
				return err
			}
			for _, a := range attrs {
				if a.Attr.Type != napiID {
					continue
				}
				id := binary.NativeEndian.Uint32(a.Value)
				if _, err := netdev(unix.NLM_F_ACK, netdevSetNAPI,
					nl.NewRtAttr(napiID, nl.Uint32Attr(id)),
					nl.NewRtAttr(napiThreaded, nl.Uint32Attr(value))); err != nil {
					return fmt.Errorf("receive at %s in a thread: %w", l.End(side).Name, err)
				}
			}
		}
		return nil
	})
}

// netdev asks the family. nl.Genlmsg would not do: it leaves rubbish in the header's reserved half.
func netdev(flags int, command byte, attrs ...*nl.RtAttr) ([][]byte, error) {
	family, err := netlink.GenlFamilyGet("netdev")
	if err != nil {
		return nil, err
	}
	body := []byte{command, netdevVersion, 0, 0}
	for _, a := range attrs {
		body = append(body, a.Serialize()...)
	}
	request := nl.NewNetlinkRequest(int(family.ID), flags)
	request.AddRawData(body)
	return request.Execute(unix.NETLINK_GENERIC, 0)
}
