package transport

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// bulk writes into a region of b until the time is over and returns the bytes put in place per
// second.
func bulk(t testing.TB, mtu int, rate int64, loss float64, d core.Time) (float64, *side, *side) {
	r := newRig(t)
	a, b := r.add(func(c *Config) { c.MTU = mtu }), r.add(func(c *Config) { c.MTU = mtu })
	a.rate, b.rate = rate, rate
	sa, sb := r.connect(a, b, 0)
	region := make([]byte, 1<<20)
	id, err := b.e.Register(sb, region, RightWrite)
	if err != nil {
		t.Fatal(err)
	}
	src := pattern(1<<20, 1)
	done, under := 0, 0
	issue := func() {
		o := r.order(sa)
		o.Deadline = r.now + 100*core.Second
		if _, err := a.e.Write(r.now, o, Target{Region: id, Stable: true}, src); err != nil {
			t.Fatal(err)
		}
		under++
	}
	a.serve = func(s *side, ev Event) {
		if ev.Kind == EventWritten {
			if ev.Outcome != Done {
				t.Errorf("write: %d, %d", ev.Outcome, ev.Cause)
			}
			done++
			under--
		}
	}
	a.lose(loss)
	b.lose(loss)
	start := r.now
	for r.now < start+d {
		for under < 4 {
			issue()
		}
		r.step(start + d)
	}
	return float64(done) * float64(len(src)) / (float64(d) / 1e9), a, b
}

func TestGoodputOne(t *testing.T) {
	for _, mtu := range []int{1500, 9000} {
		for _, loss := range []float64{0, 0.001, 0.01, 0.1, 0.3} {
			g, a, b := bulk(t, mtu, 1_250_000_000, loss, 30*core.Millisecond)
			l := a.e.find(a.e.sessions[1].id).lanes[0]
			t.Logf("mtu %d loss %v: %.1f MB/s window %d rtt %d least %d\n%+v\n%+v", mtu, loss, g/1e6,
				l.congestion.window, l.rtt.smooth, l.rtt.least, a.e.Counters(), b.e.Counters())
		}
	}
}
