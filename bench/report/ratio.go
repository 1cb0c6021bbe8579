package report

import (
	"fmt"
	"slices"
)

// Metric names a figure of a row that ratios compare.
type Metric string

// The metrics of ratios.
const (
	P50 Metric = "p50"
	P99 Metric = "p99"
)

func (m Metric) of(d Distribution) int64 {
	if m == P99 {
		return d.Quantile(0.99)
	}
	return d.Quantile(0.5)
}

// Goal is what a ratio is wanted to be; the zero Goal wants nothing.
type Goal struct {
	AtMost  float64 `json:"at_most,omitempty"`
	AtLeast float64 `json:"at_least,omitempty"`
}

func (g Goal) String() string {
	switch {
	case g.AtMost != 0:
		return fmt.Sprintf("at most %.2f", g.AtMost)
	case g.AtLeast != 0:
		return fmt.Sprintf("at least %.2f", g.AtLeast)
	}
	return ""
}

// Verdict is what came of a goal.
type Verdict string

// The verdicts of ratios.
const (
	Met    Verdict = "met"
	Missed Verdict = "missed"
	Shown  Verdict = "shown" // there is no goal
)

func (g Goal) judge(value float64) Verdict {
	switch {
	case g == Goal{}:
		return Shown
	case g.AtMost != 0 && value > g.AtMost, g.AtLeast != 0 && value < g.AtLeast:
		return Missed
	}
	return Met
}

// Ratio compares two rows under the same load.
type Ratio struct {
	Name   string  `json:"name"` // "numerator:denominator"
	Metric Metric  `json:"metric"`
	Unit   Unit    `json:"unit,omitempty"` // of a row held against a goal, where it has one
	Value  float64 `json:"value"`          // median over the rounds
	Low    float64 `json:"low"`            // least of a round
	High   float64 `json:"high"`           // greatest of a round
	Goal
	Verdict Verdict `json:"verdict"`
}

// NewRatio compares two rows round by round; false when no round has both.
func NewRatio(numerator, denominator *Series, m Metric, g Goal) (Ratio, bool) {
	value, low, high, ok := byRound(numerator, denominator, m, func(n, d float64) float64 {
		return n / d
	})
	return Ratio{
		Name: numerator.Key.Name + ":" + denominator.Key.Name, Metric: m,
		Value: value, Low: low, High: high, Goal: g, Verdict: g.judge(value),
	}, ok
}

// NewCombined compares any number of rows round by round: of gets their figures of a round, in
// their order. Rates have one figure a round, whatever the metric. False when no round has all.
func NewCombined(name string, rows []*Series, m Metric, g Goal, of func([]float64) float64) (
	Ratio, bool,
) {
	rounds := len(rows[0].rounds)
	for _, s := range rows {
		rounds = min(rounds, len(s.rounds))
	}
	var values []float64
	figures := make([]float64, len(rows))
	for i := range rounds {
		for k, s := range rows {
			figures[k] = s.Key.figure(m.of(s.rounds[i]))
		}
		if slices.Min(figures) > 0 {
			values = append(values, of(figures))
		}
	}
	if len(values) == 0 {
		return Ratio{}, false
	}
	value := median(values)
	return Ratio{
		Name: name, Metric: m, Value: value, Low: slices.Min(values), High: slices.Max(values),
		Goal: g, Verdict: g.judge(value),
	}, true
}

// NewLevel holds one row against a goal.
func NewLevel(s *Series, m Metric, g Goal) (Ratio, bool) {
	value, low, high, ok := byRound(s, s, m, func(n, _ float64) float64 { return n })
	unit := s.Key.Unit
	if unit == Parts {
		unit = ""
	}
	return Ratio{
		Name: s.Key.Name, Metric: m, Unit: unit, Value: value, Low: low, High: high, Goal: g,
		Verdict: g.judge(value),
	}, ok
}

// Difference is the distance of two rows under the same load, in nanoseconds.
type Difference struct {
	Name   string  `json:"name"` // "row-other row"
	Metric Metric  `json:"metric"`
	Unit   Unit    `json:"unit,omitempty"` // of a row held against a goal, where it has one
	Value  float64 `json:"value"`          // median over the rounds
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Goal
	Verdict Verdict `json:"verdict"`
}

// NewDifference subtracts the other row from a row, round by round; false when no round has both.
func NewDifference(row, other *Series, m Metric, g Goal) (Difference, bool) {
	value, low, high, ok := byRound(row, other, m, func(n, d float64) float64 { return n - d })
	return Difference{
		Name: row.Key.Name + " - " + other.Key.Name, Metric: m,
		Value: value, Low: low, High: high, Goal: g, Verdict: g.judge(value),
	}, ok
}

// byRound compares two rows within each round: the median, the least and the greatest.
func byRound(a, b *Series, m Metric, compare func(a, b float64) float64) (
	value, low, high float64, ok bool,
) {
	var values []float64
	for i := range min(len(a.rounds), len(b.rounds)) {
		x, y := a.Key.figure(m.of(a.rounds[i])), b.Key.figure(m.of(b.rounds[i]))
		if x > 0 && y > 0 {
			values = append(values, compare(x, y))
		}
	}
	if len(values) == 0 {
		return 0, 0, 0, false
	}
	return median(values), slices.Min(values), slices.Max(values), true
}
