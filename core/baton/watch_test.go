package baton

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// told is a watch over a line with these values in it.
func told(t testing.TB, set func(*Line)) Watch {
	t.Helper()
	l, err := NewLoad(make([]byte, 4096), 1)
	if err != nil {
		t.Fatal(err)
	}
	set(l.Line(0))
	return NewWatch(l.Line(0), 1, core.Millisecond)
}

func TestNonsenseIsClampedAndCounted(t *testing.T) {
	const now = core.Second
	none := Sight{Timer: core.Never}
	for _, c := range []struct {
		name string
		set  func(*Line)
		want Sight
		kind Nonsense
		n    uint64
	}{
		{"nothing told", func(*Line) {}, none, 0, 0},
		{"task of tomorrow", func(l *Line) { l.oldest.Store(int64(now) * 2) }, none, FutureTask, 1},
		{"task of now", func(l *Line) { l.oldest.Store(int64(now) + 100) }, none, FutureTask, 0},
		{"task before time", func(l *Line) { l.oldest.Store(-1) }, none, NegativeTime, 1},
		{"request of tomorrow", func(l *Line) { l.began.Store(1<<63 - 1) }, none, FutureRequest, 1},
		{
			"task of long ago", func(l *Line) { l.oldest.Store(1) },
			Sight{Waited: now - 1, Timer: core.Never},
			0, 0,
		},
		{"timer before time", func(l *Line) { l.timer.Store(-1 << 63) }, none, NegativeTime, 1},
		{"no timer", func(l *Line) { l.Timer(core.Never) }, none, NegativeTime, 0},
		{"less than no tasks", func(l *Line) { l.queued.Store(-1) }, none, QueueRange, 1},
		{
			"too many tasks", func(l *Line) { l.queued.Store(1<<31 - 1) },
			Sight{Queued: MaxQueued, Timer: core.Never},
			QueueRange, 1,
		},
		{
			"unknown state", func(l *Line) { l.state.Store(1 << 8) },
			Sight{State: Running, Timer: core.Never},
			UnknownState, 1,
		},
		{"somebody else's grant", func(l *Line) { l.TakeUp(Word(0).Next(2)) }, none, ForeignAck, 1},
		{
			"its own grant", func(l *Line) { l.TakeUp(Word(0).Next(1)) },
			Sight{Ack: Word(0).Next(1), Timer: core.Never},
			ForeignAck, 0,
		},
	} {
		w := told(t, c.set)
		if got := w.Look(now, 0); got != c.want {
			t.Errorf("%s: sight %+v, want %+v", c.name, got, c.want)
		}
		want := Counts{}
		want[c.kind] = c.n
		if got := w.Nonsense(); got != want {
			t.Errorf("%s: counts %v, want %v", c.name, got, want)
		}
	}
}

// TestDeadlinesThatHaveCome: a poller may say any time at or before now, also 0, which in a line means
// that there is none.
func TestDeadlinesThatHaveCome(t *testing.T) {
	for _, due := range []core.Time{0, -1, -core.Never, 1} {
		w := told(t, func(l *Line) {
			l.Timer(due)
			l.Queue(0, 0, due)
		})
		timer := w.Look(core.Second, 0).Timer
		if timer > core.Second || w.Due() > core.Second || w.Nonsense().Sum() != 0 {
			t.Errorf("due at %d: timer at %d, due at %d, %v", due, timer, w.Due(), w.Nonsense())
		}
	}
}

// What any worker serves is told beside what only this one does, and an ask lasts until it is heard;
// what was asked before another was heard is heard with it.
func TestAsksAreHeard(t *testing.T) {
	var line *Line
	w := told(t, func(l *Line) { line = l })
	if w.Asked() || w.Due() != core.Never {
		t.Errorf("of a new line: asked %v, due at %d", w.Asked(), w.Due())
	}
	line.Queue(0, 0, 5)
	line.Timer(7)
	if w.Due() != 5 || w.Look(core.Second, 0).Timer != 7 {
		t.Errorf("due at %d, its own timer at %d", w.Due(), w.Look(core.Second, 0).Timer)
	}
	line.Queue(0, 0, core.Never)
	line.Ask()
	line.Ask()
	if !w.Asked() || w.Due() != core.Never {
		t.Errorf("asked %v, due at %d", w.Asked(), w.Due())
	}
	if line.Heard(); w.Asked() {
		t.Error("it asks when it was heard")
	}
	line.asks.Store(1<<32 - 1)
	line.Heard()
	if line.Ask(); !w.Asked() {
		t.Error("an ask was forgotten as the number wrapped")
	}
	line.due.Store(-5)
	if w.Due() != core.Never || w.Nonsense()[NegativeTime] != 1 {
		t.Errorf("due at %d, counted %v", w.Due(), w.Nonsense())
	}
}

func TestAgeHasALimit(t *testing.T) {
	w := told(t, func(l *Line) { l.Queue(1, 1, core.Never) })
	if got := w.Look(100*core.Second, 0); got.Waited != MaxAge {
		t.Errorf("it waited %d ns, want %d", got.Waited, MaxAge)
	}
}

// A worker stands when it has its core, says that it runs, and its beats do not change: once it is
// counted, however often one looks.
func TestStandingBeat(t *testing.T) {
	word := Word(0).Next(1)
	var line *Line
	w := told(t, func(l *Line) {
		line = l
		l.TakeUp(word)
		l.Become(Running)
	})
	look := func(now core.Time, stood core.Time, count uint64) {
		t.Helper()
		if got := w.Look(now, word).Stood; got != stood || w.Nonsense()[StandingBeat] != count {
			t.Errorf("at %d it stood for %d and %d times, want %d and %d", now, got,
				w.Nonsense()[StandingBeat], stood, count)
		}
	}
	const ms = core.Millisecond
	look(ms, 0, 0)
	look(ms+1, 1, 0)
	look(2*ms, ms, 1)
	look(3*ms, 2*ms, 1)
	line.Beat()
	look(4*ms, 0, 1)
	look(5*ms, ms, 2)
	line.Become(Waiting) // it may
	look(6*ms, 0, 2)
	look(9*ms, 0, 2)
	line.Become(Running)
	look(9*ms+1, 1, 2)
	line.TakeUp(0) // the core is not its own
	look(99*ms, 0, 2)
}

// FuzzLine has a worker write anything, and holds that what comes out could have been told by an
// honest one.
func FuzzLine(f *testing.F) {
	f.Add(make([]byte, LineBytes), int64(1), uint32(0))
	f.Add(bytes.Repeat([]byte{255}, LineBytes), int64(core.Second), uint32(1))
	f.Fuzz(func(t *testing.T, said []byte, at int64, word uint32) {
		var b [LineBytes]byte
		copy(b[:], said)
		now := core.Time(max(at, 1))
		w := told(t, func(l *Line) {
			l.oldest.Store(int64(binary.NativeEndian.Uint64(b[0:])))
			l.began.Store(int64(binary.NativeEndian.Uint64(b[8:])))
			l.timer.Store(int64(binary.NativeEndian.Uint64(b[16:])))
			l.queued.Store(int32(binary.NativeEndian.Uint32(b[24:])))
			l.beats.Store(binary.NativeEndian.Uint32(b[28:]))
			l.ack.Store(binary.NativeEndian.Uint32(b[32:]))
			l.state.Store(binary.NativeEndian.Uint32(b[36:]))
			l.due.Store(int64(binary.NativeEndian.Uint64(b[40:])))
			l.asks.Store(binary.NativeEndian.Uint32(b[48:]))
			l.heard.Store(binary.NativeEndian.Uint32(b[52:]))
		})
		for range 2 {
			s := w.Look(now, Word(word))
			age := func(a core.Time) bool { return a >= 0 && a <= MaxAge && a <= now }
			if !age(s.Waited) || !age(s.Worked) || !age(s.Stood) || s.Timer <= 0 || s.Queued < 0 ||
				s.Queued > MaxQueued || s.State >= states || (s.Ack != 0 && s.Ack.Owner() != 1) {
				t.Errorf("%+v", s)
			}
			if due := w.Due(); due <= 0 {
				t.Errorf("due at %d", due)
			}
			if w.line.Heard(); w.Asked() {
				t.Error("who was heard still asks")
			}
			now = max(now, now+core.Millisecond)
		}
	})
}
