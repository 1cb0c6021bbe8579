package sim

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// Colocation is one LC service beside one BE runtime that has work for every core.
type Colocation struct {
	Seed     uint64
	Cores    int
	Service  Service
	Load     Load
	Interval core.Time
	Prompt   core.Time // as in [Config]
	Cost     Cost
	Warmup   core.Time
	Measure  core.Time
}

// The policies that a colocation can be run under.
const (
	Alone    = "alone"    // LC owns all cores, without BE: what the others are compared with
	Simple   = "simple"   // the oracle: lends at once, takes back at once
	Restless = "restless" // caladan that never stands still
	Caladan  = "caladan"  // as in production
)

// Row is what came of a colocation under one policy.
type Row struct {
	Policy   string
	Service  Service
	Load     Load
	Interval core.Time

	Requests       uint64
	P50, P99, P999 core.Time
	Ratio          float64 // of P999 to that of LC alone, under the same arrivals

	BEShare        float64 // part of the core time without LC requests that BE had
	DeadShare      float64 // part of all core time in which cores changed hands
	MovesPerSecond float64
	Hold           core.Time // how long LC keeps unused cores at the end, where the policy says so
	Loans, Lost    uint64    // cores taken back, and those that had not paid; warm-up included
}

// Means are the colocations of the load that steps between 10 and 80 % of 64 cores every 10 ms, for
// mean service times of 1, 10 and 100 us.
func Means(seed uint64) (all []Colocation) {
	for _, mean := range [...]core.Time{1, 10, 100} {
		const step = 10 * core.Millisecond
		c := Colocation{
			Seed: seed, Cores: 64, Service: Service{Mean: mean * core.Microsecond},
			Load:     Load{Low: 10, High: 80, Dwell: step},
			Interval: 5 * core.Microsecond, Cost: MeasuredCost(),
			Warmup: 10 * step, Measure: 6 * step,
		}
		if mean > 1 {
			c.Measure = core.Time(30) * step // for some hundred requests beyond the percentile
		}
		if mean > 10 {
			c.Measure = core.Time(150) * step
		}
		all = append(all, c)
	}
	return all
}

// Intervals are the colocations of requests of 10 us in bursts, for passes from every 5 us to every
// 100 ms.
func Intervals(seed uint64) (all []Colocation) {
	for _, interval := range [...]core.Time{5, 10, 100, 100_000} {
		c := Means(seed)[1]
		c.Load = Load{Low: 10, High: 80, Dwell: core.Millisecond, Random: true}
		c.Interval = interval * core.Microsecond
		if c.Interval >= core.Millisecond {
			c.Warmup = 5 * c.Interval
			c.Measure = 10 * c.Interval
		}
		all = append(all, c)
	}
	return all
}

// OneCore are the colocations on the one managed core of a machine with two: requests of 1, 10 and
// 25 us at 20 and 50 % of it. The iokernel has nothing else to do there, so it is prompt.
func OneCore(seed uint64) (all []Colocation) {
	for _, service := range [...]core.Time{1, 10, 25} {
		for _, percent := range [...]int{20, 50} {
			c := Colocation{
				Seed: seed, Cores: 1, Load: Load{Low: percent},
				Service:  Service{Mean: service * core.Microsecond, Fixed: true},
				Interval: 5 * core.Microsecond, Prompt: core.Microsecond, Cost: MeasuredCost(),
				Warmup: 100 * core.Millisecond, Measure: 2 * core.Second,
			}
			all = append(all, c)
		}
	}
	return all
}

// Run simulates the colocation under each of the policies, after LC alone.
func (c Colocation) Run(policies ...string) ([]Row, error) {
	var rows []Row
	for _, name := range append([]string{Alone}, policies...) {
		row, err := c.row(name)
		if err != nil {
			return rows, fmt.Errorf("%s, %v, %v, every %v: %w", name, c.Service, c.Load,
				micros(c.Interval), err)
		}
		rows = append(rows, row)
		rows[len(rows)-1].Ratio = float64(row.P999) / float64(rows[0].P999)
	}
	return rows, nil
}

// Config is the simulation under the policy of that name, and the policy; nil if there is none.
func (c Colocation) Config(name string) (Config, Policy) {
	lc := RuntimeConfig{Class: policy.LatencyCritical, Service: c.Service, Load: c.Load}
	s := Config{
		Seed: c.Seed, Cores: c.Cores, Interval: c.Interval, Prompt: c.Prompt, Cost: c.Cost,
		Warmup: c.Warmup, Measure: c.Measure,
		Runtimes: []RuntimeConfig{lc, {Class: policy.BestEffort}},
	}
	switch name {
	case Alone:
		s.Fixed = true
		s.Runtimes = s.Runtimes[:1]
		s.Runtimes[0].Reserved = c.Cores
		return s, policy.NewStatic()
	case Simple:
		return s, policy.NewSimple(0)
	case Restless:
		return s, policy.NewCaladan(policy.Config{Restless: true})
	case Caladan:
		return s, policy.NewCaladan(policy.Config{})
	}
	return s, nil
}

func (c Colocation) row(name string) (Row, error) {
	config, p := c.Config(name)
	if p == nil {
		return Row{}, fmt.Errorf("no such policy")
	}
	result, err := Run(config, p)
	if err != nil {
		return Row{}, err
	}
	times := result.Times[0]
	row := Row{
		Policy: name, Service: c.Service, Load: c.Load, Interval: c.Interval,
		Requests: times.Count(), P50: times.Quantile(500_000), P99: times.Quantile(990_000),
		P999: times.Quantile(999_000), BEShare: result.BEShare, DeadShare: result.DeadShare,
		MovesPerSecond: result.MovesPerSecond,
	}
	if learning, ok := p.(interface{ Standing(r int) policy.Standing }); ok {
		s := learning.Standing(0)
		row.Hold, row.Loans, row.Lost = s.Hold, s.Loans, s.Lost
	}
	return row, nil
}

// WriteTable writes rows for a terminal; times in us.
func WriteTable(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "service\tload\tpass\tpolicy\trequests\tp50\tp99\tp99.9\tto alone\tBE share\t"+
		"dead\tmoves/us\thold\tloans lost\t")
	for i := range rows {
		r := &rows[i]
		lost := "-"
		if r.Loans > 0 {
			lost = fmt.Sprintf("%.0f %%", 100*float64(r.Lost)/float64(r.Loans))
		}
		fmt.Fprintf(t, "%v\t%v\t%v\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.3f\t%.3f\t%.3f\t%.3f\t%v\t%s\t\n",
			r.Service, r.Load, micros(r.Interval), r.Policy, r.Requests, float64(r.P50)/1e3,
			float64(r.P99)/1e3, float64(r.P999)/1e3, r.Ratio, r.BEShare, r.DeadShare,
			r.MovesPerSecond/1e6, micros(r.Hold), lost)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("sim: write table: %w", err)
	}
	return nil
}
