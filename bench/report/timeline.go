package report

import "fmt"

// Timeline is who had which core during a stretch of a run.
type Timeline struct {
	Title string `json:"title"`
	Cores []Lane `json:"cores"`
	Ns    int64  `json:"ns"` // its length
}

// Lane is one core of a timeline.
type Lane struct {
	Name  string `json:"name"`
	Spans []Span `json:"spans"` // in their order; between two nobody had it
}

// Span is a time in which a runtime had a core, in nanoseconds from the timeline's beginning.
type Span struct {
	Owner string `json:"owner"`
	From  int64  `json:"from"`
	To    int64  `json:"to"`
	Why   string `json:"why"`
}

// Size of the drawn timeline, in units of its picture.
const (
	laneWidth  = 1000.0
	laneHeight = 18.0
	laneGap    = 6.0
	laneNames  = 70.0
)

// drawnSpan is a span as a rectangle.
type drawnSpan struct{ X, Y, Width, Height, Class, Tip string }

// drawnLane is the name of a lane and where it stands.
type drawnLane struct{ Name, Y string }

// drawnOwner is one entry of the legend.
type drawnOwner struct{ Name, Class string }

// drawnTimeline is a timeline for the page.
type drawnTimeline struct {
	Title, Length string
	Width, Height string
	Lanes         []drawnLane
	Spans         []drawnSpan
	Owners        []drawnOwner
}

// classCount is how many colours the page has.
const classCount = 10

// micros is a time in microseconds.
func micros(ns int64) string { return fmt.Sprintf("%.1f us", float64(ns)/1e3) }

// draw lays a timeline out; nil without one.
func (t *Timeline) draw() *drawnTimeline {
	if t == nil || t.Ns <= 0 {
		return nil
	}
	d := &drawnTimeline{
		Title: t.Title, Length: micros(t.Ns), Width: coordinate(laneNames + laneWidth),
		Height: coordinate(float64(len(t.Cores)) * (laneHeight + laneGap)),
	}
	classes := map[string]string{}
	for i, lane := range t.Cores {
		y := float64(i) * (laneHeight + laneGap)
		d.Lanes = append(d.Lanes, drawnLane{lane.Name, coordinate(y + laneHeight*0.75)})
		for _, s := range lane.Spans {
			class, ok := classes[s.Owner]
			if !ok {
				class = "s" + string(rune('0'+(len(classes)+1)%classCount))
				classes[s.Owner] = class
				d.Owners = append(d.Owners, drawnOwner{s.Owner, class})
			}
			scale := laneWidth / float64(t.Ns)
			d.Spans = append(d.Spans, drawnSpan{
				X: coordinate(laneNames + float64(s.From)*scale), Y: coordinate(y),
				Width:  coordinate(max(float64(s.To-s.From)*scale, 0.5)),
				Height: coordinate(laneHeight), Class: class,
				Tip: s.Owner + " for " + micros(s.To-s.From) + ": " + s.Why,
			})
		}
	}
	return d
}
