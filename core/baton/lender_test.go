package baton

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// desk is a lender over workers that do as they are told.
type desk struct {
	Lender
	t     *testing.T
	state map[Owner]State
	ack   map[Owner]Word
	now   core.Time
}

func (d *desk) State(o Owner) State { return d.state[o] }
func (d *desk) Ack(o Owner) Word    { return d.ack[o] }

const (
	yieldTest = 50 * core.Microsecond
	stuckTest = 10 * core.Millisecond
)

// newDesk lends a core that owner 1 has.
func newDesk(t *testing.T) *desk {
	d := &desk{
		t: t, now: core.Second, state: map[Owner]State{1: Waiting, 2: Waiting, 3: Waiting},
		ack: map[Owner]Word{}, Lender: NewLender(Deadlines{yieldTest, stuckTest}, 0),
	}
	d.grant(1)
	d.check(WakeOwner)
	d.takesUp(1)
	d.check(0)
	if !d.Settled() || d.Holder() != 1 {
		t.Fatalf("settled: %v, holder %d", d.Settled(), d.Holder())
	}
	return d
}

func (d *desk) grant(o Owner) { d.Granted(d.now, d.Word().Next(o)) }

// takesUp has a worker take the core up, if it is its.
func (d *desk) takesUp(o Owner) {
	d.state[o] = Running
	if d.Word().Owner() == o {
		d.ack[o] = d.Word()
	}
}

// check has the lender look and wants these measures.
func (d *desk) check(want Measure) {
	d.t.Helper()
	if got := d.Check(d.now, d, true); got != want {
		d.t.Errorf("%d ns after the grant of %v: measures %06b, want %06b", d.now-d.Since(),
			d.Word(), got, want)
	}
}

// after has time pass since the grant.
func (d *desk) after(t core.Time) { d.now = d.Since() + t }

// demoted wants the last measure to have been about o.
func (d *desk) targets(o Owner) {
	d.t.Helper()
	if d.Target() != o {
		d.t.Errorf("target %d, want %d", d.Target(), o)
	}
}

func TestHandOverNeedsNobody(t *testing.T) {
	d := newDesk(t)
	d.grant(2)
	d.check(0) // 1 runs, it will wake 2
	d.after(yieldTest - 1)
	d.check(0)
	d.state[1] = Waiting
	d.takesUp(2)
	d.check(0)
	if !d.Settled() || d.Holder() != 2 {
		t.Errorf("settled: %v, holder %d", d.Settled(), d.Holder())
	}
	d.after(stuckTest)
	d.check(0)
}

func TestParkedHolderWakesNobody(t *testing.T) {
	d := newDesk(t)
	d.state[1] = Parked
	d.grant(2)
	d.check(WakeOwner)
	d.check(0)
}

// A grant to whoever has the core already wakes it for input if it is parked, and only then.
func TestSameOwnerAgain(t *testing.T) {
	d := newDesk(t)
	d.grant(1)
	d.check(0)
	d.takesUp(1)
	d.check(0)
	d.state[1] = Parked
	d.grant(1)
	d.check(WakeOwner)
	d.takesUp(1)
	d.check(0)
	if !d.Settled() {
		t.Error("not settled")
	}
}

func TestCrossingWaitsForBudget(t *testing.T) {
	d := newDesk(t)
	d.state[1] = Parked
	d.grant(2)
	if got := d.Check(d.now, d, false); got != 0 {
		t.Errorf("measures %06b without budget", got)
	}
	d.check(WakeOwner)
	d.after(yieldTest)
	if got := d.Check(d.now, d, false); got != 0 {
		t.Errorf("measures %06b without budget", got)
	}
	d.check(WakeOwner | SignalOwner)
}

// A holder that does not yield loses its priority, and has it again with its next grant.
func TestHolderThatDoesNotYield(t *testing.T) {
	d := newDesk(t)
	d.grant(2)
	d.check(0)
	d.after(yieldTest)
	d.check(DemoteTarget | WakeOwner | SignalOwner)
	d.targets(1)
	d.check(0)
	d.takesUp(2) // 1 still says that it runs: it does not get to say anything else
	d.check(0)
	if d.Holder() != 2 {
		t.Errorf("holder %d, want 2", d.Holder())
	}
	d.grant(1)
	d.check(PromoteOwner) // 2 runs and will wake it
	d.takesUp(1)
	d.state[2] = Waiting
	d.check(0)
	d.grant(2)
	d.check(0)
}

// A holder that yields, and an owner whose wait was moved away: a signal finds it.
func TestOwnerWhoseWaitWasMoved(t *testing.T) {
	d := newDesk(t)
	d.grant(2)
	d.check(0)
	d.state[1] = Waiting
	d.after(yieldTest - 1)
	d.check(0)
	d.after(yieldTest)
	d.check(WakeOwner | SignalOwner)
	d.takesUp(2)
	d.check(0)
}

// A holder that says it waits, and does not let the owner have the core: after two deadlines its
// word counts for nothing.
func TestHolderThatLies(t *testing.T) {
	d := newDesk(t)
	d.grant(2)
	d.check(0)
	d.state[1] = Waiting
	d.after(yieldTest)
	d.check(WakeOwner | SignalOwner)
	d.after(2*yieldTest - 1)
	d.check(0)
	d.after(2 * yieldTest)
	d.check(DemoteTarget | SignalOwner)
	d.targets(1)
}

func TestStuck(t *testing.T) {
	for _, c := range []struct {
		name   string
		holder State
		want   Owner
	}{{"holder", Running, 1}, {"owner", Waiting, 2}, {"gone holder", Absent, 2}} {
		d := newDesk(t)
		d.grant(2)
		d.Check(d.now, d, true)
		d.state[1] = c.holder
		for _, t := range []core.Time{yieldTest, 2 * yieldTest} {
			d.after(t)
			d.Check(d.now, d, true)
		}
		d.after(stuckTest - 1)
		d.check(0)
		d.after(stuckTest)
		d.check(ReportStuck)
		if d.Target() != c.want {
			t.Errorf("%s: %d is to blame, want %d", c.name, d.Target(), c.want)
		}
		d.after(2 * stuckTest)
		d.check(0) // once
		d.grant(3) // the core goes to somebody else
		d.check(map[bool]Measure{true: 0, false: WakeOwner}[c.holder == Running])
		d.takesUp(3)
		d.check(0)
	}
}

// Taking a core back is settled when nobody runs on it; there is nobody to wake.
func TestTakenBack(t *testing.T) {
	d := newDesk(t)
	d.grant(Nobody)
	d.check(0)
	d.after(yieldTest)
	d.check(DemoteTarget)
	d.after(2 * yieldTest)
	d.check(0)
	d.after(stuckTest)
	d.check(ReportStuck)
	d.targets(1)
	d.state[1] = Waiting
	d.check(0)
	if !d.Settled() || d.Holder() != Nobody {
		t.Errorf("settled: %v, holder %d", d.Settled(), d.Holder())
	}
	d.grant(2)
	d.check(WakeOwner)
}

// Grants overtake each other: who took up one that was not noticed is the one who is in the way.
func TestHolderThatWasNotNoticed(t *testing.T) {
	d := newDesk(t)
	d.grant(2)
	d.check(0)
	d.state[1] = Waiting
	d.takesUp(2) // and the lender does not look
	d.grant(3)
	d.check(0)
	d.after(yieldTest)
	d.check(DemoteTarget | WakeOwner | SignalOwner)
	d.targets(2)
}

// However many grants overtake each other, who had the core for certain stays under suspicion.
func TestManyGrantsOvertakeEachOther(t *testing.T) {
	d := newDesk(t)
	for o := Owner(2); o < 50; o++ {
		d.grant(o)
	}
	d.check(0)
	d.after(yieldTest)
	d.check(DemoteTarget | WakeOwner | SignalOwner)
	d.targets(1)
}

func TestGoneOwnersAreForgotten(t *testing.T) {
	d := newDesk(t)
	d.grant(2)
	d.check(0)
	d.after(yieldTest)
	d.check(DemoteTarget | WakeOwner | SignalOwner)
	delete(d.state, 1)
	d.Gone(1)
	d.takesUp(2)
	d.check(0)
	d.grant(3)
	delete(d.state, 2)
	d.Gone(2)
	d.check(WakeOwner)
	d.grant(1) // another runtime in the same slot was never demoted
	d.check(WakeOwner)
}
