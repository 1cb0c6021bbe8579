package fault

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// TestDelayKeepsOrder offers packets faster than they jitter: none may overtake another.
func TestDelayKeepsOrder(t *testing.T) {
	c := Config{Delay: everything().Delay, Clog: everything().Clog}
	c.Delay.Jitter = 100 * gap
	last := core.Time(0)
	for i, v := range run(newModel(t, c, 1), 20_000) {
		if at := v.Deliveries()[0].At; at < last {
			t.Fatalf("packet %d at %d overtakes one at %d", i, at, last)
		} else {
			last = at
		}
	}
}

// TestReorderOvertakes shows that exactly the packets that were struck are overtaken, and none of
// them holds up the others.
func TestReorderOvertakes(t *testing.T) {
	c := Config{Reorder: Reorder{0.3, 5 * gap}}
	overtaken := 0
	verdicts := run(newModel(t, c, 1), 20_000)
	for i := range verdicts {
		late := verdicts[i].Deliveries()[0].At - core.Time(i)*gap
		struck := verdicts[i].Faults.Has(KindReorder)
		if struck != (late > 0) || late > c.Reorder.Delay {
			t.Fatalf("packet %d, struck %v, is %d late", i, struck, late)
		}
		if late > gap {
			overtaken++
		}
	}
	if overtaken < 4000 {
		t.Fatalf("%d packets overtaken", overtaken)
	}
}

func TestClogHoldsAndReleasesInOrder(t *testing.T) {
	m := newModel(t, Config{Delay: Delay{Fixed: 3}}, 1)
	at := func(now core.Time) core.Time {
		v := m.Judge(now, 100)
		return v.Deliveries()[0].At
	}
	if got := at(10); got != 13 {
		t.Fatalf("before the clog at %d", got)
	}
	m.Clog(1000)
	for _, now := range []core.Time{20, 500, 996} {
		if got := at(now); got != 1000 {
			t.Fatalf("offered at %d, delivered at %d", now, got)
		}
	}
	if got := at(998); got != 1001 {
		t.Fatalf("would arrive after the clog anyway, but at %d", got)
	}
	if got := m.Counts().Faults[KindClog]; got != 3 {
		t.Fatalf("%d packets clogged", got)
	}
	m.Clog(5000)
	if got := at(2000); got != 5000 {
		t.Fatalf("second clog, delivered at %d", got)
	}
	m.Clog(3000) // unclogged early: what comes now may not overtake what was promised for 5000
	if got := at(2001); got != 5000 {
		t.Fatalf("overtakes at %d", got)
	}
	defer func() {
		if recover() == nil {
			t.Fatal("a clog without end")
		}
	}()
	m.Clog(core.Never)
}

func TestCutAndHeal(t *testing.T) {
	m := newModel(t, Config{Replay: Replay{1, 10, 0}, Duplicate: Duplicate{1, 1, 0}}, 1)
	lost := func(now core.Time) bool {
		v := m.Judge(now, 100)
		if v.Lost() && len(v.Deliveries()) != 0 {
			t.Fatalf("something passes a cut: %+v", v)
		}
		return v.Lost()
	}
	if lost(0) {
		t.Fatal("lost before the cut")
	}
	m.Cut(100)
	if !lost(1) || !lost(99) || lost(100) {
		t.Fatal("a cut until 100")
	}
	m.Cut(core.Never)
	if !lost(1_000_000 * core.Second) {
		t.Fatal("a cut for good heals")
	}
	m.Cut(0)
	if lost(1_000_001 * core.Second) {
		t.Fatal("does not heal")
	}
	if got := m.Counts().Faults[KindCut]; got != 3 {
		t.Fatalf("%d packets cut", got)
	}
}

// TestCutForGoodByConfig cuts from the first packet on, and heals by command after SetConfig.
func TestCutForGoodByConfig(t *testing.T) {
	m := newModel(t, Config{Cut: Outage{1, core.Never, core.Never}}, 1)
	run(m, 1000)
	if got := m.Counts(); got.Delivered != 0 || got.Faults[KindCut] != 1000 {
		t.Fatalf("%+v", got)
	}
	if err := m.SetConfig(Config{}); err != nil {
		t.Fatal(err)
	}
	m.Cut(0)
	if v := m.Judge(core.Second, 100); v.Lost() {
		t.Fatal("does not heal")
	}
}

// TestOutagesLast measures random outages: everything between the first loss and the end is lost.
func TestOutagesLast(t *testing.T) {
	c := Config{Cut: Outage{0.001, 20 * gap, 30 * gap}}
	verdicts := run(newModel(t, c, 1), 50_000)
	outages := 0
	for i := 0; i < len(verdicts)-100; i++ {
		if !verdicts[i].Lost() {
			continue
		}
		n := 0
		for ; verdicts[i].Lost(); i++ {
			n++
		}
		if n < 20 { // longer than 30 where two outages overlap
			t.Fatalf("an outage of %d packets", n)
		}
		outages++
	}
	if outages < 30 {
		t.Fatalf("%d outages", outages)
	}
}

// TestHealedBurst shows that the bad state does not outlive the configuration that it came from.
func TestHealedBurst(t *testing.T) {
	m := newModel(t, Config{Burst: Burst{1, 0.001, 1}}, 1)
	if v := m.Judge(0, 100); !v.Lost() {
		t.Fatal("no burst")
	}
	if err := m.SetConfig(Config{}); err != nil {
		t.Fatal(err)
	}
	if v := m.Judge(1, 100); v.Lost() {
		t.Fatal("the burst goes on")
	}
	if err := m.SetConfig(Config{Burst: Burst{1e-9, 0.001, 1}}); err != nil {
		t.Fatal(err)
	}
	if v := m.Judge(2, 100); v.Lost() {
		t.Fatal("the burst comes back")
	}
}

func TestReplayWaitsForHistory(t *testing.T) {
	m := newModel(t, Config{Replay: Replay{1, 1000, 0}}, 1)
	for i := range 100 {
		v := m.Judge(core.Time(i), 100)
		d := v.Deliveries()
		if i == 0 {
			if len(d) != 1 {
				t.Fatalf("a replay before any packet: %+v", d)
			}
			continue
		}
		if len(d) != 2 || d[1].Back < 1 || d[1].Back > i {
			t.Fatalf("packet %d: %+v", i, d)
		}
	}
}

func TestTruncateSparesShortPackets(t *testing.T) {
	m := newModel(t, Config{Truncate: Truncate{1, 14}, Corrupt: 1}, 1)
	for _, length := range []int{0, 1, 14} {
		v := m.Judge(0, length)
		if d := v.Deliveries()[0]; d.Keep != KeepAll || v.Faults.Has(KindTruncate) {
			t.Errorf("%d bytes: %+v", length, d)
		}
		if d := v.Deliveries()[0]; (d.Bit == NoBit) != (length == 0) {
			t.Errorf("%d bytes: bit %d", length, d.Bit)
		}
	}
	v := m.Judge(0, 15)
	if d := v.Deliveries()[0]; d.Keep != 14 {
		t.Errorf("15 bytes: %+v", d)
	}
}
