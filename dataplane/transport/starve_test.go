package transport

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// crowd is how the threads of two ends get on with each other.
type crowd struct {
	mtu          int
	cpus, others int
	relays       bool // iokernels before both ends
	slice        core.Time
	slices       core.Time // so many before anything is measured, and as many after that
}

// goodput is that of a stream between two ends of a crowd, in bytes per second, and the share of the
// time in which all of their threads ran at once. Unless bounded, no window bounds it.
func (x crowd) goodput(t testing.TB, bounded bool) (rate, together float64) {
	r := newRig(t)
	a, b := r.add(func(c *Config) { c.MTU = x.mtu }), r.add(func(c *Config) { c.MTU = x.mtu })
	a.rate, b.rate = tenGigabit, tenGigabit
	s := streamTo(r, a, b, MaxPartial)
	r.share(x.cpus, x.others, x.relays, x.slice*3/4, x.slice)
	s.feed(r)
	c := &a.e.find(s.id).lanes[0].congestion
	run := func(end core.Time) (all core.Time) {
		for more := true; more; {
			if !bounded {
				c.window = 2 * mostFrames * c.frame
			}
			start, together := r.now, r.shared.together
			more = r.step(end)
			if together {
				all += r.now - start
			}
		}
		return all
	}
	run(r.now + x.slices*x.slice)
	before, start := s.inPlace(b), r.now
	all := run(r.now + x.slices*x.slice)
	d := float64(r.now - start)
	return float64(s.inPlace(b)-before) * 1e9 / d, float64(all) / d
}

// TestBulkBesideOthers has the threads of both ends, and of iokernels before them, share CPUs with
// each other and with others, so that they mostly do not run at the same time, and each frame waits
// for slices of milliseconds on its way. Bulk gets at least half of what the cable carries while all
// of them run; where they never do, of what it gets with a window without end.
func TestBulkBesideOthers(t *testing.T) {
	for _, x := range []crowd{
		{1500, 1, 0, false, 200 * core.Microsecond, 100},
		{1500, 1, 0, false, 4 * core.Millisecond, 40},
		{1500, 2, 2, false, core.Millisecond, 100},
		{1500, 2, 2, false, 10 * core.Millisecond, 10},
		{1500, 2, 0, true, 200 * core.Microsecond, 100},
		{1500, 2, 3, true, 4 * core.Millisecond, 150},
		{9000, 1, 0, false, 200 * core.Microsecond, 100},
		{9000, 2, 2, false, 4 * core.Millisecond, 25},
		{9000, 2, 0, true, 200 * core.Microsecond, 100},
		{9000, 2, 3, true, core.Millisecond, 200},
	} {
		got, together := x.goodput(t, true)
		most := together * tenGigabit
		if together == 0 {
			most, _ = x.goodput(t, false)
		}
		t.Logf("%+v: %.0f of %.0f MB/s, %.2f", x, got/1e6, most/1e6, got/most)
		if got < most/2 {
			t.Errorf("%+v: %.0f MB/s, want half of %.0f", x, got/1e6, most/1e6)
		}
	}
}
