package cores

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// checkAccounts wants the times of all owners and of nobody to add up to the time since the start,
// on each core, to the nanosecond.
func checkAccounts(r *rig) {
	r.t.Helper()
	uptime := r.s.Uptime(r.now)
	for i, c := range r.s.CoreReports(r.now) {
		sum := core.Time(0)
		for _, t := range c.Times {
			sum += t.Time
		}
		if sum != uptime {
			r.t.Fatalf("core %d: %v add up to %d ns, want %d", i, c.Times, sum, uptime)
		}
	}
}

func TestTimesAddUp(t *testing.T) {
	r := newRig(t, 2, policy.NewCaladan(policy.Config{}))
	a, b := r.lc("a", 0), r.be("b")
	for range 20 {
		a.send(3)
		r.run(150 * us)
	}
	if used := r.s.Report(r.now, b.Runtime).Time; used < ms {
		t.Errorf("b had %d ns of 6 ms", used)
	}
	aTime, bTime := r.s.Report(r.now, a.Runtime).Time, r.s.Report(r.now, b.Runtime).Time
	r.detach(b)
	r.run(100 * us)
	byName := map[string]core.Time{}
	for _, c := range r.s.CoreReports(r.now) {
		for _, o := range c.Times {
			byName[o.Runtime] += o.Time
		}
	}
	if byName["b"] != bTime {
		t.Errorf("after it has gone b had %d ns, before %d", byName["b"], bTime)
	}
	if byName["a"] != r.s.Report(r.now, a.Runtime).Time || byName["a"] < aTime {
		t.Errorf("a has %d ns on the cores, %d by its own report", byName["a"],
			r.s.Report(r.now, a.Runtime).Time)
	}
	// What BE computed is less than its time, by the hand-overs.
	worked := core.Time(0)
	for _, w := range b.workers {
		worked += w.worked
	}
	if worked > bTime || worked < bTime/2 {
		t.Errorf("b worked for %d ns of %d", worked, bTime)
	}
}

// Nobody has looked yet: nothing is counted.
func TestTimesBeforeTheStart(t *testing.T) {
	r := newRig(t, 1, policy.NewSimple(0))
	fresh, err := New(r.s.config)
	if err != nil {
		t.Fatal(err)
	}
	g, err := fresh.Attach(RuntimeConfig{Name: "g", Class: policy.BestEffort})
	if err != nil {
		t.Fatal(err)
	}
	fresh.Detach(r.now, g)
	fresh.Poll(r.now)
	got := fresh.CoreReports(r.now + us)[0].Times
	if len(got) != 1 || got[0] != (OwnerTime{"", us}) {
		t.Errorf("a us after the start: %v", got)
	}
}
