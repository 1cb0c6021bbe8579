package baton

import (
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// reach brings a desk whose owner 1 has the core to a stage of a grant to 2, with 1 in that state.
func reach(t *testing.T, s stage, holder State) *desk {
	t.Helper()
	d := newDesk(t)
	if s == settled {
		return d
	}
	d.grant(2)
	d.state[1] = holder
	for _, after := range []core.Time{0, yieldTest, 2 * yieldTest, stuckTest} {
		if d.stage == s {
			return d
		}
		d.after(after)
		d.Check(d.now, d, true)
	}
	if d.stage != s {
		t.Fatalf("stage %d, want %d", d.stage, s)
	}
	return d
}

var (
	unsettled = []stage{granted, asked, pressed, forced, stuck}
	holders   = []State{Absent, Running, Waiting, Parked}
)

// At each stage, whatever the holder says, an owner that takes the core up ends all measures.
func TestEachStageEndsWhenTheOwnerTakesUp(t *testing.T) {
	for _, s := range append([]stage{settled}, unsettled...) {
		for _, h := range holders {
			d := reach(t, s, h)
			if (d.stage == stuck) != d.Stuck() || (d.stage == settled) != d.Settled() {
				t.Errorf("stage %d: stuck %v, settled %v", d.stage, d.Stuck(), d.Settled())
			}
			d.takesUp(d.Word().Owner())
			d.check(0)
			if owner := d.Word().Owner(); !d.Settled() || d.Holder() != owner {
				t.Errorf("stage %d, holder %d: settled %v, held by %d, want %d", s, h, d.Settled(),
					d.Holder(), owner)
			}
			d.after(2 * stuckTest)
			d.check(0)
		}
	}
}

// At each stage another grant begins anew, and its own deadlines count from then.
func TestEachStageEndsWithAnotherGrant(t *testing.T) {
	for _, s := range unsettled {
		for _, h := range holders {
			d := reach(t, s, h)
			d.grant(3)
			if d.stage != granted || d.Settled() || d.Stuck() {
				t.Errorf("stage %d, holder %d: then stage %d", s, h, d.stage)
			}
			if m := d.Check(d.now, d, true); m&(DemoteTarget|SignalOwner|ReportStuck) != 0 {
				t.Errorf("stage %d, holder %d: measures %06b at once", s, h, m)
			}
			d.after(yieldTest - 1)
			d.check(0)
			d.takesUp(3)
			d.check(0)
			if d.Holder() != 3 {
				t.Errorf("stage %d, holder %d: held by %d", s, h, d.Holder())
			}
		}
	}
}

// At each stage the holder, the owner, or both may die: nobody who has gone is a target any more,
// and the next grant is taken up.
func TestEachStageOutlivesTheDead(t *testing.T) {
	for _, s := range unsettled {
		for _, h := range holders {
			for _, dead := range [][]Owner{{1}, {2}, {1, 2}, {2, 1}} {
				d := reach(t, s, h)
				for _, o := range dead {
					delete(d.state, o)
					delete(d.ack, o)
					if d.Word().Owner() == o {
						d.grant(Nobody)
					}
					d.Gone(o)
				}
				for _, after := range []core.Time{0, yieldTest, 2 * yieldTest, stuckTest} {
					d.after(after)
					m := d.Check(d.now, d, true)
					if m&(DemoteTarget|ReportStuck) != 0 && slices.Contains(dead, d.Target()) &&
						d.Target() != d.Word().Owner() {
						t.Errorf("stage %d, holder %d, dead %v: measures %06b about %d", s, h, dead,
							m, d.Target())
					}
				}
				d.grant(3)
				d.Check(d.now, d, true)
				d.takesUp(3)
				d.check(0)
				if !d.Settled() || d.Holder() != 3 {
					t.Errorf("stage %d, holder %d, dead %v: settled %v, held by %d", s, h, dead,
						d.Settled(), d.Holder())
				}
			}
		}
	}
}

// Who looks so seldom that several deadlines have passed takes one step at a time, none twice, and
// ends with one report.
func TestStagesAreNotSkipped(t *testing.T) {
	for _, h := range holders {
		d := reach(t, granted, h)
		d.after(10 * stuckTest)
		var seen []stage
		reports := 0
		for range 10 {
			if d.Check(d.now, d, true)&ReportStuck != 0 {
				reports++
			}
			if len(seen) == 0 || seen[len(seen)-1] != d.stage {
				seen = append(seen, d.stage)
			}
		}
		if want := unsettled[1:]; !slices.Equal(seen, want) || reports != 1 {
			t.Errorf("holder %d: stages %v, want %v; %d reports", h, seen, want, reports)
		}
	}
}

// The lie of several holders in a row: each is demoted once, the last one named first.
func TestSuspectsAreDemotedOneByOne(t *testing.T) {
	d := newDesk(t)
	d.grant(2)
	d.check(0)
	d.grant(3)
	d.state[1] = Waiting // all say that they wait, and one of them keeps the core
	d.check(WakeOwner)
	d.after(yieldTest)
	d.check(WakeOwner | SignalOwner)
	d.after(2 * yieldTest)
	d.check(DemoteTarget | SignalOwner)
	d.targets(2)
	for _, want := range []Owner{1, Nobody} {
		d.grant(3)
		d.check(WakeOwner)
		d.after(yieldTest)
		d.check(WakeOwner | SignalOwner)
		d.after(2 * yieldTest)
		if want == Nobody {
			d.check(SignalOwner)
		} else {
			d.check(DemoteTarget | SignalOwner)
		}
		d.targets(want)
	}
}
