package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// row is one contestant under one load.
type row struct {
	series  *report.Series
	plan    Plan
	entrant *entrant
	share   *report.Series // what somebody else had meanwhile; nil: nobody asks
}

// wanted is a row that a suite has.
type wanted struct {
	key     report.Key
	window  int
	poisson bool
	burst   Burst
	shareOf string // it is measured with the row of that name
}

// label is what Options.Rows is matched against.
func (w wanted) label() string {
	return fmt.Sprintf("%s %s %d", w.key.Name, w.key.Loop, w.key.Bytes)
}

// comparison is a ratio that a suite shows, or a difference, or one row.
type comparison struct {
	numerator, denominator string
	metric                 report.Metric
	goal                   report.Goal
	by                     manner
}

// manner is how two rows are compared.
type manner uint8

const (
	quotient manner = iota
	apart           // their difference
	alone           // the one row is held against the goal
)

// suite is a benchmark: its rows, in the order of the report, and what is compared.
type suite struct {
	name        string
	rows        []wanted
	comparisons []comparison
	combined    []combination
}

// bench runs a suite from an empty machine to an empty machine.
func bench(ctx context.Context, o Options, what suite) (_ *Session, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Rows != nil {
		what.rows = slices.DeleteFunc(what.rows, func(w wanted) bool {
			return !o.Rows.MatchString(w.label())
		})
	}
	if len(what.rows) == 0 {
		return nil, fmt.Errorf("load: %w: %v matches none of %s", ErrNoRow, o.Rows, what.name)
	}
	r := NewReport(what.name, o)
	start := time.Now()
	s, err := newSite(o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	r.Machine.Placement = s.cpus.String()

	rows, err := s.bringUp(ctx, what.rows, r)
	if err != nil {
		return nil, err
	}
	r.Machine.XDP = s.xdp
	if err := s.clearServers(); err != nil {
		return nil, err
	}
	if err := s.measure(ctx, rows, r); err != nil {
		return nil, err
	}
	for _, remark := range s.remarks {
		r.Notes = append(r.Notes, remark())
	}
	if s.timeline != nil {
		r.Timeline = s.timeline()
	}
	session := &Session{Report: r}
	for _, row := range rows {
		for _, series := range []*report.Series{row.series, row.share} {
			if series != nil {
				session.series = append(session.series, series)
				r.Rows = append(r.Rows, series.Row())
			}
		}
	}
	session.compare(what.comparisons)
	session.combine(what.combined)
	if err := s.close(); err != nil {
		return nil, err
	}
	r.Run.DurationNs = int64(time.Since(start))
	session.judge()
	return session, nil
}

// bringUp starts the families that have a row among those wanted. A contestant that cannot take
// part on this machine is left out, with a note.
func (s *site) bringUp(ctx context.Context, all []wanted, r *report.Report) ([]*row, error) {
	entrants := map[string]*entrant{}
	for _, w := range all {
		s.wants[w.key.Name] = true
	}
	for _, f := range families() {
		if !slices.ContainsFunc(all, f.has) {
			continue
		}
		s.o.progress("bringing up %s", f.names[0])
		up, err := f.up(s)
		var out *leftOut
		if errors.As(err, &out) {
			r.Notes = append(r.Notes, fmt.Sprintf("%s left out: %v", f.names[0], err))
			r.Complete = false
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("bring up %s: %w", f.names[0], err)
		}
		for _, e := range up {
			if err := e.await(ctx); err != nil {
				return nil, err
			}
			entrants[e.name] = e
		}
		if err := s.parkAll(); err != nil {
			return nil, err
		}
	}
	var rows []*row
	for _, w := range all {
		e := entrants[w.key.Name]
		if e == nil {
			continue
		}
		rows = append(rows, &row{series: report.NewSeries(w.key), entrant: e, plan: Plan{
			Loop: w.key.Loop, Window: w.window, Poisson: w.poisson, Burst: w.burst,
			Rate: w.key.Rate, Bytes: w.key.Bytes, Warmup: s.o.Warmup, Measure: s.o.Measure,
		}})
	}
	for _, w := range all {
		i := slices.IndexFunc(rows, func(r *row) bool { return r.series.Key.Name == w.shareOf })
		if i >= 0 {
			rows[i].share = report.NewSeries(w.key)
		}
	}
	return rows, nil
}

// measure runs all rows in each round, in another order each time.
func (s *site) measure(ctx context.Context, rows []*row, r *report.Report) error {
	quiet, err := listen(s.spent)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(s.o.Seed, 0))
	for round := range s.o.Rounds {
		s.o.progress("round %d of %d", round+1, s.o.Rounds)
		for _, i := range random.Perm(len(rows)) {
			if err := s.one(ctx, rows[i]); err != nil {
				return fmt.Errorf("%s, %s loop, %d B, round %d: %w", rows[i].entrant.name,
					rows[i].plan.Loop, rows[i].plan.Bytes, round+1, err)
			}
		}
		runtime.GC()
	}
	if err := quiet(&r.Run); err != nil {
		return err
	}
	r.Processes, err = s.processes()
	return err
}

// one runs one row of one round: its processes go on, run, and stop again.
func (s *site) one(ctx context.Context, w *row) error {
	e := w.entrant
	for _, c := range e.children {
		if err := c.resume(); err != nil {
			return err
		}
	}
	before, err := s.spent()
	if err != nil {
		return err
	}
	plan := w.plan
	plan.Seed = s.o.Seed + uint64(w.series.Rounds()) // the same load for all in a round
	result, err := e.drivers[w.plan.Loop].run(ctx, plan)
	if err != nil {
		return err
	}
	after, err := s.spent()
	if err != nil {
		return err
	}
	for _, c := range e.children {
		if err := c.park(); err != nil {
			return err
		}
	}
	if w.share != nil {
		w.share.AddRate(int64(result.Share*sharePerUnit), report.Faults{})
	}
	switch w.series.Key.Unit {
	case report.Nanoseconds:
		w.series.AddLatencies(result.Samples, result.Faults)
	case report.Parts:
		w.series.AddRate(int64(result.Share*sharePerUnit), result.Faults)
	default:
		perSecond := float64(result.Replies) / float64(result.Elapsed) * float64(core.Second)
		w.series.AddRate(int64(perSecond), result.Faults)
	}
	w.series.AddSpent(report.Spent{Process: "bench", Ns: int64(after[0] - before[0])})
	for i, c := range s.children {
		w.series.AddSpent(report.Spent{
			Process: c.name, Parked: !slices.Contains(e.children, c),
			Ns: int64(after[i+1] - before[i+1]),
		})
	}
	return nil
}

// spent is the CPU time so far of this process and its children, in their order.
func (s *site) spent() ([]core.Time, error) {
	self, err := cpuTime(os.Getpid())
	if err != nil {
		return nil, err
	}
	all := []core.Time{self}
	for _, c := range s.children {
		t, err := cpuTime(c.pid())
		if err != nil {
			return nil, errors.Join(c.alive(), err)
		}
		all = append(all, t)
	}
	return all, nil
}

// compare computes the ratios whose rows there are: closed loop or full window, smallest frames,
// which stand first.
func (s *Session) compare(all []comparison) {
	find := func(name string) *report.Series {
		i := slices.IndexFunc(s.series, func(x *report.Series) bool { return x.Key.Name == name })
		if i < 0 {
			return nil
		}
		return s.series[i]
	}
	for _, c := range all {
		n, d := find(c.numerator), find(c.denominator)
		if n == nil || d == nil || n.Key.Loop != d.Key.Loop || n.Key.Bytes != d.Key.Bytes {
			continue
		}
		s.compareTwo(&c, n, d)
	}
}

func (s *Session) compareTwo(c *comparison, n, d *report.Series) {
	r := s.Report
	switch c.by {
	case apart:
		if x, ok := report.NewDifference(n, d, c.metric, c.goal); ok {
			r.Differences = append(r.Differences, x)
		}
	case alone:
		if x, ok := report.NewLevel(n, c.metric, c.goal); ok {
			r.Ratios = append(r.Ratios, x)
		}
	default:
		if x, ok := report.NewRatio(n, d, c.metric, c.goal); ok {
			r.Ratios = append(r.Ratios, x)
		}
	}
}

// combine computes what compares more than two rows, where there are all of them.
func (s *Session) combine(all []combination) {
	for _, c := range all {
		var rows []*report.Series
		for _, name := range c.rows {
			named := func(x *report.Series) bool { return x.Key.Name == name }
			if i := slices.IndexFunc(s.series, named); i >= 0 {
				rows = append(rows, s.series[i])
			}
		}
		if len(rows) < len(c.rows) {
			continue
		}
		if x, ok := report.NewCombined(c.name, rows, c.metric, c.goal, c.of); ok {
			s.Report.Ratios = append(s.Report.Ratios, x)
		}
	}
}

// judge notes what is missing.
func (s *Session) judge() {
	r := s.Report
	for _, row := range r.Rows {
		if !row.Faults.Any() {
			continue
		}
		r.Complete = false
		r.Notes = append(r.Notes, fmt.Sprintf("%s, %s loop, %d B: replies missing or wrong (lost: "+
			"%v)", row.Name, row.Loop, row.Bytes, row.Faults))
	}
}
