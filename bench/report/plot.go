package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Size of a chart in the units of its SVG, which the page scales to the width of the window.
const (
	chartWidth  = 960.0
	chartHeight = 380.0
	plotLeft    = 64.0  // room for the labels of the y axis
	plotRight   = 708.0 // the rest is for the names of the lines
	plotTop     = 12.0
	plotBottom  = 340.0
	labelStep   = 15.0 // least distance of two names, one line of text
)

// frame is where things are in a chart, for the template.
type frame struct {
	Width, Height, Left, Right, Top, Bottom float64

	Names, Scale float64 // of the lines' names and of the y axis's texts, across
	Under        float64 // of the x axis's texts, down
}

func newFrame() frame {
	const gap, line = 12, 18
	return frame{
		Width: chartWidth, Height: chartHeight,
		Left: plotLeft, Right: plotRight, Top: plotTop, Bottom: plotBottom,
		Names: plotRight + gap, Scale: plotLeft - gap/2, Under: plotBottom + line,
	}
}

// hues is how many colours the style sheet has; the lines after them are dashed.
const hues = 10

// chart is the distributions of the rows under one load, ready for the template: all numbers are
// coordinates.
type chart struct {
	Title  string
	XTicks []tick
	YTicks []tick
	Lines  []line
}

type tick struct {
	At   string
	Text string
}

type line struct {
	Name   string
	Class  string
	Path   string
	Tip    string
	Median string // in microseconds, beside the name
	EndX   string // where the line ends
	EndY   string
	LabelY string
	medium float64 // the median's place on the y axis
	labelY float64
}

// charts returns a chart for each load that latencies were measured under, in the order of the
// rows.
func (r *Report) charts() []chart {
	type load struct {
		loop  Loop
		rate  uint64
		bytes int
	}
	var order []load
	rows := map[load][]*Row{}
	for i := range r.Rows {
		row := &r.Rows[i]
		if r.Local || len(row.Curve) == 0 { // of Local suites each row is an operation of its own
			continue
		}
		l := load{row.Loop, row.Rate, row.Bytes}
		if rows[l] == nil {
			order = append(order, l)
		}
		rows[l] = append(rows[l], row)
	}
	classes := r.classes()
	var all []chart
	for _, l := range order {
		title := fmt.Sprintf("%s loop, %d B", l.loop, l.bytes)
		if l.rate > 0 {
			title = fmt.Sprintf("%s loop at %d requests/s, %d B", l.loop, l.rate, l.bytes)
		}
		all = append(all, newChart(title, rows[l], classes))
	}
	return all
}

// classes gives each contestant the same colour in all charts, by first appearance.
func (r *Report) classes() map[string]string {
	classes := map[string]string{}
	for i := range r.Rows {
		name := r.Rows[i].Name
		if _, ok := classes[name]; ok {
			continue
		}
		n := len(classes)
		class := fmt.Sprintf("s%d", n%hues)
		if n >= hues {
			class += " dashed"
		}
		classes[name] = class
	}
	return classes
}

// scale maps nines (0 is 0 %, 1 is 90 %, 2 is 99 %) and the logarithm of nanoseconds to
// coordinates.
type scale struct{ nines, low, high float64 }

func (s scale) x(nines float64) float64 {
	return plotLeft + nines/s.nines*(plotRight-plotLeft)
}

func (s scale) y(ns float64) float64 {
	return plotBottom - (math.Log10(ns)-s.low)/(s.high-s.low)*(plotBottom-plotTop)
}

// minDecades keeps the y axis from shrinking to nothing when all rows are alike: 2 us to 20 us.
const minDecades = 1.0

func newChart(title string, rows []*Row, classes map[string]string) chart {
	s := scale{nines: 1, low: math.Inf(1), high: math.Inf(-1)}
	for _, row := range rows {
		for _, p := range row.Curve {
			s.nines = max(s.nines, nines(p.Quantile))
			v := math.Log10(max(float64(p.Value), 1))
			s.low, s.high = min(s.low, v), max(s.high, v)
		}
	}
	s.low = math.Floor(s.low*10) / 10
	s.high = max(math.Ceil(s.high*10)/10, s.low+minDecades)

	c := chart{Title: title, XTicks: s.xTicks(), YTicks: s.yTicks()}
	for _, row := range rows {
		c.Lines = append(c.Lines, s.line(row, classes[row.Name]))
	}
	spread(c.Lines)
	return c
}

func nines(q float64) float64 { return -math.Log10(1 - min(q, 1-1e-9)) }

func (s scale) line(row *Row, class string) line {
	var path strings.Builder
	var x, y float64
	for i, p := range row.Curve {
		x, y = s.x(nines(p.Quantile)), s.y(max(float64(p.Value), 1))
		verb := "L"
		if i == 0 {
			verb = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", verb, x, y)
	}
	return line{
		Name: row.Name, Class: class, Path: path.String(),
		Tip: fmt.Sprintf("%s: p50 %s us, p99 %s us, max %s us", row.Name, row.figure(row.P50),
			row.figure(row.P99), row.figure(row.Max)),
		Median: row.figure(row.P50) + " us", EndX: coordinate(x), EndY: coordinate(y),
		medium: s.y(max(row.P50, 1)),
	}
}

// spread gives the names at the right edge places that do not overlap, in the order of the medians:
// the lines' ends, which are single samples, would change places from run to run.
func spread(lines []line) {
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return compareFloat(lines[a].medium, lines[b].medium)
	})
	next := plotTop
	for _, i := range order {
		lines[i].labelY = max(lines[i].medium, next)
		next = lines[i].labelY + labelStep
	}
	// What was pushed below the plot pushes the ones above it back up.
	limit := plotBottom
	for _, i := range slices.Backward(order) {
		lines[i].labelY = min(lines[i].labelY, limit)
		limit = lines[i].labelY - labelStep
		lines[i].LabelY = coordinate(lines[i].labelY)
	}
}

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func coordinate(v float64) string { return fmt.Sprintf("%.1f", v) }

func (s scale) xTicks() []tick {
	texts := [...]string{"min", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"}
	ticks := []tick{{coordinate(s.x(nines(0.5))), "50 %"}}
	for n, text := range texts {
		if float64(n) <= s.nines {
			ticks = append(ticks, tick{coordinate(s.x(float64(n))), text})
		}
	}
	return ticks
}

// yTicks are 1, 2 and 5 times the powers of ten; only the powers once there are many.
func (s scale) yTicks() []tick {
	steps := []float64{1, 2, 5}
	if s.high-s.low > 3 {
		steps = steps[:1]
	}
	var ticks []tick
	for power := math.Floor(s.low); power <= s.high; power++ {
		for _, step := range steps {
			ns := step * math.Pow(10, power)
			if v := math.Log10(ns); v < s.low || v > s.high {
				continue
			}
			ticks = append(ticks, tick{coordinate(s.y(ns)), duration(ns)})
		}
	}
	return ticks
}

// duration is a round number of nanoseconds in the largest unit that keeps it a whole number.
func duration(ns float64) string {
	n := int64(math.Round(ns))
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%d s", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%d ms", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%d us", n/1e3)
	}
	return fmt.Sprintf("%d ns", n)
}
