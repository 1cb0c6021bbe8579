package report

import "testing"

// TestCombined: the figures of a round meet each other, and rounds that lack one are left out.
func TestCombined(t *testing.T) {
	rates := func(values ...int64) *Series {
		s := NewSeries(Key{Unit: Bytes})
		for _, v := range values {
			s.AddRate(v, Faults{})
		}
		return s
	}
	rows := []*Series{rates(60, 10, 30, 7), rates(100, 20, 0, 10), rates(50, 5, 30)}
	sum := func(v []float64) float64 { return v[0] / (v[1] + v[2]) }
	r, ok := NewCombined("a:(b + c)", rows, P50, Goal{AtLeast: 0.5}, sum)
	if !ok || r.Low != 0.4 || r.High != 0.4 || r.Verdict != Missed || r.Name != "a:(b + c)" {
		t.Errorf("%+v, %v", r, ok)
	}
	if _, ok := NewCombined("", []*Series{rates(0), rates(1)}, P50, Goal{}, sum); ok {
		t.Error("a ratio of no round")
	}
}
