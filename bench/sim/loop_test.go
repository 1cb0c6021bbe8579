package sim

import (
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"pgregory.net/rapid"
)

// recorder writes down what happens to it, and may post more.
type recorder struct {
	seen []Event
	then func(now core.Time, e Event)
}

func (r *recorder) Handle(now core.Time, e Event) {
	if now != e.At {
		panic("an event at another time than the present")
	}
	r.seen = append(r.seen, e)
	if r.then != nil {
		r.then(now, e)
	}
}

// TestLoopOrder posts events in any order, and expects them by time, and those of one time in the
// order of posting.
func TestLoopOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(0, 20), 1, 200).Draw(t, "times")
		l, r := NewLoop(), &recorder{}
		id := l.Add(r)
		want := make([]int, len(times))
		for i, at := range times {
			l.Post(core.Time(at), id, 7, uint64(i))
			want[i] = i
		}
		slices.SortStableFunc(want, func(a, b int) int { return int(times[a] - times[b]) })
		until := core.Time(rapid.Int64Range(0, 20).Draw(t, "until"))
		l.Run(until)
		for _, e := range r.seen {
			if e.At > until {
				t.Fatalf("event at %d ran until %d", e.At, until)
			}
		}
		if l.Now() != until {
			t.Fatalf("now is %d after a run until %d", l.Now(), until)
		}
		l.Run(20)
		if len(r.seen) != len(times) || l.Events() != uint64(len(times)) {
			t.Fatalf("%d of %d events, %d counted", len(r.seen), len(times), l.Events())
		}
		for i, e := range r.seen {
			if e.Arg != uint64(want[i]) || e.Kind != 7 {
				t.Fatalf("event %d is %+v, want number %d", i, e, want[i])
			}
		}
	})
}

// What is posted for the present happens in the present, after what was posted before it.
func TestLoopPostsForNow(t *testing.T) {
	l, a, b := NewLoop(), &recorder{}, &recorder{}
	ida, idb := l.Add(a), l.Add(b)
	a.then = func(now core.Time, e Event) {
		if e.Arg < 3 {
			l.Post(now, ida, 0, e.Arg+1)
		}
	}
	b.then = func(core.Time, Event) {
		if len(a.seen) != 1 {
			t.Errorf("after %d events of the other", len(a.seen))
		}
	}
	l.Post(5, ida, 0, 0)
	l.Post(5, idb, 0, 0)
	l.Run(5)
	if len(a.seen) != 4 || len(b.seen) != 1 {
		t.Errorf("%d and %d events", len(a.seen), len(b.seen))
	}
}

// TestLoopAlarms moves the alarms of three components at random beside events that are posted, and
// expects them to ring when they were set to last, in the order of setting and posting.
func TestLoopAlarms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, r := NewLoop(), &recorder{}
		for range 3 {
			l.Add(r)
		}
		type due struct {
			at    core.Time
			order int
		}
		alarms := []due{{core.Never, 0}, {core.Never, 0}, {core.Never, 0}}
		var posted []due
		for order := range rapid.IntRange(1, 60).Draw(t, "steps") {
			at := l.Now() + core.Time(rapid.Int64Range(0, 10).Draw(t, "at"))
			id := rapid.IntRange(0, 2).Draw(t, "component")
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				l.Post(at, 0, 7, uint64(order))
				posted = append(posted, due{at, order})
			case 1:
				l.Alarm(ID(id), core.Never)
				alarms[id].at = core.Never
			case 2:
				first := due{core.Never, 0}
				for _, d := range append(alarms[:3:3], posted...) {
					if d.at < first.at || d.at == first.at && d.order < first.order {
						first = d
					}
				}
				if l.Next() != first.at {
					t.Fatalf("next is at %d, want %d", l.Next(), first.at)
				}
				if l.Step() != (first.at != core.Never) {
					t.Fatalf("a step that did not happen, or nothing to happen: %+v", first)
				}
				if first.at == core.Never {
					continue
				}
				e := r.seen[len(r.seen)-1]
				if e.Kind == KindAlarm {
					if alarms[e.To] != first {
						t.Fatalf("alarm of %d, want %+v of %+v", e.To, first, alarms)
					}
					alarms[e.To].at = core.Never
					continue
				}
				if len(posted) == 0 || e.Arg != uint64(first.order) {
					t.Fatalf("event %+v, want %+v", e, first)
				}
				posted = slices.DeleteFunc(posted, func(d due) bool { return d == first })
			default:
				l.Alarm(ID(id), at)
				alarms[id] = due{at, order}
			}
		}
	})
}

func TestLoopRefuses(t *testing.T) {
	for name, post := range map[string]func(l *Loop, id ID){
		"the past":           func(l *Loop, id ID) { l.Post(9, id, 0, 0) },
		"an unknown address": func(l *Loop, id ID) { l.Post(20, id+1, 0, 0) },
		"the past, by alarm": func(l *Loop, id ID) { l.Alarm(id, 9) },
	} {
		l := NewLoop()
		id := l.Add(&recorder{})
		l.Run(10)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("takes an event for %s", name)
				}
			}()
			post(l, id)
		}()
	}
}

func TestLoopHash(t *testing.T) {
	run := func(events ...Event) uint64 {
		l := NewLoop()
		l.Add(&recorder{})
		l.Add(&recorder{})
		for _, e := range events {
			l.Post(e.At, e.To, e.Kind, e.Arg)
		}
		l.Run(100)
		return l.Hash()
	}
	a, b := Event{At: 3, To: 0, Kind: 1, Arg: 2}, Event{At: 3, To: 1, Kind: 1, Arg: 2}
	seen := map[uint64]string{}
	for name, h := range map[string]uint64{
		"nothing": run(), "a": run(a), "b": run(b), "ab": run(a, b), "ba": run(b, a),
		"later": run(Event{At: 4, Kind: 1, Arg: 2}), "kind": run(Event{At: 3, Kind: 2, Arg: 2}),
		"argument": run(Event{At: 3, Kind: 1, Arg: 1 << 40}),
	} {
		if other := seen[h]; other != "" {
			t.Errorf("%q and %q have the same hash", name, other)
		}
		seen[h] = name
	}
	if once, again := run(a, b), run(a, b); once != again {
		t.Error("the same events have two hashes")
	}
}

func TestLoopDoesNotAllocate(t *testing.T) {
	l := NewLoop()
	busy := &pacer{loop: l}
	busy.id = l.Add(busy)
	for i := range core.Time(64) {
		l.Post(i, busy.id, 0, 0)
	}
	if n := testing.AllocsPerRun(100, func() { l.Run(l.Now() + 1000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// pacer posts an event for each that it gets.
type pacer struct {
	loop *Loop
	id   ID
}

func (p *pacer) Handle(now core.Time, e Event) {
	p.loop.Post(now+1+core.Time(e.Arg*7919%101), p.id, 0, e.Arg+1)
}

func BenchmarkLoop(b *testing.B) {
	l := NewLoop()
	busy := &pacer{loop: l}
	busy.id = l.Add(busy)
	for i := range core.Time(128) {
		l.Post(i, busy.id, 0, uint64(i))
	}
	for b.Loop() {
		l.Run(l.Now() + 1)
	}
	b.ReportMetric(float64(l.Events())/float64(b.N), "events/op")
}
