package swarm

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/bench/sim"
	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/core"
	"pgregory.net/rapid"
)

// TestEntryIsALineOfTheCache: there are tens of thousands of entries, and each is looked at again.
func TestEntryIsALineOfTheCache(t *testing.T) {
	if n := reflect.TypeFor[entry]().Size(); n != 64 {
		t.Errorf("an entry has %d bytes", n)
	}
}

func TestDueComesInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(0, 20), 1, 100).Draw(t, "times")
		var d due
		want := make([]dueItem, len(times))
		for i, at := range times {
			want[i] = dueItem{at: core.Time(at), order: uint32(i)}
			d.add(want[i])
		}
		slices.SortStableFunc(want, func(a, b dueItem) int { return int(a.at - b.at) })
		for _, w := range want {
			if d.first() != w.at {
				t.Fatalf("first is due at %d, want %d", d.first(), w.at)
			}
			if got := d.pop(); got != w {
				t.Fatalf("got %+v, want %+v", got, w)
			}
		}
		if d.first() != core.Never {
			t.Fatal("something is left")
		}
	})
}

func TestRingKeepsOrderAndLosesTheNewest(t *testing.T) {
	r := ring{slots: make([]waiting, 3)}
	for round := range byte(5) {
		for i := range byte(5) {
			r.push([]byte{round, i})
		}
		for i := range byte(3) {
			if got := r.pop(); !bytes.Equal(got, []byte{round, i}) {
				t.Fatalf("round %d: got %v, want %d", round, got, i)
			}
		}
	}
	if r.count != 0 || r.full != 10 {
		t.Errorf("%d left, %d lost", r.count, r.full)
	}
}

// TestClocks checks that a host wakes at the first moment at which its own clock shows a time.
func TestClocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &host{plan: &Plan{
			DriftPPM: rapid.Int64Range(-200_000, 200_000).Draw(t, "drift"),
			ClockAt:  core.Time(rapid.Int64Range(0, 1e15).Draw(t, "start")),
		}}
		at := core.Time(rapid.Int64Range(1, 1e13).Draw(t, "at"))
		local := h.local(at)
		when := h.when(local)
		if h.local(when) < local || h.local(when-1) >= local || when > at {
			t.Fatalf("at %d the clock shows %d, which it first does at %d", at, local, when)
		}
		if h.local(at+1) < local {
			t.Fatal("the clock goes back")
		}
	})
	if h := (&host{plan: &Plan{}}); h.when(core.Never) != core.Never {
		t.Error("never comes")
	}
}

func TestAddresses(t *testing.T) {
	w := &world{loop: sim.NewLoop()}
	for i := range MaxHosts {
		h := &host{w: w, index: i, plan: &Plan{}}
		mac := macOf(i)
		frame := append(mac[:], make([]byte, 60)...)
		if hostOf(frame) != i || !h.ours(frame) {
			t.Errorf("a frame for host %d is for %d", i, hostOf(frame))
		}
		for bit := range 48 {
			frame[bit/8] ^= 1 << (bit % 8)
			if h.ours(frame) {
				t.Errorf("host %d takes a frame with bit %d of its address flipped", i, bit)
			}
			frame[bit/8] ^= 1 << (bit % 8)
		}
	}
	if hostOf(nil) != -1 {
		t.Error("nothing is for somebody")
	}
}

// TestRegionsKnowWhatMayBeThere breaks memory in each way that the audit must see.
func TestRegionsKnowWhatMayBeThere(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(r *region, p *payload)
		good  bool
	}{
		"as written":                     {func(*region, *payload) {}, true},
		"a byte of nobody":               {func(r *region, _ *payload) { r.memory[90] ^= 1 }, false},
		"a byte of a write that is done": {func(r *region, _ *payload) { r.memory[12] ^= 1 }, false},
		"part of a write under way": {func(r *region, p *payload) {
			copy(r.memory[40:50], p.sent(2, 32)[8:])
		}, true},
		"a write under way, below one that is done and came later": {func(r *region, p *payload) {
			copy(r.memory[8:20], p.sent(0, 32)[8:])
		}, false},
	} {
		w := &world{loop: sim.NewLoop(), s: &Scenario{}}
		p := newPayload(100)
		w.bytes = &p
		w.regions.w = w
		n := newTestNetwork(t, w)
		w.net = n
		for _, at := range []uint64{0, 8, 32} { // entries 0 and 2 under way, 1 done
			w.ledger.add(entry{kind: kindWrite, at: at, size: 32}, 0)
		}
		r := region{size: 100, memory: make([]byte, 100), shadow: make([]byte, 100)}
		copy(r.memory[8:], p.sent(1, 32))
		copy(r.shadow, r.memory)
		r.maybe, r.done = []uint32{0, 2}, []uint32{1}
		tt.spoil(&r, &p)
		w.regions.all = []region{r}
		w.regions.audit(0)
		if (w.fail == nil) != tt.good {
			t.Errorf("%s: %v", name, w.fail)
		}
	}
}

func newTestNetwork(t *testing.T, w *world) *fabric.Network {
	t.Helper()
	n, err := fabric.Play(w.loop, fabric.Script{Hosts: 2})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
