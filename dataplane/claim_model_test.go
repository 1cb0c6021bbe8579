package dataplane

import (
	"fmt"
	"strings"
	"testing"
)

// The model is a team's threads, each with a port, in steps none of which can be divided: one access
// to shared memory each. A test walks every order of these steps. What a word says and what it makes
// a thread do is the code's own (noted, wants, takenBy).
//
// Threads sleep in one of two ways. With cores of their own a thread announces on its own port's
// ring that it sleeps, and whoever publishes there then rings it. With lent cores nobody rings; a
// core may be taken away between any two turns, and the lender gives one to a thread when it sees
// that something waits and none of them runs.
//
// A turn here takes one packet of each port that needs somebody, its own first, and may leave output
// behind. It is followed by the last look before sleeping, over all ports, which leads to another
// turn if there is something.

// crew is how many threads and ports there are.
const crew = 2

// at is where a thread stands in its loop.
type at uint8

const (
	atWord      at = iota // turn: to load a port's word
	atInput               // turn: to look at its input
	atClaim               // turn: to claim it
	atServe               // turn: to take a packet
	atUnread              // release: to look at the input
	atPending             // release: to look what is pending
	atRelease             // release: to store the word
	atArm                 // to announce that it sleeps
	atWordLast            // last look: to load a port's word
	atInputLast           // last look: to look at its input
	atSleep               // to sleep, unless it is rung
	atAsleep
)

type thread struct {
	at          at
	port, first uint8 // at which it is; at which the pass over all ports began
	word        word
	unread      bool
	pending     bool
	drained     uint8 // looksBefore: the port, from 1 on
	kept        bool  // keepsClaim: it sleeps with a claim
}

type port struct {
	word   word
	input  uint8
	due    bool  // output is left
	inside uint8 // threads that serve it
	armed  bool  // its own thread asked to be rung
	rung   bool
	stored bool // a packet was published, and nobody has looked yet whether to ring
}

// team is a state; it can be compared, so it is its own key.
type team struct {
	threads [crew]thread
	ports   [crew]port
	lent    bool // cores are lent
	denied  bool // thread 0 gets no core again
	// How many more there may be.
	arrivals, leftovers, losses, grants uint8
}

// variant is the protocol, or one of those that come to mind and do not work.
type variant uint8

const (
	protocol    variant = iota
	looksAtOwn          // the last look is at the thread's own port
	looksBefore         // a sibling's port that was seen empty before the release needs no last look
	storesClaim         // a claim is a load and a store
	keepsClaim          // a thread whose core is taken releases when it has one again
	lenderOwn           // the lender gives a thread a core for its own port only
)

type explorer struct {
	variant variant
	seen    map[team]bool
	bad     string
	trail   []string
}

// walk goes through everything that can happen from m on and reports whether all of it is good.
func (x *explorer) walk(m team) bool {
	if x.seen[m] {
		return true
	}
	x.seen[m] = true
	quiet := true
	follow := func(n team, who int, what string) bool {
		x.trail = append(x.trail, fmt.Sprintf("%d %s", who, what))
		if x.bad != "" || !x.walk(n) {
			return false
		}
		x.trail = x.trail[:len(x.trail)-1]
		return true
	}
	for i := range m.threads {
		n := m
		if what := x.step(&n, i); what != "" {
			quiet = false
			if !follow(n, i, what) {
				return false
			}
		}
		if n = m; n.ports[i].stored {
			n.ports[i].stored = false
			n.ports[i].rung = n.ports[i].rung || n.ports[i].armed
			quiet = false
			if !follow(n, i, "is rung if it sleeps") {
				return false
			}
		}
		if n = m; x.grant(&n, i) {
			quiet = false
			if !follow(n, i, "is given a core") {
				return false
			}
		}
	}
	if quiet {
		for i, p := range m.ports {
			if p.input > 0 || p.due || !p.word.free() {
				x.bad = fmt.Sprintf("port %d has %d packets, left output %v, word %d, and all sleep", i,
					p.input, p.due, p.word)
				return false
			}
		}
	}
	return x.choices(m, follow)
}

// choices are what may happen but need not.
func (x *explorer) choices(m team, follow func(team, int, string) bool) bool {
	for i := range m.threads {
		n := m
		t, p := &n.threads[i], &n.ports[i]
		if n.arrivals > 0 && !p.stored {
			n.arrivals--
			p.input++
			p.stored = !n.lent
			if !follow(n, i, "gets a packet at its port") {
				return false
			}
		}
		n = m
		if n.leftovers > 0 && t.at == atUnread && !n.ports[t.port].due {
			n.leftovers--
			n.ports[t.port].due = true
			if !follow(n, i, "leaves output behind") {
				return false
			}
		}
		n = m
		if n.losses > 0 && x.loses(t) {
			n.losses--
			if !follow(n, i, "loses its core") {
				return false
			}
		}
	}
	return true
}

// loses takes a thread's core away if it is between two turns.
func (x *explorer) loses(t *thread) bool {
	switch {
	case t.at == atWord && t.port == t.first, t.at == atArm, t.at == atWordLast:
		*t = thread{at: atAsleep}
	case t.at == atUnread && x.variant == keepsClaim:
		t.at, t.kept = atAsleep, true
	default:
		return false
	}
	return true
}

// grant is the lender's: it gives thread i a core if something waits and none runs.
func (x *explorer) grant(m *team, i int) bool {
	if !m.lent || m.grants == 0 || m.denied && i == 0 {
		return false
	}
	waits := false
	for k, p := range m.ports {
		if m.threads[k].at != atAsleep {
			return false
		}
		waits = waits || (p.input > 0 || p.due) && (x.variant != lenderOwn || k == i)
	}
	if !waits {
		return false
	}
	m.grants--
	if t := &m.threads[i]; t.kept {
		t.at, t.kept = atUnread, false
	} else {
		begin(m, i)
	}
	return true
}

// begin has thread i begin a turn: with its own port.
func begin(m *team, i int) {
	m.ports[i].armed = false
	m.threads[i] = thread{at: atWord, port: uint8(i), first: uint8(i)}
}

// onward has a thread go on to the next port, and after the last one to whatever comes then.
func (x *explorer) onward(t *thread) {
	last := t.at == atWordLast || t.at == atInputLast
	t.port = (t.port + 1) % crew
	switch {
	case last && (t.port == t.first || x.variant == looksAtOwn):
		t.at = atSleep
	case last:
		t.at = atWordLast
	case t.port == t.first:
		t.at = atArm
	default:
		t.at = atWord
	}
}

// step has thread i go on and says what it did, "" for nothing.
func (x *explorer) step(m *team, i int) string {
	t := &m.threads[i]
	p := &m.ports[t.port]
	own := &m.ports[i]
	rung := own.rung && !m.lent
	at := t.port
	switch t.at {
	case atWord, atWordLast:
		t.word = p.word
		if t.drained == at+1 {
			x.onward(t)
		} else if t.word.free() && t.word&wordDue == 0 {
			t.at++
		} else {
			x.decide(m, i, false)
		}
		return fmt.Sprintf("loads word %d of %d", p.word, at)
	case atInput, atInputLast:
		x.decide(m, i, p.input > 0)
		return fmt.Sprintf("looks at the input of %d", at)
	case atArm:
		own.armed = true
		t.at, t.port, t.first = atWordLast, uint8(i), uint8(i)
		return "announces that it sleeps"
	case atSleep, atAsleep:
		switch {
		case rung:
			own.rung = false
			begin(m, i)
			return "does not sleep on"
		case t.at == atSleep:
			*t = thread{at: atAsleep}
			return "sleeps"
		}
		return ""
	}
	return x.serve(m, t, p, i)
}

// decide is what a thread does about a port that it has looked at.
func (x *explorer) decide(m *team, i int, unread bool) {
	t := &m.threads[i]
	switch {
	case !t.word.wants(unread):
		x.onward(t)
	case t.at < atArm:
		t.at = atClaim
	default:
		begin(m, i)
	}
}

// serve is a turn of a port.
func (x *explorer) serve(m *team, t *thread, p *port, i int) string {
	at := t.port
	switch t.at {
	case atClaim:
		if p.word != t.word && x.variant != storesClaim {
			x.onward(t)
			return fmt.Sprintf("is too late for %d", at)
		}
		p.word = takenBy(uint32(i))
		if p.inside++; p.inside > 1 {
			x.bad = fmt.Sprintf("two threads serve port %d", at)
		}
		t.at = atServe
		return fmt.Sprintf("claims %d", at)
	case atServe:
		p.due = false
		p.input -= min(p.input, 1)
		t.at = atUnread
		return fmt.Sprintf("serves %d", at)
	case atUnread:
		t.unread, t.at = p.input > 0, atPending
		return fmt.Sprintf("sees unread input of %d: %v", at, t.unread)
	case atPending:
		t.pending, t.at = p.input > 0 || p.due, atRelease
		return fmt.Sprintf("sees something pending of %d: %v", at, t.pending)
	default:
		p.word = noted(t.unread, t.pending)
		p.inside--
		t.drained = 0
		if x.variant == looksBefore && !t.pending && int(at) != i {
			t.drained = at + 1
		}
		x.onward(t)
		return fmt.Sprintf("releases %d", at)
	}
}

func explore(v variant, m team) *explorer {
	x := &explorer{variant: v, seen: map[team]bool{}}
	m.grants = m.arrivals + m.leftovers + m.losses
	for i := range m.threads {
		begin(&m, i)
	}
	x.walk(m)
	return x
}

func own(arrivals, leftovers uint8) team { return team{arrivals: arrivals, leftovers: leftovers} }

func lent(arrivals, leftovers, losses uint8, denied bool) team {
	return team{
		arrivals: arrivals, leftovers: leftovers, losses: losses, lent: true, denied: denied,
	}
}

func TestNoOrderForgetsInput(t *testing.T) {
	for _, c := range []struct {
		name string
		m    team
	}{
		{"own cores", own(3, 0)},
		{"own cores, output is left", own(2, 2)},
		{"lent cores", lent(3, 0, 2, false)},
		{"lent cores, output is left", lent(2, 1, 2, false)},
		{"lent cores, one thread is never given one again", lent(3, 1, 2, true)},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := explore(protocol, c.m)
			if x.bad != "" {
				t.Errorf("%s after\n\t%s", x.bad, strings.Join(x.trail, "\n\t"))
			}
			t.Logf("%d states", len(x.seen))
		})
	}
}

// Protocols that come to mind and do not work: each has a story that ends badly.
func TestSimplerClaimsFail(t *testing.T) {
	for _, c := range []struct {
		v    variant
		name string
		m    team
		want string
	}{
		{looksAtOwn, "the last look is at the own port only", own(3, 0), "all sleep"},
		{looksBefore, "the look before the release is the last", own(3, 0), "all sleep"},
		{storesClaim, "a claim is a load and a store", own(2, 0), "two threads"},
		{keepsClaim, "a claim is kept while the core is gone", lent(3, 0, 2, true), "all sleep"},
		{lenderOwn, "a core only for the own port", lent(2, 0, 1, true), "all sleep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := explore(c.v, c.m)
			if !strings.Contains(x.bad, c.want) {
				t.Fatalf("found %q in %d states, want a story in which %s", x.bad, len(x.seen), c.want)
			}
			t.Logf("%s after\n\t%s", x.bad, strings.Join(x.trail, "\n\t"))
		})
	}
}
