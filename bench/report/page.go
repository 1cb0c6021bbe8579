package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"
)

//go:embed page.html
var pageSource string

// page is what the template sees.
type page struct {
	*Report
	Frame    frame
	Charts   []chart
	Drift    []drift
	Bars     []bars
	Lanes    *drawnTimeline
	Duration time.Duration
	RowTime  time.Duration
}

// WriteHTML writes the report as one page that needs nothing else: no script, font or picture from
// elsewhere.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"figure":  func(row Row, v float64) string { return r.figure(&row, v) },
		"rate":    rate,
		"columns": r.unitOfTable,
		"where":   r.Machine.where,
		"ms":      func(ns int64) string { return fmt.Sprintf("%.1f", float64(ns)/1e6) },
		"fixed":   func(x Ratio, v float64) string { return x.show(v) },
		"micros":  func(v float64) string { return fmt.Sprintf("%+.2f", v/1e3) },
		"limit":   func(d Difference) string { return d.limit() },
	}).Parse(pageSource)
	if err != nil {
		return fmt.Errorf("report: parse the page's template: %w", err)
	}
	p := page{
		Report: r, Frame: newFrame(), Charts: r.charts(), Drift: r.drifts(), Bars: r.bars(),
		Lanes:    r.Timeline.draw(),
		Duration: time.Duration(r.Run.DurationNs).Round(100 * time.Millisecond),
		RowTime:  time.Duration(r.Run.RowNs),
	}
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("report: write page: %w", err)
	}
	return nil
}

func (r *Report) unitOfTable(u Unit) string {
	switch u {
	case Nanoseconds:
		if r.Local {
			return "ns"
		}
		return "us"
	case Bytes:
		return "MB/s"
	case Parts:
		return "part"
	}
	return string(u)
}

// bars is rows of one unit beside each other, as bars.
type bars struct {
	Unit  string
	Lines []bar
}

type bar struct {
	Name, Class, Value string
	Width              string // per cent of the longest
}

func (r *Report) bars() []bars {
	classes := r.classes()
	var all []bars
	units := []Unit{Frames, Bytes, Parts}
	if r.Local {
		all, units = r.groups(), []Unit{Bytes, Parts}
	}
	for _, unit := range units {
		b, most := bars{Unit: r.unitOfTable(unit)}, 1.0
		for i := range r.Rows {
			if r.Rows[i].Unit == unit {
				most = max(most, r.Rows[i].P50)
			}
		}
		for i := range r.Rows {
			if row := &r.Rows[i]; row.Unit == unit {
				b.Lines = append(b.Lines, bar{
					row.Name, classes[row.Name], row.figure(row.P50),
					coordinate(100 * row.P50 / most),
				})
			}
		}
		if len(b.Lines) > 0 {
			all = append(all, b)
		}
	}
	return all
}

// drift is a row's p50 in each round, as a line of dots: whether the machine stood still.
type drift struct {
	Row    Row
	Class  string
	Dots   []dot
	Spread string // greatest over least, as per cent above
}

type dot struct{ X, Y string }

// Size of the small chart in a table's cell.
const (
	driftWidth  = 160.0
	driftHeight = 24.0
	driftMargin = 4.0
)

func (r *Report) drifts() []drift {
	classes := r.classes()
	var all []drift
	for i := range r.Rows {
		row := r.Rows[i]
		low, high := math.MaxFloat64, 0.0
		for _, round := range row.Rounds {
			low, high = min(low, round.P50), max(high, round.P50)
		}
		if len(row.Rounds) < 2 || low <= 0 {
			continue
		}
		d := drift{
			Row: row, Class: classes[row.Name],
			Spread: fmt.Sprintf("%.0f", 100*(high/low-1)),
		}
		for n, round := range row.Rounds {
			x := driftMargin + float64(n)/float64(len(row.Rounds)-1)*(driftWidth-2*driftMargin)
			share := 0.5
			if high > low {
				share = (round.P50 - low) / (high - low)
			}
			y := driftHeight - driftMargin - share*(driftHeight-2*driftMargin)
			d.Dots = append(d.Dots, dot{coordinate(x), coordinate(y)})
		}
		all = append(all, d)
	}
	return all
}
