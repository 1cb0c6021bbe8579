package daemon

import (
	"context"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/xdp"
)

type watch struct {
	iface control.Interface
}

func (w *watch) close() error { return nil }

func (w *watch) Resolve(context.Context, netip.Addr) (m [6]byte, ok bool, err error) { return }

func (d *Daemon) interfaceNow() control.Interface { return d.watch.iface }

func (d *Daemon) openWatch(ctx context.Context, f xdp.Features) error {
	l, err := netlink.LinkByIndex(f.Index)
	if err != nil {
		return err
	}
	list, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	d.watch = &watch{iface: control.Interface{Name: f.Interface, Index: f.Index, MAC: f.MAC, MTU: f.MTU}}
	for _, a := range list {
		ip, _ := netip.AddrFromSlice(a.IP)
		n, _ := a.Mask.Size()
		d.watch.iface.Addresses = append(d.watch.iface.Addresses, netip.PrefixFrom(ip.Unmap(), n))
	}
	return nil
}

func (d *Daemon) follow() error {
	var addrs []netip.Addr
	for _, p := range d.watch.iface.Addresses {
		addrs = append(addrs, p.Addr())
	}
	if err := d.dataplane.SetAddresses(addrs); err != nil {
		return err
	}
	return d.steering.setAddresses(addrs)
}
