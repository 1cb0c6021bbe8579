package daemon

import (
	"context"
	"io/fs"
	"net/netip"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// listen opens the control socket.
func (d *Daemon) listen() error {
	if d.o.Private {
		return nil
	}
	c := &d.o.Config.Control
	o := control.Options{
		Path: c.Socket, Mode: fs.FileMode(c.Mode), GID: -1, Policy: d.policy(),
		Log: d.log,
	}
	if c.Group.Known {
		o.GID = int(c.Group.ID)
	}
	var err error
	d.server, err = control.Listen(o)
	return err
}

// policy is who may attach, from the configuration.
func (d *Daemon) policy() control.Policy {
	var p control.Policy
	for _, r := range d.o.Config.Runtimes {
		lent := r.Class != config.ClassPinned
		rule := control.Rule{
			Runtime: r.Name,
			UIDs:    ids(r.UIDs), GIDs: ids(r.GIDs), AllowDirect: r.AllowDirect,
			Guest: r.Class == config.ClassBE, Lent: lent, Cores: r.Workers,
			Endpoints: controlEndpoints(r.Endpoints),
		}
		if lent {
			rule.Cores = len(d.o.Config.Lent(d.allowed, d.cpu))
			if r.Most > 0 {
				rule.Cores = r.Most
			}
		}
		p.Rules = append(p.Rules, rule)
	}
	if g := d.o.Config.Control.Group; g.Known {
		p.StatusGIDs = []uint32{g.ID}
	}
	return p
}

func ids(accounts []config.Account) []uint32 {
	var list []uint32
	for _, a := range accounts {
		if a.Known {
			list = append(list, a.ID)
		}
	}
	return list
}

func controlEndpoints(endpoints []config.Endpoint) []control.Endpoint {
	list := make([]control.Endpoint, len(endpoints))
	for i, e := range endpoints {
		list[i] = control.Endpoint{EtherType: e.EtherType, UDP: e.UDP, Address: e.Address}
	}
	return list
}

// handler is the daemon as the control socket sees it.
type handler struct{ d *Daemon }

func (h handler) Attach(_ context.Context, s *control.Session, hello control.Hello) (
	control.Attachment, error,
) {
	a, f, err := h.d.attach(s, s.Peer(), hello)
	if err != nil {
		return control.Attachment{}, err
	}
	return control.Attachment{Grant: a.grant, Files: f.list}, nil
}

func (h handler) Detach(s *control.Session, _ string) {
	h.d.forgetIdentity(s)
	if err := h.d.detach(s); err != nil {
		h.d.log.Error("iokernel: detach", "err", err)
	}
}

func (h handler) Neigh(ctx context.Context, _ *control.Session, addr netip.Addr) (
	control.NeighReply, error,
) {
	return h.d.neighbour(ctx, addr)
}

// Status describes the iokernel for people.
func (h handler) Status(context.Context) (control.Status, error) {
	d := h.d
	s := control.Status{
		Build: d.o.Build, Interface: d.interfaceNow(), XDP: d.Line(), CPU: d.cpu,
		Uptime: d.clock.Now() - d.started, Counters: map[string]uint64{},
	}
	for i, q := range d.queues {
		s.Queues = append(s.Queues, q.number)
		var c iokernel.QueueCounters
		d.loop.Do(func() { c = d.dataplane.QueueCounters(i) })
		s.Counters["rx_packets"] += c.RxPackets
		s.Counters["tx_packets"] += c.TxPackets
		addDrops(s.Counters, &c.Drops)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.o.Config.Runtimes {
		s.Runtimes = append(s.Runtimes, d.runtimeStatus(&d.o.Config.Runtimes[i]))
	}
	return s, nil
}

// runtimeStatus is one runtime's; the caller holds mu.
func (d *Daemon) runtimeStatus(c *config.Runtime) control.RuntimeStatus {
	s := control.RuntimeStatus{Name: c.Name}
	for _, a := range d.attached {
		if a.config != c {
			continue
		}
		s.Mode, s.PID, s.UID, s.Workers = a.mode, a.peer.PID, a.peer.UID, a.grant.Workers
		if a.runtime != nil {
			var n iokernel.RuntimeCounters
			d.loop.Do(func() { n = a.runtime.Counters() })
			s.Counters = map[string]uint64{
				"rx_packets": n.RxPackets, "tx_packets": n.TxPackets,
				"switched": n.Switched, "wakes": n.Wakes,
			}
			addDrops(s.Counters, &n.Drops)
		}
	}
	return s
}

func addDrops(to map[string]uint64, drops *[iokernel.DropCount]uint64) {
	for reason, n := range drops {
		if n > 0 {
			to["drop_"+iokernel.Drop(reason).String()] += n
		}
	}
}

// spinForever is a spin time without end, as a grant says it.
const spinForever core.Time = -1
