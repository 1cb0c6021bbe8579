package load

import (
	"math"
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// times are when the first n requests of a load are due.
func times(p *Plan, n int) (list []core.Time) {
	g := newGaps(p)
	g.begin(0)
	for at := core.Time(0); len(list) < n; at += g.next(at) {
		list = append(list, at)
	}
	return list
}

// Gaps of a Poisson load have the mean that was asked for, a deviation as large as the mean, and a
// share of 1/e beyond it.
func TestPoissonGaps(t *testing.T) {
	const n, mean = 100_000, 50_000.0
	list := times(&Plan{Rate: 20_000, Poisson: true, Seed: 7}, n+1)
	var sum, squares float64
	beyond := 0
	for i := range n {
		gap := float64(list[i+1] - list[i])
		sum += gap
		squares += gap * gap
		if gap > mean {
			beyond++
		}
	}
	average := sum / n
	deviation := math.Sqrt(squares/n - average*average)
	share := float64(beyond) / n
	if math.Abs(average/mean-1) > 0.02 || math.Abs(deviation/mean-1) > 0.02 ||
		math.Abs(share-1/math.E) > 0.01 {
		t.Errorf("mean %.0f, deviation %.0f, %.3f beyond the mean", average, deviation, share)
	}
	if !slices.Equal(list, times(&Plan{Rate: 20_000, Poisson: true, Seed: 7}, n+1)) ||
		slices.Equal(list, times(&Plan{Rate: 20_000, Poisson: true, Seed: 8}, n+1)) {
		t.Error("the seed does not decide the load")
	}
}

func TestEvenGaps(t *testing.T) {
	for i, at := range times(&Plan{Rate: 10_000}, 100) {
		if at != core.Time(i)*100*core.Microsecond {
			t.Fatalf("request %d is due at %d", i, at)
		}
	}
}

// A bursty load spends half of its time at each rate.
func TestBurstGaps(t *testing.T) {
	p := &Plan{Poisson: true, Seed: 3, Burst: Burst{Low: 2000, High: 50_000, Dwell: core.Millisecond}}
	const n = 200_000
	list := times(p, n)
	rate := n / (float64(list[n-1]) / float64(core.Second))
	if want := 26_000.0; math.Abs(rate/want-1) > 0.1 {
		t.Errorf("%.0f requests/s, want about %.0f", rate, want)
	}
}

// An open generator sends what is due, in order, whatever the link takes at once.
func TestDrawnTimesAreKept(t *testing.T) {
	p := Plan{Rate: 1_000_000, Poisson: true, Seed: 5}
	want := times(&p, 1000)
	g := &Generator{gaps: newGaps(&p)}
	g.loop = "open"
	g.begin(0)
	var got []core.Time
	for now := core.Time(0); len(got) < 900; now += 10 * core.Microsecond {
		for {
			n := g.draw(now, burst)
			if n == 0 {
				break
			}
			if n > 3 {
				n -= n / 3 // the link is full
			}
			got = append(got, g.due[:n]...)
			g.sent(n)
		}
	}
	if !slices.Equal(got[:900], want[:900]) {
		t.Error("times were lost or changed")
	}
}
