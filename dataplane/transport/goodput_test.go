package transport

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// bulk is the bytes per second that a stream puts in place with so much loss both ways.
func bulk(t testing.TB, mtu int, rate int64, loss float64, d core.Time) float64 {
	t.Helper()
	r := newRig(t)
	a, b := r.add(func(c *Config) { c.MTU = mtu }), r.add(func(c *Config) { c.MTU = mtu })
	a.rate, b.rate = rate, rate
	x := startStream(r, a, b)
	r.run(core.Millisecond)
	x.feed(r)
	r.run(2 * core.Millisecond)
	a.lose(loss)
	b.lose(loss)
	before, start := x.inPlace(b), r.now
	r.run(d)
	return float64(x.inPlace(b)-before) * 1e9 / float64(r.now-start)
}

// TestGoodputByLoss holds the golden table: goodput of a bulk write over a cable of 10 Gb/s as a
// share of that without loss, at least.
func TestGoodputByLoss(t *testing.T) {
	for _, mtu := range []int{1500, 9000} {
		whole := 0.0
		for _, x := range []struct{ loss, least float64 }{
			{0, 1}, {0.001, 0.99}, {0.01, 0.95}, {0.1, 0.75}, {0.3, 0.40},
		} {
			g := bulk(t, mtu, tenGigabit, x.loss, 30*core.Millisecond)
			if x.loss == 0 {
				whole = g
				if g < 0.8*tenGigabit {
					t.Errorf("MTU %d: %.0f MB/s without loss", mtu, g/1e6)
				}
			}
			t.Logf("MTU %d, loss %4.1f %%: %.0f MB/s, %.1f %%", mtu, 100*x.loss, g/1e6, 100*g/whole)
			if g < x.least*whole {
				t.Errorf("MTU %d, loss %.1f %%: %.1f %% of lossless, want %.0f", mtu, 100*x.loss,
					100*g/whole, 100*x.least)
			}
		}
	}
}
