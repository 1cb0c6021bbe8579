package baton

import (
	"fmt"
	"strings"
	"testing"
)

// explorer walks all states that can be reached.
type explorer struct {
	variant variant
	owners  [crew]Owner
	seen    map[uint64]mark // by key
	bad     string
	trail   []event
}

type mark uint8

const (
	onPath mark = iota + 1
	done
)

// walk goes through everything that can happen from m on and reports whether all of it is good.
func (x *explorer) walk(m model) bool {
	key := m.key()
	switch x.seen[key] {
	case done:
		return true
	case onPath:
		x.bad = "workers keep waking each other"
		return false
	}
	x.seen[key] = onPath
	quiet := true
	follow := func(n model, e event) bool {
		x.trail = append(x.trail, e)
		if !x.walk(n) {
			return false
		}
		x.trail = x.trail[:len(x.trail)-1]
		return true
	}
	for i := range m.workers {
		n := m
		if e := x.step(&n, i); e.what != "" {
			quiet = false
			if !follow(n, e) {
				return false
			}
		}
	}
	n := m
	if e := x.lend(&n); e.what != "" {
		quiet = false
		if !follow(n, e) {
			return false
		}
	} else if !x.choices(m, follow) {
		return false
	}
	if quiet && !x.settles(m, follow) {
		return false
	}
	x.seen[key] = done
	return true
}

// choices are what may happen but need not.
func (x *explorer) choices(m model, follow func(model, event) bool) bool {
	if m.grants > 0 {
		for _, o := range [...]Owner{Nobody, x.owners[0], x.owners[1], x.owners[2]} {
			n := m
			x.grant(&n, o)
			if !follow(n, event{Nobody, "grants", n.word}) {
				return false
			}
		}
	}
	for i := range m.workers {
		n := m
		w := &n.workers[i]
		what := ""
		switch {
		case m.parks > 0 && w.at == atLook && w.party.Holds(m.word):
			n.parks--
			w.parks, w.word, w.at, what = true, m.word, atMark, "parks on"
		case m.spurious > 0 && w.queued:
			n.spurious--
			w.queued, what = false, "is woken by a signal from"
		}
		if what != "" && !follow(n, event{x.owners[i], what, m.word}) {
			return false
		}
	}
	return x.crimes(m, follow)
}

// crimes are what a hostile runtime or the machine may do.
func (x *explorer) crimes(m model, follow func(model, event) bool) bool {
	for i := range m.workers {
		if m.steals > 0 && m.workers[i].queued {
			n := m
			n.steals--
			n.workers[i].queued, n.workers[i].stolen = false, true
			if !follow(n, event{x.owners[i], "is moved to another queue than", m.word}) {
				return false
			}
		}
		if m.kills > 0 && m.workers[i].at != atEnd {
			n := m
			n.kills--
			n.workers[i] = worker{party: NewParty(x.owners[i]), at: atEnd}
			n.workers[i].state = m.workers[i].state
			if !follow(n, event{x.owners[i], "is killed at", m.word}) {
				return false
			}
		}
	}
	return true
}

// settles looks at a state in which nobody moves any more. Where crimes were possible, the lender
// gets two deadlines to make it good.
func (x *explorer) settles(m model, follow func(model, event) bool) bool {
	x.bad = x.unsettled(&m)
	if x.bad == "" {
		return true
	}
	if x.variant != protocol || m.lender.stage >= forced || m.lender.Settled() {
		return false
	}
	n := m
	n.now = m.lender.since + deadline
	if m.lender.stage == pressed {
		n.now += deadline
	}
	n.checks = true
	return follow(n, event{Nobody, "lets a deadline pass for", m.word})
}

// unsettled says what is wrong with the end of a story.
func (x *explorer) unsettled(m *model) string {
	for i := range m.workers {
		w := &m.workers[i]
		named := m.word.Owner() == w.party.Self()
		switch {
		case w.at == atEnd:
		case !named && w.at != atQueue:
			return fmt.Sprintf("%d does not sleep, and the word is %v", x.owners[i], m.word)
		case named && w.at == atQueue && !(w.state == Parked && w.ack == m.word):
			return fmt.Sprintf("%d sleeps, and the word is %v", x.owners[i], m.word)
		case named && w.ack != m.word:
			return fmt.Sprintf("%d has not taken up %v", x.owners[i], m.word)
		}
	}
	return ""
}

func explore(v variant, m model) *explorer {
	x := &explorer{variant: v, seen: map[uint64]mark{}}
	for i := range m.workers {
		x.owners[i] = m.workers[i].party.Self()
	}
	x.walk(m)
	return x
}

func (x *explorer) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s after", x.bad)
	for _, e := range x.trail {
		fmt.Fprintf(&b, "\n\t%v", e)
	}
	return b.String()
}

func (x *explorer) ends(t *testing.T) {
	t.Helper()

	if x.bad != "" {
		t.Errorf("%s", x.story())
	}
	t.Logf("%d states", len(x.seen))
}

// Owners of three workers: on bits of their own, and all on one bit.
func apart() [crew]Owner    { return [crew]Owner{1, 2, 3} }
func together() [crew]Owner { return [crew]Owner{2, 34, 66} }

func TestNoOrderLosesAWake(t *testing.T) {
	for _, c := range []struct {
		name            string
		m               model
		parks, spurious int
	}{
		{"all begin", newModel(apart(), 2), 0, 0},
		{"three grants", begun(apart(), 3), 1, 0},
		{"a signal", begun(apart(), 2), 1, 1},
		{"two grants on one bit", newModel(together(), 2), 0, 0},
		{"a signal on one bit", begun(together(), 2), 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.m.parks, c.m.spurious = c.parks, c.spurious
			explore(protocol, c.m).ends(t)
		})
	}
}

// The grants 1, 2, 1: the second of them is answered before the third, which comes before 2 has
// run.
func TestGrantReturnsBeforeItArrived(t *testing.T) {
	for _, c := range []struct {
		v     variant
		sleep bool
	}{{protocol, false}, {onlyHolders, true}} {
		x, m := explorer{variant: c.v, owners: apart()}, begun(apart(), 2)
		first, second := &m.workers[0], &m.workers[1]
		x.grant(&m, 2)
		for first.at != atQueue {
			x.step(&m, 0)
		}
		if second.queued {
			t.Fatal("2 was not woken")
		}
		x.grant(&m, 1)
		for range 10 { // more steps than it has
			x.step(&m, 1)
		}
		if second.at != atQueue || first.queued != c.sleep {
			t.Errorf("variant %d: 2 is at %d, 1 sleeps: %v; want %d and %v", c.v, second.at,
				first.queued, atQueue, c.sleep)
		}
	}
}

// The lender's force brings back a waiter that was moved away, within two deadlines.
func TestMovedWaiterRunsAgain(t *testing.T) {
	m := begun(apart(), 2)
	m.steals, m.parks = 1, 1
	explore(protocol, m).ends(t)
}

// A worker that is killed, at whatever step, keeps nobody from running whom the word names; what it
// said of itself stays.
func TestKilledWorkerKeepsNobody(t *testing.T) {
	m := begun(apart(), 2)
	m.kills, m.parks = 1, 1
	explore(protocol, m).ends(t)
}

// Protocols that come to mind and do not work: each has a story that ends badly.
func TestSimplerProtocolsFail(t *testing.T) {
	for _, c := range []struct {
		name   string
		v      variant
		owners [crew]Owner
		grants int
		want   string
	}{
		{"only who held the core wakes", onlyHolders, apart(), 3, "sleeps"},
		{"wakes for every look", handsAgain, together(), 1, "keep waking"},
		{"nobody wakes across cores", blindLender, apart(), 1, "sleeps"},
		{"wait word stored after the baton", secondAfter, apart(), 3, "sleeps"},
		{"wait word stored before the baton", secondBefore, apart(), 3, "sleeps"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := explore(c.v, newModel(c.owners, c.grants))
			if !strings.Contains(x.bad, c.want) {
				t.Fatalf("found %q, want a story in which somebody %s", x.bad, c.want)
			}
			t.Log(x.story())
		})
	}
}
