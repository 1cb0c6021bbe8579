package seal

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

func TestRekey(t *testing.T) {
	s, r := pair()
	early := sealed(t, s, "early")
	late := sealed(t, s, "late")
	tooLate := sealed(t, s, "too late")
	early.mustOpen(t, r, 0, "early")

	s.Rekey(5)
	f := sealed(t, s, "new")
	if f.phase != 1 || f.counter != 3 {
		t.Fatalf("phase %d, counter %d", f.phase, f.counter)
	}
	now := 100 * core.Second
	f.mustOpen(t, r, now, "new")
	if r.Phase() != 1 {
		t.Errorf("receiver in phase %d", r.Phase())
	}
	f.mustRefuse(t, r, now, ReasonReplayed)
	early.mustRefuse(t, r, now, ReasonReplayed)
	late.mustOpen(t, r, now+OldFor-1, "late")
	tooLate.mustRefuse(t, r, now+OldFor, ReasonOldPhase)
	r.Expire(now + OldFor - 1)
	if r.old == nil {
		t.Error("the old key went early")
	}
	r.Expire(now + OldFor)
	if r.old != nil {
		t.Error("the old key stayed")
	}
	tooLate.mustRefuse(t, r, now, ReasonPhase)
	sealed(t, s, "goes on").mustOpen(t, r, now+OldFor, "goes on")
}

// TestForgedPhase: a frame that only claims the next phase does not bring it about.
func TestForgedPhase(t *testing.T) {
	s, r := pair()
	f := sealed(t, s, "true")
	g := f
	g.phase = 1
	g.mustRefuse(t, r, 0, ReasonForged)
	f.mustOpen(t, r, 0, "true")
	if r.Phase() != 0 || r.old != nil {
		t.Error("the phase moved")
	}
}

// TestPhasesWrap: the phase has 8 bits, and 300 phases pass.
func TestPhasesWrap(t *testing.T) {
	s, r := pair()
	now := core.Time(0)
	for i := range 300 {
		old := sealed(t, s, "old")
		s.Rekey(now)
		f := sealed(t, s, "new")
		if f.phase != uint8(i+1) {
			t.Fatalf("phase %d after %d", f.phase, i+1)
		}
		f.mustOpen(t, r, now, "new")
		old.mustOpen(t, r, now, "old")
		now += OldFor
	}
}

// TestPhasesTooFast: a peer with good keys cannot make us derive at every frame.
func TestPhasesTooFast(t *testing.T) {
	s, r := pair()
	s.Rekey(0)
	sealed(t, s, "one").mustOpen(t, r, 0, "one")
	s.Rekey(0)
	f := sealed(t, s, "two")
	f.mustRefuse(t, r, OldFor-1, ReasonEarlyPhase)
	f.mustOpen(t, r, OldFor, "two")
}

// TestSkippedPhase: nobody skips a phase; such a frame has no key here.
func TestSkippedPhase(t *testing.T) {
	s, r := pair()
	s.Rekey(0)
	s.Rekey(0)
	sealed(t, s, "x").mustRefuse(t, r, 0, ReasonPhase)
}

func TestLimits(t *testing.T) {
	s, _ := pair()
	if w := s.Wants(0); w != WantNothing {
		t.Errorf("a new key wants %v", w)
	}
	at := minPhase
	s.counter = WantAfter - 1
	if w := s.Wants(at); w != WantNothing {
		t.Errorf("one frame early: %v", w)
	}
	s.Take()
	if w := s.Wants(at); w != WantPhase {
		t.Errorf("after 2^24 frames: %v", w)
	}
	if w := s.Wants(at - 1); w != WantNothing {
		t.Errorf("a phase that is too young: %v", w)
	}
	s.counter = RefuseAfter - 1
	if counter, _, ok := s.Take(); !ok || counter != RefuseAfter-1 {
		t.Errorf("the last frame of a key: %d, %v", counter, ok)
	}
	if counter, _, ok := s.Take(); ok {
		t.Errorf("frame %d of a key", counter+1)
	}
	if _, _, ok := s.Take(); ok || s.counter != RefuseAfter {
		t.Error("a refusal counted")
	}
	s.taken = false // the last one was sealed
	s.Rekey(at)
	counter, phase, ok := s.Take()
	if !ok || counter != RefuseAfter || phase != 1 {
		t.Errorf("after Rekey: %d, phase %d, %v", counter, phase, ok)
	}
	if w := s.Wants(at + minPhase); w != WantNothing {
		t.Errorf("after Rekey: %v", w)
	}
	s.counter = RefuseAfter + WantAfter
	if w := s.Wants(at + minPhase); w != WantPhase {
		t.Errorf("the second key after 2^24 frames: %v", w)
	}
	s.counter = 2 * RefuseAfter
	if _, _, ok := s.Take(); ok {
		t.Error("the second key seals on")
	}
}

func TestAge(t *testing.T) {
	a, _ := keysOf(0)
	s := a.Sender(0, 7)
	if w := s.Wants(7 + MaxAge - 1); w != WantNothing {
		t.Errorf("before 120 s: %v", w)
	}
	if w := s.Wants(7 + MaxAge); w != WantHandshake {
		t.Errorf("after 120 s: %v", w)
	}
	s.Rekey(7 + MaxAge)
	if w := s.Wants(7 + MaxAge); w != WantHandshake {
		t.Errorf("a new phase made the session young: %v", w)
	}
}
