package metrics

import (
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dunlin-io/dunlin/core"
)

// Build identifies the program.
type Build struct {
	Version  string
	Revision string
}

// metric is a name with its help and labels.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// collector turns a Snapshot into metrics, once for each scrape.
type collector struct {
	build    Build
	snapshot func() (Snapshot, error)

	buildInfo, interfaceInfo, interfaceUp           metric
	loopInfo, loopBusy, loopIdle                    metric
	loopTurns, loopParks                            metric
	steer                                           metric
	queue, runtime, worker                          traffic
	queueDrops, queueStalls, queueXDP               metric
	attached, runtimeInfo, switched, runtimeWakes   metric
	runtimeDrops, evictions                         metric
	workerInfo, workerWakes                         metric
	connections, attachments, detachments, refusals metric
	cores                                           coreMetrics
}

// traffic is the four metrics of a Traffic.
type traffic struct{ rxPackets, rxBytes, txPackets, txBytes metric }

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("dunlin_"+name, help, labels, nil), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("dunlin_"+name, help, labels, nil), prometheus.GaugeValue}
}

func trafficOf(what, where string, labels ...string) traffic {
	return traffic{
		rxPackets: counter(what+"_received_packets_total", "Packets received by "+where, labels...),
		rxBytes:   counter(what+"_received_bytes_total", "Bytes received by "+where, labels...),
		txPackets: counter(what+"_sent_packets_total", "Packets sent by "+where, labels...),
		txBytes:   counter(what+"_sent_bytes_total", "Bytes sent by "+where, labels...),
	}
}

func newCollector(build Build, snapshot func() (Snapshot, error)) *collector {
	return &collector{
		build:    build,
		snapshot: snapshot,

		buildInfo: gauge("build_info", "1, labelled with what the program was built from.",
			"version", "revision", "goversion"),
		interfaceInfo: gauge("interface_info", "1, labelled with how the interface is served.",
			"interface", "xdp_mode", "copy"),
		interfaceUp: gauge("interface_up", "Whether the interface is on and has a carrier."),

		loopInfo:  gauge("loop_info", "1, labelled with the CPU of the loop.", "cpu"),
		loopBusy:  counter("loop_busy_seconds_total", "Time in turns that found work."),
		loopIdle:  counter("loop_idle_seconds_total", "Time in turns that found none, or parked."),
		loopTurns: counter("loop_turns_total", "Turns of the loop."),
		loopParks: counter("loop_parks_total", "Times that the loop went to sleep."),

		steer: counter("steer_frames_total",
			"Frames seen by the XDP program, by what became of them.", "reason"),

		queue: trafficOf("queue", "a queue of the interface.", "queue"),
		queueDrops: counter("queue_dropped_packets_total",
			"Packets from a queue that were not passed on.", "queue", "reason"),
		queueStalls: counter("queue_stalls_total", "Turns in which packets had to wait.",
			"queue", "cause"),
		queueXDP: counter("xdp_events_total",
			"Events of a queue's socket, as the kernel counts them.", "queue", "event"),

		attached: gauge("runtime_attached", "Whether the runtime is attached.", "runtime"),
		runtimeInfo: gauge("runtime_info", "1, labelled with how an attached runtime is attached.",
			"runtime", "mode"),
		runtime: trafficOf("runtime", "a runtime.", "runtime"),
		switched: counter("runtime_switched_packets_total",
			"Packets from a runtime to one of the same host.", "runtime"),
		runtimeWakes: counter("runtime_wakes_total", "Wake-ups of a runtime's workers.", "runtime"),
		runtimeDrops: counter("runtime_dropped_packets_total",
			"Packets to or from a runtime that were not passed on.", "runtime", "reason"),
		evictions: counter("runtime_evictions_total", "Times that a runtime was cut off.",
			"runtime", "reason"),

		workerInfo: gauge("worker_info", "1, labelled with the CPU of an attached worker.",
			"runtime", "worker", "cpu"),
		worker:      trafficOf("worker", "a worker.", "runtime", "worker"),
		workerWakes: counter("worker_wakes_total", "Wake-ups of a worker.", "runtime", "worker"),

		connections: counter("control_connections_total", "Connections to the control socket."),
		attachments: counter("control_attached_total", "Runtimes attached."),
		detachments: counter("control_detached_total", "Runtimes detached, for whatever reason."),
		refusals:    counter("control_refusals_total", "Requests refused.", "reason"),

		cores: newCoreMetrics(),
	}
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range c.metrics() {
		out <- m.desc
	}
}

func (c *collector) metrics() []metric {
	list := []metric{
		c.buildInfo, c.interfaceInfo, c.interfaceUp,
		c.loopInfo, c.loopBusy, c.loopIdle, c.loopTurns, c.loopParks,
		c.steer,
		c.queueDrops, c.queueStalls, c.queueXDP,
		c.attached, c.runtimeInfo, c.switched, c.runtimeWakes, c.runtimeDrops, c.evictions,
		c.workerInfo, c.workerWakes,
		c.connections, c.attachments, c.detachments, c.refusals,
	}
	list = append(list, c.cores.all()...)
	for _, t := range []traffic{c.queue, c.runtime, c.worker} {
		list = append(list, t.rxPackets, t.rxBytes, t.txPackets, t.txBytes)
	}
	return list
}

// Collect is part of prometheus.Collector. Without a snapshot the scrape fails, with the reason.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s, err := c.snapshot()
	if err != nil {
		out <- prometheus.NewInvalidMetric(c.buildInfo.desc, err)
		return
	}
	e := emitter{out}
	e.value(c.buildInfo, 1, c.build.Version, c.build.Revision, runtime.Version())
	c.collectLoop(e, s)
	for _, r := range s.Steer {
		e.count(c.steer, r.Count, r.Reason)
	}
	for _, q := range s.Queues {
		c.collectQueue(e, q)
	}
	for _, r := range s.Runtimes {
		c.collectRuntime(e, r)
	}
	e.count(c.connections, s.Control.Connections)
	e.count(c.attachments, s.Control.Attached)
	e.count(c.detachments, s.Control.Detached)
	e.counts(c.refusals, s.Control.Refusals)
	c.cores.collect(e, &s.Cores)
}

func (c *collector) collectLoop(e emitter, s Snapshot) {
	e.value(c.interfaceInfo, 1, s.Interface.Name, s.Interface.XDPMode,
		strconv.FormatBool(!s.Interface.ZeroCopy))
	e.flag(c.interfaceUp, s.Interface.Up)
	e.value(c.loopInfo, 1, strconv.Itoa(s.Loop.CPU))
	e.seconds(c.loopBusy, s.Loop.Busy)
	e.seconds(c.loopIdle, s.Loop.Idle)
	e.count(c.loopTurns, s.Loop.Turns)
	e.count(c.loopParks, s.Loop.Parks)
}

func (c *collector) collectQueue(e emitter, q Queue) {
	name := strconv.Itoa(q.Queue)
	e.traffic(c.queue, q.Traffic, name)
	e.counts(c.queueDrops, q.Drops, name)
	e.counts(c.queueStalls, q.Stalls, name)
	e.counts(c.queueXDP, q.XDP, name)
}

func (c *collector) collectRuntime(e emitter, r Runtime) {
	e.flag(c.attached, r.Mode != "", r.Name)
	if r.Mode != "" {
		e.value(c.runtimeInfo, 1, r.Name, r.Mode)
	}
	e.traffic(c.runtime, r.Traffic, r.Name)
	e.count(c.switched, r.Switched, r.Name)
	e.count(c.runtimeWakes, r.Wakes, r.Name)
	e.counts(c.runtimeDrops, r.Drops, r.Name)
	e.counts(c.evictions, r.Evictions, r.Name)
	for _, w := range r.Workers {
		number := strconv.Itoa(w.Worker)
		e.value(c.workerInfo, 1, r.Name, number, strconv.Itoa(w.CPU))
		e.traffic(c.worker, w.Traffic, r.Name, number)
		e.count(c.workerWakes, w.Wakes, r.Name, number)
	}
}

// emitter writes values of one scrape.
type emitter struct{ out chan<- prometheus.Metric }

func (e emitter) value(m metric, v float64, labels ...string) {
	made, err := prometheus.NewConstMetric(m.desc, m.kind, v, labels...)
	if err != nil { // a label that is not UTF-8: the scrape says so
		made = prometheus.NewInvalidMetric(m.desc, err)
	}
	e.out <- made
}

func (e emitter) count(m metric, n uint64, labels ...string) { e.value(m, float64(n), labels...) }

func (e emitter) flag(m metric, on bool, labels ...string) {
	v := 0.0
	if on {
		v = 1
	}
	e.value(m, v, labels...)
}

func (e emitter) seconds(m metric, t core.Time, labels ...string) {
	e.value(m, float64(t)/float64(core.Second), labels...)
}

// counts writes one value for each reason, which is the last label.
func (e emitter) counts(m metric, list []Count, labels ...string) {
	for _, c := range list {
		e.count(m, c.Count, append(labels[:len(labels):len(labels)], c.Reason)...)
	}
}

func (e emitter) traffic(m traffic, t Traffic, labels ...string) {
	e.count(m.rxPackets, t.RxPackets, labels...)
	e.count(m.rxBytes, t.RxBytes, labels...)
	e.count(m.txPackets, t.TxPackets, labels...)
	e.count(m.txBytes, t.TxBytes, labels...)
}
