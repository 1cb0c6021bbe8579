package dataplane_test

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
)

// scriptedLink is a Link that a test holds in its hands: what waits, how much it takes, and a
// record of what was called.
type scriptedLink struct {
	cache   *dataplane.Cache
	input   []dataplane.Frame
	rooms   []int // room offered in each Recv
	taken   []int // frames given in each Recv
	accept  int   // frames that Send takes before it is full
	full    bool  // accept counts
	out     []dataplane.Frame
	flushes int
	unsent  bool // Pending although nothing waits
}

func (l *scriptedLink) Recv(dst []dataplane.Frame) (n int) {
	l.rooms = append(l.rooms, len(dst))
	for n < len(l.input) {
		k := dataplane.Segments(l.input[n:])
		if n+k > len(dst) {
			break
		}
		n += copy(dst[n:], l.input[n:n+k])
	}
	l.input = append(l.input[:0], l.input[n:]...)
	l.taken = append(l.taken, n)
	return n
}

func (l *scriptedLink) Send(src []dataplane.Frame) int {
	n := len(src)
	if l.full {
		n = min(n, l.accept)
		l.accept -= n
	}
	for n > 0 && src[n-1].More() {
		n--
	}
	l.out = append(l.out, src[:n]...)
	return n
}

func (l *scriptedLink) Flush()        { l.flushes++ }
func (l *scriptedLink) Pending() bool { return len(l.input) > 0 || l.unsent }

// wait puts a packet into the input, in frames of at most segment bytes.
func (l *scriptedLink) wait(t failer, b []byte, segment int) {
	t.Helper()
	for len(b) > 0 {
		index, ok := l.cache.Alloc()
		if !ok {
			t.Fatal("no frames for the input")
		}
		n := copy(l.cache.Pool().Chunk(index), b[:min(segment, len(b))])
		b = b[n:]
		f := dataplane.Frame{Index: index, Len: uint16(n)}
		if len(b) > 0 {
			f.Len |= dataplane.FrameMore
		}
		l.input = append(l.input, f)
	}
}

// drain frees what the worker sent.
func (l *scriptedLink) drain() {
	l.cache.FreeAll(l.out)
	l.out = l.out[:0]
}

func newScripted(t failer, c dataplane.WorkerConfig) (*scriptedLink, *dataplane.Worker) {
	t.Helper()
	l := &scriptedLink{cache: newCache(t, 1024)}
	w, err := dataplane.NewWorker(l, l.cache, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.HandleRaw(0x88B5, turnAround); err != nil {
		t.Fatal(err)
	}
	return l, w
}

// TestBurst holds the rule of the batch size: it doubles while more waits than was asked for, falls
// to what was there otherwise, and never waits.
func TestBurst(t *testing.T) {
	packet := raw(t, clientMAC, serverMAC, []byte("x"))
	for _, c := range []struct {
		name     string
		limit    int
		arrivals []int // packets that come before each turn
		bursts   []int // frames that the turn takes
	}{
		{"one by one", 0, []int{1, 0, 1, 0, 1}, []int{1, 0, 1, 0, 1}},
		{"one each turn", 0, []int{1, 1, 1, 1}, []int{1, 1, 1, 1}},
		{"a hundred at once", 0, []int{100, 0, 0, 0, 0, 0, 0, 0}, []int{1, 2, 4, 8, 16, 32, 37, 0}},
		{"overload", 0, []int{300, 0, 0, 0, 0, 0, 0, 64, 64}, []int{1, 2, 4, 8, 16, 32, 64, 64, 64}},
		{"after a pause", 0, []int{30, 0, 0, 0, 0, 0, 30}, []int{1, 2, 4, 8, 15, 0, 1}},
		{"falls to what was there", 0, []int{15, 0, 0, 0, 3, 9, 0}, []int{1, 2, 4, 8, 3, 3, 6}},
		{"limit of 1", 1, []int{5, 0, 0}, []int{1, 1, 1}},
		{"limit of 10", 10, []int{50, 0, 0, 0, 0, 0}, []int{1, 2, 4, 8, 10, 10}},
	} {
		l, w := newScripted(t, dataplane.WorkerConfig{Batch: c.limit})
		for turn, n := range c.arrivals {
			for range n {
				l.wait(t, packet, 60)
			}
			waits := len(l.input)
			work := w.Poll(core.Time(turn))
			if work != c.bursts[turn] || waits-len(l.input) != work {
				t.Errorf("%s, turn %d: took %d of %d, want %d", c.name, turn, work, waits,
					c.bursts[turn])
			}
			if len(l.out) != work || (l.flushes == 1) != (work > 0) {
				t.Errorf("%s, turn %d: sent %d in %d flushes", c.name, turn, len(l.out), l.flushes)
			}
			l.flushes = 0
			l.drain()
		}
	}
}

// A packet of more frames than the batch is taken whole, at any limit.
func TestBurstOfJumboPackets(t *testing.T) {
	for _, limit := range []int{1, 2, 17, 64} {
		for _, segments := range []int{2, 3, dataplane.MaxSegments} {
			l, w := newScripted(t, dataplane.WorkerConfig{Batch: limit})
			packet := raw(t, clientMAC, serverMAC, pattern(100*segments-wire14))
			for range 10 {
				l.wait(t, packet, 100)
			}
			for turn := range 30 {
				w.Poll(core.Time(turn))
			}
			if c := w.Counters(); c.Replies != 10 || c.Frames != uint64(10*segments) {
				t.Errorf("limit %d, %d segments: %+v", limit, segments, c)
			}
			for i, n := range l.taken {
				if n > max(limit, dataplane.MaxSegments) {
					t.Errorf("limit %d, %d segments: Recv %d took %d", limit, segments, i, n)
				}
			}
		}
	}
}

const wire14 = 14 // bytes of an Ethernet header

// What the link does not take waits, nothing more is received meanwhile, and nothing is lost.
func TestBackPressure(t *testing.T) {
	l, w := newScripted(t, dataplane.WorkerConfig{})
	packet := raw(t, clientMAC, serverMAC, []byte("x"))
	for range 10 {
		l.wait(t, packet, 60)
	}
	for range 3 { // 1, 2, 4 of them
		w.Poll(1)
	}
	l.full, l.accept = true, 1 // and 1 of the last 3
	w.Poll(2)
	if w.Held() != 2 || len(l.out) != 8 || w.Next(2) != 2 {
		t.Fatalf("holds %d, sent %d, next %d", w.Held(), len(l.out), w.Next(2))
	}
	l.wait(t, packet, 60)
	received, flushes := len(l.rooms), l.flushes
	if work := w.Poll(3); work != 0 || w.Held() != 2 || len(l.rooms) != received {
		t.Errorf("a blocked turn worked %d, holds %d, received %v", work, w.Held(), l.rooms)
	}
	if l.flushes != flushes+1 {
		t.Error("a blocked turn does not flush, so the link would stay full")
	}
	l.accept = 1
	if work := w.Poll(4); work != 1 || w.Held() != 1 || len(l.rooms) != received {
		t.Errorf("a turn that sent one of two worked %d, holds %d", work, w.Held())
	}
	l.full = false
	if work := w.Poll(5); work != 2 || w.Held() != 0 || len(l.out) != 11 {
		t.Errorf("the last turn worked %d, holds %d, sent %d", work, w.Held(), len(l.out))
	}
	if c := w.Counters(); c.Blocked != 2 || c.Replies != 11 {
		t.Errorf("%+v", c)
	}
}

// A turn that finds nothing flushes only what the link has not sent, and mutates nothing.
func TestIdleTurn(t *testing.T) {
	l, w := newScripted(t, dataplane.WorkerConfig{})
	before := w.Counters()
	if w.Poll(1) != 0 || l.flushes != 0 || w.Next(1) != core.Never || w.Counters() != before {
		t.Errorf("%d flushes, next %d, %+v", l.flushes, w.Next(1), w.Counters())
	}
	l.unsent = true
	if w.Next(2) != 2 {
		t.Error("unsent output does not want another turn")
	}
	if w.Poll(2); l.flushes != 1 {
		t.Errorf("%d flushes while output is unsent", l.flushes)
	}
}

// A worker that stops frees what it holds.
func TestRelease(t *testing.T) {
	l, w := newScripted(t, dataplane.WorkerConfig{})
	l.full = true
	l.wait(t, raw(t, clientMAC, serverMAC, []byte("x")), 60)
	w.Poll(1)
	if w.Held() != 1 {
		t.Fatalf("holds %d", w.Held())
	}
	w.Release()
	if free := l.cache.Count() + l.cache.Pool().Stored(); w.Held() != 0 || free != 1024 {
		t.Errorf("holds %d, %d free", w.Held(), free)
	}
}

func TestNewWorkerRefuses(t *testing.T) {
	s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
	for _, c := range []dataplane.WorkerConfig{
		{MTU: 47},
		{MTU: -1},
		{MTU: 1 << 20},
		{Batch: -1},
		{Batch: 65},
		{MAC: [6]byte{1}},
		{MAC: [6]byte{255, 255, 255, 255, 255, 255}},
	} {
		if _, err := dataplane.NewWorker(s.wire.A(), s.near, c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}
