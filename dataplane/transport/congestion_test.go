package transport

import (
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

const tenGigabit = 1_250_000_000 // bytes per second

// stream keeps writes of a megabyte under way from s into a region of another.
type stream struct {
	s      *side
	id     SessionID
	region RegionID
	src    []byte
	under  int
	done   int
}

func (x *stream) feed(r *rig) {
	for x.under < 3 {
		o := r.order(x.id)
		o.Deadline = core.Never
		if _, err := x.s.e.Write(r.now, o, Target{Region: x.region, Stable: true}, x.src); err != nil {
			r.t.Fatal(err)
		}
		x.under++
	}
}

// startStream begins a stream from a to b.
func startStream(r *rig, a, b *side) *stream {
	r.t.Helper()
	sa, sb := r.connect(a, b, 0)
	region, err := b.e.Register(sb, make([]byte, 1<<20), RightWrite)
	if err != nil {
		r.t.Fatal(err)
	}
	x := &stream{s: a, id: sa, region: region, src: make([]byte, 1<<20)}
	a.serve = func(s *side, ev Event) {
		switch {
		case ev.Kind == EventWritten && ev.Outcome == Done:
			x.under--
			x.done++
			x.feed(r)
		case ev.Kind == EventWritten:
			r.t.Errorf("write: %+v", ev)
		case ev.Kind == EventReply:
			s.events = append(s.events, ev)
		}
	}
	return x
}

// inPlace is how many bytes of the stream have arrived.
func (x *stream) inPlace(to *side) (n int64) {
	n = int64(x.done) << 20
	for _, s := range to.e.sessions {
		if s == nil {
			continue
		}
		for _, l := range s.lanes {
			for _, in := range l.partials {
				if in.region == x.region {
					n += int64(in.total - in.left*blockBytes)
				}
			}
		}
	}
	return n
}

// incast has n senders fill one receiver and returns its goodput as a share of what its cable
// carries, and each sender's bytes.
func incast(t testing.TB, n, mtu int, queue core.Time, d core.Time) (share float64, each []int64, lost int) {
	r := newRig(t)
	b := r.add(func(c *Config) { c.MTU = mtu })
	b.rate, b.queue = tenGigabit, queue
	var streams []*stream
	for range n {
		a := r.add(func(c *Config) { c.MTU = mtu })
		a.rate = tenGigabit
		streams = append(streams, startStream(r, a, b))
	}
	for _, x := range streams {
		x.feed(r)
	}
	r.run(d / 3)
	before := make([]int64, n)
	for i, x := range streams {
		before[i] = x.inPlace(b)
	}
	start := r.now
	r.run(d)
	total := int64(0)
	for i, x := range streams {
		each = append(each, x.inPlace(b)-before[i])
		total += each[i]
	}
	return float64(total) / (float64(tenGigabit) * float64(r.now-start) / 1e9), each, b.overflow
}

func TestIncastLog(t *testing.T) {
	for _, mtu := range []int{1500, 9000} {
		for _, n := range []int{1, 2, 8, 64} {
			for _, queue := range []core.Time{0, 200 * core.Microsecond, 50 * core.Microsecond} {
				share, each, lost := incast(t, n, mtu, queue, 10*core.Millisecond)
				slices.Sort(each)
				t.Logf("mtu %d, %d senders, queue %d us: %.1f %%, least %d most %d, lost %d", mtu, n,
					queue/1000, 100*share, each[0], each[n-1], lost)
			}
		}
	}
}

func percentile(v []core.Time, p float64) core.Time {
	slices.Sort(v)
	return v[min(int(float64(len(v))*p), len(v)-1)]
}

// calls makes n calls one after another and returns their round trips.
func calls(r *rig, a *side, id SessionID, n int) (took []core.Time) {
	for i := range n {
		start := r.now
		o := r.order(id)
		o.Tag = uint64(i)
		if _, err := a.e.Call(r.now, o, make([]byte, 64)); err != nil {
			r.t.Fatal(err)
		}
		a.await(EventReply)
		took = append(took, r.now-start)
		r.run(core.Time(i*37%1000) * 30) // not in step with the frames of bulk
	}
	return took
}

func TestBesideLog(t *testing.T) {
	for _, mtu := range []int{1500, 9000} {
		r := newRig(t)
		a, b := r.add(func(c *Config) { c.MTU = mtu }), r.add(func(c *Config) { c.MTU = mtu })
		a.rate, b.rate = tenGigabit, tenGigabit
		x := startStream(r, a, b)
		b.serve = echo
		r.run(core.Millisecond)
		alone := calls(r, a, x.id, 500)
		x.feed(r)
		r.run(5 * core.Millisecond)
		before := x.inPlace(b)
		start := r.now
		beside := calls(r, a, x.id, 500)
		t.Logf("mtu %d: alone p50 %d p99 %d, beside p50 %d p99 %d, frame %d, bulk %.0f MB/s", mtu,
			percentile(alone, .5), percentile(alone, .99), percentile(beside, .5),
			percentile(beside, .99), int64(mtu+14)*1e9/tenGigabit,
			float64(x.inPlace(b)-before)*1e3/float64(r.now-start))
	}
}
