package policy

import (
	"math"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"pgregory.net/rapid"
)

// drawn is a snapshot of some size as an iokernel could take it. Reservations fit the machine.
func drawn(t *rapid.T) *Snapshot {
	cores := rapid.IntRange(1, 80).Draw(t, "cores")
	runtimes := rapid.IntRange(1, 12).Draw(t, "runtimes")
	s := newSnapshot(cores, make([]Runtime, runtimes)...)
	left := cores
	for r := range s.Runtimes {
		s.Runtimes[r] = drawnRuntime(t, cores, left)
		left -= s.Runtimes[r].Reserved
		s.Runtimes[r].ID = uint64(r) + 1
	}
	failures := rapid.IntRange(0, 3).Draw(t, "failures") == 0
	for c := range s.Cores {
		s.Cores[c] = drawnCore(t, cores, runtimes)
		if failures && rapid.IntRange(0, 9).Draw(t, "failed") == 0 {
			s.Cores[c].Failed = int16(rapid.IntRange(0, runtimes-1).Draw(t, "who"))
			s.Cores[c].FailedAt = testNow
		}
	}
	s.Wakes = rapid.IntRange(0, 2).Draw(t, "wakes")
	s.Memory = Memory{
		Reading{rapid.Bool().Draw(t, "sensor"), uint64(rapid.IntRange(0, 200).Draw(t, "traffic"))},
		100, testNow,
	}
	return s
}

func drawnRuntime(t *rapid.T, cores, left int) Runtime {
	most := rapid.IntRange(0, cores).Draw(t, "most")
	r := Runtime{
		Class: rapid.SampledFrom([]Class{Absent, LatencyCritical, LatencyCritical, BestEffort}).
			Draw(t, "class"),
		Reserved:  rapid.IntRange(0, min(most, left)).Draw(t, "reserved"),
		Most:      most,
		Able:      rapid.IntRange(0, cores).Draw(t, "able"),
		Quantum:   rapid.SampledFrom([]core.Time{0, core.Millisecond}).Draw(t, "quantum"),
		Waiting:   max(0, rapid.IntRange(-20, 20).Draw(t, "waiting")),
		NextTimer: core.Never, Only: None,
	}
	delay := core.Time(rapid.IntRange(1, 40_000).Draw(t, "delay"))
	if r.Waiting > 0 {
		r.FrameDelay = delay
	} else if rapid.Bool().Draw(t, "task") {
		r.TaskDelay = delay
	}
	if rapid.Bool().Draw(t, "timer") {
		r.NextTimer = testNow + core.Time(rapid.IntRange(-10_000, 100_000).Draw(t, "due"))
		if r.Waiting == 0 && r.TaskDelay == 0 {
			r.Only = int16(rapid.IntRange(-1, cores-1).Draw(t, "only"))
		}
	}
	if rapid.Bool().Draw(t, "budget") {
		r.RequestBudget = 20 * core.Microsecond
	}
	return r
}

func drawnCore(t *rapid.T, cores, runtimes int) Core {
	k := Core{
		State:   State(rapid.IntRange(0, int(Offline)).Draw(t, "state")),
		Owner:   int16(rapid.IntRange(-1, runtimes-1).Draw(t, "owner")),
		Last:    int16(rapid.IntRange(-1, runtimes-1).Draw(t, "last")),
		Sibling: int16(rapid.IntRange(-1, cores-1).Draw(t, "sibling")),
		OwnedAt: testNow - core.Time(rapid.IntRange(0, 2_000_000).Draw(t, "owned")),
		LastAt:  testNow - core.Time(rapid.IntRange(0, 200_000).Draw(t, "lost")),
		IdleAt:  testNow - core.Time(rapid.IntRange(0, 2_000_000).Draw(t, "idle")),
		Failed:  None,
	}
	if k.State >= Parked {
		k.Owner = None
	}
	if k.State == Running {
		k.RequestAge = core.Time(rapid.IntRange(0, 40_000).Draw(t, "age"))
	}
	return k
}

// TestPromises holds both policies to the promises on machines of every shape, Caladan with
// whatever it remembers of others.
func TestPromises(t *testing.T) {
	simple, out := NewSimple(0), make([]Action, 0, MaxCores)
	rapid.Check(t, func(t *rapid.T) {
		s := drawn(t)
		if err := promises(testNow, s, simple.Decide(testNow, s, out), DefaultThreshold); err != nil {
			t.Fatalf("simple: %v", err)
		}
		p := NewCaladan(Config{})
		p.throttled, p.readAt = true, testNow
		for r := range s.Runtimes {
			p.cap[r] = rapid.IntRange(0, MaxCores).Draw(t, "cap")
			p.record[r] = record{
				id:      s.Runtimes[r].ID,
				service: core.Time(rapid.IntRange(0, 100_000).Draw(t, "service")),
				hold:    core.Time(rapid.IntRange(0, 10_000_000).Draw(t, "hold")),
				low:     [2]int{rapid.IntRange(0, 8).Draw(t, "low"), rapid.IntRange(0, 8).Draw(t, "low")},
				lowAt:   testNow,
			}
		}
		if err := promises(testNow, s, p.Decide(testNow, s, out), DefaultThreshold); err != nil {
			t.Fatalf("caladan: %v", err)
		}
	})
}

// TestStatic holds the fixed division to what it promises, and shows that it comes to rest.
func TestStatic(t *testing.T) {
	static, out := NewStatic(), make([]Action, 0, MaxCores)
	rapid.Check(t, func(t *rapid.T) {
		s := drawn(t)
		s.Wakes = len(s.Cores)
		for c := range s.Cores {
			s.Cores[c].Failed = None
			if s.Cores[c].State == Yielding {
				s.Cores[c].State = Running
			}
		}
		total, parts := 0, 0
		for c := range s.Cores {
			if s.Cores[c].State != Offline {
				total++
			}
		}
		for range 2 {
			actions := static.Decide(testNow, s, out)
			if _, err := settle(testNow, s, actions); err != nil {
				t.Fatal(err)
			}
			carryOut(s, actions)
		}
		if again := static.Decide(testNow, s, out); len(again) != 0 {
			t.Fatalf("does not come to rest: %v", again)
		}
		for r := range s.Runtimes {
			parts += static.part[r]
			if in := &s.Runtimes[r]; total >= len(s.Cores) && in.present() &&
				static.part[r] < in.Reserved {
				t.Fatalf("runtime %d has part %d, reserved %d", r, static.part[r], in.Reserved)
			}
		}
		if parts > total {
			t.Fatalf("%d parts of %d cores", parts, total)
		}
	})
}

// carryOut makes a snapshot what the actions ask for, at once.
func carryOut(s *Snapshot, actions []Action) {
	for _, a := range actions {
		k := &s.Cores[a.Core]
		k.Last, k.LastAt = k.Owner, testNow
		k.Owner, k.OwnedAt = a.Runtime, testNow
		k.State = [...]State{Grant: Running, Keep: Idle, Park: Parked}[a.Kind]
	}
}

// hostile turns bytes into numbers that nobody would expect.
type hostile struct{ bytes []byte }

func (h *hostile) byte() byte {
	if len(h.bytes) == 0 {
		return 0
	}
	b := h.bytes[0]
	h.bytes = h.bytes[1:]
	return b
}

// number is small, near a limit, or any.
func (h *hostile) number() int64 {
	b := h.byte()
	switch b % 8 {
	case 0:
		return math.MaxInt64 - int64(b/8)
	case 1:
		return math.MinInt64 + int64(b/8)
	case 2:
		return -int64(b / 8)
	case 3:
		return int64(testNow) + int64(b/8)
	case 4:
		return int64(b) << (h.byte() % 63)
	}
	return int64(b / 8)
}

func (h *hostile) time() core.Time { return core.Time(h.number()) }

func (h *hostile) snapshot() *Snapshot {
	s := &Snapshot{
		Cores:    make([]Core, int(h.byte()%16)+h.extra(MaxCores)),
		Runtimes: make([]Runtime, int(h.byte()%8)+h.extra(MaxRuntimes)),
		Interval: h.time(), HandOver: h.time(), Wakes: int(h.number()),
		Memory: Memory{Reading{h.byte()&1 == 0, uint64(h.number())}, uint64(h.number()), h.time()},
	}
	for i := range s.Runtimes {
		s.Runtimes[i] = Runtime{
			Class: Class(h.byte() % 4), ID: uint64(h.byte()), Reserved: int(h.number()),
			Most: int(h.number()), Recall: h.time(), Quantum: h.time(), Able: int(h.number()),
			Waiting: int(h.number()), FrameDelay: h.time(), TaskDelay: h.time(),
			NextTimer: h.time(), Only: int16(h.number()), Served: uint64(h.number()), Busy: h.time(),
			RequestBudget: h.time(), Misses: Reading{h.byte()&1 == 0, uint64(h.number())},
		}
	}
	for i := range s.Cores {
		s.Cores[i] = Core{
			State: State(h.byte() % 7), Owner: int16(h.number()), Last: int16(h.number()),
			Sibling: int16(h.number()), OwnedAt: h.time(), IdleAt: h.time(), LastAt: h.time(),
			RequestAge: h.time(), Failed: int16(h.number()), FailedAt: h.time(),
		}
	}
	return s
}

// extra is n now and then: sizes around the limits.
func (h *hostile) extra(n int) int {
	if h.byte()%16 == 15 {
		return n
	}
	return 0
}

// FuzzDecide gives every policy a few snapshots full of nonsense in turn, and checks what may not
// depend on what a runtime writes: cores, owners, limits, wakes.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{3, 0, 2, 0, 5, 5, 8, 0, 0, 0})
	f.Add([]byte("every core has at most one owner, whatever anybody says about it"))
	f.Fuzz(func(t *testing.T, data []byte) {
		policies := [...]decider{NewSimple(0), NewStatic(), NewCaladan(Config{})}
		h := hostile{data}
		for range 3 {
			s, now := h.snapshot(), h.time()
			for _, p := range policies {
				if p == policies[0] && len(s.Cores)*len(s.Runtimes) > MaxCores {
					continue // its time grows with the product, for each grant
				}
				if _, err := settle(now, s, p.Decide(now, s, nil)); err != nil {
					t.Fatalf("%T: %v", p, err)
				}
			}
		}
	})
}
