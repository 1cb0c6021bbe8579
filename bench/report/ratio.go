package report

import "fmt"

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
	case g.AtMost != 0 && value > g.AtMost, value < g.AtLeast:
		return Missed
	}
	return Met
}

// Ratio compares two rows under the same load.
type Ratio struct {
	Name   string  `json:"name"` // "numerator:denominator"
	Metric Metric  `json:"metric"`
	Value  float64 `json:"value"` // median over the rounds
	Low    float64 `json:"low"`   // least of a round
	High   float64 `json:"high"`  // greatest of a round
	Goal
	Verdict Verdict `json:"verdict"`
}

// NewRatio compares two rows round by round; false when no round has both.
func NewRatio(numerator, denominator *Series, m Metric, g Goal) (Ratio, bool) {
	var values []float64
	for i := range min(len(numerator.rounds), len(denominator.rounds)) {
		n, d := m.of(numerator.rounds[i]), m.of(denominator.rounds[i])
		if n > 0 && d > 0 {
			values = append(values, float64(n)/float64(d))
		}
	}
	if len(values) == 0 {
		return Ratio{}, false
	}
	r := Ratio{
		Name: numerator.Key.Name + ":" + denominator.Key.Name, Metric: m,
		Value: median(values), Low: values[0], High: values[0], Goal: g,
	}
	for _, v := range values {
		r.Low, r.High = min(r.Low, v), max(r.High, v)
	}
	r.Verdict = g.judge(r.Value)
	return r, true
}
