package report

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable writes the report for a terminal: the machine, the rows, the ratios, what is missing.
func (r *Report) WriteTable(w io.Writer) error {
	b := bufio.NewWriter(w)
	r.writeHead(b)
	r.writeRows(b)
	r.writeRatios(b)
	r.writeDifferences(b)
	for _, note := range r.Notes {
		fmt.Fprintf(b, "note: %s\n", note)
	}
	switch {
	case !r.Complete:
		fmt.Fprintln(b, "NOT COMPLETE: see lost, the faults and the notes above")
	case r.Local:
		fmt.Fprintln(b, "every row was measured")
	default:
		fmt.Fprintln(b, "every request was answered, once and with the right bytes")
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("report: write table: %w", err)
	}
	return nil
}

func (r *Report) writeHead(w io.Writer) {
	m := &r.Machine
	kind := ""
	if m.Hypervisor {
		kind = ", virtual"
	}
	fmt.Fprintf(w, "dunlin bench %s, commit %s, %s\n", r.Suite, r.Commit, m.Go)
	fmt.Fprintf(w, "%s, %d CPUs%s, Linux %s, clock %s, load %.2f\n",
		m.CPU, m.CPUs, kind, m.Kernel, m.Clocksource, m.Load1)
	fmt.Fprintln(w, m.where())
	fmt.Fprintf(w, "%d rounds of %v per row, seed %d, %v in all\n", r.Run.Rounds,
		time.Duration(r.Run.RowNs), r.Run.Seed,
		time.Duration(r.Run.DurationNs).Round(100*time.Millisecond))
	fmt.Fprintf(w, "meanwhile other processes used %.2f CPUs, the hypervisor kept %.2f%s\n\n",
		r.Run.Others, r.Run.Stolen, r.Run.disturbance())
}

// where is the placement, and how packets came there if there were any.
func (m *Machine) where() string {
	if m.XDP == "" {
		return m.Placement
	}
	return m.Placement + "; " + m.XDP
}

// quietCPUs is what else may go on in CPUs before it is said to disturb: a shell and some daemons.
// (guess)
const quietCPUs = 0.05

// disturbance warns where others were busy too: percentiles then show them.
func (r *Run) disturbance() string {
	if r.Others+r.Stolen <= quietCPUs {
		return ""
	}
	return " (NOT QUIET: percentiles show it)"
}

// writeRows writes a block for each unit, since columns of different units do not compare.
func (r *Report) writeRows(w io.Writer) {
	for _, unit := range []Unit{Nanoseconds, Frames, Bytes, Parts} {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		names := r.nameColumns(unit)
		some := false
		for i := range r.Rows {
			row := &r.Rows[i]
			if row.Unit != unit {
				continue
			}
			if !some {
				fmt.Fprintln(t, r.header(unit, names))
				some = true
			}
			fmt.Fprintf(t, "%-*s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t\n",
				names, row.Name, row.Loop, rate(row.Rate), row.Bytes, r.figure(row, row.P50),
				r.figure(row, row.P90), r.figure(row, row.P99), r.figure(row, row.P999),
				r.figure(row, row.Max), row.Count, row.Faults)
		}
		t.Flush()
		if some {
			fmt.Fprintln(w)
		}
	}
}

// nameColumns is the width of the widest name: the writer aligns to the right, names belong left.
func (r *Report) nameColumns(u Unit) int {
	columns := 0
	for i := range r.Rows {
		if r.Rows[i].Unit == u {
			columns = max(columns, len(r.Rows[i].Name))
		}
	}
	return columns
}

func (r *Report) header(u Unit, names int) string {
	shown := r.unitOfTable(u)
	return fmt.Sprintf("%-*s\tloop\trate/s\tbytes\tp50 %s\tp90\tp99\tp99.9\tmax\tcount\tlost\t",
		names, "row", shown)
}

func rate(perSecond uint64) string {
	if perSecond == 0 {
		return "-"
	}
	return strconv.FormatUint(perSecond, 10)
}

// figure is one figure of a row, in the unit of the report's tables.
func (r *Report) figure(row *Row, v float64) string {
	if r.Local && row.Unit == Nanoseconds {
		digits := 2
		if row.P50 >= fine {
			digits = 0
		}
		return strconv.FormatFloat(v, 'f', digits, 64)
	}
	return row.figure(v)
}

// figure is one figure of a row, in the unit of the table: microseconds, frames/s, MB/s, parts.
func (r *Row) figure(v float64) string {
	switch r.Unit {
	case Nanoseconds:
		if r.P50 < fine {
			return strconv.FormatFloat(v/1e3, 'f', 4, 64)
		}
		return strconv.FormatFloat(v/1e3, 'f', 2, 64)
	case Bytes:
		return strconv.FormatFloat(v/1e6, 'f', 0, 64)
	case Parts:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// fine is the time in nanoseconds below which two digits of a microsecond say too little.
const fine = 100

// String is the losses, and the other faults where there are any.
func (f Faults) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", f.Lost)
	for _, extra := range []struct {
		name  string
		count uint64
	}{{"late", f.Late}, {"duplicate", f.Duplicate}, {"corrupt", f.Corrupt}} {
		if extra.count > 0 {
			fmt.Fprintf(&b, " +%d %s", extra.count, extra.name)
		}
	}
	return b.String()
}

func (r *Report) writeRatios(w io.Writer) {
	if len(r.Ratios) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ratio\tmetric\tmedian of rounds\tleast - greatest\tgoal\tverdict")
	for _, x := range r.Ratios {
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2f - %.2f\t%s\t%s\n",
			x.Name, x.Metric, x.show(x.Value), x.Low, x.High, x.Goal, x.Verdict)
	}
	t.Flush()
	fmt.Fprintln(w)
}

// show is a figure of a ratio, with its unit if it is one row.
func (x *Ratio) show(v float64) string {
	if x.Unit == "" {
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + " " + string(x.Unit)
}

func (r *Report) writeDifferences(w io.Writer) {
	if len(r.Differences) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "difference\tmetric\tmedian of rounds, us\tleast - greatest\tat most\tverdict")
	for _, x := range r.Differences {
		fmt.Fprintf(t, "%s\t%s\t%+.2f\t%+.2f - %+.2f\t%s\t%s\n", x.Name, x.Metric, x.Value/1e3,
			x.Low/1e3, x.High/1e3, x.limit(), x.Verdict)
	}
	t.Flush()
	fmt.Fprintln(w)
}

// limit is what a difference is wanted to be at most, in microseconds.
func (d *Difference) limit() string {
	if d.AtMost == 0 {
		return ""
	}
	return fmt.Sprintf("%+.2f", d.AtMost/1e3)
}
