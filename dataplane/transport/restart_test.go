package transport

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// long says that tests which can take minutes are to do so: make long.
func long() bool { return os.Getenv("DUNLIN_LONG") != "" }

// restartLoad is calls in both directions between one side that lives on and one that is restarted.
type restartLoad struct {
	t      *testing.T
	r      *rig
	rng    *rand.Rand
	a, b   *side
	calls  map[uint64]*loadCall
	tag    uint64
	at     map[*side]SessionID
	down   int
	worst  int // most sessions at once at the side that lives
	counts [Unknown + 1]int
}

type loadCall struct {
	from   *side
	life   uint16 // of the restarted side, when it was made
	handed int
	ended  bool
}

// serve takes an event of either side.
func (l *restartLoad) serve(s *side, ev Event) {
	switch ev.Kind {
	case EventUp:
		l.at[s] = ev.Session
	case EventDown:
		if l.down++; l.at[s] == ev.Session {
			delete(l.at, s)
		}
	case EventRequest:
		tag := binary.BigEndian.Uint64(ev.Header)
		c := l.calls[tag]
		if c.handed++; c.handed > 1 || c.from == s || s == l.b && c.life != l.b.life {
			l.t.Fatalf("call %d of life %d was handed out %d times, in life %d", tag, c.life,
				c.handed, l.b.life)
		}
		if err := s.e.Reply(l.r.now, ev.Request, ev.Header, ev.Data); err != nil {
			l.t.Fatal(err)
		}
	case EventReply:
		c := l.calls[ev.Tag]
		switch {
		case c.ended:
			l.t.Fatalf("call %d ended twice", ev.Tag)
		case ev.Outcome == Done && (c.handed != 1 || binary.BigEndian.Uint64(ev.Header) != ev.Tag ||
			len(ev.Data) > 0 && ev.Data[0] != byte(ev.Tag)):
			l.t.Fatalf("call %d, handed out %d times: the reply of another", ev.Tag, c.handed)
		case ev.Outcome == Failed && c.handed != 0:
			l.t.Fatalf("call %d failed, and was handed out", ev.Tag)
		}
		c.ended = true
		l.counts[ev.Outcome]++
	}
}

// issue begins a call in one direction, if there is a session.
func (l *restartLoad) issue(from *side) {
	id, ok := l.at[from]
	if !ok {
		return
	}
	l.tag++
	n := l.rng.IntN(200)
	if l.rng.IntN(10) == 0 {
		n = l.rng.IntN(40_000)
	}
	o := Order{
		Session: id, Deadline: l.r.now + 50*core.Millisecond, Tag: l.tag,
		Header: binary.BigEndian.AppendUint64(nil, l.tag),
	}
	l.calls[l.tag] = &loadCall{from: from, life: l.b.life}
	if _, err := from.e.Call(l.r.now, o, bytes.Repeat([]byte{byte(l.tag)}, n)); err != nil {
		delete(l.calls, l.tag) // the session has just ended
	}
}

// dead is short, or a thousand restarts leave more sessions than a test has time for.
func dead(c *Config) { c.DeadAfter, c.KeepAlive = 30*core.Millisecond, 20*core.Millisecond }

// restart ends b in the middle of everything, and begins it anew under the same address. What was
// on the way arrives at the new one, and so does, again, what was sent to the old one.
func (l *restartLoad) restart(old [][]byte) {
	r, b := l.r, l.b
	for _, c := range l.calls {
		if c.from == b {
			c.ended = true // nobody is left to be told
		}
	}
	delete(l.at, b)
	b.life++
	b.start(dead)
	before := digestOf(b.e)
	for _, frame := range old {
		h := Header(frame[wire.EthernetBytes:])
		if reason := b.e.HandleFrame(r.now, bytes.Clone(frame)); reason == OK {
			l.t.Fatalf("life %d took a frame of type %d that was for the one before", b.life,
				h.Type())
		}
	}
	after := digestOf(b.e)
	if after.plain = before.plain; after != before {
		l.t.Fatalf("frames for the life before changed %+v to %+v", before, after)
	}
	from, to := l.a, b
	if l.rng.IntN(2) == 0 {
		from, to = b, l.a
	}
	if _, err := from.e.Connect(r.now, Peer{Path: from.path(to, 0), Key: to.key}); err != nil {
		l.t.Fatal(err)
	}
}

// mostAtOnce is the most sessions at the side that lives: one lasts 50 ms until it counts as dead and
// lingers for another 100, and no restart takes less than 600 us: a handshake and some calls.
const mostAtOnce = int((50*core.Millisecond + lingerFor) / (600 * core.Microsecond))

// TestB8Restarts kills and restarts one side under load: 40 times, or 1,000 with DUNLIN_LONG. No
// call is handed out twice or to another life than it was made in, each ends once and as it says,
// nothing that was sent to one life is taken by the next, and the side that lives on keeps nothing.
func TestB8Restarts(t *testing.T) {
	restarts := 40
	if long() {
		restarts = 1000
	}
	r := newRig(t)
	a, b := r.add(dead), r.add(dead)
	a.lose(0.01)
	b.lose(0.01)
	l := &restartLoad{
		t: t, r: r, rng: rand.New(rand.NewPCG(8, 8)), a: a, b: b,
		calls: map[uint64]*loadCall{}, at: map[*side]SessionID{},
	}
	a.serve, b.serve = l.serve, l.serve
	var old [][]byte // for b
	r.watch = func(from *side, frame []byte) []byte {
		if from == a {
			if old = append(old, frame); len(old) > 64 {
				old = old[1:]
			}
		}
		return frame
	}
	for n := range restarts {
		l.restart(old)
		r.until("they have a session", 10*core.Second, func() bool {
			return len(l.at) == 2 && a.e.find(l.at[a]).peer == b.e.find(l.at[b]).number
		})
		for range 20 + l.rng.IntN(40) {
			l.issue(a)
			l.issue(b)
			r.run(core.Time(l.rng.Int64N(int64(20 * core.Microsecond))))
		}
		for range 8 { // and it ends amid these
			l.issue(a)
			l.issue(b)
		}
		r.run(core.Time(l.rng.Int64N(int64(30 * core.Microsecond))))
		l.worst = max(l.worst, len(a.e.sessions)-1-len(a.e.freed))
		if n%16 == 0 {
			a.e.mustAudit(t, r.now)
			b.e.mustAudit(t, r.now)
		}
	}
	r.run(core.Second)
	for tag, c := range l.calls {
		if !c.ended {
			t.Fatalf("call %d never ended", tag)
		}
	}
	if l.counts[Done] == 0 || l.counts[Failed] == 0 || l.counts[Unknown] == 0 {
		t.Errorf("outcomes %v: the load is none", l.counts)
	}
	b.stopped = true
	r.run(10 * core.Second)
	if n := len(a.e.sessions) - 1 - len(a.e.freed); n != 0 {
		t.Errorf("%d sessions outlive their peers", n)
	}
	if a.e.in.used != 0 || a.e.out.used != 0 || a.e.words.used != 0 || l.worst > mostAtOnce {
		t.Errorf("%d, %d, %d bytes left, %d sessions at once", a.e.in.used, a.e.out.used,
			a.e.words.used, l.worst)
	}
	t.Logf("%d restarts: %d calls done, %d failed, %d unknown; at most %d sessions at once",
		restarts, l.counts[Done], l.counts[Failed], l.counts[Unknown], l.worst)
}
