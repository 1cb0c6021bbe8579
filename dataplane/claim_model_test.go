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
//
// With lent cores a port has companions. Others post letters for them: they leave the letter, ask
// the lender and call, in this order. A turn takes the call back, hears the ask and reads what was
// posted, in this order; it may set a timer, whose time comes at some moment.

// crew is how many threads and ports there are.
const crew = 2

// at is where a thread stands in its loop.
type at uint8

const (
	atWord       at = iota // turn: to load a port's word
	atCalled               // turn: to look whether its companions were called
	atInput                // turn: to look at its input, and whether its timer is due
	atClaim                // turn: to claim it
	atServe                // turn: to take a packet
	atTake                 // turn: to take a call back
	atHear                 // turn: to hear what was asked
	atRead                 // turn: to read letters, and set a timer
	atUnread               // release: to look at the input
	atPending              // release: to look what is pending
	atRelease              // release: to store the word
	atArm                  // to announce that it sleeps
	atWordLast             // last look: to load a port's word
	atCalledLast           // last look: to look whether its companions were called
	atInputLast            // last look: to look at its input
	atSleep                // to sleep, unless it is rung
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
	stored bool  // a packet was published, and nobody has looked yet whether to ring
	posts  stage // how far somebody has come who posts a letter
	letter bool
	asked  bool // the lender sees that it was not heard
	called bool
	timer  timer
}

// stage is how far a letter has come.
type stage uint8

const (
	idle stage = iota
	posted
	halfway // posted, and the first of ask and call was done
)

// timer is that of companions; who sets it tells the lender when, under the claim.
type timer uint8

const (
	noTimer timer = iota
	setTimer
	dueTimer
)

// team is a state.
type team struct {
	threads [crew]thread
	ports   [crew]port
	lent    bool // cores are lent
	denied  bool // thread 0 gets no core again
	// How many more there may be.
	arrivals, leftovers, losses, letters, timers uint8
}

// key is a state in few words, which a map finds faster: each part has the bits that it needs.
func (m *team) key() (k [3]uint64) {
	add := func(to *uint64, bits int, v uint64) { *to = *to<<bits | v }
	for i := range m.threads {
		t, p := &m.threads[i], &m.ports[i]
		add(&k[0], 9, uint64(t.word))
		add(&k[0], 5, uint64(t.at))
		add(&k[0], 4, uint64(t.port)<<3|uint64(t.first)<<2|uint64(t.drained))
		add(&k[0], 3, uint64(yes(t.unread)<<2|yes(t.pending)<<1|yes(t.kept)))
		add(&k[1], 9, uint64(p.word))
		add(&k[1], 8, uint64(p.input)<<4|uint64(p.inside))
		add(&k[1], 4, uint64(yes(p.due)<<3|yes(p.armed)<<2|yes(p.rung)<<1|yes(p.stored)))
		add(&k[1], 7, uint64(p.posts)<<5|uint64(p.timer)<<3|
			uint64(yes(p.letter)<<2|yes(p.asked)<<1|yes(p.called)))
	}
	for _, n := range [...]uint8{m.arrivals, m.leftovers, m.losses, m.letters, m.timers} {
		add(&k[2], 8, uint64(n))
	}
	add(&k[2], 2, uint64(yes(m.lent)<<1|yes(m.denied)))
	return k
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
	callsFirst          // who posts a letter calls before it asks
	hearsFirst          // who serves hears before it takes the call back
	readsFirst          // who serves reads letters before it takes the call back
	ownTimers           // a timer is told to the lender only by the thread whose port it is
)

type explorer struct {
	variant variant
	seen    map[[3]uint64]bool // by key
	bad     string
	trail   []event
}

// event is a step of a story. (Text is written when one ends badly: there are many.)
type event struct {
	who   uint8  // a thread, or a port that something happens to
	what  string // "" if there was nothing to do
	port  uint8
	value word
}

func (e event) String() string {
	return fmt.Sprintf("%d "+e.what+" (port %d, %d)", e.who, e.port, e.value)
}

func yes(b bool) word {
	if b {
		return 1
	}
	return 0
}

func (x *explorer) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s after", x.bad)
	for _, e := range x.trail {
		fmt.Fprintf(&b, "\n\t%v", e)
	}
	return b.String()
}

// walk goes through everything that can happen from m on and reports whether all of it is good.
func (x *explorer) walk(m team) bool {
	key := m.key()
	if x.seen[key] {
		return true
	}
	x.seen[key] = true
	quiet := true
	follow := func(n team, e event) bool {
		x.trail = append(x.trail, e)
		if x.bad != "" || !x.walk(n) {
			return false
		}
		x.trail = x.trail[:len(x.trail)-1]
		return true
	}
	for i := range m.threads {
		who := uint8(i)
		n := m
		if e := x.step(&n, i); e.what != "" {
			quiet = false
			if !follow(n, e) {
				return false
			}
		}
		if n = m; n.ports[i].stored {
			n.ports[i].stored = false
			n.ports[i].rung = n.ports[i].rung || n.ports[i].armed
			quiet = false
			if !follow(n, event{who, "is rung if it sleeps", who, 0}) {
				return false
			}
		}
		if n = m; n.ports[i].posts != idle {
			quiet = false
			if !follow(n, event{who, x.post(&n.ports[i]), who, 0}) {
				return false
			}
		}
		if n = m; x.grant(&n, i) {
			quiet = false
			if !follow(n, event{who, "is given a core", who, 0}) {
				return false
			}
		}
	}
	if quiet {
		for i, p := range m.ports {
			if p.input > 0 || p.due || !p.word.free() || p.letter || p.timer == dueTimer {
				x.bad = fmt.Sprintf("port %d has %d packets, left output %v, word %d, letter %v, "+
					"timer %d, and all sleep", i, p.input, p.due, p.word, p.letter, p.timer)
				return false
			}
		}
	}
	if asleep(&m) {
		for i, p := range m.ports {
			if p.asked && !p.called && p.posts == idle {
				x.bad = fmt.Sprintf("port %d: cores are granted for nothing, for ever", i)
				return false
			}
		}
	}
	return x.choices(m, follow)
}

// choices are what may happen but need not.
func (x *explorer) choices(m team, follow func(team, event) bool) bool {
	for i := range m.threads {
		who := uint8(i)
		n := m
		t, p := &n.threads[i], &n.ports[i]
		if n.arrivals > 0 && !p.stored {
			n.arrivals--
			p.input++
			p.stored = !n.lent
			if !follow(n, event{who, "gets a packet at its port", who, 0}) {
				return false
			}
		}
		n = m
		if n.leftovers > 0 && t.at == atUnread && !n.ports[t.port].due {
			n.leftovers--
			n.ports[t.port].due = true
			if !follow(n, event{who, "leaves output behind", who, 0}) {
				return false
			}
		}
		n = m
		if n.letters > 0 && p.posts == idle {
			n.letters--
			p.posts, p.letter = posted, true
			if !follow(n, event{who, "gets a letter at its port", who, 0}) {
				return false
			}
		}
		n = m
		if at := &n.ports[t.port]; n.timers > 0 && t.at == atUnread && at.timer == noTimer {
			n.timers--
			at.timer = setTimer
			if !follow(n, event{who, "has set a timer", who, 0}) {
				return false
			}
		}
		n = m
		if p.timer == setTimer {
			p.timer = dueTimer
			if !follow(n, event{who, "has a timer at its port that is due now", who, 0}) {
				return false
			}
		}
		n = m
		if n.losses > 0 && x.loses(t) {
			n.losses--
			if !follow(n, event{who, "loses its core", who, 0}) {
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

// post has whoever posts a letter go on.
func (x *explorer) post(p *port) (what string) {
	calls := (p.posts == posted) == (x.variant == callsFirst)
	if p.posts++; p.posts > halfway {
		p.posts = idle
	}
	if calls {
		p.called = true
		return "is called"
	}
	p.asked = true
	return "is asked for"
}

// asleep reports whether all threads are.
func asleep(m *team) bool {
	for i := range m.threads {
		if m.threads[i].at != atAsleep {
			return false
		}
	}
	return true
}

// grant is the lender's: it gives thread i a core if something waits and none runs.
func (x *explorer) grant(m *team, i int) bool {
	if !m.lent || m.denied && i == 0 || !asleep(m) {
		return false
	}
	waits := false
	for k, p := range m.ports {
		waits = waits || (p.input > 0 || p.due || p.asked) && (x.variant != lenderOwn || k == i) ||
			p.timer == dueTimer && (x.variant != ownTimers || k == i)
	}
	if !waits {
		return false
	}
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
	last := t.at >= atWordLast && t.at <= atInputLast
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

// step has thread i go on and says what it did.
func (x *explorer) step(m *team, i int) event {
	at := m.threads[i].port
	what, value := x.advance(m, i)
	return event{uint8(i), what, at, value}
}

func (x *explorer) advance(m *team, i int) (what string, value word) {
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
			x.decide(m, i, t.word.wants(false))
		}
		return "loads the word", p.word
	case atCalled, atCalledLast:
		if t.at++; p.called {
			x.decide(m, i, true)
		}
		return "looks for calls", yes(p.called)
	case atInput, atInputLast:
		x.decide(m, i, t.word.wants(p.input > 0) || t.word.free() && p.timer == dueTimer)
		return "looks at the input and the time", word(p.input)
	case atArm:
		own.armed = true
		t.at, t.port, t.first = atWordLast, uint8(i), uint8(i)
		return "announces that it sleeps", 0
	case atSleep, atAsleep:
		switch {
		case rung:
			own.rung = false
			begin(m, i)
			return "was rung", 0
		case t.at == atSleep:
			*t = thread{at: atAsleep}
			return "sleeps", 0
		}
		return "", 0
	}
	return x.serve(m, t, p, i)
}

// decide is what a thread does about a port that it has looked at.
func (x *explorer) decide(m *team, i int, wants bool) {
	t := &m.threads[i]
	switch {
	case !wants:
		x.onward(t)
	case t.at < atArm:
		t.at = atClaim
	default:
		begin(m, i)
	}
}

// serve is a turn of a port.
func (x *explorer) serve(m *team, t *thread, p *port, i int) (what string, value word) {
	at := t.port
	switch t.at {
	case atClaim:
		if p.word != t.word && x.variant != storesClaim {
			x.onward(t)
			return "is too late", 0
		}
		p.word = takenBy(uint32(i))
		if p.inside++; p.inside > 1 {
			x.bad = fmt.Sprintf("two threads serve port %d", at)
		}
		t.at = atServe
		return "claims", 0
	case atServe:
		p.due = false
		p.input -= min(p.input, 1)
		switch t.at = atTake; {
		case m.letters == 0 && p.posts == idle && !p.letter && !p.called && p.timer == noTimer:
			t.at = atUnread // the companions have nothing to do, and nobody can change that
		case x.variant == readsFirst, x.variant == hearsFirst && !p.called:
			t.at = atRead
		case x.variant == hearsFirst:
			t.at = atHear
		}
		return "serves", 0
	case atTake, atHear, atRead:
		return x.attend(t, p), 0
	case atUnread:
		t.unread, t.at = p.input > 0, atPending
		return "looks for unread input", yes(t.unread)
	case atPending:
		t.pending, t.at = p.input > 0 || p.due, atRelease
		return "looks what is pending", yes(t.pending)
	default:
		p.word = noted(t.unread, t.pending)
		p.inside--
		t.drained = 0
		if x.variant == looksBefore && !t.pending && int(at) != i {
			t.drained = at + 1
		}
		x.onward(t)
		return "releases", p.word
	}
}

// attend is the companions' part of a turn.
func (x *explorer) attend(t *thread, p *port) (what string) {
	switch t.at {
	case atTake:
		heard := !p.called || x.variant == hearsFirst
		if p.called, t.at = false, atHear; heard {
			t.at = x.afterHearing()
		}
		return "takes calls back"
	case atHear:
		if p.asked, t.at = false, x.afterHearing(); x.variant == hearsFirst {
			t.at = atTake
		}
		return "hears"
	default:
		p.letter = false
		if p.timer == dueTimer {
			p.timer = noTimer
		}
		if t.at = atUnread; x.variant == readsFirst {
			t.at = atTake
		}
		return "reads letters"
	}
}

func (x *explorer) afterHearing() at {
	if x.variant == readsFirst {
		return atUnread
	}
	return atRead
}

func explore(v variant, m team) *explorer {
	x := &explorer{variant: v, seen: map[[3]uint64]bool{}}
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

// calls is lent with companions.
func calls(arrivals, letters, timers, losses uint8, denied bool) team {
	m := lent(arrivals, 0, losses, denied)
	m.letters, m.timers = letters, timers
	return m
}

func TestNoOrderForgetsInput(t *testing.T) {
	for _, c := range []struct {
		name string
		m    team
	}{
		{"own cores", own(3, 0)},
		{"own cores, output is left", own(2, 1)},
		{"lent cores", lent(3, 0, 2, false)},
		{"lent cores, output is left", lent(2, 1, 2, false)},
		{"lent cores, one thread is never given one again", lent(3, 1, 2, true)},
		{"letters", calls(0, 2, 0, 2, false)},
		{"letters, packets and timers", calls(1, 1, 1, 1, false)},
		{"letters and timers, one thread is never given a core again", calls(0, 2, 1, 1, true)},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := explore(protocol, c.m)
			if x.bad != "" {
				t.Errorf("%s", x.story())
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
		{callsFirst, "who posts calls before it asks", calls(0, 1, 0, 1, false), "for nothing"},
		{hearsFirst, "who serves hears first", calls(0, 2, 0, 1, false), "for nothing"},
		{readsFirst, "who serves reads first", calls(0, 2, 0, 1, false), "all sleep"},
		{ownTimers, "timers of one thread", calls(1, 0, 1, 1, true), "all sleep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := explore(c.v, c.m)
			if !strings.Contains(x.bad, c.want) {
				t.Fatalf("found %q in %d states, want a story in which %s", x.bad, len(x.seen), c.want)
			}
			t.Log(x.story())
		})
	}
}
