package daemon

import (
	"context"
	"errors"

	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/iokernel/metrics"
)

// openMetrics opens the HTTP server, if the configuration wants one.
func (d *Daemon) openMetrics() error {
	c := &d.o.Config.Metrics
	if d.o.Private || c.Listen == "" {
		return nil
	}
	server, err := metrics.Listen(metrics.Options{
		Listen: c.Listen, Pprof: c.Pprof, Log: d.log,
		Build: metrics.Build{Version: d.o.Build}, Snapshot: d.snapshot, Alive: d.alive,
		Ready: d.ready,
	})
	if err != nil {
		return err
	}
	d.metrics = server
	return nil
}

// serveMetrics serves until ctx ends.
func (d *Daemon) serveMetrics(ctx context.Context) {
	if err := d.metrics.Serve(ctx); err != nil {
		d.log.Error("iokernel: metrics server failed", "err", err)
	}
}

// alive says whether the iokernel can go on.
func (d *Daemon) alive() error {
	if d.dead.Load() {
		return errors.New("the iokernel cannot go on and is stopping")
	}
	return nil
}

// ready says whether frames can come in.
func (d *Daemon) ready() error {
	if s := d.neigh.State(); s.Gone || !s.Up {
		return errors.New("the interface is down")
	}
	return d.alive()
}

// snapshot gathers what the metrics show.
func (d *Daemon) snapshot() (metrics.Snapshot, error) {
	steer, err := d.steer.Counters()
	if err != nil {
		return metrics.Snapshot{}, err
	}
	s := metrics.Snapshot{Interface: metrics.Interface{
		Name:    d.o.Config.Interface,
		XDPMode: d.nic.Mode().String(), Up: d.neigh.State().Up,
	}}
	for reason, n := range steer {
		s.Steer = append(s.Steer, metrics.Count{Reason: bpf.Reason(reason).String(), Count: n})
	}
	for i, q := range d.queues {
		m, err := d.queueSnapshot(i, q)
		if err != nil {
			return metrics.Snapshot{}, err
		}
		s.Queues = append(s.Queues, m)
		s.Interface.ZeroCopy = s.Interface.ZeroCopy || q.socket.ZeroCopy()
	}
	var usage core.Usage
	d.loop.Do(func() { usage = d.host.Usage() })
	s.Loop = metrics.Loop{
		CPU: d.cpu, Busy: usage.Busy, Idle: usage.Idle, Turns: usage.Steps,
		Parks: d.loop.Parks(),
	}
	if d.server != nil {
		c := d.server.Counters()
		s.Control = metrics.Control{
			Connections: c.Connections, Attached: c.Attached,
			Detached: c.Detached,
		}
		for code, n := range c.Refused {
			s.Control.Refusals = append(s.Control.Refusals,
				metrics.Count{Reason: string(code), Count: n})
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lending != nil {
		s.Cores = d.coreSnapshot()
	}
	for i := range d.o.Config.Runtimes {
		s.Runtimes = append(s.Runtimes, d.runtimeSnapshot(&d.o.Config.Runtimes[i]))
	}
	return s, nil
}

func (d *Daemon) queueSnapshot(i int, q *queue) (metrics.Queue, error) {
	x, err := q.socket.Statistics()
	if err != nil {
		return metrics.Queue{}, err
	}
	var c iokernel.QueueCounters
	d.loop.Do(func() { c = d.dataplane.QueueCounters(i) })
	return metrics.Queue{
		Queue: q.number,
		Traffic: metrics.Traffic{
			RxPackets: c.RxPackets, RxBytes: c.RxBytes,
			TxPackets: c.TxPackets, TxBytes: c.TxBytes,
		},
		Drops: dropCounts(&c.Drops),
		Stalls: []metrics.Count{
			{Reason: "no_frames", Count: c.NoFrames},
			{Reason: "tx_full", Count: c.TxFull},
		},
		XDP: []metrics.Count{
			{Reason: "rx_dropped", Count: x.RxDropped},
			{Reason: "rx_invalid_descriptor", Count: x.RxInvalid},
			{Reason: "rx_ring_full", Count: x.RxRingFull},
			{Reason: "rx_fill_ring_empty", Count: x.RxFillEmpty},
			{Reason: "tx_invalid_descriptor", Count: x.TxInvalid},
			{Reason: "tx_ring_empty", Count: x.TxRingEmpty},
		},
	}, nil
}

// runtimeSnapshot is one runtime's; the caller holds mu.
func (d *Daemon) runtimeSnapshot(c *config.Runtime) metrics.Runtime {
	m := metrics.Runtime{Name: c.Name}
	if counts := d.evicted[c.Name]; counts != nil {
		for v, n := range counts[1:] {
			m.Evictions = append(m.Evictions, metrics.Count{
				Reason: iokernel.Violation(v + 1).Label(), Count: n,
			})
		}
	}
	if d.lends(c) {
		m.Evictions = append(m.Evictions, metrics.Count{
			Reason: stuckReason, Count: d.stuckLogOf(c.Name).evicted,
		})
	}
	for _, a := range d.attached {
		if a.config != c {
			continue
		}
		m.Mode = string(a.mode)
		if a.runtime == nil {
			continue
		}
		var n iokernel.RuntimeCounters
		d.loop.Do(func() { n = a.runtime.Counters() })
		m.Traffic = metrics.Traffic{
			RxPackets: n.RxPackets, RxBytes: n.RxBytes,
			TxPackets: n.TxPackets, TxBytes: n.TxBytes,
		}
		for _, w := range a.grant.Workers {
			m.Workers = append(m.Workers, d.workerSnapshot(a.runtime, w))
		}
		m.Switched, m.Wakes, m.Drops = n.Switched, n.Wakes, dropCounts(&n.Drops)
	}
	return m
}

func (d *Daemon) workerSnapshot(r *iokernel.Runtime, w control.WorkerGrant) metrics.Worker {
	var n iokernel.PortCounters
	d.loop.Do(func() { n = r.PortCounters(w.Worker) })
	return metrics.Worker{
		Worker: w.Worker, CPU: w.CPU, Wakes: n.Wakes,
		Traffic: metrics.Traffic{
			RxPackets: n.RxPackets, RxBytes: n.RxBytes,
			TxPackets: n.TxPackets, TxBytes: n.TxBytes,
		},
	}
}

func dropCounts(drops *[iokernel.DropCount]uint64) []metrics.Count {
	list := make([]metrics.Count, 0, len(drops)-1)
	for reason := iokernel.DropNone + 1; reason < iokernel.DropCount; reason++ {
		list = append(list, metrics.Count{Reason: reason.String(), Count: drops[reason]})
	}
	return list
}
