package swarm

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
)

// Goodput runs a scenario for so long and returns how many bytes of remote writes were done in each
// second of the time after the warm-up.
func (r *Runner) Goodput(s *Scenario, warmup, measure core.Time) (float64, error) {
	w, err := newWorld(s, &r.shared)
	if err != nil {
		return 0, err
	}
	w.loop.Run(warmup)
	before := w.written
	w.loop.Run(warmup + measure)
	done := w.written - before
	w.audit()
	r.shared.ledger = w.ledger
	if w.fail != nil {
		return 0, fmt.Errorf("swarm: %w", w.fail)
	}
	return float64(done) * float64(core.Second) / float64(measure), nil
}

// GoodputRow is what came of one measurement.
type GoodputRow struct {
	Senders int     // all of them into the memory of one host
	MTU     int     // bytes
	Loss    float64 // part of the frames in each direction
	Goodput float64 // bytes per second, of all senders together
	Of      float64 // the part of what one sender without loss has at that MTU
	Goal    float64 // part wanted; 0: none
}

// Worse says whether the goal is missed.
func (r *GoodputRow) Worse() bool { return r.Of < r.Goal }

// Two spans of a measurement: until the windows have settled, and then.
const (
	goodputWarmup = 20 * core.Millisecond
	goodputTime   = 60 * core.Millisecond
)

// GoodputTable measures goodput by loss and by fan-in. The same seed gives the same table.
func GoodputTable(seed uint64) ([]GoodputRow, error) {
	type row = GoodputRow
	rows := []row{
		{Senders: 1, MTU: 1500, Loss: 0},
		{Senders: 1, MTU: 1500, Loss: 0.001, Goal: 0.99},
		{Senders: 1, MTU: 1500, Loss: 0.01, Goal: 0.95},
		{Senders: 1, MTU: 1500, Loss: 0.1, Goal: 0.75},
		{Senders: 1, MTU: 1500, Loss: 0.3, Goal: 0.40},
		{Senders: 8, MTU: 1500, Loss: 0, Goal: 0.90},
		{Senders: 64, MTU: 1500, Loss: 0, Goal: 0.90},
		{Senders: 1, MTU: 9000, Loss: 0},
		{Senders: 1, MTU: 9000, Loss: 0.001, Goal: 0.99},
		{Senders: 1, MTU: 9000, Loss: 0.01, Goal: 0.95},
		{Senders: 1, MTU: 9000, Loss: 0.1, Goal: 0.75},
		{Senders: 1, MTU: 9000, Loss: 0.3, Goal: 0.40},
		{Senders: 8, MTU: 9000, Loss: 0, Goal: 0.90},
		{Senders: 64, MTU: 9000, Loss: 0, Goal: 0.90},
	}
	r, whole := NewRunner(), 0.0
	for i := range rows {
		x := &rows[i]
		s := Stream(seed, x.Senders, x.MTU, x.Loss)
		if err := s.Validate(); err != nil {
			return nil, err
		}
		var err error
		if x.Goodput, err = r.Goodput(&s, goodputWarmup, goodputTime); err != nil {
			return nil, err
		}
		if x.Senders == 1 && x.Loss == 0 {
			whole = x.Goodput
		}
		x.Of = x.Goodput / whole
	}
	return rows, nil
}

// WriteGoodput writes the table as text.
func WriteGoodput(w io.Writer, rows []GoodputRow) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "senders\tMTU\tloss\tMB/s\tof lossless\tgoal\t\n")
	for i := range rows {
		x := &rows[i]
		goal := "-"
		switch {
		case x.Worse():
			goal = fmt.Sprintf("missed: %.0f %%", 100*x.Goal)
		case x.Goal > 0:
			goal = fmt.Sprintf("%.0f %%", 100*x.Goal)
		}
		fmt.Fprintf(t, "%d\t%d\t%.1f %%\t%.0f\t%.1f %%\t%s\t\n", x.Senders, x.MTU, 100*x.Loss,
			x.Goodput/1e6, 100*x.Of, goal)
	}
	return t.Flush()
}

// cable is what goodput is measured on: 10 Gb/s, 5 us each way, a switch with 1 MB for each port.
const (
	cableRate  = 10_000_000_000
	cableQueue = 1 << 20
	cableDelay = 5 * core.Microsecond
	lossAt     = 10 * core.Millisecond // when the sessions are open
)

// Stream is senders that write into one host's memory as fast as they may, over cables that lose
// that part of all frames in both directions.
func Stream(seed uint64, senders, mtu int, loss float64) Scenario {
	s := Scenario{Seed: seed, Frames: 1, Heal: healAll(senders + 1)}
	s.Script = fabric.Script{Seed: seed, Hosts: senders + 1}
	faults := fault.Config{Delay: fault.Delay{Fixed: cableDelay}}
	ports := fabric.Port{Rate: cableRate, Queue: cableQueue}
	for i := range senders + 1 {
		plan := Plan{
			MTU: mtu, Lanes: 1, FrameCost: 100, EventCost: 50, Ring: 4096, Burst: 64,
			Handshake: 200 * core.Microsecond, Passive: i == 0,
		}
		if i > 0 {
			plan.Peers = []int{0}
			for _, p := range [...][2]int{{0, i}, {i, 0}} {
				step := fabric.Step{From: p[0], To: p[1], Faults: faults}
				s.Script.Steps = append(s.Script.Steps, step)
				step.At, step.Faults.Loss = lossAt, loss
				s.Script.Steps = append(s.Script.Steps, step)
			}
		}
		s.Hosts = append(s.Hosts, plan)
		s.Script.Cables = append(s.Script.Cables, fabric.Cable{Host: i, Out: ports, In: ports})
	}
	const each = 64 << 10
	s.Work = Work{
		Gap: 1, Outstanding: max(64/senders, 4), Weights: [actions]int{doWrite: 1},
		Sizes: Sizes{Least: each, Most: each}, Replies: Sizes{Most: 1},
		Deadline: [2]core.Time{50 * core.Second, 50 * core.Second},
		Regions:  1, RegionBytes: 8 * each, Stable: 100,
	}
	return s
}
