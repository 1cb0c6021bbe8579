package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/iokernel/neigh"
)

// follow takes over the interface's addresses as they are now.
func (d *Daemon) follow() error { return d.apply(d.neigh.State()) }

// watch keeps following the interface. If it is deleted, the daemon ends: its sockets and program
// went with it.
func (d *Daemon) watch(ctx context.Context) {
	err := d.neigh.Run(ctx, func(c neigh.Change) {
		if c.New.Gone {
			return // Run returns ErrGone
		}
		d.log.Info("iokernel: interface changed", "interface", c.New.Name, "up", c.New.Up,
			"mtu", c.New.MTU, "mac", control.MAC(c.New.MAC).String(), "added", c.Added,
			"removed", c.Removed)
		if c.New.MTU > c.Old.MTU && !d.nic.Frags() {
			d.log.Warn("iokernel: frames of the new MTU may not fit into a chunk, and the kernel "+
				"drops them then: restart to attach for several buffers", "mtu", c.New.MTU)
		}
		if err := d.apply(c.New); err != nil {
			d.log.Error("iokernel: follow the interface", "err", err)
		}
	})
	if err != nil {
		d.fail(fmt.Errorf("iokernel: %s: %w", d.o.Config.Interface, err))
	}
}

// apply brings program and Dataplane to what the interface is.
func (d *Daemon) apply(s neigh.State) error {
	addrs := make([]netip.Addr, len(s.Addresses))
	for i, p := range s.Addresses {
		addrs[i] = p.Addr().Unmap().WithZone("")
	}
	var err error
	d.loop.Do(func() {
		d.dataplane.SetInterface(s.MAC, s.MTU)
		err = d.dataplane.SetAddresses(addrs)
	})
	return errors.Join(err, d.steer.SetMAC(s.MAC), d.steering.setAddresses(addrs))
}

// interfaceNow is the interface as runtimes are told.
func (d *Daemon) interfaceNow() control.Interface {
	s := d.neigh.State()
	return control.Interface{
		Name: s.Name, Index: s.Index, MAC: s.MAC, MTU: s.MTU,
		Addresses: s.Addresses,
	}
}

// neighbour finds the Ethernet address behind an IP address: our own for our own addresses.
func (d *Daemon) neighbour(ctx context.Context, addr netip.Addr) (control.NeighReply, error) {
	r := control.NeighReply{Addr: addr}
	for _, p := range d.neigh.State().Addresses {
		if p.Addr().Unmap() == addr.Unmap() {
			r.MAC, r.Found = d.neigh.State().MAC, true
			return r, nil
		}
	}
	mac, err := d.neigh.Resolve(ctx, addr)
	switch {
	case errors.Is(err, neigh.ErrUnreachable):
		return r, nil
	case err != nil:
		return r, control.Refuse(control.CodeDenied, "%v", err)
	}
	r.MAC, r.Found = mac, true
	return r, nil
}
