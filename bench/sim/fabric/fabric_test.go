package fabric

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-io/dunlin/bench/sim"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
)

// inbox writes down what it receives, and spoils it afterwards, as it may.
type inbox struct {
	at     []core.Time
	from   []int
	frames [][]byte
}

func (i *inbox) Receive(now core.Time, from int, b []byte) {
	i.at = append(i.at, now)
	i.from = append(i.from, from)
	i.frames = append(i.frames, bytes.Clone(b))
	clear(b)
}

func pair(t *testing.T, seed uint64) (*sim.Loop, *Network, *inbox) {
	t.Helper()
	l := sim.NewLoop()
	n := New(l, 2, seed)
	to := &inbox{}
	n.Attach(0, to)
	n.Attach(1, to)
	return l, n, to
}

func numbered(i, length int) []byte {
	b := make([]byte, length)
	for j := range b {
		b[j] = byte(i + j)
	}
	return b
}

func TestPerfectNetwork(t *testing.T) {
	l, n, to := pair(t, 1)
	for i := range 20 {
		n.Send(l.Now(), 0, 1, numbered(i, 1+i*450))
	}
	l.Run(0)
	if len(to.frames) != 20 {
		t.Fatalf("%d frames", len(to.frames))
	}
	for i, b := range to.frames {
		if !bytes.Equal(b, numbered(i, 1+i*450)) || to.from[i] != 0 {
			t.Fatalf("frame %d of %d bytes from %d differs", i, len(b), to.from[i])
		}
	}
}

func TestRateAndQueue(t *testing.T) {
	l, n, to := pair(t, 1)
	// 1,000 bytes and the preamble at 8.192 Gb/s take 1 us.
	n.SetPorts(0, Port{Rate: 8_192_000_000, Queue: 2050}, Port{})
	n.SetPorts(1, Port{}, Port{Rate: 4_096_000_000, Queue: 10_000})
	for i := range 10 {
		n.Send(l.Now(), 0, 1, numbered(i, 1000))
	}
	l.Run(core.Second)
	want := []core.Time{3000, 5000, 7000} // one in hand and two waiting; the slower port is last
	if len(to.at) != 3 || to.at[0] != want[0] || to.at[1] != want[1] || to.at[2] != want[2] {
		t.Errorf("arrived at %v, want %v", to.at, want)
	}
	if c := n.Counters(); c.OutFull != 7 || c.Judged != 3 || c.Delivered != 3 || c.Flying != 0 {
		t.Errorf("%+v", c)
	}
	n.SetPorts(0, Port{}, Port{})
	for i := range 20 {
		n.Send(l.Now(), 0, 1, numbered(i, 1000))
	}
	l.Run(2 * core.Second)
	if c := n.Counters(); c.InFull == 0 || c.Delivered+c.InFull != 23 {
		t.Errorf("%+v", c)
	}
}

func TestBlackHole(t *testing.T) {
	l, n, to := pair(t, 1)
	n.SetMTU(0, 1, 1500)
	n.Send(l.Now(), 0, 1, numbered(0, 1500))
	n.Send(l.Now(), 0, 1, numbered(0, 1501))
	n.Send(l.Now(), 1, 0, numbered(0, 1501))
	l.Run(0)
	if c := n.Counters(); c.TooLong != 1 || len(to.frames) != 2 {
		t.Errorf("%+v, %d frames", c, len(to.frames))
	}
}

func TestCutOneWay(t *testing.T) {
	l, n, to := pair(t, 1)
	if err := n.Cut(0, 1, core.Never); err != nil {
		t.Fatal(err)
	}
	n.Send(l.Now(), 0, 1, numbered(0, 60))
	n.Send(l.Now(), 1, 0, numbered(1, 60))
	l.Run(0)
	if len(to.frames) != 1 || to.from[0] != 1 {
		t.Errorf("%d frames, from %v", len(to.frames), to.from)
	}
}

// TestSwarmOfFaults compares every delivery with what a model of the same seed says about the same
// frames, bytes included, and counts frames afterwards.
func TestSwarmOfFaults(t *testing.T) {
	var old *Network
	for seed := range uint64(100) {
		draw := rand.New(rand.NewPCG(seed, 1))
		c := fault.Swarm(draw)
		c.Replay.Depth = min(c.Replay.Depth, 300)
		l, n, to := pair(t, seed)
		if old != nil {
			n.Inherit(old)
		}
		old = n
		if err := n.SetFaults(0, 1, c); err != nil {
			t.Fatal(err)
		}
		twin, err := fault.New(c, rand.New(rand.NewPCG(seed, 2)))
		if err != nil {
			t.Fatal(err)
		}
		var want []fault.Delivery
		var sent [][]byte
		empty := uint64(0)
		for i := range 1000 {
			b := numbered(i, 60+draw.IntN(1500))
			sent = append(sent, b)
			n.Send(l.Now(), 0, 1, b)
			v := twin.Judge(l.Now(), len(b))
			for _, d := range v.Deliveries() {
				if d.Keep == 0 {
					empty++
					continue
				}
				d.Back = i - d.Back // from here on: which one
				want = append(want, d)
			}
			l.Run(l.Now() + 1000)
		}
		l.Run(core.Never / 2)
		compare(t, seed, to, want, sent)
		got := n.Counters()
		if got.Delivered != uint64(len(want)) || got.Empty != empty || got.Flying != 0 {
			t.Fatalf("seed %d: %+v, want %d delivered, %d empty", seed, got, len(want), empty)
		}
		n.forget(n.path(0, 1))
		if n.frames.used != 0 || n.flying.used != 0 {
			t.Fatalf("seed %d: %d frames and %d flights left", seed, n.frames.used, n.flying.used)
		}
	}
}

// TestInherit hands on a network with frames under way and remembered: its memory is used again and
// nothing of what was under way arrives.
func TestInherit(t *testing.T) {
	l, n, _ := pair(t, 1)
	c := fault.Config{Replay: fault.Replay{Probability: 0.5, Depth: 10}}
	if err := n.SetFaults(0, 1, c); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		n.Send(l.Now(), 0, 1, numbered(i, 60))
	}
	made := len(n.frames.all)
	l, next, to := pair(t, 1)
	next.Inherit(n)
	for i := range made {
		next.Send(l.Now(), 0, 1, numbered(i, 60))
	}
	if len(next.frames.all) != made || next.frames.used != made {
		t.Errorf("%d frames, %d of them used: want %d", len(next.frames.all), next.frames.used, made)
	}
	l.Run(core.Second)
	if len(to.frames) != made || next.frames.used != 0 || next.Counters().Flying != 0 {
		t.Errorf("%d frames arrived of %d, %d are used", len(to.frames), made, next.frames.used)
	}
}

// compare expects the deliveries in the order of their times.
func compare(t *testing.T, seed uint64, to *inbox, want []fault.Delivery, sent [][]byte) {
	t.Helper()
	if len(to.frames) != len(want) {
		t.Fatalf("seed %d: %d deliveries, want %d", seed, len(to.frames), len(want))
	}
	order := make([]int, len(want))
	for i := range order {
		order[i] = i
	}
	stable(order, func(a, b int) bool { return want[a].At < want[b].At })
	for i, w := range order {
		d := want[w]
		b := fault.Apply(d, bytes.Clone(sent[d.Back]))
		if to.at[i] != d.At || !bytes.Equal(b, to.frames[i]) {
			t.Fatalf("seed %d: delivery %d at %d, want frame %d at %d", seed, i, to.at[i], d.Back, d.At)
		}
	}
}

// stable is an insertion sort: the deliveries are nearly in order.
func stable(order []int, less func(a, b int) bool) {
	for i := range order {
		for j := i; j > 0 && less(order[j], order[j-1]); j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
}

func TestSameSeedSameHash(t *testing.T) {
	run := func(seed uint64, spoil bool) uint64 {
		l, n, _ := pair(t, seed)
		if err := n.SetFaults(0, 1, fault.Config{Loss: 0.1, Delay: fault.Delay{Jitter: 1000}}); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			b := numbered(i, 100)
			if spoil && i >= 50 {
				b[99]++
			}
			n.Send(l.Now(), 0, 1, b)
			l.Run(l.Now() + 100)
		}
		l.Run(core.Second)
		return l.Hash()
	}
	hash := run(1, false)
	if run(1, false) != hash {
		t.Error("one seed, two hashes")
	}
	if run(2, false) == hash || run(1, true) == hash {
		t.Error("two runs, one hash")
	}
}

func TestCarryAllocatesNothing(t *testing.T) {
	l, n, to := pair(t, 1)
	c := fault.Config{
		Delay:     fault.Delay{Fixed: 1000, Jitter: 1000},
		Duplicate: fault.Duplicate{Probability: 0.2, Copies: 2, Spread: 5000},
		Replay:    fault.Replay{Probability: 0.1, Depth: 64, Spread: 5000},
		Corrupt:   0.1,
	}
	if err := n.SetFaults(0, 1, c); err != nil {
		t.Fatal(err)
	}
	n.SetPorts(1, Port{}, Port{Rate: 10_000_000_000, Queue: 100_000})
	n.Attach(1, deaf{})
	b := numbered(0, 200)
	step := func() {
		n.Send(l.Now(), 0, 1, b)
		l.Run(l.Now() + 300)
	}
	for range 10_000 {
		step()
	}
	if got := testing.AllocsPerRun(1000, step); got != 0 {
		t.Errorf("%v allocations per frame", got)
	}
	_ = to
}

type deaf struct{}

func (deaf) Receive(core.Time, int, []byte) {}

func BenchmarkCarry(b *testing.B) {
	for name, c := range map[string]fault.Config{
		"perfect": {},
		"faults": {
			Delay: fault.Delay{Fixed: 5000, Jitter: 1000}, Loss: 0.01,
			Duplicate: fault.Duplicate{Probability: 0.01, Copies: 1, Spread: 5000},
			Reorder:   fault.Reorder{Probability: 0.05, Delay: 10_000},
		},
	} {
		b.Run(name, func(b *testing.B) {
			l := sim.NewLoop()
			n := New(l, 2, 1)
			n.Attach(1, deaf{})
			if err := n.SetFaults(0, 1, c); err != nil {
				b.Fatal(err)
			}
			frame := numbered(0, 200)
			for b.Loop() {
				n.Send(l.Now(), 0, 1, frame)
				l.Run(l.Now() + 100)
			}
		})
	}
}
