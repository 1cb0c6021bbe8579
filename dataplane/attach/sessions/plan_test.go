package sessions

import (
	"testing"
	"time"
)

// noon is a time of day.
const noon = int64(1_800_000_000) * int64(time.Second)

// after is the moment so much later on each clock.
func after(wall, steady time.Duration) instant { return instant{noon + int64(wall), steady} }

// TestCertificateIsDue: at two thirds of its life, by whichever clock says so.
func TestCertificateIsDue(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		life         time.Duration
		wall, steady time.Duration
		want         time.Duration
	}{
		"at once":                      {day, 0, 0, 16 * time.Hour},
		"later":                        {day, 5 * time.Hour, 5 * time.Hour, 11 * time.Hour},
		"in time":                      {day, 16 * time.Hour, 16 * time.Hour, 0},
		"too late":                     {day, 3 * day, 3 * day, 0},
		"the machine has slept":        {day, 17 * time.Hour, time.Hour, 0},
		"the clock was set forward":    {day, 1000 * day, time.Minute, 0},
		"the clock was set back":       {day, -1000 * day, time.Hour, 15 * time.Hour},
		"set back, and time has gone":  {day, -1000 * day, 17 * time.Hour, 0},
		"a short one":                  {6 * time.Second, time.Second, time.Second, 3 * time.Second},
		"one that was over as it came": {-day, 0, 0, leastLife / renewOf * renewAt},
	} {
		var p plan
		p.took(after(0, 0), noon+int64(c.life))
		if got := p.due(after(c.wall, c.steady)); got != c.want {
			t.Errorf("%s: due in %v, want %v", name, got, c.want)
		}
	}
}

// TestCertificateIsAskedForAgain: after a failure soon, then more and more rarely, often enough
// before the end, and for ever; the next success ends it.
func TestCertificateIsAskedForAgain(t *testing.T) {
	for _, life := range []time.Duration{24 * time.Hour, time.Hour, 6 * time.Second} {
		var p plan
		p.took(after(0, 0), noon+int64(life))
		now := after(life/renewOf*renewAt, life/renewOf*renewAt)
		inTime, last := 0, time.Duration(0)
		for range 1000 {
			if wait := p.due(now); wait != 0 {
				t.Fatalf("life %v: due in %v", life, wait)
			}
			p.failed(now)
			wait := p.due(now)
			if wait < last || wait < leastRetry || wait > lastRetry || wait > life/lastRetryOf {
				t.Fatalf("life %v: a pause of %v after one of %v", life, wait, last)
			}
			last = wait
			now.steady += wait
			now.wall -= int64(time.Hour) // whatever becomes of the time of day
			if now.steady < life {
				inTime++
			}
		}
		if inTime < 5 {
			t.Errorf("life %v: %d attempts before its end", life, inTime)
		}
		p.took(now, now.wall+int64(life))
		if wait := p.due(now); wait != life/renewOf*renewAt {
			t.Errorf("life %v: renewed, and due in %v", life, wait)
		}
	}
}
