package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/iokernel"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// view is every counter on the way of a frame from the generator to the runtime and back, all read
// while nothing moved.
type view struct {
	a, b       vethCounters
	program    []uint64        // of the XDP program, by bpf.Reason
	in         sock.Statistics // of B's socket: the iokernel's, in direct mode the runtime's
	back       sock.Statistics // of the generator's socket
	generator  dataplane.Counters
	queue      iokernel.QueueCounters   // mediated
	nic        dataplane.Counters       // mediated
	runtime    iokernel.RuntimeCounters // mediated
	port       dataplane.Counters       // of the runtime
	worker     dataplane.WorkerCounters
	workerHeld int
	queueHeld  int
	pools      error // where a pool does not add up
}

// line is one place that frames went to.
type line struct {
	name  string
	count uint64
}

// sheet says that what came to a stage left it by one of the lines.
type sheet struct {
	stage string
	came  uint64
	left  []line
}

func (s sheet) err() error {
	sum := uint64(0)
	for _, l := range s.left {
		sum += l.count
	}
	if sum == s.came {
		return nil
	}
	return fmt.Errorf("%s: %d came, %d left or are named: %v", s.stage, s.came, sum, s.left)
}

// String lists the lines that are not 0.
func (s sheet) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s %9d =", s.stage, s.came)
	for i, l := range s.left {
		if l.count > 0 || i == 0 {
			fmt.Fprintf(&b, "  %s %d", l.name, l.count)
		}
	}
	return b.String()
}

// total joins stages into one: what came to the first, what the last passed on, and every line on
// the way that is an end.
func total(name string, stages []sheet) sheet {
	t := sheet{stage: name, came: stages[0].came}
	last := stages[len(stages)-1].left[0]
	t.left = append(t.left, last)
	for _, s := range stages {
		t.left = append(t.left, s.left[1:]...)
	}
	return t
}

// there are the stages from the generator to the runtime's handler. The first line of each is what
// goes on to the next.
func (v *view) there(direct bool) []sheet {
	socketLost := []line{{"xsk rx_dropped", v.in.RxDropped}, {"xsk rx_ring_full", v.in.RxRingFull}}
	taken := uint64(0)
	program := sheet{"program", v.b.received, []line{
		{"taken", 0},
		{"veth: no buffer", v.b.rxLost - v.in.RxDropped - v.in.RxRingFull},
	}}
	for reason, n := range v.program {
		if bpf.Reason(reason).Redirected() {
			taken += n
		} else {
			program.left = append(program.left, line{"program " + bpf.Reason(reason).String(), n})
		}
	}
	program.left[0].count = taken
	received := v.nic.RxPackets
	if direct {
		received = v.port.RxPackets
	}
	socket := sheet{"socket of B", taken, append([]line{{"received", received}}, socketLost...)}
	stages := []sheet{
		{"generator", v.generator.TxPackets, []line{
			{"wire", v.b.received},
			{"veth A tx_dropped", v.a.txLost},
			{"xsk tx_invalid", v.back.TxInvalid},
		}},
		program, socket,
	}
	if !direct {
		queue := sheet{
			"iokernel, from NIC", v.queue.RxPackets,
			[]line{{"to runtime", v.runtime.RxPackets}},
		}
		for d := range v.queue.Drops {
			name := "iokernel " + iokernel.Drop(d).String()
			queue.left = append(queue.left, line{name, v.queue.Drops[d]})
		}
		for _, d := range []iokernel.Drop{
			iokernel.DropNoFill, iokernel.DropRxFull,
			iokernel.DropTooLong,
		} {
			queue.left = append(queue.left, line{"iokernel " + d.String(), v.runtime.Drops[d]})
		}
		stages = append(stages,
			sheet{"port of the NIC", v.nic.RxPackets, []line{{"packets", v.queue.RxPackets}}},
			queue, sheet{
				"port of the runtime", v.runtime.RxPackets,
				[]line{{"packets", v.port.RxPackets}},
			})
	}
	w := &v.worker
	worker := sheet{"worker", v.port.RxPackets, []line{
		{"replied", w.Replies},
		{"worker silent", w.Silent},
	}}
	for r, n := range w.Dropped {
		worker.left = append(worker.left, line{"worker " + dataplane.Reason(r).String(), n})
	}
	return append(stages, worker)
}

// backStages are the stages from the runtime to the generator.
func (v *view) backStages(direct bool, received uint64) []sheet {
	sends := v.worker.Replies + v.worker.Sends
	stages := []sheet{{"worker, sends", sends, []line{{"packets", v.port.TxPackets}}}}
	sent := v.port.TxPackets
	if !direct {
		port := sheet{"iokernel, from runtime", sent, []line{{"to NIC", v.runtime.TxPackets}}}
		for _, d := range []iokernel.Drop{
			iokernel.DropSendMalformed, iokernel.DropSendTooLong,
			iokernel.DropForeignMAC, iokernel.DropForeignSource, iokernel.DropNoLocal,
			iokernel.DropNoQueue,
		} {
			port.left = append(port.left, line{"iokernel " + d.String(), v.runtime.Drops[d]})
		}
		stages = append(stages, port,
			sheet{"iokernel, to NIC", v.runtime.TxPackets, []line{{"packets", v.nic.TxPackets}}})
		sent = v.nic.TxPackets
	}
	return append(stages,
		sheet{"wire", sent, []line{
			{"wire", v.a.received},
			{"veth B tx_dropped", v.b.txLost},
			{"xsk tx_invalid", v.in.TxInvalid},
		}},
		sheet{"socket of A", v.a.received, []line{
			{"received", v.generator.RxPackets},
			{"veth: no buffer", v.a.rxLost - v.back.RxDropped - v.back.RxRingFull},
			{"xsk rx_dropped", v.back.RxDropped},
			{"xsk rx_ring_full", v.back.RxRingFull},
		}},
		sheet{"generator", v.generator.RxPackets, []line{{"received and checked", received}}})
}

// odd reports what must be 0 because it would mean that a frame had no name, or somebody is broken.
func (v *view) odd() error {
	var errs []error
	for _, c := range []struct {
		who string
		c   dataplane.Counters
	}{{"generator", v.generator}, {"nic", v.nic}, {"runtime", v.port}} {
		if n := c.c.TxDropped + c.c.RxTooLong + c.c.RxBad + c.c.BadDescriptors; n > 0 {
			errs = append(errs, fmt.Errorf("port of the %s: %+v", c.who, c.c))
		}
	}
	if v.workerHeld+v.queueHeld > 0 {
		errs = append(errs, fmt.Errorf("worker holds %d frames, iokernel %d", v.workerHeld,
			v.queueHeld))
	}
	return errors.Join(append(errs, v.pools)...)
}

// look reads all counters. The runtime is held meanwhile; the iokernel is asked between two polls.
func (s *soak) look() (v view) {
	s.t.Helper()
	release := s.hold.hold(s.t)
	defer release()
	var err error
	fail := func(e error) {
		if e != nil {
			s.t.Fatal(e)
		}
	}
	v.in, err = s.socket().Statistics()
	fail(err)
	if !s.direct {
		q := s.daemon.queues[0]
		s.daemon.loop.Do(func() {
			v.queue, v.nic = s.daemon.dataplane.QueueCounters(0), q.port.Counters()
			v.runtime, v.queueHeld = s.attachment.runtime.Counters(), s.daemon.dataplane.Held(0)
			c := q.port.Cache()
			v.pools = conserved("iokernel", c.Pool(), c, q.port.Lent(), v.queueHeld)
		})
	}
	v.port, v.worker, v.workerHeld = s.port.Counters(), s.worker.Counters(), s.worker.Held()
	c := s.worker.Cache()
	v.pools = errors.Join(v.pools, s.gen.audit(),
		conserved("runtime", c.Pool(), c, s.port.Lent(), v.workerHeld))
	v.program, err = s.daemon.steer.Counters()
	fail(err)
	v.back, err = s.gen.socket.Statistics()
	fail(err)
	v.generator = s.gen.port.Counters()
	v.a, v.b = veth(s.t, s.lab, lab.A), veth(s.t, s.lab, lab.B)
	return v
}

// err is nil when every frame is accounted for.
func (s *soak) err(v *view) error {
	errs := []error{v.odd()}
	if v.generator.TxPackets != s.gen.total() {
		errs = append(errs, fmt.Errorf("generator made %d frames and sent %d", s.gen.total(),
			v.generator.TxPackets))
	}
	there, back := v.there(s.direct), v.backStages(s.direct, s.gen.packets)
	totals := []sheet{total("A to B", there), total("B to A", back)}
	for _, st := range slices.Concat(there, back, totals) {
		errs = append(errs, st.err())
	}
	return errors.Join(errs...)
}
