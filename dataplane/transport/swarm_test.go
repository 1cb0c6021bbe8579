package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
)

// ledger is what a workload demands of every transfer: it ends once, at the latest at its deadline;
// what was handed out was handed out once and intact; Done means that it was, Failed that it was not.
type ledger struct {
	t      testing.TB
	r      *rig
	issued map[uint64]*entry
	next   uint64
}

type entry struct {
	kind     EventKind
	n        int
	deadline core.Time
	handed   int
	ended    bool
	outcome  Outcome
}

// content is the bytes of a transfer: its number, and more that follows from it.
func content(tag uint64, n int) []byte {
	b := pattern(n, int(tag))
	binary.BigEndian.PutUint64(b, tag)
	return b
}

func (l *ledger) issue(rng *rand.Rand, s *side, id SessionID, region RegionID) {
	l.next++
	tag := l.next
	sizes := [...]int{8, 64, 200, 1300, 1500, 5000, 60_000}
	n := sizes[rng.IntN(len(sizes))]
	o := Order{
		Session: id, Lane: uint8(rng.IntN(2)), Tag: tag, Route: uint64(rng.IntN(3)),
		Deadline: l.r.now + core.Time(1+rng.Int64N(int64(200*core.Millisecond))),
	}
	e := &entry{n: n, deadline: o.Deadline}
	var err error
	switch k := rng.IntN(10); {
	case k < 6:
		e.kind = EventReply
		o.Header = binary.BigEndian.AppendUint64(nil, tag)
		_, err = s.e.Call(l.r.now, o, content(tag, n))
	case k < 8:
		e.kind = EventSent
		err = s.e.Send(l.r.now, o, content(tag, n))
	default:
		e.kind = EventWritten
		_, err = s.e.Write(l.r.now, o, Target{Region: region, Stable: k == 9}, content(tag, n))
	}
	if err == nil {
		l.issued[tag] = e
	}
}

// serve takes the events of both sides.
func (l *ledger) serve(s *side, ev Event) {
	switch ev.Kind {
	case EventRequest, EventMessage:
		tag := binary.BigEndian.Uint64(ev.Data)
		e := l.issued[tag]
		if e == nil || !bytes.Equal(ev.Data, content(tag, e.n)) {
			l.t.Fatalf("transfer %d handed out damaged", tag)
		}
		if e.handed++; e.handed > 1 {
			l.t.Fatalf("transfer %d handed out twice", tag)
		}
		if e.ended && e.outcome == Failed {
			l.t.Fatalf("transfer %d failed for good and was handed out later", tag)
		}
		if ev.Kind == EventRequest && tag%7 != 0 {
			_ = s.e.Reply(l.r.now, ev.Request, ev.Header, ev.Data)
		} else if ev.Kind == EventRequest && tag%49 == 0 {
			e.handed = 0
			_ = s.e.Refuse(l.r.now, ev.Request)
		}
	case EventReply, EventSent, EventWritten:
		e := l.issued[ev.Tag]
		if e == nil || e.ended || e.kind != ev.Kind {
			l.t.Fatalf("transfer %d ended: %+v, %+v", ev.Tag, ev, e)
		}
		e.ended, e.outcome = true, ev.Outcome
		if l.r.now > e.deadline {
			l.t.Fatalf("transfer %d ended %d ns after its deadline", ev.Tag, l.r.now-e.deadline)
		}
		switch {
		case ev.Outcome == Failed && e.handed > 0:
			l.t.Fatalf("transfer %d was handed out and failed for good", ev.Tag)
		case ev.Outcome == Done && e.handed == 0 && ev.Kind == EventReply:
			l.t.Fatalf("transfer %d was answered by nobody", ev.Tag)
		case ev.Kind == EventReply && ev.Outcome == Done &&
			(!bytes.Equal(ev.Data, content(ev.Tag, e.n)) ||
				binary.BigEndian.Uint64(ev.Header) != ev.Tag):
			l.t.Fatalf("transfer %d got another's reply", ev.Tag)
		}
	case EventDown:
		s.events = append(s.events, ev)
	}
}

// swarmRun is one seed: two sides with faults of its own on each way.
func swarmRun(t testing.TB, seed uint64, issues int) Counters {
	rng := rand.New(rand.NewPCG(seed, 1))
	udp := [...]int{0, 4, 6}[rng.IntN(3)]
	mtu := [...]int{1300, 1500, 9000}[rng.IntN(3)]
	r, a, b, sa, sb := pair(t, udp, func(c *Config) {
		c.MTU, c.Lanes, c.DeadAfter = mtu, 2, 20*core.Second
		c.PeerBytes = 1 << (18 + rng.IntN(4))
	})
	r.audit = true
	l := &ledger{t: t, r: r, issued: map[uint64]*entry{}}
	a.serve, b.serve = l.serve, l.serve
	var regions [2]RegionID
	for i, x := range []struct {
		s  *side
		id SessionID
	}{{a, sa}, {b, sb}} {
		x.s.setFaults(swarmConfig(rng))
		var err error
		if regions[i], err = x.s.e.Register(x.id, make([]byte, 100_000), RightWrite); err != nil {
			t.Fatal(err)
		}
	}
	for range issues {
		r.run(core.Time(rng.Int64N(int64(300 * core.Microsecond))))
		if rng.IntN(2) == 0 {
			l.issue(rng, a, sa, regions[1])
		} else {
			l.issue(rng, b, sb, regions[0])
		}
	}
	for _, s := range r.sides { // heal, and everything ends
		s.model.Clog(0)
		s.model.Cut(0)
		s.setFaults(fault.Config{Delay: fault.Delay{Fixed: 5 * core.Microsecond}})
	}
	r.run(core.Second)
	for tag, e := range l.issued {
		if !e.ended {
			t.Fatalf("transfer %d never ended: %+v", tag, e)
		}
	}
	for _, s := range r.sides {
		if len(s.events) > 0 {
			t.Fatalf("session down: %+v", s.events[0])
		}
		for _, x := range s.e.sessions {
			if x != nil && (x.live > 0 && x.live > openRequests(x) || x.held > 0) {
				t.Fatalf("%d transfers, %d bytes left", x.live, x.held)
			}
		}
	}
	return a.e.Counters()
}

func openRequests(s *session) (n int) {
	for _, l := range s.lanes {
		for i := range l.requests {
			if l.requests[i].open {
				n++
			}
		}
	}
	return n
}

// swarmConfig is a swarm's, with outages that leave time for something to happen.
func swarmConfig(rng *rand.Rand) fault.Config {
	c := fault.Swarm(rng)
	for _, o := range []*fault.Outage{&c.Clog, &c.Cut} {
		o.Longest = min(o.Longest, 100*core.Millisecond)
		o.Shortest = min(o.Shortest, o.Longest)
	}
	return c
}

func TestSwarm(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 10
	}
	var sum Counters
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := swarmRun(t, uint64(seed), 150)
			sum.Lost += c.Lost
			sum.Probes += c.Probes
			sum.Timeouts += c.Timeouts
			sum.Spurious += c.Spurious
			sum.Undone += c.Undone
			sum.Late += c.Late
			sum.Repeated += c.Repeated
		})
	}
	t.Logf("%+v", sum)
}
