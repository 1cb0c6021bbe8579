package transport

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// mustAudit checks what must hold at any time.
func (e *Endpoint) mustAudit(t testing.TB, now core.Time) {
	t.Helper()
	if err := e.Audit(now); err != nil {
		t.Fatal(err)
	}
}

// TestAuditMissesAWakeUp: bulk that waits for its pace has a timer, and an audit tells when not.
func TestAuditMissesAWakeUp(t *testing.T) {
	r := newRig(t)
	a, b := r.add(nil), r.add(nil)
	a.rate, b.rate = tenGigabit, tenGigabit
	x := startStream(r, a, b)
	x.feed(r)
	l := a.e.find(x.id).lanes[0]
	r.until("a pause", 10*core.Millisecond, func() bool {
		return l.congestion.paceAt > r.now && !l.inBulk && l.admits()
	})
	a.e.mustAudit(t, r.now)
	a.e.timers.stop(&l.timer)
	if a.e.Audit(r.now) == nil {
		t.Error("nobody wakes a lane, and the audit is content")
	}
}
